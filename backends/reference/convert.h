// SPDX-License-Identifier: Apache-2.0
// Elements of any numeric dtype, packed ones included, read and written one at a time through a wide type W: int64_t, uint64_t
// or double. Conversion follows ONNX's Cast: floats round once, to nearest even; integers keep their low bits; floats become
// integers by dropping the fraction.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "packed.h"
#include "scalar.h"

namespace ashlar::reference {

/// The float nearest to `value`, except that an inexact one has its last bit set, so that rounding it again is exact.
inline float to_odd(double value) {
  float near = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(near) == value) return near;
  if (std::fabs(static_cast<double>(near)) > std::fabs(value)) near = std::nextafter(near, 0.0f);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(near) | 1u);
}

/// `value` without its fraction; what is beyond int64 wraps as uint64 if positive, else becomes the lowest value, as NaN does.
inline std::int64_t truncate(double value) {
  if (value >= -0x1p63 && value < 0x1p63) return static_cast<std::int64_t>(value);
  if (value >= 0x1p63 && value < 0x1p64) return static_cast<std::int64_t>(static_cast<std::uint64_t>(value));
  return std::numeric_limits<std::int64_t>::min();
}

/// A number as an element of type T.
template <class T, class W> T convert(W value) {
  if constexpr (std::is_same_v<T, bool>) return value != W{};
  else if constexpr (is_small_float<T>) return T(to_odd(static_cast<double>(value)));
  else if constexpr (std::is_integral_v<T> && std::is_same_v<W, double>) return static_cast<T>(truncate(value));
  else return static_cast<T>(value);
}

template <class W> using Reader = W (*)(const void* data, std::int64_t i);
template <class W> using Writer = void (*)(void* data, std::int64_t i, W value);

template <int kBits, bool kSigned> int packed_integer(const void* data, std::int64_t i) {
  const int bits = packed_get(data, kBits, i);
  return kSigned && bits >> (kBits - 1) ? bits - (1 << kBits) : bits;
}

/// Elements are to be written in order: the first of a byte clears the rest of it.
template <int kBits> void append_packed(void* data, std::int64_t i, std::uint8_t bits) {
  if (i % (8 / kBits) == 0) static_cast<std::uint8_t*>(data)[i / (8 / kBits)] = 0;
  packed_set(data, kBits, i, bits);
}

using Byte8Types = Join<Float8Types, Types<Float8E8M0, Float6E2M3, Float6E3M2>>;
using ReadableTypes = Join<Join<NumericTypes, Types<bool>>, Byte8Types>;

/// Null for dtypes that are no numbers.
template <class W> Reader<W> find_reader(DType dtype) {
  switch (dtype) {
    case DType::kUint4: return [](const void* d, std::int64_t i) { return static_cast<W>(packed_integer<4, false>(d, i)); };
    case DType::kInt4: return [](const void* d, std::int64_t i) { return static_cast<W>(packed_integer<4, true>(d, i)); };
    case DType::kUint2: return [](const void* d, std::int64_t i) { return static_cast<W>(packed_integer<2, false>(d, i)); };
    case DType::kInt2: return [](const void* d, std::int64_t i) { return static_cast<W>(packed_integer<2, true>(d, i)); };
    case DType::kFloat4E2M1:
      return [](const void* d, std::int64_t i) { return static_cast<W>(static_cast<float>(Float4E2M1::from_bits(packed_get(d, 4, i)))); };
    default: break;
  }
  Reader<W> found = nullptr;
  detail::dispatch(
      dtype, [&]<class T>() { found = [](const void* d, std::int64_t i) { return static_cast<W>(load<T>(d, i)); }; }, ReadableTypes{});
  return found;
}

/// Null for dtypes that are no numbers. With `saturate`, 8-bit floats take their largest value for what is beyond it.
template <class W> Writer<W> find_writer(DType dtype, bool saturate) {
  switch (dtype) {
    case DType::kUint4:
    case DType::kInt4: return [](void* d, std::int64_t i, W v) { append_packed<4>(d, i, convert<std::uint8_t>(v)); };
    case DType::kUint2:
    case DType::kInt2: return [](void* d, std::int64_t i, W v) { append_packed<2>(d, i, convert<std::uint8_t>(v)); };
    case DType::kFloat4E2M1: return [](void* d, std::int64_t i, W v) { append_packed<4>(d, i, convert<Float4E2M1>(v).bits); };
    default: break;
  }
  Writer<W> found = nullptr;
  if (saturate) {
    detail::dispatch(
        dtype,
        [&]<class T>() {
          found = [](void* d, std::int64_t i, W v) { static_cast<T*>(d)[i] = T::saturated(to_odd(static_cast<double>(v))); };
        },
        Float8Types{});
    if (found) return found;
  }
  detail::dispatch(
      dtype, [&]<class T>() { found = [](void* d, std::int64_t i, W v) { static_cast<T*>(d)[i] = convert<T>(v); }; }, ReadableTypes{});
  return found;
}

/// A Failure for dtypes that are no numbers.
template <class W> Reader<W> reader(DType dtype) {
  const Reader<W> found = find_reader<W>(dtype);
  if (!found)
    throw provider::Failure(ASHLAR_UNSUPPORTED, provider::concat("elements of type ", provider::dtype_name(dtype), " are not numbers"));
  return found;
}
template <class W> Writer<W> writer(DType dtype, bool saturate = true) {
  const Writer<W> found = find_writer<W>(dtype, saturate);
  if (!found)
    throw provider::Failure(ASHLAR_UNSUPPORTED, provider::concat("elements of type ", provider::dtype_name(dtype), " are not numbers"));
  return found;
}

}  // namespace ashlar::reference
