// SPDX-License-Identifier: Apache-2.0
// LinearAttention and CausalConvWithState: layers that carry a state from call to call. Both go token by token, as ONNX defines them.
#include <cmath>
#include <string>
#include <vector>

#include "reals.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

std::vector<double> reals(const TensorView& view) {
  std::vector<double> out(static_cast<std::size_t>(view.count()));
  load_reals(view, 0, view.count(), out.data());
  return out;
}

enum Input { kQuery, kKey, kValue, kState, kDecay, kBeta };

class LinearAttention : public Kernel {
 public:
  explicit LinearAttention(const NodeView& node)
      : q_heads_(node.integer("q_num_heads")), heads_(node.integer("kv_num_heads")), scale_(node.real("scale")),
        gated_(node.text("update_rule", "gated_delta").starts_with("gated")),
        delta_(node.text("update_rule", "gated_delta").ends_with("delta")) {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string rule = node.text("update_rule", "gated_delta");
    ASHLAR_REQUIRE(rule == "linear" || rule == "gated" || rule == "delta" || rule == "gated_delta", ASHLAR_ATTRIBUTE, "update_rule is ",
                   rule);
    const std::int64_t q = node.integer("q_num_heads"), kv = node.integer("kv_num_heads");
    ASHLAR_REQUIRE(q > 0 && kv > 0 && q % kv == 0, ASHLAR_ATTRIBUTE, q, " query heads over ", kv, " heads");
    ASHLAR_REQUIRE(node.has_input(kDecay) == rule.starts_with("gated"), ASHLAR_ATTRIBUTE,
                   "decay is an input of the gated rules, update_rule is ", rule);
    ASHLAR_REQUIRE(node.has_input(kBeta) == rule.ends_with("delta"), ASHLAR_ATTRIBUTE,
                   "beta is an input of the delta rules, update_rule is ", rule);
    if (node.has_input(kState))
      if (auto v = require_dtype<FloatTypes>(node, node.input(kState)); v.code != ASHLAR_ACCEPTED) return v;
    return takes_same<FloatTypes, kKey, kValue, kDecay, kBeta>(node);
  }

  void bind(BindContext& context) const override {
    const Shape s = shape(context);
    context.set_output(0, {s.batch, s.steps, q_heads_ * s.value_size});
    context.set_output(1, {s.batch, heads_, s.key_size, s.value_size});
  }

  void run(const RunContext& context) const override {
    const Shape s = shape(context);
    if (s.steps * q_heads_ * s.value_size == 0 && s.key_size * s.value_size == 0) return;
    const std::vector<double> q = reals(context.input(kQuery)), k = reals(context.input(kKey)), v = reals(context.input(kValue));
    const std::vector<double> decay = gated_ ? reals(context.input(kDecay)) : std::vector<double>();
    const std::vector<double> beta = delta_ ? reals(context.input(kBeta)) : std::vector<double>();
    const std::int64_t cells = s.key_size * s.value_size, share = q_heads_ / heads_;
    const std::int64_t decays = gated_ ? context.input(kDecay).dim(2) : 0, betas = delta_ ? context.input(kBeta).dim(2) : 0;
    const double scale = scale_ == 0 ? 1 / std::sqrt(static_cast<double>(s.key_size)) : scale_;
    std::vector<double> state(static_cast<std::size_t>(cells)), write(static_cast<std::size_t>(s.value_size)),
        row(static_cast<std::size_t>(s.value_size));
    for (std::int64_t b = 0; b < s.batch; ++b) {
      for (std::int64_t h = 0; h < heads_; ++h) {
        const std::int64_t first_cell = (b * heads_ + h) * cells;
        std::fill(state.begin(), state.end(), 0.0);
        if (context.has_input(kState)) load_reals(context.input(kState), first_cell, cells, state.data());
        for (std::int64_t t = 0; t < s.steps; ++t) {
          const std::int64_t token = b * s.steps + t;
          const double* key = k.data() + (token * heads_ + h) * s.key_size;
          const double* value = v.data() + (token * heads_ + h) * s.value_size;
          if (gated_)
            for (std::int64_t i = 0; i < s.key_size; ++i) {
              const double factor = std::exp(decay[static_cast<std::size_t>(token * decays + (decays == heads_ ? h : h * s.key_size + i))]);
              for (std::int64_t j = 0; j < s.value_size; ++j) state[static_cast<std::size_t>(i * s.value_size + j)] *= factor;
            }
          std::copy(value, value + s.value_size, write.begin());
          if (delta_) {
            const double rate = beta[static_cast<std::size_t>(token * betas + (betas == 1 ? 0 : h))];
            read(state, key, s, 1, row);
            for (std::size_t j = 0; j < write.size(); ++j) write[j] = rate * (write[j] - row[j]);
          }
          for (std::int64_t i = 0; i < s.key_size; ++i)
            for (std::int64_t j = 0; j < s.value_size; ++j)
              state[static_cast<std::size_t>(i * s.value_size + j)] += key[i] * write[static_cast<std::size_t>(j)];
          for (std::int64_t g = h * share; g < (h + 1) * share; ++g) {
            read(state, q.data() + (token * q_heads_ + g) * s.key_size, s, scale, row);
            if (context.has_output(0)) store_reals(context.output(0), (token * q_heads_ + g) * s.value_size, s.value_size, row.data());
          }
        }
        if (context.has_output(1)) store_reals(context.output(1), first_cell, cells, state.data());
      }
    }
  }

