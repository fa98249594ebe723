// SPDX-License-Identifier: Apache-2.0
// Element-wise functions one element at a time: every dtype that has no vectors. A row's lambda gets numbers, and the params if it asks
// for them; a bool that it returns makes a predicate.
#include <cmath>
#include <numbers>
#include <span>
#include <type_traits>

#include "convert.h"
#include "elementwise.h"

namespace ashlar::cpu {
namespace {

template <class T> T load(const void* data, std::int64_t i) {
  if constexpr (std::is_same_v<T, bool>) return static_cast<const std::uint8_t*>(data)[i] != 0;
  else return static_cast<const T*>(data)[i];
}
template <class F, class... Args> auto apply(const float* params, Args... args) {
  if constexpr (std::is_invocable_v<F, Args...>) return F{}(args...);
  else return F{}(args..., params);
}

template <class T, class F> void unary_loop(const void* const* in, unsigned, void* out, std::int64_t n, const float* params) {
  auto* y = static_cast<decltype(apply<F>(params, T{}))*>(out);
  for (std::int64_t i = 0; i < n; ++i) y[i] = apply<F>(params, load<T>(in[0], i));
}
template <class T, class F> void binary_loop(const void* const* in, unsigned single, void* out, std::int64_t n, const float* params) {
  auto* y = static_cast<decltype(apply<F>(params, T{}, T{}))*>(out);
  if (single & 1) {
    const T a = load<T>(in[0], 0);
    for (std::int64_t i = 0; i < n; ++i) y[i] = apply<F>(params, a, load<T>(in[1], i));
  } else if (single & 2) {
    const T b = load<T>(in[1], 0);
    for (std::int64_t i = 0; i < n; ++i) y[i] = apply<F>(params, load<T>(in[0], i), b);
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i] = apply<F>(params, load<T>(in[0], i), load<T>(in[1], i));
  }
}
template <class T> void clip_loop(const void* const* in, unsigned single, void* out, std::int64_t n, const float*);

template <class F, class... Ts> constexpr TileRow unary_row(std::string_view name, std::int64_t grain, F, Types<Ts...>) {
  TileRow row{name, 1, false, grain, {}};
  ((row.by_dtype[static_cast<std::size_t>(dtype_of<Ts>)] = &unary_loop<Ts, F>,
    row.predicate = std::is_same_v<decltype(apply<F>(nullptr, Ts{})), bool>),
   ...);
  return row;
}
template <class F, class... Ts> constexpr TileRow binary_row(std::string_view name, std::int64_t grain, F, Types<Ts...>) {
  TileRow row{name, 2, false, grain, {}};
  ((row.by_dtype[static_cast<std::size_t>(dtype_of<Ts>)] = &binary_loop<Ts, F>,
    row.predicate = std::is_same_v<decltype(apply<F>(nullptr, Ts{}, Ts{})), bool>),
   ...);
  return row;
}
template <class List, class F> constexpr TileRow unary(std::string_view name, std::int64_t grain, F f) {
  return unary_row(name, grain, f, List{});
}
template <class List, class F> constexpr TileRow binary(std::string_view name, std::int64_t grain, F f) {
  return binary_row(name, grain, f, List{});
}

using Double = Types<double>;
using Reals = Types<float, double>;
using Signed = Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using Bool = Types<bool>;

template <class T> T maximum(T a, T b) {
  if (a != a) return a;
  return a >= b ? a : b;
}
template <class T> T minimum(T a, T b) {
  if (a != a) return a;
  return a <= b ? a : b;
}
template <class T> T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}
template <class T> T softplus(T x) { return (x > 0 ? x : T{}) + std::log1p(std::exp(-std::abs(x))); }

