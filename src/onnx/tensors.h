// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <ashlar/tensor.h>

#include "onnx/external_data.h"
#include "onnx/mapped_file.h"
#include "onnx/proto.h"

namespace ashlar::onnx {

/// The bytes that `count` elements take as raw_data: as in memory, but 6-bit floats are packed four to three bytes.
std::uint64_t raw_size(DType dtype, std::uint64_t count);

/// Turns the tensors of one file into ours. Large raw data and external data are not copied: those tensors are read-only spans of
/// the mapped files, aligned as the file has them. A message is decoded once, so it must stay in place while the reader lives.
class TensorReader {
 public:
  /// `file` is what skeleton() was given; `external` finds the external data.
  TensorReader(Bytes file, ExternalData external) : file_(std::move(file)), external_(std::move(external)) {}

  /// Throws Error naming the tensor: kInvalidModel for an unknown dtype, a bad shape, or data that is not as large as dtype and
  /// shape say (checked before anything is allocated), kUnsupported for more than Shape::kMaxRank dimensions, and what ExternalData
  /// throws.
  Tensor read(const proto::TensorProto& tensor, const std::string& name);

  /// The dense tensor that a sparse one stands for. Indices must be in range and ascending; more than kLargestDense bytes are
  /// refused (kUnsupported).
  Tensor read(const proto::SparseTensorProto& sparse, const std::string& name);
  static constexpr std::uint64_t kLargestDense = std::uint64_t{1} << 30;

  /// Puts into `message` the tensor's dtype and shape and a reference that read() resolves to `tensor` itself.
  void refer(const Tensor& tensor, proto::TensorProto* message);

 private:
  Tensor decode(const proto::TensorProto& tensor, const std::string& name);
  Tensor decode(const proto::SparseTensorProto& sparse, const std::string& name);
  Tensor from_raw(DType dtype, const Shape& shape, Bytes raw);

  Bytes file_;
  ExternalData external_;
  std::unordered_map<const void*, Tensor> read_;
  std::vector<Tensor> table_;
};

/// The tensor as a message with its elements in raw_data (string_data for strings).
proto::TensorProto to_proto(const Tensor& tensor);

}  // namespace ashlar::onnx
