// SPDX-License-Identifier: Apache-2.0
// From one number type to another as ONNX's Cast has it: floats round once, to nearest even; integers keep their low bits; floats become
// integers by dropping the fraction.
#pragma once

#include "scalar.h"

namespace ashlar::cpu {

/// `value` without its fraction; what is beyond int64 wraps as uint64 if positive, else becomes the lowest value, as NaN does.
inline std::int64_t truncate(double value) {
  if (value >= -0x1p63 && value < 0x1p63) return static_cast<std::int64_t>(value);
  if (value >= 0x1p63 && value < 0x1p64) return static_cast<std::int64_t>(static_cast<std::uint64_t>(value));
  return std::numeric_limits<std::int64_t>::min();
}

/// A number as an element of type T.
template <class T, class S> T convert(S value) {
  if constexpr (is_half<S>) return convert<T>(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, bool>) return value != S{};
  else if constexpr (is_half<T> && std::is_integral_v<S>) return narrow<T>(static_cast<double>(value));
  else if constexpr (is_half<T>) return narrow<T>(value);
  else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<S>) return static_cast<T>(truncate(static_cast<double>(value)));
  else return static_cast<T>(value);
}

/// Converts n elements; the two do not overlap unless they are the same storage and elements have one size.
using Converter = void (*)(const void* from, void* to, std::int64_t n);
/// Null where one of the dtypes is no number of at least a byte, or an 8-bit or smaller float.
Converter find_converter(DType from, DType to);

}  // namespace ashlar::cpu