template <class T> void clip_loop(const void* const* in, unsigned single, void* out, std::int64_t n, const float*) {
  T* y = static_cast<T*>(out);
  const std::int64_t x = single & 1 ? 0 : 1, low = single & 2 ? 0 : 1, high = single & 4 ? 0 : 1;
  for (std::int64_t i = 0; i < n; ++i) y[i] = minimum(maximum(load<T>(in[0], i * x), load<T>(in[1], i * low)), load<T>(in[2], i * high));
}
template <class... Ts> constexpr TileRow clip(Types<Ts...>) {
  TileRow row{"Clip", 3, false, kCheapGrain, {}};
  ((row.by_dtype[static_cast<std::size_t>(dtype_of<Ts>)] = &clip_loop<Ts>), ...);
  return row;
}

constexpr auto negate = [](auto x) { return static_cast<decltype(x)>(-static_cast<Wrapping<decltype(x)>>(x)); };
constexpr auto absolute = [](auto x) {
  if constexpr (std::is_floating_point_v<decltype(x)>) return std::fabs(x);
  else return x < 0 ? negate(x) : x;
};
constexpr auto sign = [](auto x) { return static_cast<decltype(x)>(x > 0 ? 1 : x < 0 ? -1 : x); };
constexpr auto error_function = [](auto x) {
  using T = decltype(x);
  if constexpr (std::is_integral_v<T>) return static_cast<T>(std::erf(static_cast<double>(x)));
  else return std::erf(x);
};
constexpr auto gelu = [](double x) { return 0.5 * x * (1 + std::erf(x * (std::numbers::sqrt2 / 2))); };
constexpr auto gelu_tanh = [](double x) {
  return 0.5 * x * (1 + std::tanh(std::numbers::sqrt2 * std::numbers::inv_sqrtpi * (x + 0.044715 * x * x * x)));
};
constexpr auto is_infinite = [](auto x, const float* p) -> bool { return std::isinf(x) && (x > 0 ? p[0] : p[1]) != 0; };
constexpr auto shrink = [](auto x, const float* p) {
  const double v = static_cast<double>(x), lambda = p[0], bias = p[1];
  return convert<decltype(x)>(v < -lambda ? v + bias : v > lambda ? v - bias : 0.0);
};
constexpr auto hard_sigmoid = [](double x, double alpha, double beta) { return maximum(0.0, minimum(1.0, alpha * x + beta)); };

constexpr auto add = [](auto a, auto b) {
  using W = Wrapping<decltype(a)>;
  return static_cast<decltype(a)>(static_cast<W>(a) + static_cast<W>(b));
};
constexpr auto subtract = [](auto a, auto b) {
  using W = Wrapping<decltype(a)>;
  return static_cast<decltype(a)>(static_cast<W>(a) - static_cast<W>(b));
};
constexpr auto multiply = [](auto a, auto b) {
  using W = Wrapping<decltype(a)>;
  return static_cast<decltype(a)>(static_cast<W>(a) * static_cast<W>(b));
};
/// Integers round toward zero; the lowest integer divided by -1 is itself; what is divided by zero is 0.
constexpr auto divide = [](auto a, auto b) {
  using T = decltype(a);
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return T{};
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return negate(a);
  }
  return static_cast<T>(a / b);
};
/// What is left has the sign of the dividend.
constexpr auto remainder_of = [](auto a, auto b) {
  using T = decltype(a);
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return T{};
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return T{};
    return static_cast<T>(a % b);
  } else {
    return std::fmod(a, b);
  }
};
/// What is left has the sign of the divisor.
constexpr auto modulo = [](auto a, auto b) {
  using T = decltype(a);
  const T rest = remainder_of(a, b);
  if constexpr (std::is_floating_point_v<T>) {
    if (rest != rest) return rest;
    if (rest == 0) return std::copysign(rest, b);
  }
  return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
};
/// A shift by less than 0 or by all bits and more leaves only copies of the sign.
template <class T> bool shifts_out(T by) { return by < 0 || static_cast<std::uint64_t>(by) >= sizeof(T) * 8; }
constexpr auto shift_left = [](auto x, auto by) {
  using T = decltype(x);
  return shifts_out(by) ? T{} : static_cast<T>(static_cast<std::uint64_t>(x) << by);
};
constexpr auto shift_right = [](auto x, auto by) {
  using T = decltype(x);
  return static_cast<T>(shifts_out(by) ? (x < 0 ? ~T{} : T{}) : x >> by);
};
constexpr auto prelu = [](auto x, auto slope) { return x < 0 ? multiply(x, slope) : x; };

