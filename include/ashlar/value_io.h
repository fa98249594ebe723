// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include <ashlar/export.h>
#include <ashlar/model.h>
#include <ashlar/value.h>

namespace ashlar::inline v0 {

/// Reads a value from a file in ONNX's encoding: TensorProto, SequenceProto, OptionalProto or MapProto, as `type` says (the
/// encoding itself does not). Throws Error: kNotFound, kIo, or kInvalidArgument naming the file when it does not hold that.
ASHLAR_API Value read_onnx_value(const std::filesystem::path& file, const ValueType& type);

/// Writes a value in ONNX's encoding, under the given name. Throws Error (kIo).
ASHLAR_API void write_onnx_value(const std::filesystem::path& file, const Value& value, const std::string& name);

}  // namespace ashlar::inline v0
