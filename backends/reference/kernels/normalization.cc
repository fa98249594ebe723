// SPDX-License-Identifier: Apache-2.0
// Normalizations. Statistics and the arithmetic are in double; each output element is rounded once.
#include <cmath>
#include <limits>
#include <span>

#include "convert.h"

namespace ashlar::reference {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};

/// Of the elements data[first + o * outer_step + i] for o < outer, i < inner.
Moments moments(Reader<double> read, const void* data, std::int64_t first, std::int64_t outer, std::int64_t outer_step,
                std::int64_t inner) {
  Moments m;
  const double n = static_cast<double>(outer) * static_cast<double>(inner);
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i) m.mean += read(data, first + o * outer_step + i);
  m.mean /= n;
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i) {
      const double d = read(data, first + o * outer_step + i) - m.mean;
      m.variance += d * d;
    }
  m.variance /= n;
  return m;
}

/// [batch, channels, the rest] of a shape; a shape of rank 1 has one channel.
struct Channels {
  std::int64_t batch, channels, inner;
  explicit Channels(const Dims& dims) {
    provider::check(dims.rank() >= 1, "a scalar has no channels");
    batch = dims[0];
    channels = dims.rank() > 1 ? dims[1] : 1;
    inner = dims.product(std::min(2, dims.rank()), dims.rank());
  }
};

void check_channels(const provider::BindContext& context, int input, std::int64_t channels) {
  const Dims dims = context.input(input).dims();
  provider::check(dims == Dims{channels}, "input ", input, " of shape ", dims, " for ", channels, " channels");
}

/// Inference, and training with running statistics.
class BatchNormalization : public provider::Kernel {
 public:
  explicit BatchNormalization(const provider::NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), momentum_(node.real("momentum", 0.9f)), training_(node.integer("training_mode") != 0) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const bool training = node.integer("training_mode") != 0;
    ASHLAR_REQUIRE(training || !(node.has_output(1) || node.has_output(2)), ASHLAR_ATTRIBUTE,
                   "BatchNormalization has running statistics only in training mode");
    for (int i = 0; i < 5; ++i)
      if (auto v = require_dtype<FloatTypes>(node, node.input(i)); v.code != ASHLAR_ACCEPTED) return v;
    return gives(node, node.input(0).dtype());
  }
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims();
    const Channels c(x);
    for (int i = 1; i < 5; ++i) check_channels(context, i, c.channels);
    context.set_output(0, x);
    context.set_output(1, {c.channels});
    context.set_output(2, {c.channels});
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const Channels shape(x.dims());
    const auto read = reader<double>(x.dtype());
    const auto parameter = [&](int i, std::int64_t c) { return reader<double>(context.input(i).dtype())(context.input(i).raw(), c); };
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      Moments m{parameter(3, c), parameter(4, c)};
      if (training_) {
        const Moments current = moments(read, x.raw(), c * shape.inner, shape.batch, shape.channels * shape.inner, shape.inner);
        for (int i = 1; i < 3; ++i) {
          if (!context.has_output(i)) continue;
          const double value = (i == 1 ? m.mean : m.variance) * momentum_ + (i == 1 ? current.mean : current.variance) * (1.0 - momentum_);
          writer<double>(context.output(i).dtype())(context.output(i).raw(), c, value);
        }
        m = current;
      }
      const double factor = parameter(1, c) / std::sqrt(m.variance + epsilon_);
      const double bias = parameter(2, c);
      if (!context.has_output(0)) continue;
      dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
        for (std::int64_t n = 0; n < shape.batch; ++n) {
          const std::int64_t first = (n * shape.channels + c) * shape.inner;
          for (std::int64_t i = first; i < first + shape.inner; ++i)
            context.output(0).mutable_data<T>()[i] = convert<T>((static_cast<double>(x.data<T>()[i]) - m.mean) * factor + bias);
        }
      });
    }
  }

 private:
  float epsilon_, momentum_;
  bool training_;
};

/// GroupNormalization; InstanceNormalization is that with a group for each channel.
class GroupNormalization : public provider::Kernel {
 public:
  explicit GroupNormalization(const provider::NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), groups_(node.integer("num_groups")) {}
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims();
    provider::check(x.rank() >= 2, "a tensor of shape ", x, " has no channels");
    const std::int64_t groups = group_count(x[1]);
    provider::check(groups > 0 ? x[1] % groups == 0 : x[1] == 0, x[1], " channels do not make ", groups, " groups");
    for (int i = 1; i < 3; ++i) check_channels(context, i, x[1]);
    context.set_output(0, x);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (x.count() == 0) return;
    const Channels shape(x.dims());
    const std::int64_t groups = group_count(shape.channels), members = shape.channels / groups;
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(y.dtype());
    for (std::int64_t g = 0; g < shape.batch * groups; ++g) {
      const std::int64_t first = g * members * shape.inner;
      const Moments m = moments(read, x.raw(), first, 1, 0, members * shape.inner);
      const double inverse = 1 / std::sqrt(m.variance + epsilon_);
      for (std::int64_t k = 0; k < members * shape.inner; ++k) {
        const std::int64_t channel = g % groups * members + k / shape.inner;
        write(
            y.raw(), first + k,
            (read(x.raw(), first + k) - m.mean) * inverse * read(context.input(1).raw(), channel) + read(context.input(2).raw(), channel));
      }
    }
  }

 private:
  std::int64_t group_count(std::int64_t channels) const { return groups_ > 0 ? groups_ : channels; }
  float epsilon_;
  std::int64_t groups_;
};

