// SPDX-License-Identifier: Apache-2.0
// Walking tensors in row-major order beside operands of other strides. Strides and offsets count elements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <ashlar/provider/dims.h>

namespace ashlar::provider {

/// The number of elements of a shape times `factor`; a Failure where it does not fit, or a dimension is negative.
inline std::int64_t checked_count(const Dims& dims, std::int64_t factor = 1) {
  std::int64_t count = factor;
  for (const std::int64_t d : dims) check(d >= 0 && !__builtin_mul_overflow(count, d, &count), "a tensor of shape ", dims, " is too large");
  return count;
}

/// The strides of a dense row-major tensor.
inline Dims strides_of(const Dims& dims) {
  Dims strides = dims;
  std::int64_t step = 1;
  for (int i = dims.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step = static_cast<std::int64_t>(static_cast<std::uint64_t>(step) * static_cast<std::uint64_t>(dims[i]));
  }
  return strides;
}

/// The strides with which a dense tensor of `dims` is read at the indices of `out`, which it broadcasts to: 0 where it repeats.
inline Dims broadcast_strides(const Dims& dims, const Dims& out) {
  const Dims dense = strides_of(dims);
  const int missing = out.rank() - dims.rank();
  Dims strides = Dims::filled(out.rank(), 0);
  for (int i = 0; i < dims.rank(); ++i)
    if (dims[i] != 1) strides[missing + i] = dense[i];
  return strides;
}

/// f(i, offsets) for every index of `dims` in row-major order: i counts up from 0, offsets[k] is the index's dot product with
/// strides[k].
template <std::size_t N, class F> void for_each_index(const Dims& dims, const std::array<Dims, N>& strides, F f) {
  for (const std::int64_t d : dims)
    if (d <= 0) return;
  std::array<std::int64_t, N> offsets{};
  if (dims.rank() == 0) {
    f(std::int64_t{0}, offsets);
    return;
  }
  const int last = dims.rank() - 1;
  Dims index = Dims::filled(dims.rank(), 0);
  std::int64_t i = 0;
  for (;;) {
    std::array<std::int64_t, N> inner = offsets;
    for (std::int64_t j = 0; j < dims[last]; ++j, ++i) {
      f(i, inner);
      for (std::size_t k = 0; k < N; ++k) inner[k] += strides[k][last];
    }
    int d = last - 1;
    for (; d >= 0; --d) {
      for (std::size_t k = 0; k < N; ++k) offsets[k] += strides[k][d];
      if (++index[d] < dims[d]) break;
      for (std::size_t k = 0; k < N; ++k) offsets[k] -= strides[k][d] * dims[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

/// f(out_i, a_i, b_i) for every element of `out`, to which `a` and `b` broadcast.
template <class F> void for_each_broadcast(const Dims& out, const Dims& a, const Dims& b, F f) {
  for_each_index<2>(out, {broadcast_strides(a, out), broadcast_strides(b, out)},
                    [&](std::int64_t i, const std::array<std::int64_t, 2>& at) { f(i, at[0], at[1]); });
}

/// `dims` seen from `axis`: [outer, dims[axis], inner].
struct AxisView {
  std::int64_t outer, size, inner;
  AxisView(const Dims& dims, int axis) : outer(dims.product(0, axis)), size(dims[axis]), inner(dims.product(axis + 1, dims.rank())) {}
};

}  // namespace ashlar::provider
