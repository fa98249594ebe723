// SPDX-License-Identifier: Apache-2.0
// ArgMax and ArgMin.
#include <span>

#include "rows.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

constexpr std::int64_t kStrip = 256;  // columns of one item of work

/// The index of the extreme along an axis: the first one, or the last with select_last_index. NaN is more extreme than any number.
class ArgMinMax final : public CpuKernel {
 public:
  explicit ArgMinMax(const provider::NodeView& node)
      : axis_(node.integer("axis")), keepdims_(node.integer("keepdims", 1) != 0), last_(node.integer("select_last_index") != 0),
        max_(node.op_type() == "ArgMax") {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType dtype = node.input(0).dtype();
    ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                   " has no kernel");
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return keepdims_ ? LayoutRule::kFollows : LayoutRule::kPlain; }

  void bind(provider::BindContext& context) const override {
    const auto x = context.input(0);
    Dims dims = x.dims();
    const int axis = provider::normalize_axis(axis_, dims.rank());
    auto view = std::make_unique<View>(physical_dims(dims, x.layout()), physical_axis(axis, dims.rank(), x.layout()));
    const std::int64_t size = dims[axis];
    dims[axis] = 1;
    provider::check(size > 0 || dims.count() == 0, "no element along axis ", axis, " of ", x.dims());
    if (!keepdims_) dims.erase(axis);
    context.set_output(0, dims);
    if (keepdims_) context.set_layout(0, x.layout());
    context.set_binding(std::move(view));
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const AxisView& v = context.binding<View>().view;
    auto* y = context.output(0).mutable_data<std::int64_t>();
    if (context.output(0).count() == 0) return;
    const bool rows = v.inner == 1;
    const std::int64_t strips = (v.inner + kStrip - 1) / kStrip;
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      context.parallel_for(v.outer * strips, grain_of(v.size * std::min(kStrip, v.inner)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t o = i / strips, first = i % strips * kStrip, columns = std::min(kStrip, v.inner - first);
          const T* from = x.data<T>() + o * v.size * v.inner + first;
          std::int64_t* to = y + o * v.inner + first;
          if constexpr (std::is_same_v<T, float>) {
            if (v.size <= std::numeric_limits<std::int32_t>::max()) {
              if (rows) *to = extreme_row(max_, last_, from, v.size);
              else extreme_columns(max_, last_, from, v.size, v.inner, columns, to);
              continue;
            }
          }
          for (std::int64_t c = 0; c < columns; ++c) to[c] = search(from + c, v.size, v.inner);
        }
      });
    });
  }

 private:
  struct View : provider::Binding {
    View(const Dims& dims, int axis) : view(dims, axis) {}
    AxisView view;
  };
  template <class T> std::int64_t search(const T* x, std::int64_t n, std::int64_t stride) const {
    using C = Compute<T>;
    std::int64_t best = 0;
    C value = static_cast<C>(x[0]);
    for (std::int64_t a = 1; a < n; ++a) {
      const C candidate = static_cast<C>(x[a * stride]);
      if (beats(candidate, value)) best = a, value = candidate;
    }
    return best;
  }
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

}  // namespace ashlar::cpu
