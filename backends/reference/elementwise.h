// SPDX-License-Identifier: Apache-2.0
// Operators that work element by element: a row of a family's table is a name, a list of element types and a lambda on numbers.
// The lambda gets Compute<T> values, and the node's attributes if it asks for them; a bool that it returns makes a bool tensor.
#pragma once

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "scalar.h"

namespace ashlar::reference {

/// The scalar attributes of the element-wise operators.
struct Attributes {
  explicit Attributes(const provider::NodeView& node)
      : alpha(node.real("alpha")), beta(node.real("beta")), gamma(node.real("gamma")), lambd(node.real("lambd")), bias(node.real("bias")),
        fmod(node.integer("fmod") != 0), detect_negative(node.integer("detect_negative", 1) != 0),
        detect_positive(node.integer("detect_positive", 1) != 0), right(node.text("direction") == "RIGHT"),
        tanh(node.text("approximate") == "tanh") {}
  float alpha, beta, gamma, lambd, bias;
  bool fmod, detect_negative, detect_positive, right, tanh;
};

namespace detail {
template <class F, class... Args> auto apply(const Attributes& attributes, Args... args) {
  if constexpr (std::is_invocable_v<F, Args...>) return F{}(args...);
  else return F{}(args..., attributes);
}
template <class T, class Result> using OutputType = std::conditional_t<std::is_same_v<Result, bool>, bool, T>;
}  // namespace detail

template <class List, class F> class UnaryKernel : public provider::Kernel {
 public:
  explicit UnaryKernel(const provider::NodeView& node) : attributes_(node) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    provider::Verdict answer = same_inputs<List>(node);
    if (answer.code == ASHLAR_ACCEPTED)
      dispatch<List>(node.input(0).dtype(), [&]<class T>() { answer = gives(node, dtype_of<Output<T>>); });
    return answer;
  }
  void bind(provider::BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    dispatch<List>(x.dtype(), [&]<class T>() {
      using Out = Output<T>;
      Out* y = context.output(0).template mutable_data<Out>();
      for (std::int64_t i = 0; i < x.count(); ++i) y[i] = static_cast<Out>(detail::apply<F>(attributes_, load<T>(x.raw(), i)));
    });
  }

 private:
  template <class T> using Output = detail::OutputType<T, decltype(detail::apply<F>(std::declval<Attributes>(), Compute<T>{}))>;
  Attributes attributes_;
};

template <class List, class F> class BinaryKernel : public provider::Kernel {
 public:
  explicit BinaryKernel(const provider::NodeView& node) : attributes_(node) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    provider::Verdict answer = same_inputs<List>(node);
    if (answer.code == ASHLAR_ACCEPTED)
      dispatch<List>(node.input(0).dtype(), [&]<class T>() { answer = gives(node, dtype_of<Output<T>>); });
    return answer;
  }
  void bind(provider::BindContext& context) const override {
    context.set_output(0, provider::broadcast(context.input(0).dims(), context.input(1).dims()));
  }
  void run(const provider::RunContext& context) const override {
    const auto a = context.input(0), b = context.input(1);
    dispatch<List>(a.dtype(), [&]<class T>() {
      using Out = Output<T>;
      Out* c = context.output(0).template mutable_data<Out>();
      for_each_broadcast(context.output(0).dims(), a.dims(), b.dims(), [&](std::int64_t i, std::int64_t j, std::int64_t k) {
        c[i] = static_cast<Out>(detail::apply<F>(attributes_, load<T>(a.raw(), j), load<T>(b.raw(), k)));
      });
    });
  }

 private:
  template <class T>
  using Output = detail::OutputType<T, decltype(detail::apply<F>(std::declval<Attributes>(), Compute<T>{}, Compute<T>{}))>;
  Attributes attributes_;
};

/// Rows of a kernel table. F is a captureless lambda.
template <class List, class F> constexpr provider::KernelEntry unary(const char* op, int since, F) {
  return {op, since, provider::kLatest, &UnaryKernel<List, F>::verdict, &provider::make<UnaryKernel<List, F>>};
}
template <class List, class F> constexpr provider::KernelEntry binary(const char* op, int since, F) {
  return {op, since, provider::kLatest, &BinaryKernel<List, F>::verdict, &provider::make<BinaryKernel<List, F>>};
}

/// The type in which integers wrap without undefined behaviour; floats as they are.
template <class T> using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;

/// numpy's maximum and minimum: NaN where either is NaN.
template <class T> T maximum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (a != a) return a;
  return a >= b ? a : b;
}
template <class T> T minimum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (a != a) return a;
  return a <= b ? a : b;
}

/// The logistic function, without overflow.
template <class T> T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/// log(1 + e^x), without overflow.
template <class T> T softplus(T x) { return (x > 0 ? x : T{}) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace ashlar::reference
