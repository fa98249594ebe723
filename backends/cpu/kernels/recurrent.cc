// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM in float32. What the inputs give to the gates is one product for all steps; the steps add what the state gives. A
// sequence shorter than the longest leaves zeros behind its end in Y, and the reverse direction starts at its own end.
#include <algorithm>
#include <cmath>

#include "elementwise.h"
#include "product.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

/// An activation function: how many of alpha and beta it takes from the lists of the node, and their defaults, those of the ONNX operators;
/// a tile, or a function of its own.
struct ActivationRule {
  const char* name;
  const char* tile;
  int parameters;
  float alpha, beta;
  float (*apply)(float x, float alpha, float beta);
};
constexpr ActivationRule kActivations[] = {
    {"relu", "Relu", 0, 0, 0, nullptr},
    {"tanh", "Tanh", 0, 0, 0, nullptr},
    {"sigmoid", "Sigmoid", 0, 0, 0, nullptr},
    {"affine", "", 2, 1, 0, [](float x, float a, float b) { return a * x + b; }},
    {"leakyrelu", "LeakyRelu", 1, 0.01f, 0, nullptr},
    {"thresholdedrelu", "", 1, 1, 0, [](float x, float a, float) { return x >= a ? x : 0; }},
    {"scaledtanh", "", 2, 1, 1, [](float x, float a, float b) { return a * std::tanh(b * x); }},
    {"hardsigmoid", "HardSigmoid", 2, 0.2f, 0.5f, nullptr},
    {"elu", "Elu", 1, 1, 0, nullptr},
    {"softsign", "Softsign", 0, 0, 0, nullptr},
    {"softplus", "Softplus", 0, 0, 0, nullptr},
};

const ActivationRule* find_activation(std::string name) {
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const ActivationRule& rule : kActivations)
    if (name == rule.name) return &rule;
  return nullptr;
}

/// One of the three operators: how many gates, which activations one direction has.
struct Cell {
  const char* op;
  int gates;
  std::vector<std::string> activations;
};
const Cell& cell_of(const NodeView& node) {
  static const Cell cells[] = {{"RNN", 1, {"Tanh"}}, {"GRU", 3, {"Sigmoid", "Tanh"}}, {"LSTM", 4, {"Sigmoid", "Tanh", "Tanh"}}};
  return *std::find_if(std::begin(cells), std::end(cells), [&](const Cell& c) { return node.op_type() == c.op; });
}

int directions_of(const NodeView& node) { return node.text("direction", "forward") == "bidirectional" ? 2 : 1; }

/// The activations of all directions, in order.
std::vector<std::string> activation_names(const NodeView& node) {
  std::vector<std::string> names = node.texts("activations");
  if (!names.empty()) return names;
  const Cell& cell = cell_of(node);
  for (int d = 0; d < directions_of(node); ++d) names.insert(names.end(), cell.activations.begin(), cell.activations.end());
  return names;
}

/// f of x held to [-clip, clip], in place.
class Activation {
 public:
  Activation(const ActivationRule& rule, float alpha, float beta, float clip)
      : apply_(rule.apply), alpha_(alpha), beta_(beta), clip_(clip),
        tile_(rule.apply ? TileOp() : TileOp(rule.tile, DType::kFloat32, {alpha, beta})) {}
  void operator()(float* x, std::int64_t n) const {
    if (clip_ < HUGE_VALF)
      for (std::int64_t i = 0; i < n; ++i) x[i] = x[i] > clip_ ? clip_ : x[i] < -clip_ ? -clip_ : x[i];
    if (apply_) {
      for (std::int64_t i = 0; i < n; ++i) x[i] = apply_(x[i], alpha_, beta_);
    } else {
      const void* in[] = {x};
      tile_(in, 0, x, n);
    }
  }

 private:
  float (*apply_)(float, float, float);
  float alpha_, beta_, clip_;
  TileOp tile_;
};

struct Sizes {
  std::int64_t steps, batch, inputs, hidden;
};

