// SPDX-License-Identifier: Apache-2.0
// Normalizations by statistics. float32 with vectors; other types with plain loops whose arithmetic is in double, rounded once.
#include <span>

#include "rows.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

constexpr std::int64_t kStrip = 256;  // channels of one item of work

template <class T> double real(T v) { return static_cast<double>(static_cast<Compute<T>>(v)); }

/// Element i of a floating-point tensor.
double element(const TensorView& tensor, std::int64_t i) {
  double value = 0;
  dispatch<FloatTypes>(tensor.dtype(), [&]<class T>() { value = real(tensor.data<T>()[i]); });
  return value;
}

struct Moments {
  double mean = 0, variance = 0;
};
template <class T> Moments moments(const T* x, std::int64_t n) {
  Moments m;
  for (std::int64_t i = 0; i < n; ++i) m.mean += real(x[i]);
  m.mean /= static_cast<double>(n);
  for (std::int64_t i = 0; i < n; ++i) m.variance += (real(x[i]) - m.mean) * (real(x[i]) - m.mean);
  m.variance /= static_cast<double>(n);
  return m;
}
template <> Moments moments(const float* x, std::int64_t n) {
  const double mean = fold_row(Fold::kSum, x, n) / static_cast<double>(n);
  return {mean, squares_row(x, n, static_cast<float>(mean)) / static_cast<double>(n)};
}

/// (x - shift) * factor + bias
template <class T> void affine(const T* x, std::int64_t n, double shift, double factor, double bias, T* y) {
  if constexpr (std::is_same_v<T, float>)
    affine_row(x, n, static_cast<float>(shift), static_cast<float>(factor), static_cast<float>(bias), y);
  else
    for (std::int64_t i = 0; i < n; ++i) y[i] = narrow<T>((real(x[i]) - shift) * factor + bias);
}

/// A tensor as [batch, channels, inner], a tensor of rank 1 having one channel; channels-last as [batch, inner, channels].
struct Channels : provider::Binding {
  std::int64_t batch, channels, inner;
  bool last;
  explicit Channels(const TensorView& x) : last(x.layout() == kChannelsLast) {
    const Dims dims = x.dims();
    check(dims.rank() >= 1, "a scalar has no channels");
    batch = dims[0];
    channels = dims.rank() > 1 ? dims[1] : 1;
    inner = dims.product(std::min(2, dims.rank()), dims.rank());
  }
};

void check_channels(const BindContext& context, int input, std::int64_t channels) {
  const Dims dims = context.input(input).dims();
  check(dims == Dims{channels}, "input ", input, " of shape ", dims, " for ", channels, " channels");
}

/// Three numbers a channel, for (x - shift) * factor + bias.
struct Affine {
  float *shift, *factor, *bias;
  Affine(void* memory, std::int64_t channels) : shift(static_cast<float*>(memory)), factor(shift + channels), bias(factor + channels) {}
  static std::uint64_t bytes(std::int64_t channels) { return static_cast<std::uint64_t>(channels) * 3 * sizeof(float); }
};

void affine_channels_last(const RunContext& context, const Channels& shape, std::int64_t first_row, std::int64_t rows, const Affine& a) {
  const float* x = context.input(0).data<float>() + first_row * shape.channels;
  float* y = context.output(0).mutable_data<float>() + first_row * shape.channels;
  context.parallel_for(rows, grain_of(shape.channels / 4), [&](std::int64_t begin, std::int64_t end) {
    affine_columns(x + begin * shape.channels, end - begin, shape.channels, a.shift, a.factor, a.bias, y + begin * shape.channels);
  });
}

