// SPDX-License-Identifier: Apache-2.0
#include <span>

#include "elementwise.h"

namespace ashlar::reference {
namespace {

/// The index of the extreme along an axis: the first one, or the last with select_last_index. NaN is more extreme than any number.
class ArgMinMax : public provider::Kernel {
 public:
  explicit ArgMinMax(const provider::NodeView& node)
      : axis_(node.integer("axis")), keepdims_(node.integer("keepdims", 1) != 0), last_(node.integer("select_last_index") != 0),
        max_(node.op_type() == "ArgMax") {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const auto input = takes<NumericTypes>(node);
    return input.code == ASHLAR_ACCEPTED ? gives(node, DType::kInt64) : input;
  }
  void bind(provider::BindContext& context) const override {
    Dims dims = context.input(0).dims();
    const int axis = provider::normalize_axis(axis_, dims.rank());
    const std::int64_t size = dims[axis];
    dims[axis] = 1;
    provider::check(size > 0 || checked_count(dims) == 0, "no element along axis ", axis, " of ", context.input(0).dims());
    if (!keepdims_) dims.erase(axis);
    context.set_output(0, dims);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const AxisView view(x.dims(), provider::normalize_axis(axis_, x.rank()));
    auto* y = context.output(0).mutable_data<std::int64_t>();
    if (context.output(0).count() == 0) return;
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      for (std::int64_t o = 0; o < view.outer; ++o)
        for (std::int64_t i = 0; i < view.inner; ++i) {
          const std::int64_t first = o * view.size * view.inner + i;
          std::int64_t best = 0;
          for (std::int64_t a = 1; a < view.size; ++a)
            if (beats(load<T>(x.raw(), first + a * view.inner), load<T>(x.raw(), first + best * view.inner))) best = a;
          y[o * view.inner + i] = best;
        }
    });
  }

 private:
  template <class V> bool beats(V candidate, V best) const {
    if (best != best) return last_ && candidate != candidate;
    if (candidate != candidate) return true;
    return candidate == best ? last_ : max_ ? candidate > best : candidate < best;
  }
  std::int64_t axis_;
  bool keepdims_, last_, max_;
};

constexpr provider::KernelEntry kRows[] = {
    {"ArgMax", 1, provider::kLatest, &ArgMinMax::verdict, &provider::make<ArgMinMax>},
    {"ArgMin", 1, provider::kLatest, &ArgMinMax::verdict, &provider::make<ArgMinMax>},
};

}  // namespace

std::span<const provider::KernelEntry> argminmax_kernels() { return kRows; }

}  // namespace ashlar::reference
