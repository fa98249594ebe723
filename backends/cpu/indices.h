// SPDX-License-Identifier: Apache-2.0
// Tensors of indices: int32 or int64, negative ones counted from the end of a dimension.
#pragma once

#include "copy.h"

namespace ashlar::cpu {

/// A verdict's part: input i holds indices.
inline bool is_index_type(DType dtype) { return dtype == DType::kInt32 || dtype == DType::kInt64; }

/// Calls f.operator()<T>(data) for the element type of a tensor of indices.
template <class F> void dispatch_indices(const provider::TensorView& indices, F&& f) {
  if (indices.dtype() == DType::kInt64) return f(indices.data<std::int64_t>());
  provider::check(indices.dtype() == DType::kInt32, "expected integers, got ", provider::dtype_name(indices.dtype()));
  f(indices.data<std::int32_t>());
}

/// A Failure that names the first of n indices, `step` apart, that is outside [-size, size).
template <class T> void check_indices(const T* indices, std::int64_t n, std::int64_t size, std::int64_t step = 1) {
  bool good = true;
  for (std::int64_t i = 0; i < n; ++i) good &= indices[i * step] >= -size && indices[i * step] < size;
  for (std::int64_t i = 0; i < n && !good; ++i)
    provider::check(indices[i * step] >= -size && indices[i * step] < size, "index ", indices[i * step], " is outside [-", size, ", ", size,
                    ")");
}

/// The element an index that was checked means.
template <class T> std::int64_t resolved(T index, std::int64_t size) { return index < 0 ? index + size : index; }

}  // namespace ashlar::cpu