/// Of inference: statistics are inputs.
class BatchNormalization final : public CpuKernel {
 public:
  explicit BatchNormalization(const NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), float_(node.input(0).dtype() == DType::kFloat32) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.integer("training_mode") == 0, ASHLAR_ATTRIBUTE, "BatchNormalization in training mode has another kernel");
    ASHLAR_REQUIRE(!node.has_output(1) && !node.has_output(2), ASHLAR_ATTRIBUTE,
                   "BatchNormalization has running statistics only in training mode");
    for (int i = 1; i < 5; ++i)
      ASHLAR_REQUIRE(contains<FloatTypes>(node.input(i).dtype()), ASHLAR_NO_KERNEL_DTYPE, "BatchNormalization by input ", i, " of ",
                     provider::dtype_name(node.input(i).dtype()), " has no kernel");
    return uniform<FloatTypes, 1>(node);
  }
  std::uint64_t in_place() const override { return 1; }
  LayoutRule layout_rule() const override { return float_ ? LayoutRule::kFollows : LayoutRule::kPlain; }

  void bind(BindContext& context) const override {
    const auto x = context.input(0);
    auto shape = std::make_unique<Channels>(x);
    for (int i = 1; i < 5; ++i) check_channels(context, i, shape->channels);
    context.set_output(0, x.dims());
    context.set_layout(0, x.layout());
    if (shape->last) context.set_workspace(Affine::bytes(shape->channels));
    context.set_binding(std::move(shape));
  }
  void run(const RunContext& context) const override {
    const auto& shape = context.binding<Channels>();
    const auto x = context.input(0);
    if (x.count() == 0) return;
    const auto factor = [&](std::int64_t c) { return element(context.input(1), c) / std::sqrt(element(context.input(4), c) + epsilon_); };
    if (shape.last) {
      const Affine a(context.workspace(), shape.channels);
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        a.shift[c] = static_cast<float>(element(context.input(3), c));
        a.factor[c] = static_cast<float>(factor(c));
        a.bias[c] = static_cast<float>(element(context.input(2), c));
      }
      return affine_channels_last(context, shape, 0, shape.batch * shape.inner, a);
    }
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      T* to = context.output(0).mutable_data<T>();
      context.parallel_for(shape.batch * shape.channels, grain_of(shape.inner / 4 + 16), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t c = i % shape.channels, first = i * shape.inner;
          affine(from + first, shape.inner, element(context.input(3), c), factor(c), element(context.input(2), c), to + first);
        }
      });
    });
  }

 private:
  float epsilon_;
  bool float_;
};

/// Of training: statistics are those of the batch, and the running ones are outputs.
class TrainingBatchNormalization final : public provider::Kernel {
 public:
  explicit TrainingBatchNormalization(const NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), momentum_(node.real("momentum", 0.9f)) {}
  static provider::Verdict verdict(const NodeView& node) {
    const provider::Verdict types = uniform<FloatTypes>(node);
    ASHLAR_REQUIRE(types.code != ASHLAR_ACCEPTED || node.integer("training_mode") != 0, ASHLAR_ATTRIBUTE,
                   "BatchNormalization of inference has another kernel");
    return types;
  }
  void bind(BindContext& context) const override {
    const auto x = context.input(0);
    auto shape = std::make_unique<Channels>(x);
    for (int i = 1; i < 5; ++i) check_channels(context, i, shape->channels);
    context.set_output(0, x.dims());
    context.set_output(1, {shape->channels});
    context.set_output(2, {shape->channels});
    context.set_binding(std::move(shape));
  }
  void run(const RunContext& context) const override {
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const auto& shape = context.binding<Channels>();
      context.parallel_for(shape.channels, grain_of(shape.batch * shape.inner * 4), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin; c < end; ++c) channel<T>(context, shape, c);
      });
    });
  }

 private:
  template <class T> void channel(const RunContext& context, const Channels& shape, std::int64_t c) const {
    const auto input = [&](int i) { return real(context.input(i).data<T>()[c]); };
    const T* x = context.input(0).data<T>();
    const auto each = [&](auto f) {
      for (std::int64_t n = 0; n < shape.batch; ++n) {
        const std::int64_t first = (n * shape.channels + c) * shape.inner;
        for (std::int64_t i = first; i < first + shape.inner; ++i) f(i, real(x[i]));
      }
    };
    const double count = static_cast<double>(shape.batch) * static_cast<double>(shape.inner);
    Moments m;
    each([&](std::int64_t, double v) { m.mean += v; });
    m.mean /= count;
    each([&](std::int64_t, double v) { m.variance += (v - m.mean) * (v - m.mean); });
    m.variance /= count;
    const double current[2] = {m.mean, m.variance};
    for (int i = 1; i < 3; ++i)
      if (context.has_output(i))
        context.output(i).mutable_data<T>()[c] = narrow<T>(input(i + 2) * momentum_ + current[i - 1] * (1.0 - momentum_));
    if (!context.has_output(0)) return;
    T* y = context.output(0).mutable_data<T>();
    const double factor = input(1) / std::sqrt(m.variance + epsilon_), bias = input(2);
    each([&](std::int64_t i, double v) { y[i] = narrow<T>((v - m.mean) * factor + bias); });
  }
  float epsilon_, momentum_;
};