/// LayerNormalization and RMSNormalization, which leaves the mean out: over all dimensions from the axis on.
class LayerNormalization : public provider::Kernel {
 public:
  explicit LayerNormalization(const provider::NodeView& node)
      : axis_(node.integer("axis", -1)), epsilon_(node.real("epsilon", 1e-5f)), centered_(node.op_type() == "LayerNormalization") {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    for (int i = 0; i < node.input_count(); ++i)
      if (node.has_input(i))
        if (auto v = require_dtype<FloatTypes>(node, node.input(i)); v.code != ASHLAR_ACCEPTED) return v;
    return provider::accept();
  }
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims();
    Dims statistics = x;
    for (int d = provider::normalize_axis(axis_, x.rank()); d < x.rank(); ++d) statistics[d] = 1;
    for (int i = 1; i < 3; ++i) {
      if (!context.has_input(i)) continue;
      const Dims p = context.input(i).dims();
      provider::check(provider::broadcast(x, p) == x, "input ", i, " of shape ", p, " does not broadcast to ", x);
    }
    context.set_output(0, x);
    context.set_output(1, statistics);
    context.set_output(2, statistics);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const Dims dims = x.dims();
    const int axis = provider::normalize_axis(axis_, dims.rank());
    const std::int64_t inner = dims.product(axis, dims.rank());
    const auto read = reader<double>(x.dtype());
    const auto parameter = [&](int i) { return context.has_input(i) ? context.input(i) : context.input(0); };
    const auto scale = parameter(1), bias = parameter(2);
    const auto read_scale = reader<double>(scale.dtype()), read_bias = reader<double>(bias.dtype());
    const bool has_bias = context.has_input(2);
    const auto write = context.has_output(0) ? writer<double>(context.output(0).dtype()) : nullptr;
    double mean = 0, inverse = 0;
    if (x.count() == 0) return fill_empty(context);
    for_each_index<2>(
        dims, {broadcast_strides(scale.dims(), dims), broadcast_strides(bias.dims(), dims)}, [&](std::int64_t i, const auto& at) {
          if (i % inner == 0) {
            statistics(read, x.raw(), i, inner, mean, inverse);
            put(context, 1, i / inner, mean);
            put(context, 2, i / inner, inverse);
          }
          if (write)
            write(context.output(0).raw(), i,
                  (read(x.raw(), i) - mean) * inverse * read_scale(scale.raw(), at[0]) + (has_bias ? read_bias(bias.raw(), at[1]) : 0));
        });
  }

 private:
  void statistics(Reader<double> read, const void* data, std::int64_t first, std::int64_t n, double& mean, double& inverse) const {
    const Moments m = moments(read, data, first, 1, 0, n);
    mean = centered_ ? m.mean : 0;
    inverse = 1 / std::sqrt(m.variance + (centered_ ? 0 : m.mean * m.mean) + epsilon_);
  }
  /// Statistics of no elements are not numbers.
  static void fill_empty(const provider::RunContext& context) {
    for (int o = 1; o < 3; ++o)
      for (std::int64_t i = 0; context.has_output(o) && i < context.output(o).count(); ++i)
        put(context, o, i, std::numeric_limits<double>::quiet_NaN());
  }
  static void put(const provider::RunContext& context, int output, std::int64_t i, double value) {
    if (context.has_output(output)) writer<double>(context.output(output).dtype())(context.output(output).raw(), i, value);
  }
  std::int64_t axis_;
  float epsilon_;
  bool centered_;
};

/// x / (norm of order p along the axis); 0 where the norm is 0.
class LpNormalization : public provider::Kernel {
 public:
  explicit LpNormalization(const provider::NodeView& node) : axis_(node.integer("axis", -1)), squared_(node.integer("p", 2) == 2) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const std::int64_t p = node.integer("p", 2);
    ASHLAR_REQUIRE(p == 1 || p == 2, ASHLAR_ATTRIBUTE, "LpNormalization of order ", p, " is not defined");
    return uniform<FloatTypes>(node);
  }
  void bind(provider::BindContext& context) const override {
    provider::normalize_axis(axis_, context.input(0).rank());
    context.set_output(0, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    if (x.count() == 0) return;
    const AxisView v(x.dims(), provider::normalize_axis(axis_, x.rank()));
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(x.dtype());
    for (std::int64_t line = 0; line < v.outer * v.inner; ++line) {
      const std::int64_t first = line / v.inner * v.size * v.inner + line % v.inner;
      double norm = 0;
      for (std::int64_t a = 0; a < v.size; ++a) {
        const double value = read(x.raw(), first + a * v.inner);
        norm += squared_ ? value * value : std::fabs(value);
      }
      if (squared_) norm = std::sqrt(norm);
      for (std::int64_t a = 0; a < v.size; ++a)
        write(context.output(0).raw(), first + a * v.inner, norm == 0 ? 0 : read(x.raw(), first + a * v.inner) / norm);
    }
  }

 private:
  std::int64_t axis_;
  bool squared_;
};

