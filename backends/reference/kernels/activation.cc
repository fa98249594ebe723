// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <span>

#include "convert.h"
#include "elementwise.h"

namespace ashlar::reference {
namespace {

/// Min(max, Max(input, min)); min and max are optional scalars.
class Clip : public provider::Kernel {
 public:
  explicit Clip(const provider::NodeView&) {}
  void bind(provider::BindContext& context) const override {
    for (int i = 1; i < 3; ++i)
      if (context.has_input(i))
        provider::check(context.input(i).count() == 1, "a bound of shape ", context.input(i).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      const bool has_low = context.has_input(1), has_high = context.has_input(2);
      const Compute<T> low = has_low ? load<T>(context.input(1).raw(), 0) : Compute<T>{};
      const Compute<T> high = has_high ? load<T>(context.input(2).raw(), 0) : Compute<T>{};
      T* y = context.output(0).template mutable_data<T>();
      for (std::int64_t i = 0; i < x.count(); ++i) {
        Compute<T> v = load<T>(x.raw(), i);
        if (has_low) v = maximum(v, low);
        if (has_high) v = minimum(v, high);
        y[i] = static_cast<T>(v);
      }
    });
  }
};

constexpr auto prelu_of = [](auto x, auto slope) {
  using W = Wrapping<decltype(x)>;
  return x < 0 ? static_cast<decltype(x)>(static_cast<W>(x) * static_cast<W>(slope)) : x;
};
using PReluTypes = Join<FloatTypes, Types<std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>>;

class PRelu : public BinaryKernel<PReluTypes, decltype(prelu_of)> {
 public:
  using BinaryKernel::BinaryKernel;
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims(), slope = context.input(1).dims();
    provider::check(provider::broadcast(x, slope) == x, "a slope of shape ", slope, " does not broadcast to ", x);
    context.set_output(0, x);
  }
};

constexpr auto shrink = [](auto x, const Attributes& a) {
  using T = decltype(x);
  using W = std::conditional_t<std::is_integral_v<T>, double, T>;
  const W v = static_cast<W>(x);
  const W y = v < -a.lambd ? v + a.bias : v > a.lambd ? v - a.bias : W{};
  if constexpr (std::is_integral_v<T>) return convert<T>(y);
  else return y;
};
constexpr auto hard_sigmoid = [](auto x, auto alpha, auto beta) {
  using T = decltype(x);
  return maximum(T{0}, minimum(T{1}, alpha * x + beta));
};

constexpr provider::KernelEntry kRows[] = {
    {"Clip", 11, provider::kLatest, &uniform<NumericTypes>, &provider::make<Clip>},
    {"PRelu", 7, provider::kLatest, &uniform<PReluTypes>, &provider::make<PRelu>},
    unary<Join<FloatTypes, SignedTypes>>("Relu", 1, [](auto x) { return x < 0 ? decltype(x){} : x; }),
    unary<FloatTypes>("LeakyRelu", 6, [](auto x, const Attributes& a) { return x < 0 ? a.alpha * x : x; }),
    unary<FloatTypes>("Elu", 6, [](auto x, const Attributes& a) { return x < 0 ? a.alpha * std::expm1(x) : x; }),
    unary<FloatTypes>("Selu", 6, [](auto x, const Attributes& a) { return a.gamma * (x > 0 ? x : a.alpha * std::expm1(x)); }),
    unary<FloatTypes>(
        "Celu", 12,
        [](auto x, const Attributes& a) { return maximum(decltype(x){}, x) + minimum(decltype(x){}, a.alpha * std::expm1(x / a.alpha)); }),
    unary<FloatTypes>("HardSigmoid", 6, [](auto x, const Attributes& a) { return hard_sigmoid(x, a.alpha, a.beta); }),
    unary<FloatTypes>("HardSwish", 14, [](auto x) { return x * hard_sigmoid(x, decltype(x){1} / 6, decltype(x){0.5}); }),
    unary<FloatTypes>("Mish", 18, [](auto x) { return x * std::tanh(softplus(x)); }),
    unary<FloatTypes>("ThresholdedRelu", 10, [](auto x, const Attributes& a) { return x > a.alpha ? x : decltype(x){}; }),
    unary<NumericTypes>("Shrink", 9, shrink),
};

}  // namespace

std::span<const provider::KernelEntry> activation_kernels() { return kRows; }

}  // namespace ashlar::reference
