// SPDX-License-Identifier: Apache-2.0
// Operators that calculate: element by element, and reductions. A row's lambda gets int64_t or double; a bool it returns makes a
// bool tensor. Reals are calculated in double and rounded to the dtype once, which for one operation gives what float does.
#include <algorithm>

#include "ops/host_call.h"

namespace ashlar::ops {
namespace {

/// The type in which integers wrap.
template <class W> using Wrapping = std::conditional_t<std::is_integral_v<W>, std::uint64_t, W>;

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
constexpr auto divide = [](auto a, auto b) {
  if constexpr (std::is_integral_v<decltype(a)>) {
    if (b == 0) host_fail("division of an integer by zero");
    if (b == -1) return subtract(decltype(a){}, a);
  }
  return a / b;
};
/// NaN where either is NaN.
constexpr auto maximum = [](auto a, auto b) { return a != a || a >= b ? a : b; };
constexpr auto minimum = [](auto a, auto b) { return a != a || a <= b ? a : b; };
constexpr auto negate = [](auto x) {
  if constexpr (std::is_integral_v<decltype(x)>) return subtract(decltype(x){}, x);
  else return -x;
};
constexpr auto sign = [](auto x) { return x > 0 ? decltype(x){1} : x < 0 ? decltype(x){-1} : x; };
constexpr auto absolute = [](auto x) {
  if constexpr (std::is_integral_v<decltype(x)>) return x < 0 ? negate(x) : x;
  else return std::fabs(x);
};

template <class W> using Result = std::conditional_t<std::is_same_v<W, bool>, std::int64_t, W>;

template <class F> Tensor map(const Tensor& x, F f) {
  return calculate(x.dtype(), [&]<class W>() {
    using R = decltype(f(W{}));
    std::vector<Result<R>> out;
    for (const W v : elements<W>(x)) out.push_back(f(v));
    return tensor_of(std::is_same_v<R, bool> ? DType::kBool : x.dtype(), x.shape(), out);
  });
}

template <class F> Tensor map(const Tensor& a, const Tensor& b, F f) {
  if (a.dtype() != b.dtype()) host_fail("operands " + a.type_string() + " and " + b.type_string(), ErrorCode::kInvalidModel);
  const Shape shape = broadcast_shape(a.shape(), b.shape());
  return calculate(a.dtype(), [&]<class W>() {
    using R = decltype(f(W{}, W{}));
    const auto x = elements<W>(broadcast_to(a, shape)), y = elements<W>(broadcast_to(b, shape));
    std::vector<Result<R>> out;
    for (std::size_t i = 0; i < x.size(); ++i) out.push_back(f(x[i], y[i]));
    return tensor_of(std::is_same_v<R, bool> ? DType::kBool : a.dtype(), shape, out);
  });
}

template <auto kF> Tensors unary(const HostCall& c) { return {map(c.in(0), kF)}; }
template <auto kF> Tensors binary(const HostCall& c) { return {map(c.in(0), c.in(1), kF)}; }
template <auto kF> Tensors variadic(const HostCall& c) {
  Tensor out = map(c.in(0), [](auto x) { return x; });
  for (std::size_t i = 1; i < c.inputs.size(); ++i) out = map(out, c.in(i), kF);
  return {out};
}

/// With fmod the sign of the dividend, else that of the divisor.
Tensor modulo(const HostCall& c) {
  const bool fmod = c.integer("fmod", 0) != 0;
  return map(c.in(0), c.in(1), [fmod](auto a, auto b) {
    if constexpr (std::is_integral_v<decltype(a)>) {
      if (b == 0) host_fail("remainder of an integer divided by zero");
      const auto rest = b == -1 ? 0 : a % b;
      return !fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    } else {
      const auto rest = std::fmod(a, b);
      if (fmod || std::isnan(rest)) return rest;
      if (rest == 0) return std::copysign(rest, b);
      return (rest < 0) != (b < 0) ? rest + b : rest;
    }
  });
}

std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) host_fail("the integer 0 has no power of " + std::to_string(exponent));
    if (base != 1 && base != -1) return 0;
  }
  auto square = static_cast<std::uint64_t>(base);
  std::uint64_t result = 1, n = static_cast<std::uint64_t>(exponent);
  for (n = exponent < 0 ? 0 - n : n; n > 0; n >>= 1) {
    if (n & 1) result *= square;
    square *= square;
  }
  return static_cast<std::int64_t>(result);
}

/// The result has the base's dtype; integers to integers wrap.
Tensor power(const HostCall& c) {
  const Tensor &base = c.in(0), &exponent = c.in(1);
  const Shape shape = broadcast_shape(base.shape(), exponent.shape());
  const bool real = is_real(base.dtype()) || is_real(exponent.dtype());
  return calculate(real ? DType::kFloat64 : DType::kInt64, [&]<class W>() {
    auto x = elements<W>(broadcast_to(base, shape));
    const auto y = elements<W>(broadcast_to(exponent, shape));
    for (std::size_t i = 0; i < x.size(); ++i) {
      if constexpr (std::is_integral_v<W>) x[i] = integer_power(x[i], y[i]);
      else x[i] = std::pow(x[i], y[i]);
    }
    return tensor_of(base.dtype(), shape, x);
  });
}

Tensor cast(const HostCall& c) {
  const auto to = static_cast<DType>(c.integer("to", 0));
  const Tensor& x = c.in(0);
  return calculate(x.dtype(), [&]<class W>() { return tensor_of(to, x.shape(), elements<W>(x)); });
}

