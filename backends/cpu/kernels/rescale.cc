// SPDX-License-Identifier: Apache-2.0
// Normalizations without parameters by channel: LpNormalization, MeanVarianceNormalization, LRN.
#include <span>

#include "rows.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::NodeView;
using provider::RunContext;

template <class T> double real(T v) { return static_cast<double>(static_cast<Compute<T>>(v)); }

/// x / (norm of order p along the axis); 0 where the norm is 0.
class LpNormalization final : public provider::Kernel {
 public:
  explicit LpNormalization(const NodeView& node) : axis_(node.integer("axis", -1)), squared_(node.integer("p", 2) == 2) {}
  static provider::Verdict verdict(const NodeView& node) {
    const std::int64_t p = node.integer("p", 2);
    ASHLAR_REQUIRE(p == 1 || p == 2, ASHLAR_ATTRIBUTE, "LpNormalization of order ", p, " is not defined");
    return uniform<FloatTypes>(node);
  }
  std::uint64_t in_place() const override { return 1; }
  void bind(BindContext& context) const override {
    provider::normalize_axis(axis_, context.input(0).rank());
    context.set_output(0, context.input(0).dims());
  }
  void run(const RunContext& context) const override {
    const auto x = context.input(0);
    if (x.count() == 0) return;
    const AxisView v(x.dims(), provider::normalize_axis(axis_, x.rank()));
    if (x.dtype() == DType::kFloat32 && v.inner == 1) return rows(context, v);
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      context.parallel_for(v.outer * v.inner, grain_of(v.size * 2), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = i / v.inner * v.size * v.inner + i % v.inner;
          line(x.data<T>() + first, context.output(0).mutable_data<T>() + first, v);
        }
      });
    });
  }

 private:
  void rows(const RunContext& context, const AxisView& v) const {
    const float* x = context.input(0).data<float>();
    float* y = context.output(0).mutable_data<float>();
    context.parallel_for(v.outer, grain_of(v.size / 2), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * v.size; i < end * v.size; i += v.size) {
        const double sum = fold_row(squared_ ? Fold::kSumSquare : Fold::kSumAbs, x + i, v.size), norm = squared_ ? std::sqrt(sum) : sum;
        affine_row(x + i, v.size, 0, norm == 0 ? 0.0f : static_cast<float>(1 / norm), 0, y + i);
      }
    });
  }
  template <class T> void line(const T* x, T* y, const AxisView& v) const {
    double norm = 0;
    for (std::int64_t a = 0; a < v.size; ++a) {
      const double value = real(x[a * v.inner]);
      norm += squared_ ? value * value : std::fabs(value);
    }
    if (squared_) norm = std::sqrt(norm);
    for (std::int64_t a = 0; a < v.size; ++a) y[a * v.inner] = narrow<T>(norm == 0 ? 0.0 : real(x[a * v.inner]) / norm);
  }
  std::int64_t axis_;
  bool squared_;
};

/// (x - mean) / (deviation + 1e-9) over the axes, as ONNX's function body has it.
class MeanVarianceNormalization final : public provider::Kernel {
 public:
  explicit MeanVarianceNormalization(const NodeView& node) : axes_(node.integers("axes")) {
    if (!node.has("axes")) axes_ = {0, 2, 3};
  }
  std::uint64_t in_place() const override { return 1; }
  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    Dims groups = x;
    for (const std::int64_t axis : axes_) groups[provider::normalize_axis(axis, x.rank())] = 1;
    auto plan = std::make_unique<Plan>();
    plan->groups = groups.count();
    plan->strides = Dims::filled(x.rank(), 0);
    for (int d = 0; d < x.rank() && plan->groups > 0; ++d)
      if (groups[d] != 1) plan->strides[d] = groups.product(d + 1, x.rank());
    context.set_output(0, x);
    std::uint64_t bytes = 0;
    provider::check(!__builtin_mul_overflow(static_cast<std::uint64_t>(plan->groups), 2 * sizeof(double), &bytes), "the shape ", x,
                    " is too large");
    context.set_workspace(bytes);
    context.set_binding(std::move(plan));
  }
  void run(const RunContext& context) const override {
    const auto x = context.input(0);
    if (x.count() == 0) return;
    const auto& plan = context.binding<Plan>();
    const Dims dims = x.dims();
    auto* mean = static_cast<double*>(context.workspace());
    auto* deviation = mean + plan.groups;
    std::fill_n(mean, 2 * plan.groups, 0.0);
    const double n = static_cast<double>(x.count() / plan.groups);
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      T* to = context.output(0).mutable_data<T>();
      each(dims, plan.strides, [&](std::int64_t i, std::int64_t g) { mean[g] += real(from[i]); });
      for (std::int64_t g = 0; g < plan.groups; ++g) mean[g] /= n;
      each(dims, plan.strides,
           [&](std::int64_t i, std::int64_t g) { deviation[g] += (real(from[i]) - mean[g]) * (real(from[i]) - mean[g]); });
      for (std::int64_t g = 0; g < plan.groups; ++g) deviation[g] = std::sqrt(deviation[g] / n) + 1e-9;
      each(dims, plan.strides, [&](std::int64_t i, std::int64_t g) { to[i] = narrow<T>((real(from[i]) - mean[g]) / deviation[g]); });
    });
  }

 private:
  struct Plan : provider::Binding {
    std::int64_t groups = 0;
    Dims strides;  ///< of the groups, by dimension of the input
  };
  /// f(element, its group) in row-major order.
  template <class F> static void each(const Dims& dims, const Dims& strides, F f) {
    const int last = dims.rank() - 1;
    if (last < 0) return f(0, 0);
    Dims index = Dims::filled(dims.rank(), 0);
    std::int64_t i = 0, group = 0;
    for (;;) {
      for (std::int64_t j = 0; j < dims[last]; ++j) f(i++, group + j * strides[last]);
      int d = last - 1;
      for (; d >= 0; --d) {
        group += strides[d];
        if (++index[d] < dims[d]) break;
        group -= strides[d] * dims[d];
        index[d] = 0;
      }
      if (d < 0) return;
    }
  }
  std::vector<std::int64_t> axes_;
};

