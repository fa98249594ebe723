// SPDX-License-Identifier: Apache-2.0
// The floating-point element types that C++ has no type for. Each holds its bits, converts to float exactly, and from float by
// rounding to nearest, ties to even. Formats: IEEE 754 binary16, bfloat16, and those of ONNX's "Float stored in 8 bits",
// "Float stored in 4 bits" pages and the OCP microscaling specification.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace ashlar::reference {

/// What a format does with the codes at the top of its range.
enum class Specials {
  kIeee,          // infinities and NaNs in the highest exponent
  kNan,           // no infinities, NaN where all bits are set ("FN")
  kUnsignedZero,  // no infinities, no negative zero: its code is NaN ("FNUZ")
  kNone,          // finite values only; NaN becomes negative zero
};

/// A sign bit, `kExponent` bits biased by `kBias`, `kMantissa` bits.
template <class Bits, int kExponent, int kMantissa, int kBias, Specials kSpecials> struct SmallFloat {
  static constexpr std::uint32_t kSign = 1u << (kExponent + kMantissa);
  static constexpr std::uint32_t kTop = kSign - 1;
  static constexpr std::uint32_t kInfinity = kTop - ((1u << kMantissa) - 1);
  static constexpr std::uint32_t kMax = kSpecials == Specials::kIeee ? kInfinity - 1 : kSpecials == Specials::kNan ? kTop - 1 : kTop;
  static constexpr std::uint32_t kNanBits = kSpecials == Specials::kIeee  ? kInfinity | (1u << (kMantissa - 1))
                                            : kSpecials == Specials::kNan ? kTop
                                                                          : kSign;

  Bits bits;

  SmallFloat() = default;
  explicit SmallFloat(float value) : bits(encode(value, false)) {}
  static SmallFloat from_bits(std::uint32_t bits) {
    SmallFloat f;
    f.bits = static_cast<Bits>(bits);
    return f;
  }
  /// As the constructor, but what is beyond the largest finite value, infinities included, becomes that value.
  static SmallFloat saturated(float value) { return from_bits(encode(value, true)); }

  operator float() const {
    const std::uint32_t magnitude = bits & kTop;
    const std::uint32_t sign = bits & kSign ? 0x80000000u : 0u;
    if constexpr (kSpecials == Specials::kIeee) {
      if (magnitude >= kInfinity) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude - kInfinity) << (23 - kMantissa)));
    } else if constexpr (kSpecials == Specials::kNan) {
      if (magnitude == kTop) return std::bit_cast<float>(sign | 0x7fc00000u);
    } else if constexpr (kSpecials == Specials::kUnsignedZero) {
      if (bits == kSign) return std::bit_cast<float>(0x7fc00000u);
    }
    float value;
    if (magnitude < (1u << kMantissa)) {
      value = static_cast<float>(magnitude) * std::bit_cast<float>(static_cast<std::uint32_t>(127 + 1 - kBias - kMantissa) << 23);
    } else {
      value = std::bit_cast<float>((magnitude << (23 - kMantissa)) + (static_cast<std::uint32_t>(127 - kBias) << 23));
    }
    return sign ? -value : value;
  }

 private:
  static Bits encode(float value, bool saturate) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = all & 0x80000000u ? kSign : 0u;
    const std::uint32_t magnitude = all & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<Bits>(kSpecials == Specials::kUnsignedZero ? kNanBits : kNanBits | sign);
    const std::uint32_t code = magnitude == 0x7f800000u ? kTop + 1 : round(magnitude);
    if (code > kMax) {
      if (saturate || kSpecials == Specials::kNone) return static_cast<Bits>(sign | kMax);
      if (kSpecials == Specials::kIeee) return static_cast<Bits>(sign | kInfinity);
      return static_cast<Bits>(kSpecials == Specials::kUnsignedZero ? kNanBits : kNanBits | sign);
    }
    if (kSpecials == Specials::kUnsignedZero && code == 0) return 0;
    return static_cast<Bits>(sign | code);
  }

  /// The code nearest to a finite float's magnitude, as if the format had exponents without end.
  static std::uint32_t round(std::uint32_t magnitude) {
    const int exponent = static_cast<int>(magnitude >> 23) - 127;
    if (exponent == -127) return 0;
    const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    constexpr int kLowest = 1 - kBias;
    const int shift = 23 - kMantissa + (exponent < kLowest ? kLowest - exponent : 0);
    if (shift > 24) return 0;
    std::uint32_t quotient = significand >> shift;
    const std::uint32_t rest = significand & ((1u << shift) - 1);
    const std::uint32_t half = 1u << (shift - 1);
    if (rest > half || (rest == half && (quotient & 1))) ++quotient;
    return exponent < kLowest ? quotient : (static_cast<std::uint32_t>(exponent - kLowest) << kMantissa) + quotient;
  }
};