Tensor range(const HostCall& c) {
  const DType dtype = c.in(0).dtype();
  for (std::size_t i = 0; i < 3; ++i)
    if (c.in(i).element_count() != 1 || c.in(i).dtype() != dtype)
      host_fail("input " + std::to_string(i) + " of a range is " + c.in(i).type_string(), ErrorCode::kInvalidModel);
  return calculate(dtype, [&]<class W>() {
    const W start = elements<W>(c.in(0))[0], limit = elements<W>(c.in(1))[0], delta = elements<W>(c.in(2))[0];
    if (delta == 0) host_fail("the delta of a range is 0");
    using U = Wrapping<W>;
    // Clipped so that it converts; checked_count refuses what is clipped.
    constexpr auto kMost = std::int64_t{1} << 48;
    std::int64_t count = 0;
    if constexpr (std::is_integral_v<W>) {
      const bool up = delta > 0;
      const U distance = up ? static_cast<U>(limit) - static_cast<U>(start) : static_cast<U>(start) - static_cast<U>(limit);
      const U step = up ? static_cast<U>(delta) : 0 - static_cast<U>(delta);
      if (up ? limit > start : limit < start) count = static_cast<std::int64_t>(std::min<U>((distance - 1) / step + 1, kMost));
    } else {
      const double distance = dtype == DType::kFloat32 ? static_cast<float>(limit - start) : limit - start;
      const double n = std::ceil(distance / delta);
      if (n > 0) count = n < kMost ? static_cast<std::int64_t>(n) : kMost;
    }
    checked_count({count});
    std::vector<W> out;
    for (std::int64_t i = 0; i < count; ++i) out.push_back(add(start, multiply(static_cast<W>(i), delta)));
    return tensor_of(dtype, {count}, out);
  });
}

/// The least (or greatest) number of the dtype.
template <class W> W bound(DType dtype, bool greatest) {
  W out{};
  dispatch(dtype, [&]<class T>() {
    using Limits = std::numeric_limits<T>;
    if constexpr (Limits::has_infinity) out = static_cast<W>(greatest ? Limits::infinity() : -Limits::infinity());
    else out = static_cast<W>(greatest ? Limits::max() : Limits::lowest());
  });
  return out;
}

/// ONNX: no axes given means all, unless noop_with_empty_axes.
template <auto kStart, auto kF> Tensors reduce(const HostCall& c) {
  const Tensor& x = c.in(0);
  const Ints axes = c.has(1) ? c.ints(1) : Ints();
  std::vector<char> flags(x.shape().size(), axes.empty() && c.integer("noop_with_empty_axes", 0) == 0);
  for (const std::int64_t axis : axes) flags[checked_axis(axis, flags.size())] = 1;
  Shape kept = x.shape();
  Ints left;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) kept[i] = 1;
    else left.push_back(kept[i]);
  }
  const Ints positions = broadcast_positions(kept, x.shape());
  return calculate(x.dtype(), [&]<class W>() {
    std::vector<W> out(static_cast<std::size_t>(checked_count(kept)), kStart(x.dtype(), W{}));
    const auto from = elements<W>(x);
    for (std::size_t i = 0; i < from.size(); ++i) {
      W& to = out[static_cast<std::size_t>(positions[i])];
      to = kF(to, from[i]);
    }
    return Tensors{tensor_of(x.dtype(), c.integer("keepdims", 1) != 0 ? kept : shape_of(left), out)};
  });
}

constexpr auto zero = [](DType, auto w) { return decltype(w){0}; };
constexpr auto one = [](DType, auto w) { return decltype(w){1}; };
constexpr auto least = [](DType dtype, auto w) { return bound<decltype(w)>(dtype, false); };
constexpr auto greatest = [](DType dtype, auto w) { return bound<decltype(w)>(dtype, true); };

constexpr HostRow kRows[] = {
    {"Cast", 6, &host_one<&cast>},
    {"Range", 11, &host_one<&range>},
    {"Mod", 10, &host_one<&modulo>},
    {"Pow", 7, &host_one<&power>},
    {"Add", 7, &binary<add>},
    {"Sub", 7, &binary<subtract>},
    {"Mul", 7, &binary<multiply>},
    {"Div", 7, &binary<divide>},
    {"Min", 8, &variadic<minimum>},
    {"Max", 8, &variadic<maximum>},
    {"Neg", 6, &unary<negate>},
    {"Abs", 6, &unary<absolute>},
    {"Sign", 9, &unary<sign>},
    {"Floor", 6, &unary<[](double x) { return std::floor(x); }>},
    {"Ceil", 6, &unary<[](double x) { return std::ceil(x); }>},
    {"Sqrt", 6, &unary<[](double x) { return std::sqrt(x); }>},
    {"Equal", 7, &binary<[](auto a, auto b) { return a == b; }>},
    {"Less", 7, &binary<[](auto a, auto b) { return a < b; }>},
    {"LessOrEqual", 12, &binary<[](auto a, auto b) { return a <= b; }>},
    {"Greater", 7, &binary<[](auto a, auto b) { return (a > b); }>},
    {"GreaterOrEqual", 12, &binary<[](auto a, auto b) { return (a >= b); }>},
    {"And", 7, &binary<[](auto a, auto b) { return a != 0 && b != 0; }>},
    {"Or", 7, &binary<[](auto a, auto b) { return a != 0 || b != 0; }>},
    {"Xor", 7, &binary<[](auto a, auto b) { return (a != 0) != (b != 0); }>},
    {"Not", 1, &unary<[](auto x) { return x == 0; }>},
    {"ReduceSum", 13, &reduce<zero, add>},
    {"ReduceProd", 18, &reduce<one, multiply>},
    {"ReduceMin", 18, &reduce<greatest, minimum>},
    {"ReduceMax", 18, &reduce<least, maximum>},
};

}  // namespace

std::span<const HostRow> host_math() { return kRows; }

}  // namespace ashlar::ops
