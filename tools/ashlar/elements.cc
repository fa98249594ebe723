// SPDX-License-Identifier: Apache-2.0
#include "elements.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <nlohmann/json.hpp>

#include "fail.h"

namespace ashlar::cli {
namespace {

// How a small float spends its top codes. The formats: https://onnx.ai/onnx/technical/float8.html and the OCP MX specification.
enum class Special { kIeee, kOnlyNan, kUnsignedZero, kNone };

struct SmallFloat {
  DType dtype;
  int exponent, mantissa, bias;
  Special special;
  bool saturates;
};

constexpr SmallFloat kSmallFloats[] = {
    {DType::kFloat16, 5, 10, 15, Special::kIeee, false},      {DType::kBFloat16, 8, 7, 127, Special::kIeee, false},
    {DType::kFloat8E4M3FN, 4, 3, 7, Special::kOnlyNan, true}, {DType::kFloat8E4M3FNUZ, 4, 3, 8, Special::kUnsignedZero, true},
    {DType::kFloat8E5M2, 5, 2, 15, Special::kIeee, true},     {DType::kFloat8E5M2FNUZ, 5, 2, 16, Special::kUnsignedZero, true},
    {DType::kFloat4E2M1, 2, 1, 1, Special::kNone, true},      {DType::kFloat6E2M3, 2, 3, 1, Special::kNone, true},
    {DType::kFloat6E3M2, 3, 2, 3, Special::kNone, true},
};

const SmallFloat* small_float(DType dtype) {
  for (const SmallFloat& f : kSmallFloats)
    if (f.dtype == dtype) return &f;
  return nullptr;
}

struct IntegerRange {
  DType dtype;
  Number low, high;
};

constexpr IntegerRange kIntegers[] = {
    {DType::kBool, 0, 1},
    {DType::kUint2, 0, 3},
    {DType::kInt2, -2, 1},
    {DType::kUint4, 0, 15},
    {DType::kInt4, -8, 7},
    {DType::kUint8, 0, 255},
    {DType::kInt8, -128, 127},
    {DType::kUint16, 0, 65535},
    {DType::kInt16, -32768, 32767},
    {DType::kUint32, 0, std::numeric_limits<std::uint32_t>::max()},
    {DType::kInt32, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()},
    {DType::kUint64, 0, std::numeric_limits<std::uint64_t>::max()},
    {DType::kInt64, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()},
};

const IntegerRange* integer_range(DType dtype) {
  for (const IntegerRange& r : kIntegers)
    if (r.dtype == dtype) return &r;
  return nullptr;
}

unsigned ones(int bits) { return (1u << bits) - 1; }

// The code of the largest finite magnitude.
unsigned largest_code(const SmallFloat& f) {
  const unsigned all = ones(f.exponent + f.mantissa);
  switch (f.special) {
    case Special::kIeee: return all - (1u << f.mantissa);
    case Special::kOnlyNan: return all - 1;
    default: return all;
  }
}

double decode(const SmallFloat& f, unsigned code) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const unsigned magnitude = code & ones(f.exponent + f.mantissa);
  const bool negative = (code >> (f.exponent + f.mantissa)) & 1u;
  if (f.special == Special::kUnsignedZero && negative && magnitude == 0) return kNan;
  const unsigned infinity = ones(f.exponent) << f.mantissa;
  double value = 0;
  if (magnitude > largest_code(f)) {
    if (f.special != Special::kIeee || magnitude != infinity) return kNan;
    value = std::numeric_limits<double>::infinity();
  } else {
    const int exponent = static_cast<int>(magnitude >> f.mantissa);
    const unsigned fraction = magnitude & ones(f.mantissa);
    value = exponent == 0 ? std::ldexp(fraction, 1 - f.bias - f.mantissa)
                          : std::ldexp(fraction | (1u << f.mantissa), exponent - f.bias - f.mantissa);
  }
  return negative ? -value : value;
}

unsigned encode(const SmallFloat& f, Number value) {
  const unsigned sign = 1u << (f.exponent + f.mantissa);
  if (std::isnan(value)) {
    if (f.special == Special::kNone) fail("{} has no NaN", to_string(f.dtype));
    return f.special == Special::kUnsignedZero ? sign : ones(f.exponent + f.mantissa);
  }
  const Number magnitude = std::fabs(value);
  const unsigned top = largest_code(f);
  unsigned code = top + 1;
  if (std::isfinite(magnitude)) {
    int exponent = 1 - f.bias;
    if (magnitude != 0) exponent = std::max(exponent, std::ilogb(magnitude));
    // The mantissa's hidden bit carries into the exponent field, which makes subnormals and rounding up come out right.
    if (exponent <= f.bias + 1 + (1 << f.exponent))
      code = (static_cast<unsigned>(exponent - 1 + f.bias) << f.mantissa) +
             static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, f.mantissa - exponent)));
  }
  if (code > top) code = f.saturates ? top : ones(f.exponent) << f.mantissa;
  const bool signed_zero = f.special != Special::kUnsignedZero;
  return std::signbit(value) && (code != 0 || signed_zero) ? code | sign : code;
}

