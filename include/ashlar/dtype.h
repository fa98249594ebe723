// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

// clang-format off
/// Element types. The numbers are those of ONNX's TensorProto.DataType.
enum class DType : std::int32_t {
  kUndefined = 0, kFloat32 = 1, kUint8 = 2, kInt8 = 3, kUint16 = 4, kInt16 = 5, kInt32 = 6, kInt64 = 7, kString = 8,
  kBool = 9, kFloat16 = 10, kFloat64 = 11, kUint32 = 12, kUint64 = 13, kComplex64 = 14, kComplex128 = 15, kBFloat16 = 16,
  kFloat8E4M3FN = 17, kFloat8E4M3FNUZ = 18, kFloat8E5M2 = 19, kFloat8E5M2FNUZ = 20, kUint4 = 21, kInt4 = 22,
  kFloat4E2M1 = 23, kFloat8E8M0 = 24, kUint2 = 25, kInt2 = 26, kFloat6E2M3 = 27, kFloat6E3M2 = 28,
};
// clang-format on
inline constexpr int kDTypeCount = 29;

/// "float32", "int64", "bfloat16", "float8e4m3fn", ...; "undefined" for kUndefined and unknown numbers.
ASHLAR_API std::string_view to_string(DType dtype) noexcept;
/// The inverse of to_string; nothing for a name that is not a dtype.
ASHLAR_API std::optional<DType> dtype_from_string(std::string_view name) noexcept;

/// Bits an element takes in memory: 2 and 4 for sub-byte types, 6-bit floats take 8, 0 for strings and kUndefined.
ASHLAR_API int bit_width(DType dtype) noexcept;
/// Bytes that `count` elements take, sub-byte elements packed with the first in the low bits; strings: 0.
/// The caller keeps `count` below 2^58.
ASHLAR_API std::size_t byte_size(DType dtype, std::size_t count) noexcept;

/// The DType of a C++ element type; half-precision types have none and are viewed by an explicit DType.
template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::kFloat32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::kFloat64; };
template <> struct DTypeOf<std::int8_t> { static constexpr DType value = DType::kInt8; };
template <> struct DTypeOf<std::int16_t> { static constexpr DType value = DType::kInt16; };
template <> struct DTypeOf<std::int32_t> { static constexpr DType value = DType::kInt32; };
template <> struct DTypeOf<std::int64_t> { static constexpr DType value = DType::kInt64; };
template <> struct DTypeOf<std::uint8_t> { static constexpr DType value = DType::kUint8; };
template <> struct DTypeOf<std::uint16_t> { static constexpr DType value = DType::kUint16; };
template <> struct DTypeOf<std::uint32_t> { static constexpr DType value = DType::kUint32; };
template <> struct DTypeOf<std::uint64_t> { static constexpr DType value = DType::kUint64; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::kBool; };
template <> struct DTypeOf<std::complex<float>> { static constexpr DType value = DType::kComplex64; };
template <> struct DTypeOf<std::complex<double>> { static constexpr DType value = DType::kComplex128; };
template <> struct DTypeOf<std::string> { static constexpr DType value = DType::kString; };

}  // namespace ashlar::inline v0
