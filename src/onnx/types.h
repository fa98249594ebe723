// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ashlar/model.h>
#include <ashlar/tensor.h>

#include "onnx/proto.h"

namespace ashlar::onnx {

/// The declared type as ours; negative dimensions are unknown ones, as older exporters write them. Throws Error naming `value`:
/// kInvalidModel for an unknown element type, kUnsupported for an opaque type.
ValueType to_type(const proto::TypeProto& type, const std::string& value);

/// The inverse; dimensions without value or symbol stay empty.
proto::TypeProto to_proto(const ValueType& type);

/// The type of a tensor with exactly that dtype and shape.
ValueType type_of(const Tensor& tensor);

/// Whether the element type is known, through sequences, optionals and maps.
bool is_known(const ValueType& type);

/// Adds to `type` what `more` says beyond it: a fixed dimension beats a symbol, a symbol nothing. Returns what contradicts, such as
/// "dimension 1 is 3 and 4", and empty when nothing does; `type` is as far merged as it goes.
std::string merge(ValueType& type, const ValueType& more);

}  // namespace ashlar::onnx