unsigned encode_e8m0(Number value) {
  if (std::isnan(value)) return 255;
  if (value < 0) fail("float8e8m0 has no negative numbers");
  if (value == 0) return 0;
  if (std::isinf(value)) return 254;
  const double exponent = std::nearbyint(std::log2(static_cast<double>(value)));
  return static_cast<unsigned>(std::min(254.0, std::max(0.0, exponent + 127)));
}

template <class T> T load(const Tensor& tensor, std::size_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(tensor.raw()) + index * sizeof(T), sizeof(T));
  return value;
}

template <class T> void store(Tensor& tensor, std::size_t index, T value) {
  std::memcpy(static_cast<std::byte*>(tensor.mutable_raw()) + index * sizeof(T), &value, sizeof(T));
}

unsigned load_bits(const Tensor& tensor, std::size_t index, int width) {
  if (width == 16) return load<std::uint16_t>(tensor, index);
  const std::size_t bit = index * static_cast<std::size_t>(width);
  return (load<std::uint8_t>(tensor, bit / 8) >> (bit % 8)) & ones(width);
}

void store_bits(Tensor& tensor, std::size_t index, int width, unsigned code) {
  if (width == 16) return store(tensor, index, static_cast<std::uint16_t>(code));
  const std::size_t bit = index * static_cast<std::size_t>(width);
  const unsigned mask = ones(width) << (bit % 8);
  const unsigned kept = load<std::uint8_t>(tensor, bit / 8) & ~mask;
  store(tensor, bit / 8, static_cast<std::uint8_t>(kept | ((code << (bit % 8)) & mask)));
}

int sign_extended(unsigned code, int width) {
  const int value = static_cast<int>(code);
  return value >= (1 << (width - 1)) ? value - (1 << width) : value;
}

}  // namespace

bool is_float(DType d) noexcept {
  return d == DType::kFloat32 || d == DType::kFloat64 || d == DType::kFloat8E8M0 || small_float(d) != nullptr;
}
bool is_integer(DType d) noexcept { return d != DType::kBool && integer_range(d) != nullptr; }
bool is_complex(DType d) noexcept { return d == DType::kComplex64 || d == DType::kComplex128; }

Number integer_max(DType dtype) noexcept {
  const IntegerRange* range = integer_range(dtype);
  return range ? range->high : 0;
}

bool numpy_has(DType d) noexcept {
  if (is_float(d)) return d == DType::kFloat16 || d == DType::kFloat32 || d == DType::kFloat64;
  return bit_width(d) >= 8 || d == DType::kString;
}