 private:
  struct Shape {
    std::int64_t batch, steps, key_size, value_size;
  };

  template <class Context> Shape shape(const Context& context) const {
    const Dims q = context.input(kQuery).dims(), k = context.input(kKey).dims(), v = context.input(kValue).dims();
    const bool ranks = q.rank() == 3 && k.rank() == 3 && v.rank() == 3;
    check(ranks && q[2] % q_heads_ == 0 && v[2] % heads_ == 0 && q[2] / q_heads_ * heads_ == k[2] && k[0] == q[0] && v[0] == q[0] &&
              k[1] == q[1] && v[1] == q[1],
          "LinearAttention of the shapes ", q, ", ", k, " and ", v, " with ", q_heads_, " and ", heads_, " heads");
    const Shape s{q[0], q[1], q[2] / q_heads_, v[2] / heads_};
    const auto expect = [&](int input, std::int64_t one, std::int64_t other) {
      if (!context.has_input(input)) return;
      const Dims d = context.input(input).dims();
      check(d.rank() == 3 && d[0] == s.batch && d[1] == s.steps && (d[2] == one || d[2] == other), "input ", input, " has shape ", d,
            " beside ", q);
    };
    expect(kDecay, heads_, heads_ * s.key_size);
    expect(kBeta, heads_, 1);
    if (context.has_input(kState))
      check(context.input(kState).dims() == Dims{s.batch, heads_, s.key_size, s.value_size}, "a state of shape ",
            context.input(kState).dims(), " beside ", q);
    return s;
  }

  /// out = scale * x^T state.
  static void read(const std::vector<double>& state, const double* x, const Shape& s, double scale, std::vector<double>& out) {
    std::fill(out.begin(), out.end(), 0.0);
    for (std::int64_t i = 0; i < s.key_size; ++i)
      for (std::int64_t j = 0; j < s.value_size; ++j)
        out[static_cast<std::size_t>(j)] += x[i] * state[static_cast<std::size_t>(i * s.value_size + j)];
    for (double& v : out) v *= scale;
  }

  std::int64_t q_heads_, heads_;
  double scale_;
  bool gated_, delta_;
};

class CausalConvWithState : public Kernel {
 public:
  explicit CausalConvWithState(const NodeView& node) : silu_(node.text("activation", "none") != "none") {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string activation = node.text("activation", "none");
    ASHLAR_REQUIRE(activation == "none" || activation == "silu" || activation == "swish", ASHLAR_ATTRIBUTE, "activation is ", activation);
    return takes_same<FloatTypes, 1, 2, 3>(node);
  }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), w = context.input(1).dims();
    check(x.rank() == 3 && w.rank() == 3 && w[0] == x[1] && w[1] == 1 && w[2] >= 1, "a weight of shape ", w, " for an input of shape ", x);
    const Dims state{x[0], x[1], w[2] - 1};
    if (context.has_input(2))
      check(context.input(2).dims() == Dims{x[1]}, "a bias of shape ", context.input(2).dims(), " for ", x[1], " channels");
    if (context.has_input(3)) check(context.input(3).dims() == state, "a state of shape ", context.input(3).dims(), ", not ", state);
    context.set_output(0, x);
    context.set_output(1, state);
  }

  void run(const RunContext& context) const override {
    const Dims x = context.input(0).dims();
    const std::int64_t length = x[2], taps = context.input(1).dim(2), channels = x[1];
    const std::vector<double> weight = reals(context.input(1)),
                              bias = context.has_input(2) ? reals(context.input(2)) : std::vector<double>();
    std::vector<double> line(static_cast<std::size_t>(taps - 1 + length)), y(static_cast<std::size_t>(length));
    if (weight.empty() || x[0] == 0 || taps - 1 + length == 0) return;
    for (std::int64_t row = 0; row < x[0] * channels; ++row) {
      std::fill(line.begin(), line.begin() + (taps - 1), 0.0);
      if (context.has_input(3)) load_reals(context.input(3), row * (taps - 1), taps - 1, line.data());
      load_reals(context.input(0), row * length, length, line.data() + (taps - 1));
      const std::int64_t channel = row % channels;
      for (std::int64_t t = 0; t < length; ++t) {
        double sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(channel)];
        for (std::int64_t k = 0; k < taps; ++k)
          sum += weight[static_cast<std::size_t>(channel * taps + k)] * line[static_cast<std::size_t>(t + k)];
        y[static_cast<std::size_t>(t)] = silu_ ? sum / (1 + std::exp(-sum)) : sum;
      }
      if (context.has_output(0)) store_reals(context.output(0), row * length, length, y.data());
      if (context.has_output(1)) store_reals(context.output(1), row * (taps - 1), taps - 1, line.data() + length);
    }
  }

 private:
  bool silu_;
};

constexpr KernelEntry kKernels[] = {
    {"LinearAttention", 27, provider::kLatest, &LinearAttention::verdict, &provider::make<LinearAttention>},
    {"CausalConvWithState", 27, provider::kLatest, &CausalConvWithState::verdict, &provider::make<CausalConvWithState>},
};

}  // namespace

std::span<const KernelEntry> linear_attention_kernels() { return kKernels; }

}  // namespace ashlar::reference
