// SPDX-License-Identifier: Apache-2.0
// Max, Min, Sum and Mean over any number of tensors that broadcast together, gathered in the workspace and rounded once.
#include <algorithm>
#include <span>

#include "elementwise.h"

namespace ashlar::reference {
namespace {

template <class List, class F> class Variadic : public provider::Kernel {
 public:
  explicit Variadic(const provider::NodeView& node) : mean_(node.op_type() == "Mean") {}
  void bind(provider::BindContext& context) const override {
    Dims out = context.input(0).dims();
    for (int k = 1; k < context.input_count(); ++k) out = provider::broadcast(out, context.input(k).dims());
    context.set_output(0, out);
    context.set_workspace(static_cast<std::uint64_t>(checked_count(out, sizeof(double))));
  }
  void run(const provider::RunContext& context) const override {
    const auto y = context.output(0);
    dispatch<List>(y.dtype(), [&]<class T>() {
      using Wide = Accumulate<T>;
      auto* gathered = static_cast<Wide*>(context.workspace());
      for (int k = 0; k < context.input_count(); ++k) {
        const auto x = context.input(k);
        for_each_index<1>(y.dims(), {broadcast_strides(x.dims(), y.dims())}, [&](std::int64_t i, const std::array<std::int64_t, 1>& at) {
          const Wide v = static_cast<Wide>(load<T>(x.raw(), at[0]));
          gathered[i] = k == 0 ? v : F{}(gathered[i], v);
        });
      }
      const Wide divisor = static_cast<Wide>(mean_ ? context.input_count() : 1);
      for (std::int64_t i = 0; i < y.count(); ++i)
        y.template mutable_data<T>()[i] = static_cast<T>(static_cast<Compute<T>>(gathered[i] / divisor));
    });
  }

 private:
  bool mean_;
};

template <class List> provider::Verdict verdict(const provider::NodeView& node) {
  for (int i = 0; i < std::max(1, node.input_count()); ++i)
    ASHLAR_REQUIRE(node.has_input(i), ASHLAR_ATTRIBUTE, node.op_type(), " without an input ", i);
  return uniform<List>(node);
}

template <class List, class F> constexpr provider::KernelEntry row(const char* op, F) {
  return {op, 8, provider::kLatest, &verdict<List>, &provider::make<Variadic<List, F>>};
}

constexpr auto sum = [](auto a, auto b) { return a + b; };
constexpr provider::KernelEntry kRows[] = {
    row<NumericTypes>("Max", [](auto a, auto b) { return maximum(a, b); }),
    row<NumericTypes>("Min", [](auto a, auto b) { return minimum(a, b); }),
    row<FloatTypes>("Sum", sum),
    row<FloatTypes>("Mean", sum),
};

}  // namespace

std::span<const provider::KernelEntry> variadic_kernels() { return kRows; }

}  // namespace ashlar::reference
