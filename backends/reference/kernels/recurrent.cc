// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM. The states are kept as doubles through the whole sequence; results are rounded once, on output. A sequence shorter
// than the longest leaves zeros behind its end in Y, and the reverse direction starts at its own end.
#include <cmath>
#include <functional>

#include "product.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// An activation function and how many of alpha and beta it takes from the lists of the node; defaults are those of the ONNX operators.
struct ActivationRule {
  const char* name;
  int parameters;
  double alpha, beta;
  double (*apply)(double x, double alpha, double beta);
};
constexpr ActivationRule kActivations[] = {
    {"relu", 0, 0, 0, [](double x, double, double) { return x < 0 ? 0 : x; }},
    {"tanh", 0, 0, 0, [](double x, double, double) { return std::tanh(x); }},
    {"sigmoid", 0, 0, 0, [](double x, double, double) { return sigmoid(x); }},
    {"affine", 2, 1, 0, [](double x, double a, double b) { return a * x + b; }},
    {"leakyrelu", 1, 0.01, 0, [](double x, double a, double) { return x >= 0 ? x : a * x; }},
    {"thresholdedrelu", 1, 1, 0, [](double x, double a, double) { return x >= a ? x : 0; }},
    {"scaledtanh", 2, 1, 1, [](double x, double a, double b) { return a * std::tanh(b * x); }},
    {"hardsigmoid", 2, 0.2, 0.5, [](double x, double a, double b) { return std::min(std::max(a * x + b, 0.0), 1.0); }},
    {"elu", 1, 1, 0, [](double x, double a, double) { return x >= 0 ? x : a * std::expm1(x); }},
    {"softsign", 0, 0, 0, [](double x, double, double) { return x / (1 + std::abs(x)); }},
    {"softplus", 0, 0, 0, [](double x, double, double) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }},
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

constexpr int kAbsent = 64;  // an input that no node has

struct Sizes {
  std::int64_t steps, batch, inputs, hidden;
};