using Float16 = SmallFloat<std::uint16_t, 5, 10, 15, Specials::kIeee>;
using Float8E4M3FN = SmallFloat<std::uint8_t, 4, 3, 7, Specials::kNan>;
using Float8E4M3FNUZ = SmallFloat<std::uint8_t, 4, 3, 8, Specials::kUnsignedZero>;
using Float8E5M2 = SmallFloat<std::uint8_t, 5, 2, 15, Specials::kIeee>;
using Float8E5M2FNUZ = SmallFloat<std::uint8_t, 5, 2, 16, Specials::kUnsignedZero>;
using Float6E2M3 = SmallFloat<std::uint8_t, 2, 3, 1, Specials::kNone>;
using Float6E3M2 = SmallFloat<std::uint8_t, 3, 2, 3, Specials::kNone>;
using Float4E2M1 = SmallFloat<std::uint8_t, 2, 1, 1, Specials::kNone>;

/// The upper half of a float.
struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value);
    const bool nan = (all & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(nan ? (all >> 16) | 0x40u : (all + 0x7fffu + ((all >> 16) & 1u)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// A power of two, 2^(bits-127), or NaN (255): no sign, no zero. Signs are dropped.
struct Float8E8M0 {
  enum class Round { kUp, kDown, kNearest };

  std::uint8_t bits;

  Float8E8M0() = default;
  explicit Float8E8M0(float value) : Float8E8M0(rounded(value, Round::kNearest, false)) {}
  /// ONNX's Cast: ties of kNearest go up; with `saturate` what is out of range becomes the largest or the smallest value, else NaN.
  static Float8E8M0 rounded(float value, Round mode, bool saturate) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value) & 0x7fffffffu;
    const std::uint32_t exponent = all >> 23;
    const std::uint32_t fraction = all & 0x7fffffu;
    constexpr std::uint32_t kSmallest = 0x400000u;
    if (all > 0x7f800000u) return from_bits(255);
    if (all < kSmallest) return from_bits(saturate ? 0 : 255);
    const std::uint32_t floor = exponent == 0 ? kSmallest : 0;
    const std::uint32_t middle = exponent == 0 ? kSmallest + kSmallest / 2 : kSmallest;
    const bool up = (mode == Round::kUp && fraction > floor) || (mode == Round::kNearest && fraction >= middle);
    const std::uint32_t code = exponent + (up ? 1 : 0);
    return from_bits(code > 254 && saturate ? 254 : code);
  }
  operator float() const {
    if (bits == 255) return std::bit_cast<float>(0x7fc00000u);
    return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<std::uint32_t>(bits) << 23);
  }

 private:
  static Float8E8M0 from_bits(std::uint32_t bits) {
    Float8E8M0 f;
    f.bits = static_cast<std::uint8_t>(bits);
    return f;
  }
};

template <class T> inline constexpr bool is_small_float = false;
template <class Bits, int kExponent, int kMantissa, int kBias, Specials kSpecials>
inline constexpr bool is_small_float<SmallFloat<Bits, kExponent, kMantissa, kBias, kSpecials>> = true;
template <> inline constexpr bool is_small_float<BFloat16> = true;
template <> inline constexpr bool is_small_float<Float8E8M0> = true;

/// True of float, double and the small floats.
template <class T> inline constexpr bool is_float = std::is_floating_point_v<T> || is_small_float<T>;

}  // namespace ashlar::reference
