// SPDX-License-Identifier: Apache-2.0
// Windows, and how the layouts of this provider lie in memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include <ashlar/provider/window.h>

#include "scalar.h"

namespace ashlar::cpu {

using provider::advance;
using provider::tail;
using provider::TapRange;
using provider::Window;
using provider::WindowAttributes;

/// Elements between neighbours in each dimension of a dense tensor.
inline Dims strides_in(const Dims& dims, std::uint64_t layout) {
  const Dims physical = physical_dims(dims, layout);
  Dims strides = dims;
  for (int i = 0; i < dims.rank(); ++i) strides[i] = physical.product(physical_axis(i, dims.rank(), layout) + 1, dims.rank());
  return strides;
}

/// True when a tensor of these dims has the same bytes plain and channels-last.
inline bool layouts_agree(const Dims& dims) { return dims.rank() < 3 || dims[1] == 1 || dims.product(2, dims.rank()) == 1; }

/// The product of two counts, each taken as 2^20 at most: an estimate of work that does not overflow.
inline std::int64_t estimate(std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMost = 1 << 20;
  return std::min(a, kMost) * std::min(b, kMost);
}

}  // namespace ashlar::cpu
