// SPDX-License-Identifier: Apache-2.0
// Tensors of random elements, and how far two tensors are apart.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>

#include <ashlar/tensor.h>

namespace ashlar::testing {

namespace elements {

template <class T> double load(const Tensor& t, std::int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}
template <class T> void store(Tensor& t, std::int64_t i, T value) {
  std::memcpy(static_cast<char*>(t.mutable_raw()) + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof(T));
}

inline double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 0x1f) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? std::ldexp(mantissa + 1024, exponent - 25) : std::ldexp(mantissa, -24));
}
/// Rounded towards zero; for magnitudes between 2^-14 and 65504, and 0.
inline std::uint16_t half_bits(double value) {
  if (std::abs(value) < 0x1p-14) return value < 0 ? 0x8000 : 0;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(value), &exponent);
  const auto mantissa = static_cast<unsigned>(fraction * 2048) & 0x3ffu;
  return static_cast<std::uint16_t>((value < 0 ? 0x8000u : 0u) | static_cast<unsigned>(exponent + 14) << 10 | mantissa);
}

}  // namespace elements

inline bool is_real(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

/// An element of a real, integer or bool tensor. Throws for other dtypes.
inline double element(const Tensor& t, std::int64_t i) {
  using namespace elements;
  switch (t.dtype()) {
    case DType::kFloat32: return load<float>(t, i);
    case DType::kFloat64: return load<double>(t, i);
    case DType::kFloat16: return half_value(static_cast<std::uint16_t>(load<std::uint16_t>(t, i)));
    case DType::kBFloat16: return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(t, i)) << 16);
    case DType::kInt8: return load<std::int8_t>(t, i);
    case DType::kInt16: return load<std::int16_t>(t, i);
    case DType::kInt32: return load<std::int32_t>(t, i);
    case DType::kInt64: return load<std::int64_t>(t, i);
    case DType::kUint8: return load<std::uint8_t>(t, i);
    case DType::kUint16: return load<std::uint16_t>(t, i);
    case DType::kUint32: return load<std::uint32_t>(t, i);
    case DType::kUint64: return load<std::uint64_t>(t, i);
    case DType::kBool: return load<std::uint8_t>(t, i);
    default: throw std::invalid_argument("elements of " + t.type_string() + " are no numbers");
  }
}

/// An element of an int64, int32 or bool tensor, exactly.
inline std::int64_t whole_element(const Tensor& t, std::int64_t i) {
  if (t.dtype() == DType::kInt64) return t.data<std::int64_t>()[i];
  return static_cast<std::int64_t>(element(t, i));
}

inline void set_element(Tensor& t, std::int64_t i, double value) {
  using namespace elements;
  const auto whole = static_cast<std::int64_t>(value);
  switch (t.dtype()) {
    case DType::kFloat32: return store(t, i, static_cast<float>(value));
    case DType::kFloat64: return store(t, i, value);
    case DType::kFloat16: return store(t, i, half_bits(value));
    case DType::kBFloat16: return store(t, i, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16));
    case DType::kInt8: return store(t, i, static_cast<std::int8_t>(whole));
    case DType::kInt16: return store(t, i, static_cast<std::int16_t>(whole));
    case DType::kInt32: return store(t, i, static_cast<std::int32_t>(whole));
    case DType::kInt64: return store(t, i, whole);
    case DType::kUint8: return store(t, i, static_cast<std::uint8_t>(whole));
    case DType::kUint16: return store(t, i, static_cast<std::uint16_t>(whole));
    case DType::kUint32: return store(t, i, static_cast<std::uint32_t>(whole));
    case DType::kUint64: return store(t, i, static_cast<std::uint64_t>(whole));
    case DType::kBool: return store(t, i, static_cast<std::uint8_t>(whole != 0));
    default: throw std::invalid_argument("elements of " + t.type_string() + " are no numbers");
  }
}

/// Reals from `low` up to `high`, or whole numbers of both and what lies between.
inline Tensor random_tensor(std::mt19937& rng, DType dtype, const Shape& shape, double low, double high) {
  Tensor out = Tensor::zeros(dtype, shape);
  std::uniform_real_distribution<double> real(low, high);
  std::uniform_int_distribution<std::int64_t> whole(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
  for (std::int64_t i = 0; i < out.element_count(); ++i)
    set_element(out, i,
                is_real(dtype)          ? real(rng)
                : dtype == DType::kBool ? static_cast<double>(rng() % 2)
                                        : static_cast<double>(whole(rng)));
  return out;
}

/// Where `a` is not `b` within `tolerance`, absolute and relative, for reals (NaN equals NaN), and bit by bit else; empty where it is.
inline std::string difference(const Tensor& a, const Tensor& b, double tolerance) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return a.type_string() + " is not " + b.type_string();
  for (std::int64_t i = 0; i < a.element_count(); ++i) {
    const double x = element(a, i), y = element(b, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (is_real(a.dtype()) && std::isfinite(x) && std::isfinite(y) && std::abs(x - y) <= tolerance * (1 + std::abs(y))) continue;
    return a.type_string() + " has " + std::to_string(x) + " at " + std::to_string(i) + ", not " + std::to_string(y);
  }
  return "";
}

}  // namespace ashlar::testing