/// GroupNormalization; InstanceNormalization is that with a group for each channel.
class GroupNormalization final : public CpuKernel {
 public:
  explicit GroupNormalization(const NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), groups_(node.integer("num_groups")), threads_(node.host()->threads),
        float_(node.input(0).dtype() == DType::kFloat32) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.integer("num_groups", 1) > 0, ASHLAR_ATTRIBUTE, "GroupNormalization with ", node.integer("num_groups"),
                   " groups is not defined");
    return uniform<FloatTypes>(node);
  }
  std::uint64_t in_place() const override { return 1; }
  LayoutRule layout_rule() const override { return float_ ? LayoutRule::kFollows : LayoutRule::kPlain; }

  void bind(BindContext& context) const override {
    const auto x = context.input(0);
    check(x.rank() >= 2, "a tensor of shape ", x.dims(), " has no channels");
    auto shape = std::make_unique<Channels>(x);
    const std::int64_t groups = group_count(*shape);
    check(groups > 0 ? shape->channels % groups == 0 : shape->channels == 0, shape->channels, " channels do not make ", groups, " groups");
    for (int i = 1; i < 3; ++i) check_channels(context, i, shape->channels);
    context.set_output(0, x.dims());
    context.set_layout(0, x.layout());
    if (shape->last)
      context.set_workspace(Affine::bytes(shape->channels) + static_cast<std::uint64_t>(slots(*shape) * shape->channels) * sizeof(float));
    context.set_binding(std::move(shape));
  }
  void run(const RunContext& context) const override {
    const auto& shape = context.binding<Channels>();
    const auto x = context.input(0), scale = context.input(1), bias = context.input(2);
    if (x.count() == 0) return;
    if (shape.last) {
      for (std::int64_t n = 0; n < shape.batch; ++n) channels_last(context, shape, n);
      return;
    }
    const std::int64_t groups = group_count(shape), members = shape.channels / groups, size = members * shape.inner;
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      context.parallel_for(shape.batch * groups, grain_of(size), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t g = begin; g < end; ++g) {
          const T* from = x.data<T>() + g * size;
          T* to = context.output(0).mutable_data<T>() + g * size;
          const Moments m = moments(from, size);
          const double inverse = 1 / std::sqrt(m.variance + epsilon_);
          for (std::int64_t k = 0; k < members; ++k) {
            const std::int64_t channel = g % groups * members + k;
            affine(from + k * shape.inner, shape.inner, m.mean, inverse * real(scale.data<T>()[channel]), real(bias.data<T>()[channel]),
                   to + k * shape.inner);
          }
        }
      });
    });
  }

 private:
  std::int64_t group_count(const Channels& shape) const { return groups_ > 0 ? groups_ : shape.channels; }
  /// Parts of an image's pixels that are added up at once.
  std::int64_t slots(const Channels& shape) const {
    return std::clamp<std::int64_t>(shape.inner * shape.channels / kSlotElements, 1,
                                    std::min<std::int64_t>(threads_, std::max<std::int64_t>(1, shape.inner)));
  }

  void channels_last(const RunContext& context, const Channels& shape, std::int64_t n) const {
    const float* x = context.input(0).data<float>() + n * shape.inner * shape.channels;
    const float *scale = context.input(1).data<float>(), *bias = context.input(2).data<float>();
    const std::int64_t channels = shape.channels, groups = group_count(shape), members = channels / groups;
    const double size = static_cast<double>(members) * static_cast<double>(shape.inner);
    const Affine a(context.workspace(), channels);
    // Sums of a slot's pixels, by channel, and then over the slots.
    const std::int64_t slots = this->slots(shape);
    float* const partial = a.bias + channels;
    const auto by_channel = [&](float* sums, auto gather) {
      std::fill_n(partial, slots * channels, 0.0f);
      context.parallel_for(slots, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t s = begin; s < end; ++s) {
          const std::int64_t first = shape.inner * s / slots, rows = shape.inner * (s + 1) / slots - first;
          for (std::int64_t c = 0; c < channels; c += kStrip)
            gather(x + first * channels + c, rows, c, std::min(kStrip, channels - c), partial + s * channels + c);
        }
      });
      std::copy_n(partial, channels, sums);
      for (std::int64_t s = 1; s < slots; ++s)
        for (std::int64_t c = 0; c < channels; ++c) sums[c] += partial[s * channels + c];
    };
    const auto group_mean = [&](const float* sums, std::int64_t g) {
      double total = 0;
      for (std::int64_t k = 0; k < members; ++k) total += static_cast<double>(sums[g * members + k]);
      return total / size;
    };
    by_channel(a.factor, [&](const float* from, std::int64_t rows, std::int64_t, std::int64_t count, float* to) {
      fold_columns(Fold::kSum, from, rows, channels, count, to);
    });
    for (std::int64_t g = 0; g < groups; ++g) std::fill_n(a.shift + g * members, members, static_cast<float>(group_mean(a.factor, g)));
    by_channel(a.factor, [&](const float* from, std::int64_t rows, std::int64_t c, std::int64_t count, float* to) {
      squares_columns(from, rows, channels, count, a.shift + c, to);
    });
    for (std::int64_t g = 0; g < groups; ++g) {
      const double inverse = 1 / std::sqrt(group_mean(a.factor, g) + epsilon_);
      for (std::int64_t c = g * members; c < (g + 1) * members; ++c) {
        a.factor[c] = static_cast<float>(inverse * static_cast<double>(scale[c]));
        a.bias[c] = bias[c];
      }
    }
    affine_channels_last(context, shape, n * shape.inner, shape.inner, a);
  }

  static constexpr std::int64_t kSlotElements = 65536;  ///< that are worth a thread
  float epsilon_;
  std::int64_t groups_, threads_;
  bool float_;
};