/// x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta
class Lrn final : public CpuKernel {
 public:
  explicit Lrn(const NodeView& node)
      : alpha_(node.real("alpha", 1e-4f)), beta_(node.real("beta", 0.75f)), bias_(node.real("bias", 1)), size_(node.integer("size")),
        float_(node.input(0).dtype() == DType::kFloat32) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.integer("size") > 0, ASHLAR_ATTRIBUTE, "LRN over ", node.integer("size"), " channels is not defined");
    return uniform<FloatTypes>(node);
  }
  LayoutRule layout_rule() const override { return float_ ? LayoutRule::kFollows : LayoutRule::kPlain; }
  void bind(BindContext& context) const override {
    const auto x = context.input(0);
    provider::check(x.rank() >= 2, "a tensor of shape ", x.dims(), " has no channels");
    context.set_output(0, x.dims());
    context.set_layout(0, x.layout());
  }
  void run(const RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (x.count() == 0) return;
    const AxisView v(physical_dims(x.dims(), x.layout()), physical_axis(1, x.rank(), x.layout()));
    const std::int64_t below = std::min((size_ - 1) / 2, v.size), above = std::min(size_ / 2, v.size), count = v.size * v.inner;
    if (x.dtype() == DType::kFloat32) {
      const std::int64_t tiles = (count + kTile - 1) / kTile;
      context.parallel_for(v.outer * tiles, grain_of(std::min(kTile, count) * (below + above)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = i % tiles * kTile, image = i / tiles * count;
          respond(x.data<float>() + image, count, first, std::min(count, first + kTile), v.inner, below, above, bias_,
                  alpha_ / static_cast<float>(size_), beta_, y.mutable_data<float>() + image);
        }
      });
      return;
    }
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      context.parallel_for(x.count(), grain_of(64), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t k = begin; k < end; ++k) {
          const std::int64_t c = k / v.inner % v.size;
          double sum = 0;
          for (std::int64_t near = std::max<std::int64_t>(0, c - below); near <= std::min(v.size - 1, c + above); ++near)
            sum += real(from[k + (near - c) * v.inner]) * real(from[k + (near - c) * v.inner]);
          y.mutable_data<T>()[k] =
              narrow<T>(real(from[k]) / std::pow(bias_ + alpha_ / static_cast<double>(size_) * sum, static_cast<double>(beta_)));
        }
      });
    });
  }

 private:
  static constexpr std::int64_t kTile = 4096;
  float alpha_, beta_, bias_;
  std::int64_t size_;
  bool float_;
};

constexpr provider::KernelEntry kRows[] = {
    {"LpNormalization", 1, provider::kLatest, &LpNormalization::verdict, &provider::make<LpNormalization>},
    {"MeanVarianceNormalization", 9, provider::kLatest, &uniform<FloatTypes>, &provider::make<MeanVarianceNormalization>},
    {"LRN", 1, provider::kLatest, &Lrn::verdict, &provider::make<Lrn>},
};

}  // namespace

std::span<const provider::KernelEntry> rescale_kernels() { return kRows; }

}  // namespace ashlar::cpu
