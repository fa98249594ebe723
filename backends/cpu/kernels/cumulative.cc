// SPDX-License-Identifier: Apache-2.0
// Running sums and products along an axis.
#include <functional>
#include <span>

#include "scalar.h"

namespace ashlar::cpu {
namespace {

constexpr std::int64_t kStrip = 64;  // columns that run together

template <class F, int kStart> class Cumulative final : public provider::Kernel {
 public:
  explicit Cumulative(const provider::NodeView& node)
      : exclusive_(node.integer("exclusive") != 0), reverse_(node.integer("reverse") != 0) {}
  std::uint64_t in_place() const override { return 1; }
  void bind(provider::BindContext& context) const override {
    provider::check(context.input(1).count() == 1, "an axis of shape ", context.input(1).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), axis = context.input(1);
    const std::int64_t place = axis.dtype() == DType::kInt64 ? axis.data<std::int64_t>()[0] : axis.data<std::int32_t>()[0];
    const AxisView v(x.dims(), provider::normalize_axis(place, x.rank()));
    if (x.count() == 0) return;
    const std::int64_t strips = (v.inner + kStrip - 1) / kStrip;
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      T* to = context.output(0).mutable_data<T>();
      context.parallel_for(v.outer * strips, grain_of(v.size * std::min(kStrip, v.inner)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = i % strips * kStrip, at = i / strips * v.size * v.inner + first;
          columns(from + at, to + at, v, std::min(kStrip, v.inner - first));
        }
      });
    });
  }

 private:
  template <class T> void columns(const T* x, T* y, const AxisView& v, std::int64_t count) const {
    using Wide = Wrapping<Accumulate<T>>;
    Wide totals[kStrip];
    std::fill_n(totals, count, Wide{kStart});
    for (std::int64_t step = 0; step < v.size; ++step) {
      const std::int64_t at = (reverse_ ? v.size - 1 - step : step) * v.inner;
      for (std::int64_t c = 0; c < count; ++c) {
        const Wide next = F{}(totals[c], static_cast<Wide>(static_cast<Compute<T>>(x[at + c])));
        y[at + c] = narrow<T>(exclusive_ ? totals[c] : next);
        totals[c] = next;
      }
    }
  }
  bool exclusive_, reverse_;
};

provider::Verdict verdict(const provider::NodeView& node) {
  const DType axis = node.input(1).dtype();
  ASHLAR_REQUIRE(axis == DType::kInt32 || axis == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " along an axis of ",
                 provider::dtype_name(axis), " has no kernel");
  return uniform<NumericTypes, 1>(node);
}

constexpr provider::KernelEntry kRows[] = {
    {"CumSum", 11, provider::kLatest, &verdict, &provider::make<Cumulative<std::plus<>, 0>>},
    {"CumProd", 26, provider::kLatest, &verdict, &provider::make<Cumulative<std::multiplies<>, 1>>},
};

}  // namespace

std::span<const provider::KernelEntry> cumulative_kernels() { return kRows; }

}  // namespace ashlar::cpu
