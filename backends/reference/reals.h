// SPDX-License-Identifier: Apache-2.0
// Between elements and the doubles that the kernels of this folder calculate in.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "scalar.h"

namespace ashlar::reference {

/// A number as an element of type T; integers wrap.
template <class T, class S> T narrow(S value) {
  if constexpr (is_small_float<T>) return T(static_cast<float>(value));
  else return static_cast<T>(value);
}

/// The integer nearest to `value`, ties to even, held to the range of T; 0 for NaN.
template <class T> T saturate(double value) {
  const double rounded = std::nearbyint(value);
  if (std::isnan(rounded)) return T{0};
  constexpr T kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
  if (rounded <= static_cast<double>(kLow)) return kLow;
  if (rounded >= static_cast<double>(kHigh)) return kHigh;
  return static_cast<T>(rounded);
}

/// Elements [offset, offset + count) of a floating-point tensor, widened.
inline void load_reals(const provider::TensorView& view, std::int64_t offset, std::int64_t count, double* to) {
  dispatch<FloatTypes>(view.dtype(), [&]<class T>() {
    const T* from = view.data<T>() + offset;
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(from[i]);
  });
}

/// The inverse of load_reals; rounds to the tensor's type.
inline void store_reals(const provider::TensorView& view, std::int64_t offset, std::int64_t count, const double* from) {
  dispatch<FloatTypes>(view.dtype(), [&]<class T>() {
    T* to = view.mutable_data<T>() + offset;
    for (std::int64_t i = 0; i < count; ++i) to[i] = narrow<T>(from[i]);
  });
}

/// takes<List>, and the inputs `Same` that are there have the dtype of input 0.
template <class List, int... Same> provider::Verdict takes_same(const provider::NodeView& node) {
  const DType dtype = node.input(0).dtype();
  for (const int i : {Same...})
    ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "input ", i, " of ", node.op_type(),
                   " is ", provider::dtype_name(node.input(i).dtype()), " beside ", provider::dtype_name(dtype));
  return takes<List>(node);
}

}  // namespace ashlar::reference