class Recurrent : public provider::Kernel {
 public:
  explicit Recurrent(const NodeView& node)
      : host_(node.host()), gates_(cell_of(node).gates), lstm_(gates_ == 4), directions_(directions_of(node)),
        batch_first_(node.integer("layout") == 1), reverse_(node.text("direction", "forward") == "reverse"),
        reset_late_(gates_ == 3 && node.integer("linear_before_reset") != 0), reset_early_(gates_ == 3 && !reset_late_),
        coupled_(node.integer("input_forget") != 0) {
    const float clip = node.has("clip") ? node.real("clip") : HUGE_VALF;
    const std::vector<float> alphas = node.reals("activation_alpha"), betas = node.reals("activation_beta");
    std::size_t alpha = 0, beta = 0;
    for (const std::string& name : activation_names(node)) {
      const ActivationRule& rule = *find_activation(name);
      const float a = rule.parameters > 0 && alpha < alphas.size() ? alphas[alpha++] : rule.alpha;
      const float b = rule.parameters > 1 && beta < betas.size() ? betas[beta++] : rule.beta;
      activations_.emplace_back(rule, a, b, clip);
    }
    for (const int i : {1, 2}) {
      const auto weight = node.input(i).constant();
      if (!weight || weight->rank() != 3 || weight->dim(0) != directions_ || weight->dim(1) % gates_ != 0 || weight->count() == 0) continue;
      const Packing packing(*this, i, weight->dim(1) / gates_, weight->dim(2));
      const std::string key = provider::concat(panel_layout(), " of gates ", packing.first, " and ", packing.second);
      packed_[i - 1] =
          static_cast<const float*>(provider::packed(host_, *weight, key.c_str(), packing.bytes * static_cast<std::uint64_t>(directions_),
                                                     [&](void* to) { packing.pack(weight->raw(), directions_, to); }));
    }
  }

