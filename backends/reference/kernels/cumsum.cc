// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <span>

#include "convert.h"
#include "elementwise.h"

namespace ashlar::reference {
namespace {

/// Running sums or products along an axis.
template <class F, int kStart> class Cumulative : public provider::Kernel {
 public:
  explicit Cumulative(const provider::NodeView& node)
      : exclusive_(node.integer("exclusive") != 0), reverse_(node.integer("reverse") != 0) {}
  void bind(provider::BindContext& context) const override {
    provider::check(context.input(1).count() == 1, "an axis of shape ", context.input(1).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const int axis = provider::normalize_axis(context.input(1).indices()[0], x.rank());
    if (x.count() == 0) return;
    const AxisView v(x.dims(), axis);
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      using Wide = Wrapping<Accumulate<T>>;
      T* y = context.output(0).template mutable_data<T>();
      for (std::int64_t o = 0; o < v.outer; ++o)
        for (std::int64_t i = 0; i < v.inner; ++i) {
          Wide total{kStart};
          for (std::int64_t step = 0; step < v.size; ++step) {
            const std::int64_t at = (o * v.size + (reverse_ ? v.size - 1 - step : step)) * v.inner + i;
            const Wide next = F{}(total, static_cast<Wide>(load<T>(x.raw(), at)));
            y[at] = convert<T>(exclusive_ ? total : next);
            total = next;
          }
        }
    });
  }

 private:
  bool exclusive_, reverse_;
};

constexpr provider::KernelEntry kRows[] = {
    {"CumSum", 11, provider::kLatest, &uniform<NumericTypes, 1>, &provider::make<Cumulative<std::plus<>, 0>>},
    {"CumProd", 26, provider::kLatest, &uniform<NumericTypes, 1>, &provider::make<Cumulative<std::multiplies<>, 1>>},
};

}  // namespace

std::span<const provider::KernelEntry> cumsum_kernels() { return kRows; }

}  // namespace ashlar::reference
