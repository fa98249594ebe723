// SPDX-License-Identifier: Apache-2.0
// The floats of 8 bits and fewer: ONNX's "Float stored in 8 bits", "Float stored in 4 bits" and the OCP microscaling specification.
#pragma once

#include <bit>
#include <cstdint>

#include "kernel.h"

namespace ashlar::cpu {

/// A sign bit, exponent bits, mantissa bits. Converts to float exactly, from float to nearest, ties to even.
struct SmallFormat {
  /// What the codes at the top of the range are.
  enum class Top {
    kIeee,          ///< infinities and NaNs in the highest exponent
    kNan,           ///< NaN where all bits are set ("FN")
    kUnsignedZero,  ///< NaN is the code of negative zero ("FNUZ")
    kFinite,        ///< values; NaN becomes negative zero
  };
  DType dtype;
  int exponent, mantissa, bias;
  Top top;

  /// Null for other dtypes.
  static const SmallFormat* find(DType dtype) {
    static constexpr SmallFormat formats[] = {
        {DType::kFloat8E4M3FN, 4, 3, 7, Top::kNan},  {DType::kFloat8E4M3FNUZ, 4, 3, 8, Top::kUnsignedZero},
        {DType::kFloat8E5M2, 5, 2, 15, Top::kIeee},  {DType::kFloat8E5M2FNUZ, 5, 2, 16, Top::kUnsignedZero},
        {DType::kFloat6E2M3, 2, 3, 1, Top::kFinite}, {DType::kFloat6E3M2, 3, 2, 3, Top::kFinite},
        {DType::kFloat4E2M1, 2, 1, 1, Top::kFinite},
    };
    for (const SmallFormat& f : formats)
      if (f.dtype == dtype) return &f;
    return nullptr;
  }

  float decode(std::uint32_t bits) const {
    const std::uint32_t magnitude = bits & (sign() - 1);
    const std::uint32_t negative = bits & sign() ? 0x80000000u : 0u;
    if (top == Top::kIeee && magnitude >= infinity())
      return std::bit_cast<float>(negative | 0x7f800000u | (magnitude - infinity()) << (23 - mantissa));
    if ((top == Top::kNan && magnitude == sign() - 1) || (top == Top::kUnsignedZero && bits == sign()))
      return std::bit_cast<float>(0x7fc00000u | (top == Top::kNan ? negative : 0u));
    const float value = magnitude < 1u << mantissa
                            ? static_cast<float>(magnitude) * std::bit_cast<float>(static_cast<std::uint32_t>(128 - bias - mantissa) << 23)
                            : std::bit_cast<float>((magnitude << (23 - mantissa)) + (static_cast<std::uint32_t>(127 - bias) << 23));
    return negative ? -value : value;
  }

  /// With `saturate` what is beyond the largest value, infinities included, becomes that value.
  std::uint32_t encode(float value, bool saturate) const {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value), magnitude = all & 0x7fffffffu;
    const std::uint32_t negative = all & 0x80000000u ? sign() : 0u;
    const bool unsigned_zero = top == Top::kUnsignedZero;
    const std::uint32_t nan = top == Top::kIeee ? infinity() | 1u << (mantissa - 1) : top == Top::kNan ? sign() - 1 : sign();
    if (magnitude > 0x7f800000u) return unsigned_zero ? nan : nan | negative;
    const std::uint32_t most = top == Top::kIeee ? infinity() - 1 : top == Top::kNan ? sign() - 2 : sign() - 1;
    const std::uint32_t code = magnitude == 0x7f800000u ? sign() : round(magnitude);
    if (code > most) {
      if (saturate || top == Top::kFinite) return negative | most;
      if (top == Top::kIeee) return negative | infinity();
      return unsigned_zero ? nan : nan | negative;
    }
    return unsigned_zero && code == 0 ? 0 : negative | code;
  }

 private:
  constexpr std::uint32_t sign() const { return 1u << (exponent + mantissa); }
  constexpr std::uint32_t infinity() const { return sign() - (1u << mantissa); }
  /// The code nearest to a finite float's magnitude, as if the format had exponents without end.
  std::uint32_t round(std::uint32_t magnitude) const {
    const int power = static_cast<int>(magnitude >> 23) - 127, lowest = 1 - bias;
    if (power == -127) return 0;
    const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    const int shift = 23 - mantissa + (power < lowest ? lowest - power : 0);
    if (shift > 24) return 0;
    std::uint32_t quotient = significand >> shift;
    const std::uint32_t rest = significand & ((1u << shift) - 1), half = 1u << (shift - 1);
    if (rest > half || (rest == half && quotient & 1)) ++quotient;
    return power < lowest ? quotient : (static_cast<std::uint32_t>(power - lowest) << mantissa) + quotient;
  }
};

/// A power of two without sign, 2^(bits - 127); 255 is NaN.
inline float decode_e8m0(std::uint8_t bits) {
  if (bits == 255) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<std::uint32_t>(bits) << 23);
}

}  // namespace ashlar::cpu