/// Where an operand that broadcasts to a shape [rows..., n] has its elements, when whole rows of it are used.
struct Operand {
  bool row = false;  ///< n elements, the same for every row
  Dims strides;      ///< else by dimension of the shape; 0 where it repeats

  Operand(const Dims& dims, const Dims& shape, std::int64_t n) {
    check(provider::broadcast(shape, dims) == shape, "an operand of shape ", dims, " does not broadcast to ", shape);
    strides = Dims::filled(shape.rank(), 0);
    std::int64_t step = 1;
    int d = shape.rank() - 1;
    for (int i = dims.rank() - 1; i >= 0; --i, --d) {
      if (dims[i] != 1) strides[d] = step;
      step *= dims[i];
    }
    std::int64_t repeated = 1;
    for (int i = shape.rank() - 1; i >= 0 && repeated < n; --i) {
      if (strides[i] == 0 && shape[i] != 1) return;
      repeated *= shape[i];
    }
    row = step == n;
  }
};

/// LayerNormalization, and RMSNormalization, which leaves the mean out: over all dimensions from the axis on.
class LayerNormalization final : public CpuKernel {
 public:
  explicit LayerNormalization(const NodeView& node)
      : axis_(node.integer("axis", -1)), epsilon_(node.real("epsilon", 1e-5f)), centered_(node.op_type() == "LayerNormalization") {}
  static provider::Verdict verdict(const NodeView& node) {
    for (int i = 1; i < 3; ++i)
      ASHLAR_REQUIRE(!node.has_output(i) || node.output(i).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, node.op_type(),
                     " has no kernel for statistics of ", provider::dtype_name(node.output(i).dtype()));
    return uniform<FloatTypes>(node);
  }
  std::uint64_t in_place() const override { return 1; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    Dims statistics = x;
    const int axis = provider::normalize_axis(axis_, x.rank());
    for (int d = axis; d < x.rank(); ++d) statistics[d] = 1;
    auto plan = std::make_unique<Plan>();
    plan->n = x.product(axis, x.rank());
    plan->rows = x.product(0, axis);
    for (int i = 1; i < 3; ++i)
      if (context.has_input(i)) plan->operands[i - 1].emplace(context.input(i).dims(), x, plan->n);
    context.set_output(0, x);
    context.set_output(1, statistics);
    context.set_output(2, statistics);
    context.set_binding(std::move(plan));
  }
  void run(const RunContext& context) const override {
    const auto& plan = context.binding<Plan>();
    const auto x = context.input(0);
    float* means = context.has_output(1) ? context.output(1).mutable_data<float>() : nullptr;
    float* inverses = context.has_output(2) ? context.output(2).mutable_data<float>() : nullptr;
    if (x.count() == 0) {
      for (float* statistics : {means, inverses})
        if (statistics) std::fill_n(statistics, plan.rows, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    bool whole_rows = x.dtype() == DType::kFloat32;
    for (const auto& operand : plan.operands) whole_rows = whole_rows && (!operand || operand->row);
    if (!whole_rows) return dispatch<FloatTypes>(x.dtype(), [&]<class T>() { any<T>(context, plan, means, inverses); });
    const auto parameter = [&](int i) { return context.has_input(i) ? context.input(i).data<float>() : nullptr; };
    float* y = context.has_output(0) ? context.output(0).mutable_data<float>() : nullptr;
    context.parallel_for(plan.rows, grain_of(plan.n), [&](std::int64_t begin, std::int64_t end) {
      normalize_rows(centered_, x.data<float>() + begin * plan.n, end - begin, plan.n, parameter(1), parameter(2), epsilon_,
                     y ? y + begin * plan.n : nullptr, means ? means + begin : nullptr, inverses ? inverses + begin : nullptr);
    });
  }

 private:
  struct Plan : provider::Binding {
    std::int64_t rows = 0, n = 0;
    std::optional<Operand> operands[2];
  };
  /// Any element type and any broadcasting of the operands.
  template <class T> void any(const RunContext& context, const Plan& plan, float* means, float* inverses) const {
    const Dims dims = context.input(0).dims();
    const T* x = context.input(0).data<T>();
    T* y = context.has_output(0) ? context.output(0).mutable_data<T>() : nullptr;
    const T* parameters[2] = {};
    for (int k = 0; k < 2; ++k)
      if (plan.operands[k]) parameters[k] = context.input(k + 1).data<T>();
    context.parallel_for(plan.rows, grain_of(plan.n * 8), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        Moments m;
        for (std::int64_t i = r * plan.n; i < (r + 1) * plan.n; ++i) m.mean += real(x[i]);
        m.mean = centered_ ? m.mean / static_cast<double>(plan.n) : 0;
        for (std::int64_t i = r * plan.n; i < (r + 1) * plan.n; ++i) m.variance += (real(x[i]) - m.mean) * (real(x[i]) - m.mean);
        const double inverse = 1 / std::sqrt(m.variance / static_cast<double>(plan.n) + epsilon_);
        if (means) means[r] = static_cast<float>(m.mean);
        if (inverses) inverses[r] = static_cast<float>(inverse);
        for (std::int64_t i = r * plan.n; y && i < (r + 1) * plan.n; ++i) {
          double value = (real(x[i]) - m.mean) * inverse;
          if (parameters[0]) value *= real(parameters[0][at(*plan.operands[0], dims, i)]);
          if (parameters[1]) value += real(parameters[1][at(*plan.operands[1], dims, i)]);
          y[i] = narrow<T>(value);
        }
      }
    });
  }
  static std::int64_t at(const Operand& operand, const Dims& dims, std::int64_t i) {
    std::int64_t offset = 0;
    for (int d = dims.rank() - 1; d >= 0; --d) {
      offset += i % dims[d] * operand.strides[d];
      i /= dims[d];
    }
    return offset;
  }
  std::int64_t axis_;
  float epsilon_;
  bool centered_;
};

constexpr KernelEntry kRows[] = {
    {"BatchNormalization", 9, provider::kLatest, &BatchNormalization::verdict, &provider::make<BatchNormalization>},
    {"BatchNormalization", 14, provider::kLatest, &TrainingBatchNormalization::verdict, &provider::make<TrainingBatchNormalization>},
    {"InstanceNormalization", 6, provider::kLatest, &uniform<FloatTypes>, &provider::make<GroupNormalization>},
    {"GroupNormalization", 21, provider::kLatest, &GroupNormalization::verdict, &provider::make<GroupNormalization>},
    {"LayerNormalization", 17, provider::kLatest, &LayerNormalization::verdict, &provider::make<LayerNormalization>},
    {"RMSNormalization", 23, provider::kLatest, &LayerNormalization::verdict, &provider::make<LayerNormalization>},
};

}  // namespace

std::span<const KernelEntry> normalization_kernels() { return kRows; }

}  // namespace ashlar::cpu
