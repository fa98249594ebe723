// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>
#include <span>

#include "elementwise.h"
#include "packed.h"

namespace ashlar::reference {
namespace {

class Identity : public provider::Kernel {
 public:
  explicit Identity(const provider::NodeView&) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const provider::ValueView x = node.input(0);
    ASHLAR_REQUIRE(x.is_tensor(), ASHLAR_NO_KERNEL_DTYPE, "Identity has a kernel for tensors only");
    return gives(node, x.dtype());
  }
  void bind(provider::BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const provider::RunContext& context) const override { ElementCopier(context.output(0), context.input(0)).all(); }
};

using SignedOrFloat = Join<FloatTypes, SignedTypes>;
using FloatOrFloat8 = Join<FloatTypes, Float8Types>;

constexpr auto negate = [](auto x) { return static_cast<decltype(x)>(-static_cast<Wrapping<decltype(x)>>(x)); };
constexpr auto absolute = [](auto x) {
  if constexpr (std::is_unsigned_v<decltype(x)>) return x;
  else if constexpr (std::is_integral_v<decltype(x)>) return x < 0 ? negate(x) : x;
  else return std::fabs(x);
};
constexpr auto sign = [](auto x) { return static_cast<decltype(x)>(x > 0 ? 1 : x < 0 ? -1 : x); };
constexpr auto gelu = [](auto x, const Attributes& a) {
  using T = decltype(x);
  constexpr T kHalf{0.5};
  if (!a.tanh) return kHalf * x * (1 + std::erf(x * (std::numbers::sqrt2_v<T> / 2)));
  const T root = std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
  return kHalf * x * (1 + std::tanh(root * (x + static_cast<T>(0.044715) * x * x * x)));
};
constexpr auto is_infinite = [](auto x, const Attributes& a) { return std::isinf(x) && (x > 0 ? a.detect_positive : a.detect_negative); };

constexpr provider::KernelEntry kRows[] = {
    {"Identity", 1, provider::kLatest, &Identity::verdict, &provider::make<Identity>},
    unary<NumericTypes>("Abs", 1, absolute),
    unary<SignedOrFloat>("Neg", 1, negate),
    unary<NumericTypes>("Sign", 9, sign),
    unary<FloatTypes>("Acos", 7, [](auto x) { return std::acos(x); }),
    unary<FloatTypes>("Acosh", 9, [](auto x) { return std::acosh(x); }),
    unary<FloatTypes>("Asin", 7, [](auto x) { return std::asin(x); }),
    unary<FloatTypes>("Asinh", 9, [](auto x) { return std::asinh(x); }),
    unary<FloatTypes>("Atan", 7, [](auto x) { return std::atan(x); }),
    unary<FloatTypes>("Atanh", 9, [](auto x) { return std::atanh(x); }),
    unary<FloatTypes>("Ceil", 1, [](auto x) { return std::ceil(x); }),
    unary<FloatTypes>("Cos", 7, [](auto x) { return std::cos(x); }),
    unary<FloatTypes>("Cosh", 9, [](auto x) { return std::cosh(x); }),
    unary<NumericTypes>("Erf", 9, [](auto x) { return std::erf(x); }),
    unary<FloatTypes>("Exp", 1, [](auto x) { return std::exp(x); }),
    unary<FloatTypes>("Floor", 1, [](auto x) { return std::floor(x); }),
    unary<FloatTypes>("Log", 1, [](auto x) { return std::log(x); }),
    unary<FloatTypes>("Reciprocal", 1, [](auto x) { return 1 / x; }),
    unary<FloatTypes>("Round", 11, [](auto x) { return std::nearbyint(x); }),
    unary<FloatTypes>("Sigmoid", 1, [](auto x) { return sigmoid(x); }),
    unary<FloatTypes>("Sin", 7, [](auto x) { return std::sin(x); }),
    unary<FloatTypes>("Sinh", 9, [](auto x) { return std::sinh(x); }),
    unary<FloatTypes>("Softplus", 1, [](auto x) { return softplus(x); }),
    unary<FloatTypes>("Softsign", 1, [](auto x) { return x / (1 + std::fabs(x)); }),
    unary<FloatTypes>("Sqrt", 1, [](auto x) { return std::sqrt(x); }),
    unary<FloatTypes>("Tan", 7, [](auto x) { return std::tan(x); }),
    unary<FloatTypes>("Tanh", 1, [](auto x) { return std::tanh(x); }),
    unary<FloatTypes>("Gelu", 20, gelu),
    unary<FloatTypes>("Swish", 24, [](auto x, const Attributes& a) { return x * sigmoid(a.alpha * x); }),
    unary<Types<bool>>("Not", 1, [](bool x) { return !x; }),
    unary<IntTypes>("BitwiseNot", 18, [](auto x) { return static_cast<decltype(x)>(~x); }),
    unary<FloatOrFloat8>("IsNaN", 9, [](auto x) { return std::isnan(x); }),
    unary<FloatOrFloat8>("IsInf", 10, is_infinite),
};

}  // namespace

std::span<const provider::KernelEntry> unary_kernels() { return kRows; }

}  // namespace ashlar::reference