/// (x - mean) / (deviation + 1e-9) over the axes, as ONNX's function body has it.
class MeanVarianceNormalization : public provider::Kernel {
 public:
  explicit MeanVarianceNormalization(const provider::NodeView& node) : axes_(node.integers("axes")) {
    if (!node.has("axes")) axes_ = {0, 2, 3};
  }
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims();
    context.set_output(0, x);
    context.set_workspace(static_cast<std::uint64_t>(checked_count(kept(x), 2 * sizeof(double))));
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const Dims dims = x.dims(), rest = kept(dims);
    const std::int64_t groups = rest.count();
    if (x.count() == 0) return;
    auto* mean = static_cast<double*>(context.workspace());
    auto* deviation = mean + groups;
    std::fill_n(mean, 2 * groups, 0.0);
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(x.dtype());
    const double n = static_cast<double>(x.count() / groups);
    const auto each = [&](auto f) {
      for_each_index<1>(dims, {broadcast_strides(rest, dims)}, [&](std::int64_t i, const auto& at) { f(i, at[0], read(x.raw(), i)); });
    };
    each([&](std::int64_t, std::int64_t g, double v) { mean[g] += v / n; });
    each([&](std::int64_t, std::int64_t g, double v) { deviation[g] += (v - mean[g]) * (v - mean[g]) / n; });
    each([&](std::int64_t i, std::int64_t g, double v) {
      write(context.output(0).raw(), i, (v - mean[g]) / (std::sqrt(deviation[g]) + 1e-9));
    });
  }

 private:
  Dims kept(Dims dims) const {
    for (const std::int64_t axis : axes_) dims[provider::normalize_axis(axis, dims.rank())] = 1;
    return dims;
  }
  std::vector<std::int64_t> axes_;
};

/// x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta
class Lrn : public provider::Kernel {
 public:
  explicit Lrn(const provider::NodeView& node)
      : alpha_(node.real("alpha", 1e-4f)), beta_(node.real("beta", 0.75f)), bias_(node.real("bias", 1)), size_(node.integer("size")) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    ASHLAR_REQUIRE(node.integer("size") > 0, ASHLAR_ATTRIBUTE, "LRN over ", node.integer("size"), " channels is not defined");
    return uniform<FloatTypes>(node);
  }
  void bind(provider::BindContext& context) const override {
    provider::check(context.input(0).rank() >= 2, "a tensor of shape ", context.input(0).dims(), " has no channels");
    context.set_output(0, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const Channels shape(x.dims());
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(x.dtype());
    const std::int64_t below = std::min((size_ - 1) / 2, shape.channels), above = std::min(size_ / 2, shape.channels);
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const std::int64_t c = k / shape.inner % shape.channels;
      double sum = 0;
      for (std::int64_t near = std::max<std::int64_t>(0, c - below); near <= std::min(shape.channels - 1, c + above); ++near) {
        const double v = read(x.raw(), k + (near - c) * shape.inner);
        sum += v * v;
      }
      write(context.output(0).raw(), k,
            read(x.raw(), k) / std::pow(bias_ + alpha_ / static_cast<double>(size_) * sum, static_cast<double>(beta_)));
    }
  }

 private:
  float alpha_, beta_, bias_;
  std::int64_t size_;
};

provider::Verdict group_verdict(const provider::NodeView& node) {
  ASHLAR_REQUIRE(node.integer("num_groups", 1) > 0, ASHLAR_ATTRIBUTE, "GroupNormalization with ", node.integer("num_groups"),
                 " groups is not defined");
  return uniform<FloatTypes>(node);
}

constexpr provider::KernelEntry kRows[] = {
    {"BatchNormalization", 9, provider::kLatest, &BatchNormalization::verdict, &provider::make<BatchNormalization>},
    {"InstanceNormalization", 6, provider::kLatest, &uniform<FloatTypes>, &provider::make<GroupNormalization>},
    {"GroupNormalization", 21, provider::kLatest, &group_verdict, &provider::make<GroupNormalization>},
    {"LayerNormalization", 17, provider::kLatest, &LayerNormalization::verdict, &provider::make<LayerNormalization>},
    {"RMSNormalization", 23, provider::kLatest, &LayerNormalization::verdict, &provider::make<LayerNormalization>},
    {"LpNormalization", 1, provider::kLatest, &LpNormalization::verdict, &provider::make<LpNormalization>},
    {"MeanVarianceNormalization", 9, provider::kLatest, &uniform<FloatTypes>, &provider::make<MeanVarianceNormalization>},
    {"LRN", 1, provider::kLatest, &Lrn::verdict, &provider::make<Lrn>},
};

}  // namespace

std::span<const provider::KernelEntry> normalization_kernels() { return kRows; }

}  // namespace ashlar::reference