using Integers = IntTypes;
using NoFloat = Join<Double, Integers>;
using Numbers = Join<Reals, Integers>;

constexpr TileRow kRows[] = {
    unary<NoFloat>("Abs", kCheapGrain, absolute),
    unary<Join<Double, Signed>>("Neg", kCheapGrain, negate),
    unary<NoFloat>("Sign", kCheapGrain, sign),
    unary<Double>("Ceil", kCheapGrain, [](auto x) { return std::ceil(x); }),
    unary<Double>("Floor", kCheapGrain, [](auto x) { return std::floor(x); }),
    unary<Double>("Round", kCheapGrain, [](auto x) { return std::nearbyint(x); }),
    unary<Double>("Reciprocal", kCheapGrain, [](auto x) { return 1 / x; }),
    unary<Double>("Sqrt", kCheapGrain, [](auto x) { return std::sqrt(x); }),
    unary<Double>("Softsign", kCheapGrain, [](auto x) { return x / (1 + std::fabs(x)); }),
    unary<Reals>("Acos", kSlowGrain, [](auto x) { return std::acos(x); }),
    unary<Reals>("Acosh", kSlowGrain, [](auto x) { return std::acosh(x); }),
    unary<Reals>("Asin", kSlowGrain, [](auto x) { return std::asin(x); }),
    unary<Reals>("Asinh", kSlowGrain, [](auto x) { return std::asinh(x); }),
    unary<Reals>("Atan", kSlowGrain, [](auto x) { return std::atan(x); }),
    unary<Reals>("Atanh", kSlowGrain, [](auto x) { return std::atanh(x); }),
    unary<Reals>("Cosh", kSlowGrain, [](auto x) { return std::cosh(x); }),
    unary<Reals>("Sinh", kSlowGrain, [](auto x) { return std::sinh(x); }),
    unary<Reals>("Tan", kSlowGrain, [](auto x) { return std::tan(x); }),
    unary<Double>("Cos", kSlowGrain, [](auto x) { return std::cos(x); }),
    unary<Double>("Sin", kSlowGrain, [](auto x) { return std::sin(x); }),
    unary<NoFloat>("Erf", kSlowGrain, error_function),
    unary<Double>("Exp", kSlowGrain, [](auto x) { return std::exp(x); }),
    unary<Double>("Log", kSlowGrain, [](auto x) { return std::log(x); }),
    unary<Double>("Sigmoid", kSlowGrain, [](auto x) { return sigmoid(x); }),
    unary<Double>("Softplus", kSlowGrain, [](auto x) { return softplus(x); }),
    unary<Double>("Tanh", kSlowGrain, [](auto x) { return std::tanh(x); }),
    unary<Double>("Gelu", kSlowGrain, gelu),
    unary<Double>("GeluTanh", kSlowGrain, gelu_tanh),
    unary<Double>("Swish", kSlowGrain, [](double x, const float* p) { return x * sigmoid(static_cast<double>(p[0]) * x); }),
    unary<Double>("Mish", kSlowGrain, [](auto x) { return x * std::tanh(softplus(x)); }),
    unary<Join<Double, Signed>>("Relu", kCheapGrain, [](auto x) { return x < 0 ? decltype(x){} : x; }),
    unary<Double>("LeakyRelu", kCheapGrain, [](double x, const float* p) { return x < 0 ? p[0] * x : x; }),
    unary<Double>("Elu", kSlowGrain, [](double x, const float* p) { return x < 0 ? p[0] * std::expm1(x) : x; }),
    unary<Double>("Selu", kSlowGrain, [](double x, const float* p) { return p[1] * (x > 0 ? x : p[0] * std::expm1(x)); }),
    unary<Double>("Celu", kSlowGrain, [](double x, const float* p) { return maximum(0.0, x) + minimum(0.0, p[0] * std::expm1(x / p[0])); }),
    unary<Double>("HardSigmoid", kCheapGrain, [](double x, const float* p) { return hard_sigmoid(x, p[0], p[1]); }),
    unary<Double>("HardSwish", kCheapGrain, [](double x) { return x * hard_sigmoid(x, 1.0 / 6, 0.5); }),
    unary<Double>("ThresholdedRelu", kCheapGrain, [](double x, const float* p) { return x > p[0] ? x : 0.0; }),
    unary<NoFloat>("Shrink", kCheapGrain, shrink),
    unary<Bool>("Not", kCheapGrain, [](bool x) { return !x; }),
    unary<Integers>("BitwiseNot", kCheapGrain, [](auto x) { return static_cast<decltype(x)>(~x); }),
    unary<Reals>("IsNaN", kCheapGrain, [](auto x) -> bool { return x != x; }),
    unary<Reals>("IsInf", kCheapGrain, is_infinite),
    binary<NoFloat>("Add", kCheapGrain, add),
    binary<NoFloat>("Sub", kCheapGrain, subtract),
    binary<NoFloat>("Mul", kCheapGrain, multiply),
    binary<NoFloat>("Div", kSlowGrain, divide),
    binary<Numbers>("Mod", kSlowGrain, modulo),
    binary<Numbers>("Fmod", kSlowGrain, remainder_of),
    binary<NoFloat>("Max", kCheapGrain, [](auto a, auto b) { return maximum(a, b); }),
    binary<NoFloat>("Min", kCheapGrain, [](auto a, auto b) { return minimum(a, b); }),
    binary<Reals>("Pow", kSlowGrain, [](auto a, auto b) { return std::pow(a, b); }),
    binary<Types<double, std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>>("PRelu", kCheapGrain, prelu),
    binary<Join<NoFloat, Bool>>("Equal", kCheapGrain, [](auto a, auto b) -> bool { return a == b; }),
    binary<NoFloat>("Greater", kCheapGrain, [](auto a, auto b) -> bool { return a > b; }),
    binary<NoFloat>("GreaterOrEqual", kCheapGrain, [](auto a, auto b) -> bool { return a >= b; }),
    binary<NoFloat>("Less", kCheapGrain, [](auto a, auto b) -> bool { return a < b; }),
    binary<NoFloat>("LessOrEqual", kCheapGrain, [](auto a, auto b) -> bool { return a <= b; }),
    binary<Bool>("And", kCheapGrain, [](bool a, bool b) { return a && b; }),
    binary<Bool>("Or", kCheapGrain, [](bool a, bool b) { return a || b; }),
    binary<Bool>("Xor", kCheapGrain, [](bool a, bool b) { return a != b; }),
    binary<Integers>("BitwiseAnd", kCheapGrain, [](auto a, auto b) { return static_cast<decltype(a)>(a & b); }),
    binary<Integers>("BitwiseOr", kCheapGrain, [](auto a, auto b) { return static_cast<decltype(a)>(a | b); }),
    binary<Integers>("BitwiseXor", kCheapGrain, [](auto a, auto b) { return static_cast<decltype(a)>(a ^ b); }),
    binary<Integers>("BitShiftLeft", kCheapGrain, shift_left),
    binary<Integers>("BitShiftRight", kCheapGrain, shift_right),
    clip(NoFloat{}),
};

}  // namespace

std::span<const TileRow> scalar_tiles() { return kRows; }

}  // namespace ashlar::cpu
