// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>
#include <span>

#include "convert.h"
#include "elementwise.h"

namespace ashlar::reference {
namespace {

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

/// Integers round toward zero; the lowest integer divided by -1 is itself.
constexpr auto divide = [](auto a, auto b) {
  using T = decltype(a);
  if constexpr (std::is_integral_v<T>) {
    provider::check(b != 0, "division of an integer by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return subtract(T{}, a);
  }
  return static_cast<T>(a / b);
};

/// With fmod the sign of the dividend, else that of the divisor; special cases of floats as in ONNX's Mod.
constexpr auto modulo = [](auto a, auto b, const Attributes& attributes) {
  using T = decltype(a);
  if constexpr (std::is_integral_v<T>) {
    provider::check(b != 0, "remainder of an integer divided by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return T{};
    const T rest = static_cast<T>(a % b);
    return !attributes.fmod && rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  } else {
    const T rest = std::fmod(a, b);
    if (attributes.fmod || std::isnan(rest)) return rest;
    if (rest == 0) return std::copysign(rest, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
  }
};

/// A shift by less than 0 or by all bits and more leaves only copies of the sign.
constexpr auto shift = [](auto x, auto by, const Attributes& attributes) {
  using T = decltype(x);
  constexpr int kBits = static_cast<int>(sizeof(T) * 8);
  const bool beyond = by < 0 || static_cast<std::uint64_t>(by) >= kBits;
  if (attributes.right) return static_cast<T>(beyond ? (x < 0 ? ~T{} : T{}) : x >> by);
  return beyond ? T{} : static_cast<T>(static_cast<std::uint64_t>(x) << by);
};

/// The result has the base's type. Powers of integers by integers wrap.
class Pow : public provider::Kernel {
 public:
  explicit Pow(const provider::NodeView&) {}
  void bind(provider::BindContext& context) const override {
    context.set_output(0, provider::broadcast(context.input(0).dims(), context.input(1).dims()));
  }
  void run(const provider::RunContext& context) const override {
    const auto base = context.input(0), exponent = context.input(1), out = context.output(0);
    const bool whole = contains<IntTypes>(base.dtype()) && contains<IntTypes>(exponent.dtype());
    if (whole && exponent.dtype() == DType::kUint64) each<std::int64_t, std::uint64_t>(base, exponent, out);
    else if (whole) each<std::int64_t, std::int64_t>(base, exponent, out);
    else each<double, double>(base, exponent, out);
  }

 private:
  template <class A, class B>
  static void each(const provider::TensorView& base, const provider::TensorView& exponent, const provider::TensorView& out) {
    const Reader<A> left = reader<A>(base.dtype());
    const Reader<B> right = reader<B>(exponent.dtype());
    const Writer<A> result = writer<A>(out.dtype());
    for_each_broadcast(out.dims(), base.dims(), exponent.dims(), [&](std::int64_t i, std::int64_t j, std::int64_t k) {
      result(out.raw(), i, power(left(base.raw(), j), right(exponent.raw(), k)));
    });
  }
  static double power(double base, double exponent) { return std::pow(base, exponent); }
  template <class B> static std::int64_t power(std::int64_t base, B exponent) {
    if (exponent < 0) {
      provider::check(base != 0, "the integer 0 has no power of ", exponent);
      if (base != 1 && base != -1) return 0;
    }
    auto square = static_cast<std::uint64_t>(base);
    std::uint64_t result = 1;
    const auto magnitude = static_cast<std::uint64_t>(exponent);
    for (std::uint64_t n = exponent < 0 ? 0 - magnitude : magnitude; n > 0; n >>= 1) {
      if (n & 1) result *= square;
      square *= square;
    }
    return static_cast<std::int64_t>(result);
  }
};

using EqualTypes = Join<NumericTypes, Types<bool>>;
constexpr auto equal = [](auto a, auto b) { return a == b; };

class Equal : public BinaryKernel<EqualTypes, decltype(equal)> {
 public:
  using BinaryKernel::BinaryKernel;
  static provider::Verdict verdict(const provider::NodeView& node) {
    if (node.input(0).dtype() != DType::kString) return BinaryKernel::verdict(node);
    const auto inputs = same_inputs<Types<std::string>>(node);
    return inputs.code == ASHLAR_ACCEPTED ? gives(node, DType::kBool) : inputs;
  }
  void run(const provider::RunContext& context) const override {
    const auto a = context.input(0), b = context.input(1);
    if (a.dtype() != DType::kString) return BinaryKernel::run(context);
    auto* c = context.output(0).mutable_data<std::uint8_t>();
    for_each_broadcast(context.output(0).dims(), a.dims(), b.dims(),
                       [&](std::int64_t i, std::int64_t j, std::int64_t k) { c[i] = a.string(j) == b.string(k); });
  }
};

provider::Verdict pow_verdict(const provider::NodeView& node) {
  const auto base = uniform<NumericTypes, 1>(node);
  return base.code != ASHLAR_ACCEPTED ? base : require_dtype<NumericTypes>(node, node.input(1));
}

provider::Verdict shift_verdict(const provider::NodeView& node) {
  const std::string direction = node.text("direction");
  ASHLAR_REQUIRE(direction == "LEFT" || direction == "RIGHT", ASHLAR_ATTRIBUTE, "BitShift to \"", direction,
                 "\" is neither LEFT nor RIGHT");
  return uniform<IntTypes>(node);
}

constexpr provider::KernelEntry kRows[] = {
    {"Pow", 7, provider::kLatest, &pow_verdict, &provider::make<Pow>},
    {"Equal", 7, provider::kLatest, &Equal::verdict, &provider::make<Equal>},
    {"BitShift", 11, provider::kLatest, &shift_verdict, &provider::make<BinaryKernel<IntTypes, decltype(shift)>>},
    binary<NumericTypes>("Add", 7, add),
    binary<NumericTypes>("Sub", 7, subtract),
    binary<NumericTypes>("Mul", 7, multiply),
    binary<NumericTypes>("Div", 7, divide),
    binary<NumericTypes>("Mod", 10, modulo),
    binary<NumericTypes>("Greater", 7, [](auto a, auto b) { return a > b; }),
    binary<NumericTypes>("GreaterOrEqual", 12, [](auto a, auto b) { return a >= b; }),
    binary<NumericTypes>("Less", 7, [](auto a, auto b) { return a < b; }),
    binary<NumericTypes>("LessOrEqual", 12, [](auto a, auto b) { return a <= b; }),
    binary<Types<bool>>("And", 7, [](bool a, bool b) { return a && b; }),
    binary<Types<bool>>("Or", 7, [](bool a, bool b) { return a || b; }),
    binary<Types<bool>>("Xor", 7, [](bool a, bool b) { return a != b; }),
    binary<IntTypes>("BitwiseAnd", 18, [](auto a, auto b) { return static_cast<decltype(a)>(a & b); }),
    binary<IntTypes>("BitwiseOr", 18, [](auto a, auto b) { return static_cast<decltype(a)>(a | b); }),
    binary<IntTypes>("BitwiseXor", 18, [](auto a, auto b) { return static_cast<decltype(a)>(a ^ b); }),
};

}  // namespace

std::span<const provider::KernelEntry> binary_kernels() { return kRows; }

}  // namespace ashlar::reference
