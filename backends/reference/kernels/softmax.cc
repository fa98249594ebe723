// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <span>

#include "convert.h"

namespace ashlar::reference {
namespace {

enum class Form { kSoftmax, kLogSoftmax, kHardmax };

/// Along one axis; before version 13 over all dimensions from the axis on, taken as one.
template <Form kForm> class Softmax : public provider::Kernel {
 public:
  explicit Softmax(const provider::NodeView& node) : flat_(node.since_version() < 13), axis_(node.integer("axis", flat_ ? 1 : -1)) {}
  void bind(provider::BindContext& context) const override {
    const Dims dims = context.input(0).dims();
    view(dims);
    context.set_output(0, dims);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    if (x.count() == 0) return;
    const AxisView v = view(x.dims());
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      for (std::int64_t o = 0; o < v.outer; ++o)
        for (std::int64_t i = 0; i < v.inner; ++i) {
          const std::int64_t first = o * v.size * v.inner + i;
          line(x.data<T>() + first, context.output(0).mutable_data<T>() + first, v.size, v.inner);
        }
    });
  }

 private:
  AxisView view(const Dims& dims) const {
    if (flat_ && axis_ == dims.rank()) return AxisView(Dims{dims.count(), 1}, 1);
    const int axis = provider::normalize_axis(axis_, dims.rank());
    if (!flat_) return AxisView(dims, axis);
    return AxisView(Dims{dims.product(0, axis), dims.product(axis, dims.rank())}, 1);
  }
  template <class T> static void line(const T* x, T* y, std::int64_t n, std::int64_t stride) {
    std::int64_t top = 0;
    for (std::int64_t i = 1; i < n; ++i)
      if (x[i * stride] > x[top * stride]) top = i;
    if constexpr (kForm == Form::kHardmax) {
      for (std::int64_t i = 0; i < n; ++i) y[i * stride] = static_cast<T>(i == top ? 1.0f : 0.0f);
    } else {
      const double shift = static_cast<double>(x[top * stride]);
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i * stride]) - shift);
      const double log_sum = std::log(sum);
      for (std::int64_t i = 0; i < n; ++i) {
        const double v = static_cast<double>(x[i * stride]) - shift;
        y[i * stride] = convert<T>(kForm == Form::kSoftmax ? std::exp(v) / sum : v - log_sum);
      }
    }
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

}  // namespace ashlar::reference
