// SPDX-License-Identifier: Apache-2.0
// Softmax, LogSoftmax, Hardmax: along one axis; before version 13 over all dimensions from the axis on, taken as one.
#include <span>

#include "rows.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

enum class Form { kSoftmax, kLogSoftmax, kHardmax };

constexpr std::int64_t kStrip = 256;  // columns of one item of work

/// One line of n elements that lie `stride` apart.
template <Form kForm, class T> void line(const T* x, T* y, std::int64_t n, std::int64_t stride) {
  using C = Compute<T>;
  std::int64_t top = 0;
  for (std::int64_t i = 1; i < n; ++i)
    if (static_cast<C>(x[i * stride]) > static_cast<C>(x[top * stride])) top = i;
  if constexpr (kForm == Form::kHardmax) {
    for (std::int64_t i = 0; i < n; ++i) y[i * stride] = narrow<T>(i == top ? 1.0f : 0.0f);
  } else {
    const double shift = static_cast<double>(static_cast<C>(x[top * stride]));
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(static_cast<C>(x[i * stride])) - shift);
    const double log_sum = std::log(sum);
    for (std::int64_t i = 0; i < n; ++i) {
      const double v = static_cast<double>(static_cast<C>(x[i * stride])) - shift;
      y[i * stride] = narrow<T>(kForm == Form::kSoftmax ? std::exp(v) / sum : v - log_sum);
    }
  }
}

template <Form kForm> class Softmax final : public CpuKernel {
 public:
  explicit Softmax(const provider::NodeView& node) : flat_(node.since_version() < 13), axis_(node.integer("axis", flat_ ? 1 : -1)) {}
  std::uint64_t in_place() const override { return 1; }
  LayoutRule layout_rule() const override { return flat_ ? LayoutRule::kPlain : LayoutRule::kFollows; }

  void bind(provider::BindContext& context) const override {
    const auto x = context.input(0);
    const Dims dims = x.dims();
    context.set_output(0, dims);
    if (flat_) {
      const int axis = axis_ == dims.rank() ? dims.rank() : provider::normalize_axis(axis_, dims.rank());
      context.set_binding(std::make_unique<View>(Dims{dims.product(0, axis), dims.product(axis, dims.rank())}, 1));
      return;
    }
    const int axis = provider::normalize_axis(axis_, dims.rank());
    context.set_layout(0, x.layout());
    context.set_binding(std::make_unique<View>(physical_dims(dims, x.layout()), physical_axis(axis, dims.rank(), x.layout())));
  }
  void run(const provider::RunContext& context) const override {
    if (context.input(0).count() == 0) return;
    const AxisView& v = context.binding<View>().view;
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* x = context.input(0).data<T>();
      T* y = context.output(0).mutable_data<T>();
      if constexpr (std::is_same_v<T, float> && kForm != Form::kHardmax) {
        if (v.inner == 1) return rows(context, v, x, y);
        return columns(context, v, x, y);
      }
      context.parallel_for(v.outer * v.inner, grain_of(v.size * 16), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = i / v.inner * v.size * v.inner + i % v.inner;
          line<kForm>(x + first, y + first, v.size, v.inner);
        }
      });
    });
  }

 private:
  struct View : provider::Binding {
    View(const Dims& dims, int axis) : view(dims, axis) {}
    AxisView view;
  };
  static void rows(const provider::RunContext& context, const AxisView& v, const float* x, float* y) {
    context.parallel_for(v.outer, grain_of(v.size * 2), [&](std::int64_t begin, std::int64_t end) {
      softmax_rows(kForm == Form::kLogSoftmax, x + begin * v.size, end - begin, v.size, y + begin * v.size);
    });
  }
  static void columns(const provider::RunContext& context, const AxisView& v, const float* x, float* y) {
    const std::int64_t strips = (v.inner + kStrip - 1) / kStrip;
    context.parallel_for(v.outer * strips, grain_of(v.size * std::min(kStrip, v.inner) * 2), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i % strips * kStrip, at = i / strips * v.size * v.inner + first;
        softmax_columns(kForm == Form::kLogSoftmax, x + at, v.size, v.inner, std::min(kStrip, v.inner - first), y + at);
      }
    });
  }
  bool flat_;
  std::int64_t axis_;
};

constexpr provider::KernelEntry kRows[] = {
    {"Softmax", 1, provider::kLatest, &uniform<FloatTypes>, &provider::make<Softmax<Form::kSoftmax>>},
    {"LogSoftmax", 1, provider::kLatest, &uniform<FloatTypes>, &provider::make<Softmax<Form::kLogSoftmax>>},
    {"Hardmax", 1, provider::kLatest, &uniform<FloatTypes>, &provider::make<Softmax<Form::kHardmax>>},
};

}  // namespace

std::span<const provider::KernelEntry> softmax_kernels() { return kRows; }

}  // namespace ashlar::cpu
