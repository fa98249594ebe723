// SPDX-License-Identifier: Apache-2.0
#include "core/reals.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace ashlar::core {
namespace {

/// To a format of `fraction` explicit bits with exponents from `lowest` to `highest`.
std::uint16_t to_small(double value, int fraction, int lowest, int highest) noexcept {
  const auto sign = static_cast<std::uint32_t>(std::signbit(value) ? 0x8000 : 0);
  const auto infinity = static_cast<std::uint32_t>(highest - lowest + 2) << fraction;
  if (std::isnan(value)) return static_cast<std::uint16_t>(infinity | 1u << (fraction - 1));
  const double magnitude = std::fabs(value);
  const int exponent = magnitude > 0 && std::isfinite(magnitude) ? std::max(lowest, std::ilogb(magnitude)) : lowest;
  if (std::isinf(magnitude) || exponent > highest) return static_cast<std::uint16_t>(sign | infinity);
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, fraction - exponent)));
  return static_cast<std::uint16_t>(sign | std::min(units + (static_cast<std::uint32_t>(exponent - lowest) << fraction), infinity));
}

template <class T> T load(const void* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
template <class T> void store(void* p, T value) noexcept { std::memcpy(p, &value, sizeof(T)); }

}  // namespace

bool is_real(DType dtype) noexcept {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

double half_to_double(std::uint16_t bits) noexcept {
  const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 0x1f) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent ? std::ldexp(fraction + 1024, exponent - 25) : std::ldexp(fraction, -24));
}

double bfloat16_to_double(std::uint16_t bits) noexcept { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::uint16_t to_half(double value) noexcept { return to_small(value, 10, -14, 15); }
std::uint16_t to_bfloat16(double value) noexcept { return to_small(value, 7, -126, 127); }

double load_real(DType dtype, const void* p) noexcept {
  switch (dtype) {
    case DType::kFloat64: return load<double>(p);
    case DType::kFloat16: return half_to_double(load<std::uint16_t>(p));
    case DType::kBFloat16: return bfloat16_to_double(load<std::uint16_t>(p));
    default: return load<float>(p);
  }
}

void store_real(DType dtype, void* p, double value) noexcept {
  switch (dtype) {
    case DType::kFloat64: return store(p, value);
    case DType::kFloat16: return store(p, to_half(value));
    case DType::kBFloat16: return store(p, to_bfloat16(value));
    default: return store(p, static_cast<float>(value));
  }
}

}  // namespace ashlar::core
