// SPDX-License-Identifier: Apache-2.0
// Operators that work element by element.
#include <sstream>

#include "elements.h"
#include "rows.h"

namespace ashlar::comparison {
namespace {

using enum DType;

Attributes reals(Draw& d, const Row& row) {
  Attributes out;
  std::istringstream names(row.reals);
  for (std::string name; names >> name;)
    if (d.flip()) out.emplace_back(name, d.pick({1.0f, 0.5f, 0.01f, 2.0f, 0.0f, -0.5f}));
  return out;
}

void unary(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::string x = d.input(type, d.shape(0, 5), row.fill);
  d.apply(row.name, {x}, reals(d, row));
}

void gelu(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::string x = d.input(type, d.shape(0, 5), row.fill);
  d.apply(row.name, {x}, {{"approximate", d.flip() ? "tanh" : "none"}});
}

void is_infinite(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::string x = d.input(type, d.shape(0, 5), row.fill);
  d.apply(row.name, {x}, {{"detect_negative", d.between(0, 1)}, {"detect_positive", d.between(0, 1)}});
}

/// Two operands that broadcast, now and then one value twice.
Names pair(Draw& d, DType type, const Fill& a, const Fill& b) {
  const Extents full = d.shape(0, 5);
  const std::string x = d.input(type, d.thinned(full), a);
  return {x, d.rarely(12) ? x : d.operand(type, d.thinned(full), b)};
}

void binary(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  Names operands = pair(d, type, row.fill, row.fill);
  if (d.flip()) std::swap(operands[0], operands[1]);
  d.apply(row.name, operands);
}

void modulo(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const bool real = cli::is_float(type);
  Fill divisor = row.fill;
  divisor.nonzero = true;
  const Names operands = pair(d, type, divisor, divisor);
  d.apply(row.name, operands, {{"fmod", real ? 1 : d.between(0, 1)}});
}

void power(Draw& d, const Row& row) {
  const DType base = d.pick({kFloat32, kFloat32, kFloat16, kFloat64, kInt32, kInt64});
  const DType exponent = d.pick({base, kFloat32, kInt64, kInt32});
  const bool whole = !cli::is_float(base);
  const Extents full = d.shape(0, 4);
  const std::string x = d.input(base, d.thinned(full), whole ? Fill{-3, 3, {}, true} : Fill{0.1, 3});
  const Fill to = whole ? Fill{0, 4} : Fill{-2, 3};
  const std::string y = d.rarely(3) ? d.constant(d.random(exponent, {}, {2, 3}, d.below(16), 2)) : d.operand(exponent, d.thinned(full), to);
  d.apply(row.name, {x, y});
}

void shift(Draw& d, const Row& row) {
  const Names operands = pair(d, dtype(d, row.types), {0, 200}, {0, 7});
  d.apply(row.name, operands, {{"direction", d.flip() ? "RIGHT" : "LEFT"}});
}

void variadic(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const Extents full = d.shape(0, 4);
  Names operands = {d.input(type, d.thinned(full), row.fill)};
  for (std::int64_t n = d.between(0, 3); n > 0; --n) operands.push_back(d.operand(type, d.thinned(full), row.fill));
  d.apply(row.name, operands);
}

void slope(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const Extents full = d.shape(0, 4);
  const std::string x = d.input(type, full, row.fill);
  d.apply(row.name, {x, d.operand(type, d.thinned(full), row.fill)});
}

void choose(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const Extents full = d.shape(0, 5);
  const std::string condition = d.input(kBool, d.thinned(full));
  const std::string x = d.operand(type, d.thinned(full), row.fill);
  d.apply(row.name, {condition, x, d.operand(type, d.thinned(full), row.fill)});
}

void clip(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::string x = d.input(type, d.shape(0, 5), row.fill);
  const std::string low = d.flip() ? d.operand(type, {}, {-1, 1}) : "";
  d.apply(row.name, {x, low, d.flip() ? d.operand(type, {}, {0, 2}) : ""});
}

constexpr DType kCastTypes[] = {kFloat32, kInt64,  kInt32, kBool,   kFloat16, kBFloat16,     kFloat64,   kUint8,
                                kInt8,    kUint16, kInt16, kUint32, kUint64,  kFloat8E4M3FN, kFloat8E5M2};

/// Numbers that both dtypes hold, in part with fractions.
Fill common(DType from, DType to) {
  const bool negative = (cli::is_float(from) || from == kInt64 || from == kInt32 || from == kInt16 || from == kInt8) &&
                        (cli::is_float(to) || to == kInt64 || to == kInt32 || to == kInt16 || to == kInt8);
  return {negative ? -100.0 : 0.0, 100, cli::is_float(to) ? Fill::kNaN : Fill::kNone};
}

void cast(Draw& d, const Row& row) {
  const DType from = d.pick_of(kCastTypes), to = d.pick_of(kCastTypes);
  const std::string x = d.input(from, d.shape(0, 4), common(from, to));
  d.apply(row.name, {x}, {{"to", static_cast<std::int64_t>(to)}});
}

void cast_like(Draw& d, const Row& row) {
  const DType from = d.pick_of(kCastTypes), to = d.pick_of(kCastTypes);
  const std::string x = d.input(from, d.shape(0, 4), common(from, to));
  d.apply(row.name, {x, d.operand(to, d.shape(0, 2))});
}

void dropout(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::string x = d.input(type, d.shape(0, 4), row.fill);
  const std::string ratio = d.flip() ? d.operand(kFloat32, {}, {0, 0.9}) : "";
  d.apply_all(row.name, {x, ratio}, d.flip() ? 2 : 1);
}

constexpr Fill kWide = {-50, 50, Fill::kNaN};
constexpr Fill kAngles = {-10, 10};
constexpr Fill kUnit = {-1, 1};
constexpr Fill kNonzero = {-20, 20, Fill::kNone, true};
constexpr Fill kMasks = {-100, 200};

constexpr Row kRows[] = {
    {"Abs", unary, Types::kNumbers, kWide},
    {"Neg", unary, Types::kFloats, kWide},
    {"Sign", unary, Types::kNumbers, {-50, 50, Fill::kInfinities}},
    {"Floor", unary, Types::kFloats, kWide},
    {"Ceil", unary, Types::kFloats, kWide},
    {"Round", unary, Types::kFloats, kWide},
    {"Sqrt", unary, Types::kFloats, {-1, 50, Fill::kNaN}},
    {"Reciprocal", unary, Types::kFloats, kNonzero},
    {"Exp", unary, Types::kFloats, {-20, 10, Fill::kNaN}},
    {"Log", unary, Types::kFloats, {-1, 50, Fill::kNaN}},
    {"Sin", unary, Types::kFloats, kAngles},
    {"Cos", unary, Types::kFloats, kAngles},
    {"Tan", unary, Types::kFloats, kUnit},
    {"Asin", unary, Types::kFloats, kUnit},
    {"Acos", unary, Types::kFloats, kUnit},
    {"Atan", unary, Types::kFloats, kAngles},
    {"Sinh", unary, Types::kFloats, {-8, 8}},
    {"Cosh", unary, Types::kFloats, {-8, 8}},
    {"Tanh", unary, Types::kFloats, {-12, 12, Fill::kNaN}},
    {"Asinh", unary, Types::kFloats, kAngles},
    {"Acosh", unary, Types::kFloats, {1, 10}},
    {"Atanh", unary, Types::kFloats, {-0.95, 0.95}},
    {"Erf", unary, Types::kFloats, {-6, 6, Fill::kNaN}},
    {"Sigmoid", unary, Types::kFloats, {-40, 40, Fill::kNaN}},
    {"Softplus", unary, Types::kFloats, {-40, 40, Fill::kInfinities}},
    {"Softsign", unary, Types::kFloats, kAngles},
    {"Relu", unary, Types::kFloats, {-50, 50, Fill::kInfinities}},
    {"LeakyRelu", unary, Types::kFloats, {-50, 50, Fill::kInfinities}, "alpha"},
    {"Elu", unary, Types::kFloats, {-20, 20}, "alpha"},
    {"Celu", unary, Types::kFloats, {-20, 20}},
    {"Selu", unary, Types::kFloats, {-20, 20}, "alpha gamma"},
    {"ThresholdedRelu", unary, Types::kFloats, {-5, 5}, "alpha"},
    {"HardSigmoid", unary, Types::kFloats, kAngles, "alpha beta"},
    {"HardSwish", unary, Types::kFloats, kAngles},
    {"Mish", unary, Types::kFloats, {-40, 40}},
    {"Swish", unary, Types::kFloats, {-40, 40}, "alpha"},
    {"Shrink", unary, Types::kNumbers, {-5, 5}, "lambd bias"},
    {"Gelu", gelu, Types::kFloats, {-12, 12}},
    {"Not", unary, Types::kBool},
    {"BitwiseNot", unary, Types::kIntegers, kMasks},
    {"IsNaN", unary, Types::kFloats, kWide},
    {"IsInf", is_infinite, Types::kFloat32, kWide},
    {"Identity", unary, Types::kAny, kWide},
    {"Dropout", dropout, Types::kFloats},
    {"Add", binary, Types::kNumbers, {-20, 20, Fill::kNaN}},
    {"Sub", binary, Types::kNumbers, {-20, 20, Fill::kNaN}},
    {"Mul", binary, Types::kNumbers, {-9, 9, Fill::kNaN}},
    {"Div", binary, Types::kNumbers, kNonzero},
    {"Mod", modulo, Types::kNumbers, kNonzero},
    {"Pow", power},
    {"PRelu", slope, Types::kFloats},
    {"And", binary, Types::kBool},
    {"Or", binary, Types::kBool},
    {"Xor", binary, Types::kBool},
    {"BitwiseAnd", binary, Types::kIntegers, kMasks},
    {"BitwiseOr", binary, Types::kIntegers, kMasks},
    {"BitwiseXor", binary, Types::kIntegers, kMasks},
    {"BitShift", shift, Types::kUnsigned},
    {"Equal", binary, Types::kNumbers, {-2, 2, Fill::kNaN}},
    {"Less", binary, Types::kNumbers, {-2, 2, Fill::kNaN}},
    {"LessOrEqual", binary, Types::kNumbers, {-2, 2, Fill::kNaN}},
    {"Greater", binary, Types::kNumbers, {-2, 2, Fill::kNaN}},
    {"GreaterOrEqual", binary, Types::kNumbers, {-2, 2, Fill::kNaN}},
    {"Max", variadic, Types::kNumbers, {-20, 20, Fill::kInfinities}},
    {"Min", variadic, Types::kNumbers, {-20, 20, Fill::kInfinities}},
    {"Sum", variadic, Types::kFloats},
    {"Mean", variadic, Types::kFloats},
    {"Where", choose, Types::kAny},
    {"Clip", clip, Types::kNumbers, {-5, 5, Fill::kInfinities}},
    {"Cast", cast},
    {"CastLike", cast_like},
};

}  // namespace

std::span<const Row> elementwise_rows() { return kRows; }

}  // namespace ashlar::comparison
