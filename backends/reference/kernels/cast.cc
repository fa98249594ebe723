// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <span>
#include <string>

#include "convert.h"

namespace ashlar::reference {
namespace {

bool is_unsigned(DType dtype) { return contains<UnsignedTypes>(dtype); }
bool is_integer(DType dtype) {
  return contains<Join<IntTypes, Types<bool>>>(dtype) || dtype == DType::kInt4 || dtype == DType::kUint4 || dtype == DType::kInt2 ||
         dtype == DType::kUint2;
}

/// The whole of `text` as a number; false when it is none.
template <class T> bool parse_as(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(kBlank) - first + 1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

double parse_real(std::string_view text, DType to) {
  const std::string_view number = trim(text);
  float narrow;
  if (to == DType::kFloat32 && parse_as(number, narrow)) return narrow;
  double value;
  if (parse_as(number, value)) return value;
  long double wide;
  provider::check(parse_as(number, wide), "\"", text.substr(0, 80), "\" is not a number");
  return static_cast<double>(wide);
}

void from_string(const TensorView& x, const TensorView& y, bool saturate) {
  const Writer<std::int64_t> write_signed = writer<std::int64_t>(y.dtype(), saturate);
  const Writer<std::uint64_t> write_unsigned = writer<std::uint64_t>(y.dtype(), saturate);
  const Writer<double> write_real = writer<double>(y.dtype(), saturate);
  for (std::int64_t i = 0; i < x.count(); ++i) {
    std::int64_t whole;
    std::uint64_t large;
    if (is_integer(y.dtype()) && parse_as(trim(x.string(i)), whole)) write_signed(y.raw(), i, whole);
    else if (is_integer(y.dtype()) && parse_as(trim(x.string(i)), large)) write_unsigned(y.raw(), i, large);
    else write_real(y.raw(), i, parse_real(x.string(i), y.dtype()));
  }
}

/// The shortest digits that read back as the same value, without an exponent from 1e-5 up to 1e16.
template <class T> std::string print_real(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  const T size = std::fabs(value);
  const bool plain = size == 0 || (size >= static_cast<T>(1e-5) && size < static_cast<T>(1e16));
  char digits[64];
  const auto end =
      std::to_chars(digits, digits + sizeof(digits), value, plain ? std::chars_format::fixed : std::chars_format::scientific).ptr;
  return {digits, end};
}

void to_string(const TensorView& x, const TensorView& y) {
  if (is_unsigned(x.dtype())) {
    const auto read = reader<std::uint64_t>(x.dtype());
    for (std::int64_t i = 0; i < x.count(); ++i) y.set_string(i, std::to_string(read(x.raw(), i)));
  } else if (is_integer(x.dtype())) {
    const auto read = reader<std::int64_t>(x.dtype());
    for (std::int64_t i = 0; i < x.count(); ++i) y.set_string(i, std::to_string(read(x.raw(), i)));
  } else {
    const auto read = reader<double>(x.dtype());
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double value = read(x.raw(), i);
      y.set_string(i, x.dtype() == DType::kFloat64 ? print_real(value) : print_real(static_cast<float>(value)));
    }
  }
}

template <class W> void numbers(const TensorView& x, const TensorView& y, bool saturate) {
  const Reader<W> read = reader<W>(x.dtype());
  const Writer<W> write = writer<W>(y.dtype(), saturate);
  for (std::int64_t i = 0; i < x.count(); ++i) write(y.raw(), i, read(x.raw(), i));
}

/// Cast and CastLike, which differ in where the output's dtype is said.
class Cast : public provider::Kernel {
 public:
  explicit Cast(const provider::NodeView& node) : saturate_(node.integer("saturate", 1) != 0) {
    const std::string mode = node.text("round_mode", "up");
    round_ = mode == "up" ? Float8E8M0::Round::kUp : mode == "down" ? Float8E8M0::Round::kDown : Float8E8M0::Round::kNearest;
  }
  static provider::Verdict verdict(const provider::NodeView& node) {
    for (const DType dtype : {node.input(0).dtype(), node.output(0).dtype()})
      ASHLAR_REQUIRE(dtype == DType::kString || find_reader<double>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " has no kernel for ",
                     provider::dtype_name(dtype));
    const std::string mode = node.text("round_mode", "up");
    ASHLAR_REQUIRE(mode == "up" || mode == "down" || mode == "nearest", ASHLAR_ATTRIBUTE, "round_mode \"", mode,
                   "\" is not up, down or nearest");
    return provider::accept();
  }
  void bind(provider::BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (x.dtype() == DType::kString && y.dtype() == DType::kString) {
      for (std::int64_t i = 0; i < x.count(); ++i) y.set_string(i, x.string(i));
    } else if (x.dtype() == DType::kString) {
      from_string(x, y, saturate_);
    } else if (y.dtype() == DType::kString) {
      to_string(x, y);
    } else if (y.dtype() == DType::kFloat8E8M0) {
      const auto read = reader<double>(x.dtype());
      for (std::int64_t i = 0; i < x.count(); ++i)
        y.mutable_data<Float8E8M0>()[i] = Float8E8M0::rounded(to_odd(read(x.raw(), i)), round_, saturate_);
    } else if (is_unsigned(x.dtype())) {
      numbers<std::uint64_t>(x, y, saturate_);
    } else if (is_integer(x.dtype())) {
      numbers<std::int64_t>(x, y, saturate_);
    } else {
      numbers<double>(x, y, saturate_);
    }
  }

 private:
  bool saturate_;
  Float8E8M0::Round round_;
};

std::size_t element_bits(DType dtype) {
  return packed_bits(dtype) ? static_cast<std::size_t>(packed_bits(dtype)) : element_size(dtype) * 8;
}

class BitCast : public provider::Kernel {
 public:
  explicit BitCast(const provider::NodeView&) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType from = node.input(0).dtype(), to = node.output(0).dtype();
    ASHLAR_REQUIRE(element_bits(from) > 0 && element_bits(from) == element_bits(to), ASHLAR_NO_KERNEL_DTYPE, "BitCast from ",
                   provider::dtype_name(from), " to ", provider::dtype_name(to), " changes the width of an element");
    return provider::accept();
  }
  void bind(provider::BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (x.bytes() > 0) std::memcpy(y.raw(), x.raw(), std::min(x.bytes(), y.bytes()));
  }
};

constexpr provider::KernelEntry kRows[] = {
    {"Cast", 6, provider::kLatest, &Cast::verdict, &provider::make<Cast>},
    {"CastLike", 15, provider::kLatest, &Cast::verdict, &provider::make<Cast>},
    {"BitCast", 26, provider::kLatest, &BitCast::verdict, &provider::make<BitCast>},
};

}  // namespace

std::span<const provider::KernelEntry> cast_kernels() { return kRows; }

}  // namespace ashlar::reference