class Recurrent : public Kernel {
 public:
  explicit Recurrent(const NodeView& node)
      : gates_(cell_of(node).gates), lstm_(gates_ == 4), directions_(directions_of(node)), batch_first_(node.integer("layout") == 1),
        reverse_(node.text("direction", "forward") == "reverse"), reset_late_(node.integer("linear_before_reset") != 0),
        coupled_(node.integer("input_forget") != 0), clip_(node.has("clip") ? node.real("clip") : HUGE_VAL) {
    const std::vector<float> alphas = node.reals("activation_alpha"), betas = node.reals("activation_beta");
    std::size_t alpha = 0, beta = 0;
    for (const std::string& name : activation_names(node)) {
      const ActivationRule& rule = *find_activation(name);
      Activation a{rule.apply, rule.alpha, rule.beta, clip_};
      if (rule.parameters > 0 && alpha < alphas.size()) a.alpha = alphas[alpha++];
      if (rule.parameters > 1 && beta < betas.size()) a.beta = betas[beta++];
      activations_.push_back(a);
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
    return takes_same<FloatTypes, 1, 2, 3, 5, 6, 7>(node);
  }

  void bind(BindContext& context) const override {
    const Sizes s = sizes(context);
    const std::int64_t d = directions_;
    const auto expect = [&](int input, const Dims& dims) {
      if (context.has_input(input))
        check(context.input(input).dims() == dims, "input ", input, " has shape ", context.input(input).dims(), ", not ", dims);
    };
    const Dims state = batch_first_ ? Dims{s.batch, d, s.hidden} : Dims{d, s.batch, s.hidden};
    expect(1, {d, gates_ * s.hidden, s.inputs});
    expect(2, {d, gates_ * s.hidden, s.hidden});
    expect(3, {d, 2 * gates_ * s.hidden});
    expect(4, {s.batch});
    expect(5, state);
    if (lstm_) expect(6, state);
    if (lstm_) expect(7, {d, 3 * s.hidden});
    context.set_output(0, batch_first_ ? Dims{s.batch, s.steps, d, s.hidden} : Dims{s.steps, d, s.batch, s.hidden});
    context.set_output(1, state);
    if (lstm_) context.set_output(2, state);
  }

  void run(const RunContext& context) const override {
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      if (context.has_output(0)) std::fill_n(context.output(0).mutable_data<T>(), context.output(0).count(), T(0.0f));
      for (int d = 0; d < directions_; ++d) direction<T>(context, d);
    });
  }

 private:
  struct Activation {
    double (*apply)(double, double, double);
    double alpha, beta, clip;
    double operator()(double x) const { return apply(x > clip ? clip : x < -clip ? -clip : x, alpha, beta); }
  };

  template <class Context> Sizes sizes(const Context& context) const {
    const Dims x = context.input(0).dims(), r = context.input(2).dims();
    check(x.rank() == 3 && r.rank() == 3, "an input of shape ", x, " and recurrence weights of shape ", r);
    for (const std::int64_t n : {x[0], x[1], x[2], r[2]}) check(n < std::int64_t{1} << 31, "a dimension of ", n);
    return {x[batch_first_ ? 1 : 0], x[batch_first_ ? 0 : 1], x[2], r[2]};
  }

  /// Biases, gates and states of one direction.
  struct State {
    std::vector<double> w_bias, r_bias, peephole, h, c;
  };

  template <class T> void direction(const RunContext& context, int d) const {
    const Sizes s = sizes(context);
    const std::int64_t width = gates_ * s.hidden;
    if (s.batch == 0 || s.hidden == 0) return;
    const auto part = [&](int input, std::int64_t offset, std::int64_t count) {
      std::vector<double> out(static_cast<std::size_t>(count), 0.0);
      if (context.has_input(input)) {
        const T* p = context.input(input).data<T>() + offset;
        std::copy(p, p + count, out.begin());
      }
      return out;
    };
    const auto state_at = [&](std::int64_t b) { return (batch_first_ ? b * directions_ + d : d * s.batch + b) * s.hidden; };
    const auto initial = [&](int input) {
      std::vector<double> out;
      for (std::int64_t b = 0; b < s.batch; ++b) {
        const std::vector<double> row = part(input, state_at(b), s.hidden);
        out.insert(out.end(), row.begin(), row.end());
      }
      return out;
    };
    State state{part(3, d * 2 * width, width), part(3, d * 2 * width + width, width),
                part(lstm_ ? 7 : kAbsent, d * 3 * s.hidden, 3 * s.hidden), initial(5), initial(lstm_ ? 6 : kAbsent)};
    const T* x = context.input(0).data<T>();
    const T* w = context.input(1).data<T>() + d * width * s.inputs;
    const T* r = context.input(2).data<T>() + d * width * s.hidden;
    T* y = context.has_output(0) ? context.output(0).mutable_data<T>() : nullptr;

    check(static_cast<double>(s.steps) * static_cast<double>(s.batch) * static_cast<double>(width) < 0x1p48, "sequences of ", s.steps,
          " steps are too long");
    std::vector<double> from_x(static_cast<std::size_t>(s.steps * s.batch * width));
    multiply<double>(
        s.steps * s.batch, width, s.inputs, [&](std::int64_t i, std::int64_t k) { return static_cast<double>(x[i * s.inputs + k]); },
        [&](std::int64_t k, std::int64_t j) { return static_cast<double>(w[j * s.inputs + k]); },
        [&](std::int64_t i, std::int64_t j, double sum) { from_x[static_cast<std::size_t>(i * width + j)] = sum; });

    const std::vector<std::int64_t> lengths = sequence_lengths(context, s);
    const bool backwards = reverse_ || d == 1;
    std::vector<double> from_h(static_cast<std::size_t>(s.batch * width));
    for (std::int64_t step = 0; step < s.steps; ++step) {
      recur(r, state.h, s, 0, width, from_h);
      if (gates_ == 3 && !reset_late_) reset(r, from_x, lengths, backwards, step, s, d, state, from_h);
      for (std::int64_t b = 0; b < s.batch; ++b) {
        const std::int64_t length = lengths[static_cast<std::size_t>(b)];
        if (step >= length) continue;
        const std::int64_t t = backwards ? length - 1 - step : step;
        const double* xs = from_x.data() + (batch_first_ ? b * s.steps + t : t * s.batch + b) * width;
        advance(xs, from_h.data() + b * width, s, b, d, state);
        if (!y) continue;
        T* row = y + (batch_first_ ? ((b * s.steps + t) * directions_ + d) : ((t * directions_ + d) * s.batch + b)) * s.hidden;
        for (std::int64_t j = 0; j < s.hidden; ++j) row[j] = narrow<T>(state.h[static_cast<std::size_t>(b * s.hidden + j)]);
      }
    }
    for (int output = 1; output <= (lstm_ ? 2 : 1); ++output) {
      if (!context.has_output(output)) continue;
      const std::vector<double>& from = output == 1 ? state.h : state.c;
      for (std::int64_t b = 0; b < s.batch; ++b)
        for (std::int64_t j = 0; j < s.hidden; ++j)
          context.output(output).mutable_data<T>()[state_at(b) + j] = narrow<T>(from[static_cast<std::size_t>(b * s.hidden + j)]);
    }
  }

  std::vector<std::int64_t> sequence_lengths(const RunContext& context, const Sizes& s) const {
    if (!context.has_input(4)) return std::vector<std::int64_t>(static_cast<std::size_t>(s.batch), s.steps);
    std::vector<std::int64_t> lengths = context.input(4).indices();
    for (const std::int64_t n : lengths) check(n >= 0 && n <= s.steps, "a sequence length of ", n, " in ", s.steps, " steps");
    return lengths;
  }

  /// Columns [first, last) of h times the transpose of r.
  template <class T>
  static void recur(const T* r, const std::vector<double>& h, const Sizes& s, std::int64_t first, std::int64_t last,
                    std::vector<double>& out) {
    const std::int64_t width = static_cast<std::int64_t>(out.size()) / s.batch;
    multiply<double>(
        s.batch, last - first, s.hidden, [&](std::int64_t i, std::int64_t k) { return h[static_cast<std::size_t>(i * s.hidden + k)]; },
        [&](std::int64_t k, std::int64_t j) { return static_cast<double>(r[(first + j) * s.hidden + k]); },
        [&](std::int64_t i, std::int64_t j, double sum) { out[static_cast<std::size_t>(i * width + first + j)] = sum; });
  }

  /// GRU with linear_before_reset = 0: the hidden gate sees the state times the reset gate.
  template <class T>
  void reset(const T* r, const std::vector<double>& from_x, const std::vector<std::int64_t>& lengths, bool backwards, std::int64_t step,
             const Sizes& s, int d, const State& state, std::vector<double>& from_h) const {
    const std::int64_t width = gates_ * s.hidden;
    std::vector<double> masked(state.h.size(), 0.0);
    for (std::int64_t b = 0; b < s.batch; ++b) {
      const std::int64_t length = lengths[static_cast<std::size_t>(b)];
      if (step >= length) continue;
      const std::int64_t t = backwards ? length - 1 - step : step;
      const double* xs = from_x.data() + (batch_first_ ? b * s.steps + t : t * s.batch + b) * width;
      for (std::int64_t j = 0; j < s.hidden; ++j) {
        const auto at = static_cast<std::size_t>(b * s.hidden + j);
        masked[at] = gate(xs, from_h.data() + b * width, s, state, 1, j, activation(d, 0)) * state.h[at];
      }
    }
    recur(r, masked, s, 2 * s.hidden, 3 * s.hidden, from_h);
  }

  const Activation& activation(int d, int index) const {
    const std::size_t per_direction = lstm_ ? 3 : gates_ == 3 ? 2 : 1;
    return activations_[static_cast<std::size_t>(d) * per_direction + static_cast<std::size_t>(index)];
  }

  /// Gate `index` of unit j: f(x W + W_b + h R + R_b + extra).
  static double gate(const double* xs, const double* hs, const Sizes& s, const State& state, int index, std::int64_t j, const Activation& f,
                     double extra = 0) {
    const std::int64_t at = index * s.hidden + j;
    const auto i = static_cast<std::size_t>(at);
    return f(xs[at] + hs[at] + state.w_bias[i] + state.r_bias[i] + extra);
  }

  /// One step of row b: xs and hs are what the input and the last state give to its gates.
  void advance(const double* xs, const double* hs, const Sizes& s, std::int64_t b, int d, State& state) const {
    for (std::int64_t j = 0; j < s.hidden; ++j) {
      double& h = state.h[static_cast<std::size_t>(b * s.hidden + j)];
      const auto peephole = [&](int index) { return state.peephole[static_cast<std::size_t>(index * s.hidden + j)]; };
      if (lstm_) {
        double& c = state.c[static_cast<std::size_t>(b * s.hidden + j)];
        const double in = gate(xs, hs, s, state, 0, j, activation(d, 0), peephole(0) * c);
        const double forget = coupled_ ? 1 - in : gate(xs, hs, s, state, 2, j, activation(d, 0), peephole(2) * c);
        c = forget * c + in * gate(xs, hs, s, state, 3, j, activation(d, 1));
        h = gate(xs, hs, s, state, 1, j, activation(d, 0), peephole(1) * c) * activation(d, 2)(c);
      } else if (gates_ == 3) {
        const double update = gate(xs, hs, s, state, 0, j, activation(d, 0));
        double fresh;
        if (reset_late_) {
          const auto i = static_cast<std::size_t>(2 * s.hidden + j);
          const double r = gate(xs, hs, s, state, 1, j, activation(d, 0));
          fresh = activation(d, 1)(xs[i] + r * (hs[i] + state.r_bias[i]) + state.w_bias[i]);
        } else {
          fresh = gate(xs, hs, s, state, 2, j, activation(d, 1));
        }
        h = (1 - update) * fresh + update * h;
      } else {
        h = gate(xs, hs, s, state, 0, j, activation(d, 0));
      }
    }
  }

  int gates_;
  bool lstm_;
  int directions_;
  bool batch_first_, reverse_, reset_late_, coupled_;
  double clip_;
  std::vector<Activation> activations_;
};

constexpr KernelEntry kKernels[] = {
    {"RNN", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
    {"GRU", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
    {"LSTM", 7, provider::kLatest, &Recurrent::verdict, &provider::make<Recurrent>},
};

}  // namespace

std::span<const KernelEntry> recurrent_kernels() { return kKernels; }

}  // namespace ashlar::reference
