// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>

#include <ashlar/tensor.h>

namespace ashlar::plan {

/// Constants in the form steps can read: as they are where their data is aligned for their elements, else a copy, made once and
/// shared by every session of the model. Thread-safe.
class WeightStore {
 public:
  Tensor aligned(const Tensor& constant);

 private:
  std::mutex mutex_;
  std::map<const void*, Tensor> copies_;  ///< by address in the mapped file
};

/// Bytes an element's address must be a multiple of: 8 at most, 1 for packed types.
std::size_t element_alignment(DType dtype) noexcept;

}  // namespace ashlar::plan