  static provider::Verdict verdict(const NodeView& node) {
    const std::string direction = node.text("direction", "forward");
    ASHLAR_REQUIRE(direction == "forward" || direction == "reverse" || direction == "bidirectional", ASHLAR_ATTRIBUTE, "direction is ",
                   direction);
    const std::vector<std::string> names = activation_names(node);
    const std::size_t needed = cell_of(node).activations.size() * static_cast<std::size_t>(directions_of(node));
    ASHLAR_REQUIRE(names.size() >= needed, ASHLAR_ATTRIBUTE, names.size(), " activations where ", needed, " are needed");
    for (const std::string& name : names) ASHLAR_REQUIRE(find_activation(name), ASHLAR_ATTRIBUTE, "no activation ", name);
    ASHLAR_REQUIRE(!node.has_input(4) || node.input(4).dtype() == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE, "sequence_lens are int32");
    for (const int i : {0, 1, 2, 3, 5, 6, 7})
      ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                     provider::dtype_name(node.input(i).dtype()), " has no kernel");
    return provider::accept();
  }

  std::uint64_t shape_only() const override { return (packed_[0] ? 2u : 0u) | (packed_[1] ? 4u : 0u); }

  void bind(BindContext& context) const override {
    auto plan = std::make_unique<Plan>();
    const Sizes s = plan->sizes = sizes(context);
    const std::int64_t d = directions_, width = gates_ * s.hidden;
    const auto expect = [&](int input, const Dims& dims) {
      if (context.has_input(input))
        check(context.input(input).dims() == dims, "input ", input, " has shape ", context.input(input).dims(), ", not ", dims);
    };
    const Dims state = batch_first_ ? Dims{s.batch, d, s.hidden} : Dims{d, s.batch, s.hidden};
    expect(1, {d, width, s.inputs});
    expect(2, {d, width, s.hidden});
    expect(3, {d, 2 * width});
    expect(4, {s.batch});
    expect(5, state);
    if (lstm_) expect(6, state);
    if (lstm_) expect(7, {d, 3 * s.hidden});
    context.set_output(0, batch_first_ ? Dims{s.batch, s.steps, d, s.hidden} : Dims{s.steps, d, s.batch, s.hidden});
    context.set_output(1, state);
    if (lstm_) context.set_output(2, state);

    const std::int64_t rows = Dims{s.steps, s.batch}.count(), first = reset_early_ ? 2 * s.hidden : width;
    plan->from_inputs = ProductPlan(1, rows, width, s.inputs, true, host_->threads);
    plan->from_state = ProductPlan(1, s.batch, first, s.hidden, true, host_->threads);
    plan->from_reset = ProductPlan(1, s.batch, width - first, s.hidden, true, host_->threads);
    std::uint64_t bytes = 0;
    const auto reserve = [&](const Dims& dims) {
      const std::uint64_t at = bytes;
      bytes += (static_cast<std::uint64_t>(dims.count()) * sizeof(float) + 63) / 64 * 64;
      return at;
    };
    check(static_cast<double>(rows) * static_cast<double>(width) < 0x1p48, "sequences of ", s.steps, " steps are too long");
    plan->x_gates = reserve({d, rows, width});
    plan->h_gates = reserve({d, s.batch, width});
    plan->bias = reserve({d, width});
    plan->h = reserve({d, s.batch, s.hidden});
    plan->c = reserve({d, s.batch, s.hidden});
    plan->reset = reserve({d, s.batch, s.hidden});
    for (const int i : {1, 2}) {
      const Packing packing(*this, i, s.hidden, i == 1 ? s.inputs : s.hidden);
      plan->weight_bytes[i - 1] = packing.bytes;
      if (!packed_[i - 1]) plan->weights[i - 1] = reserve({d, static_cast<std::int64_t>(packing.bytes / sizeof(float))});
    }
    context.set_workspace(bytes);
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const Sizes& s = plan.sizes;
    if (context.has_input(4))
      for (std::int64_t b = 0; b < s.batch; ++b)
        check(length(context, plan, b) >= 0 && length(context, plan, b) <= s.steps, "a sequence length of ", length(context, plan, b),
              " in ", s.steps, " steps");
    if (context.has_input(4) && context.has_output(0))
      std::fill_n(context.output(0).mutable_data<float>(), context.output(0).count(), 0.0f);
    if (s.batch == 0 || s.hidden == 0) return;
    const std::int64_t width = gates_ * s.hidden, rows = s.steps * s.batch;
    const float* weights[2];
    for (const int i : {1, 2}) {
      weights[i - 1] = packed_[i - 1];
      if (weights[i - 1]) continue;
      float* to = floats(context, plan.weights[i - 1]);
      Packing(*this, i, s.hidden, i == 1 ? s.inputs : s.hidden).pack(context.input(i).raw(), directions_, to);
      weights[i - 1] = to;
    }
    for (std::int64_t d = 0; d < directions_; ++d)
      plan.from_inputs.run(host_,
                           {.a = context.input(0).data<float>(),
                            .a_stride = s.inputs,
                            .b = weights[0] + d * static_cast<std::int64_t>(plan.weight_bytes[0] / sizeof(float)),
                            .c = floats(context, plan.x_gates) + d * rows * width,
                            .c_stride = width},
                           nullptr);
    context.parallel_for(directions_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t d = begin; d < end; ++d)
        direction(context, plan, d, weights[1] + d * static_cast<std::int64_t>(plan.weight_bytes[1] / sizeof(float)));
    });
  }

 private:
  /// Weights of [directions, gates * hidden, depth], transposed and packed; those of the state in two parts where the second waits for
  /// gates that the first gives.
  struct Packing {
    std::int64_t first, second, depth;  // columns of the parts
    std::uint64_t first_bytes, bytes;   // of one direction
    Packing(const Recurrent& r, int input, std::int64_t hidden, std::int64_t weight_depth)
        : first((input == 2 && r.reset_early_ ? 2 : r.gates_) * hidden), second(r.gates_ * hidden - first), depth(weight_depth),
          first_bytes((packed_panel_bytes(depth, first) + 63) / 64 * 64),
          bytes(first_bytes + (packed_panel_bytes(depth, second) + 63) / 64 * 64) {}
    void pack(const void* weight, int directions, void* to) const {
      const char* from = static_cast<const char*>(weight);
      char* at = static_cast<char*>(to);
      const std::int64_t row = depth * static_cast<std::int64_t>(sizeof(float));
      for (int d = 0; d < directions; ++d, from += (first + second) * row, at += bytes) {
        pack_panels(from, 1, depth, depth, first, 1, at);
        if (second > 0) pack_panels(from + first * row, 1, depth, depth, second, 1, at + first_bytes);
      }
    }
  };

  struct Plan : provider::Binding {
    Sizes sizes{};
    ProductPlan from_inputs, from_state, from_reset;
    std::uint64_t x_gates = 0, h_gates = 0, bias = 0, h = 0, c = 0, reset = 0, weights[2] = {};  // bytes into the workspace
    std::uint64_t weight_bytes[2] = {};                                                          // packed, a direction
  };

  static float* floats(const RunContext& context, std::uint64_t offset) {
    return reinterpret_cast<float*>(static_cast<char*>(context.workspace()) + offset);
  }

  Sizes sizes(const BindContext& context) const {
    const Dims x = context.input(0).dims(), r = context.input(2).dims();
    check(x.rank() == 3 && r.rank() == 3, "an input of shape ", x, " and recurrence weights of shape ", r);
    for (const std::int64_t n : {x[0], x[1], x[2], r[2]}) check(n < std::int64_t{1} << 31, "a dimension of ", n);
    return {x[batch_first_ ? 1 : 0], x[batch_first_ ? 0 : 1], x[2], r[2]};
  }

  static std::int64_t length(const RunContext& context, const Plan& plan, std::int64_t b) {
    return context.has_input(4) ? context.input(4).data<std::int32_t>()[b] : plan.sizes.steps;
  }

  const Activation& activation(std::int64_t d, int index) const {
    const int per_direction = lstm_ ? 3 : gates_ == 3 ? 2 : 1;
    return activations_[static_cast<std::size_t>(d * per_direction + index)];
  }

  /// What one direction works on.
  struct State {
    const float *bias, *late_bias, *peephole;  // late_bias: what is added before the reset gate multiplies
    float *x_gates, *h_gates, *h, *c, *reset;
  };

  void direction(const RunContext& context, const Plan& plan, std::int64_t d, const float* weights) const {
    const Sizes& s = plan.sizes;
    const std::int64_t width = gates_ * s.hidden, count = s.batch * s.hidden;
    float* bias = floats(context, plan.bias) + d * width;
    const State state{bias,
                      context.has_input(3) ? context.input(3).data<float>() + d * 2 * width + width + 2 * s.hidden : nullptr,
                      lstm_ && context.has_input(7) ? context.input(7).data<float>() + d * 3 * s.hidden : nullptr,
                      floats(context, plan.x_gates) + d * s.steps * s.batch * width,
                      floats(context, plan.h_gates) + d * s.batch * width,
                      floats(context, plan.h) + d * count,
                      floats(context, plan.c) + d * count,
                      floats(context, plan.reset) + d * count};
    const float* biases = context.has_input(3) ? context.input(3).data<float>() + d * 2 * width : nullptr;
    for (std::int64_t j = 0; j < width; ++j) bias[j] = biases ? biases[j] + (reset_late_ && j >= 2 * s.hidden ? 0 : biases[width + j]) : 0;
    const auto state_at = [&](std::int64_t b) { return (batch_first_ ? b * directions_ + d : d * s.batch + b) * s.hidden; };
    const auto initial = [&](int input, float* to) {
      const float* from = context.has_input(input) ? context.input(input).data<float>() : nullptr;
      for (std::int64_t b = 0; b < s.batch; ++b)
        if (from) std::copy_n(from + state_at(b), s.hidden, to + b * s.hidden);
        else std::fill_n(to + b * s.hidden, s.hidden, 0.0f);
    };
    initial(5, state.h);
    if (lstm_) initial(6, state.c);

    const std::int64_t first = reset_early_ ? 2 * s.hidden : width;
    const float* late_weights = weights + static_cast<std::int64_t>((packed_panel_bytes(s.hidden, first) + 63) / 64 * 64 / sizeof(float));
    const bool backwards = reverse_ || d == 1;
    float* y = context.has_output(0) ? context.output(0).mutable_data<float>() : nullptr;
    const std::int64_t grain = grain_of(width * 8);
    for (std::int64_t step = 0; step < s.steps; ++step) {
      const auto each_row = [&](const auto& body) {
        context.parallel_for(s.batch, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t b = begin; b < end; ++b) {
            const std::int64_t n = length(context, plan, b);
            if (step >= n) continue;
            const std::int64_t t = backwards ? n - 1 - step : step;
            body(b, t, state.x_gates + (batch_first_ ? b * s.steps + t : t * s.batch + b) * width);
          }
        });
      };
      plan.from_state.run(host_, {.a = state.h, .a_stride = s.hidden, .b = weights, .c = state.h_gates, .c_stride = width}, nullptr);
      if (reset_early_) {
        each_row([&](std::int64_t b, std::int64_t, float* gates) {
          begin_gates(gates, state, s, b, 0, 2);
          activation(d, 0)(gates, 2 * s.hidden);
          for (std::int64_t j = 0; j < s.hidden; ++j) state.reset[b * s.hidden + j] = gates[s.hidden + j] * state.h[b * s.hidden + j];
        });
        plan.from_reset.run(
            host_, {.a = state.reset, .a_stride = s.hidden, .b = late_weights, .c = state.h_gates + first, .c_stride = width}, nullptr);
      }
      each_row([&](std::int64_t b, std::int64_t t, float* gates) {
        if (lstm_) advance_lstm(gates, state, s, b, d);
        else if (gates_ == 3) advance_gru(gates, state, s, b, d);
        else advance_rnn(gates, state, s, b, d);
        if (y)
          std::copy_n(state.h + b * s.hidden, s.hidden,
                      y + (batch_first_ ? (b * s.steps + t) * directions_ + d : (t * directions_ + d) * s.batch + b) * s.hidden);
      });
    }
    for (int output = 1; output <= (lstm_ ? 2 : 1); ++output) {
      if (!context.has_output(output)) continue;
      const float* from = output == 1 ? state.h : state.c;
      for (std::int64_t b = 0; b < s.batch; ++b)
        std::copy_n(from + b * s.hidden, s.hidden, context.output(output).mutable_data<float>() + state_at(b));
    }
  }

  /// Adds to gates [first, last) of row b what the state gives, and the biases.
  void begin_gates(float* gates, const State& state, const Sizes& s, std::int64_t b, int first, int last) const {
    const float* from = state.h_gates + b * gates_ * s.hidden;
    for (std::int64_t j = first * s.hidden; j < last * s.hidden; ++j) gates[j] += from[j] + state.bias[j];
  }

  void advance_lstm(float* gates, const State& state, const Sizes& s, std::int64_t b, std::int64_t d) const {
    const std::int64_t n = s.hidden;
    float *in = gates, *out = gates + n, *forget = gates + 2 * n, *fresh = gates + 3 * n, *c = state.c + b * n, *h = state.h + b * n;
    begin_gates(gates, state, s, b, 0, 4);
    const float* p = state.peephole;
    if (p)
      for (std::int64_t j = 0; j < n; ++j) {
        in[j] += p[j] * c[j];
        forget[j] += p[2 * n + j] * c[j];
      }
    activation(d, 0)(in, n);
    if (!coupled_) activation(d, 0)(forget, n);
    activation(d, 1)(fresh, n);
    for (std::int64_t j = 0; j < n; ++j) c[j] = (coupled_ ? 1 - in[j] : forget[j]) * c[j] + in[j] * fresh[j];
    if (p)
      for (std::int64_t j = 0; j < n; ++j) out[j] += p[n + j] * c[j];
    activation(d, 0)(out, n);
    std::copy_n(c, n, h);
    activation(d, 2)(h, n);
    for (std::int64_t j = 0; j < n; ++j) h[j] *= out[j];
  }

  void advance_gru(float* gates, const State& state, const Sizes& s, std::int64_t b, std::int64_t d) const {
    const std::int64_t n = s.hidden;
    float *update = gates, *reset = gates + n, *fresh = gates + 2 * n, *h = state.h + b * n;
    if (reset_late_) {
      begin_gates(gates, state, s, b, 0, 2);
      activation(d, 0)(gates, 2 * n);
      const float* from = state.h_gates + b * gates_ * n + 2 * n;
      for (std::int64_t j = 0; j < n; ++j)
        fresh[j] += state.bias[2 * n + j] + reset[j] * (from[j] + (state.late_bias ? state.late_bias[j] : 0));
    } else {
      begin_gates(gates, state, s, b, 2, 3);
    }
    activation(d, 1)(fresh, n);
    for (std::int64_t j = 0; j < n; ++j) h[j] = (1 - update[j]) * fresh[j] + update[j] * h[j];
  }

  void advance_rnn(float* gates, const State& state, const Sizes& s, std::int64_t b, std::int64_t d) const {
    begin_gates(gates, state, s, b, 0, 1);
    activation(d, 0)(gates, s.hidden);
    std::copy_n(gates, s.hidden, state.h + b * s.hidden);
  }

  const AshlarHost* host_;
  int gates_;
  bool lstm_;
  int directions_;
  bool batch_first_, reverse_, reset_late_, reset_early_, coupled_;
  std::vector<Activation> activations_;
  const float* packed_[2] = {};
};

constexpr provider::KernelEntry kKernels[] = {
    {"RNN", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
    {"GRU", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
    {"LSTM", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
};

}  // namespace

std::span<const provider::KernelEntry> recurrent_kernels() { return kKernels; }

}  // namespace ashlar::cpu