Number number_at(const Tensor& t, std::size_t i) {
  const DType dtype = t.dtype();
  switch (dtype) {
    case DType::kFloat32: return load<float>(t, i);
    case DType::kFloat64: return load<double>(t, i);
    case DType::kBool: return load<std::uint8_t>(t, i) != 0;
    case DType::kUint8: return load<std::uint8_t>(t, i);
    case DType::kInt8: return load<std::int8_t>(t, i);
    case DType::kUint16: return load<std::uint16_t>(t, i);
    case DType::kInt16: return load<std::int16_t>(t, i);
    case DType::kUint32: return load<std::uint32_t>(t, i);
    case DType::kInt32: return load<std::int32_t>(t, i);
    case DType::kUint64: return load<std::uint64_t>(t, i);
    case DType::kInt64: return load<std::int64_t>(t, i);
    case DType::kUint2:
    case DType::kUint4: return load_bits(t, i, bit_width(dtype));
    case DType::kInt2:
    case DType::kInt4: return sign_extended(load_bits(t, i, bit_width(dtype)), bit_width(dtype));
    case DType::kFloat8E8M0: {
      const int code = load<std::uint8_t>(t, i);
      return code == 255 ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, code - 127);
    }
    default: break;
  }
  if (const SmallFloat* f = small_float(dtype)) return decode(*f, load_bits(t, i, bit_width(dtype)));
  fail("elements of {} are not real numbers", to_string(dtype));
}

std::complex<double> complex_at(const Tensor& t, std::size_t i) {
  if (t.dtype() == DType::kComplex64) return std::complex<double>(load<std::complex<float>>(t, i));
  if (t.dtype() == DType::kComplex128) return load<std::complex<double>>(t, i);
  return static_cast<double>(number_at(t, i));
}

void set_number(Tensor& t, std::size_t i, Number value) {
  const DType dtype = t.dtype();
  if (is_complex(dtype)) return set_complex(t, i, static_cast<double>(value));
  if (const IntegerRange* range = integer_range(dtype)) {
    if (!(value >= range->low && value <= range->high) || value != std::trunc(value))
      fail("{} does not hold {:g}", to_string(dtype), value);
  }
  switch (dtype) {
    case DType::kFloat32: return store(t, i, static_cast<float>(value));
    case DType::kFloat64: return store(t, i, static_cast<double>(value));
    case DType::kBool:
    case DType::kUint8: return store(t, i, static_cast<std::uint8_t>(value));
    case DType::kInt8: return store(t, i, static_cast<std::int8_t>(value));
    case DType::kUint16: return store(t, i, static_cast<std::uint16_t>(value));
    case DType::kInt16: return store(t, i, static_cast<std::int16_t>(value));
    case DType::kUint32: return store(t, i, static_cast<std::uint32_t>(value));
    case DType::kInt32: return store(t, i, static_cast<std::int32_t>(value));
    case DType::kUint64: return store(t, i, static_cast<std::uint64_t>(value));
    case DType::kInt64: return store(t, i, static_cast<std::int64_t>(value));
    case DType::kUint2:
    case DType::kUint4:
    case DType::kInt2:
    case DType::kInt4: return store_bits(t, i, bit_width(dtype), static_cast<unsigned>(static_cast<int>(value)));
    case DType::kFloat8E8M0: return store(t, i, static_cast<std::uint8_t>(encode_e8m0(value)));
    default: break;
  }
  if (const SmallFloat* f = small_float(dtype)) return store_bits(t, i, bit_width(dtype), encode(*f, value));
  fail("{} does not hold the number {:g}", to_string(dtype), value);
}

void set_complex(Tensor& t, std::size_t i, std::complex<double> value) {
  if (t.dtype() == DType::kComplex64) return store(t, i, std::complex<float>(value));
  if (t.dtype() == DType::kComplex128) return store(t, i, value);
  fail("{} does not hold complex numbers", to_string(t.dtype()));
}

std::string element_text(const Tensor& t, std::size_t i) {
  const DType dtype = t.dtype();
  if (dtype == DType::kString) {
    using Json = nlohmann::json;
    return Json(t.data<std::string>()[i]).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (dtype == DType::kBool) return number_at(t, i) != 0 ? "true" : "false";
  if (is_integer(dtype)) return fmt::format("{:.0f}", number_at(t, i));
  if (is_complex(dtype)) {
    const std::complex<double> c = complex_at(t, i);
    return fmt::format("{:.6g}{:+.6g}i", c.real(), c.imag());
  }
  return fmt::format("{:.6g}", static_cast<double>(number_at(t, i)));
}

}  // namespace ashlar::cli
