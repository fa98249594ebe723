// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "onnx/mapped_file.h"
#include "onnx/proto.h"

namespace ashlar::onnx {

/// The files that a model's tensors name as their external data: each is mapped once, and only files that lie in the model's
/// directory or below are read.
class ExternalData {
 public:
  /// Without a directory every request is refused. `zeros_where_missing`: a file that does not exist reads as zeros.
  explicit ExternalData(std::filesystem::path directory, bool zeros_where_missing = false)
      : directory_(std::move(directory)), zeros_where_missing_(zeros_where_missing) {}

  /// The bytes that the tensor's external_data names; `length` of them where it does not say. Throws Error naming the tensor and
  /// the path: kNotFound for a file that does not exist, kIo for one that may not be read, and kInvalidModel for one that is too
  /// short, a number that is none, a location that is absolute or contains "..", and for anything on the way that is a symbolic
  /// link, a file with more than one name (hard links), or not a regular file.
  Bytes read(const proto::TensorProto& tensor, const std::string& name, std::uint64_t length);

 private:
  const Bytes& open(const std::string& location, const std::string& tensor);

  std::filesystem::path directory_;
  bool zeros_where_missing_;
  std::map<std::string, Bytes> files_;
};

}  // namespace ashlar::onnx
