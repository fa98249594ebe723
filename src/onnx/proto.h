// SPDX-License-Identifier: Apache-2.0
// The ONNX library's messages, as `proto` (its namespace has the name of ours).
#pragma once

#include <onnx/onnx-data.pb.h>
#include <onnx/onnx_pb.h>

namespace ashlar::onnx {

namespace proto = ::ONNX_NAMESPACE;

}  // namespace ashlar::onnx
