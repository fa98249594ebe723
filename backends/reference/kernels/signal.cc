// SPDX-License-Identifier: Apache-2.0
// DFT, STFT, MelWeightMatrix and the window functions.
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "fourier.h"
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

using IndexTypes = Types<std::int32_t, std::int64_t>;

/// The one element of an integer tensor.
std::int64_t scalar(const TensorView& view, const char* what) {
  const std::vector<std::int64_t> values = view.indices();
  check(values.size() == 1, what, " has ", values.size(), " values");
  return values[0];
}

provider::Verdict indices_verdict(const NodeView& node, std::initializer_list<int> inputs) {
  for (const int i : inputs)
    ASHLAR_REQUIRE(!node.has_input(i) || contains<IndexTypes>(node.input(i).dtype()), ASHLAR_NO_KERNEL_DTYPE, "input ", i, " of ",
                   node.op_type(), " is ", provider::dtype_name(node.input(i).dtype()));
  return provider::accept();
}

/// `length` values of a signal from offset on, `step` apart, each of `parts` (1: real, 2: complex) elements; zeros behind its `available`.
std::vector<Complex> signal_of(const TensorView& view, std::int64_t offset, std::int64_t step, std::int64_t parts, std::int64_t available,
                               std::int64_t length) {
  std::vector<Complex> x(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < std::min(length, available); ++i) {
    double value[2] = {0, 0};
    load_reals(view, offset + i * step, parts, value);
    x[static_cast<std::size_t>(i)] = {value[0], value[1]};
  }
  return x;
}

class Dft : public Kernel {
 public:
  explicit Dft(const NodeView& node) : inverse_(node.integer("inverse") != 0), onesided_(node.integer("onesided") != 0) {}

  static provider::Verdict verdict(const NodeView& node) {
    if (auto v = indices_verdict(node, {1, 2}); v.code != ASHLAR_ACCEPTED) return v;
    return takes<FloatTypes>(node);
  }
  std::uint64_t bind_reads() const override { return 1u << 1 | 1u << 2; }

  void bind(BindContext& context) const override {
    const Plan p = plan(context);
    Dims y = context.input(0).dims();
    y[p.axis] = onesided_ && !inverse_ ? p.length / 2 + 1 : p.length;
    y[y.rank() - 1] = onesided_ && inverse_ ? 1 : 2;
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    const TensorView view = context.input(0), y = context.output(0);
    if (y.count() == 0) return;
    const Plan p = plan(context);
    const AxisView from(view.dims(), p.axis), to(y.dims(), p.axis);
    const std::int64_t parts = view.dim(view.rank() - 1), out_parts = y.dim(y.rank() - 1), lines = from.inner / parts;
    for (std::int64_t o = 0; o < from.outer; ++o) {
      for (std::int64_t i = 0; i < lines; ++i) {
        const bool half = inverse_ && onesided_;
        std::vector<Complex> x = signal_of(view, o * from.size * from.inner + i * parts, from.inner, parts,
                                           half ? std::min(from.size, p.length / 2 + 1) : from.size, p.length);
        if (half) complete(x);
        x = fourier(x, inverse_);
        for (std::int64_t k = 0; k < to.size; ++k) {
          const Complex value = x[static_cast<std::size_t>(k)];
          const double pair[2] = {value.real(), value.imag()};
          store_reals(y, (o * to.size + k) * to.inner + i * out_parts, out_parts, pair);
        }
      }
    }
  }

 private:
  struct Plan {
    int axis;
    std::int64_t length;
  };

  template <class Context> Plan plan(const Context& context) const {
    const Dims x = context.input(0).dims();
    check(x.rank() >= 2 && (x[x.rank() - 1] == 1 || x[x.rank() - 1] == 2), "a signal of shape ", x, " does not end in 1 or 2");
    const int axis = provider::normalize_axis(context.has_input(2) ? scalar(context.input(2), "axis") : -2, x.rank());
    check(axis < x.rank() - 1, "axis ", axis, " is the one of the real and imaginary parts");
    const std::int64_t natural = inverse_ && onesided_ ? 2 * (x[axis] - 1) : x[axis];
    const std::int64_t length = context.has_input(1) ? scalar(context.input(1), "dft_length") : natural;
    check(length >= 1 && length < std::int64_t{1} << 31, "a DFT of length ", length);
    return {axis, length};
  }

  /// The first half of a spectrum that is symmetric, completed: its ends are real.
  static void complete(std::vector<Complex>& x) {
    const std::size_t n = x.size();
    x[0] = x[0].real();
    if (n % 2 == 0) x[n / 2] = x[n / 2].real();
    for (std::size_t k = n / 2 + 1; k < n; ++k) x[k] = std::conj(x[n - k]);
  }

  bool inverse_, onesided_;
};

class Stft : public Kernel {
 public:
  explicit Stft(const NodeView& node) : onesided_(node.integer("onesided", 1) != 0) {}

  static provider::Verdict verdict(const NodeView& node) {
    if (auto v = indices_verdict(node, {1, 3}); v.code != ASHLAR_ACCEPTED) return v;
    return takes_same<FloatTypes, 2>(node);
  }
  std::uint64_t bind_reads() const override { return 1u << 1 | 1u << 3; }

  void bind(BindContext& context) const override {
    const Plan p = plan(context);
    context.set_output(0, {context.input(0).dim(0), p.frames, p.bins, 2});
  }

  void run(const RunContext& context) const override {
    const TensorView view = context.input(0), y = context.output(0);
    const Plan p = plan(context);
    const std::int64_t length = view.dim(1), parts = view.dim(2);
    std::vector<double> window(static_cast<std::size_t>(p.frame), 1.0);
    if (context.has_input(2)) load_reals(context.input(2), 0, p.frame, window.data());
    for (std::int64_t b = 0; b < view.dim(0); ++b) {
      for (std::int64_t f = 0; f < p.frames; ++f) {
        std::vector<Complex> x = signal_of(view, (b * length + f * p.step) * parts, parts, parts, p.frame, p.frame);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] *= window[i];
        x = fourier(x, false);
        for (std::int64_t k = 0; k < p.bins; ++k) {
          const double pair[2] = {x[static_cast<std::size_t>(k)].real(), x[static_cast<std::size_t>(k)].imag()};
          store_reals(y, ((b * p.frames + f) * p.bins + k) * 2, 2, pair);
        }
      }
    }
  }

 private:
  struct Plan {
    std::int64_t step, frame, frames, bins;
  };

  template <class Context> Plan plan(const Context& context) const {
    const Dims x = context.input(0).dims();
    check(x.rank() == 3 && (x[2] == 1 || x[2] == 2), "a signal of shape ", x, " is not [batch, length, 1 or 2]");
    Plan p{scalar(context.input(1), "frame_step"), x[1], 0, 0};
    if (context.has_input(2)) {
      check(context.input(2).rank() == 1, "a window of shape ", context.input(2).dims());
      p.frame = context.input(2).dim(0);
    }
    if (context.has_input(3)) {
      const std::int64_t given = scalar(context.input(3), "frame_length");
      check(!context.has_input(2) || given == p.frame, "a window of ", p.frame, " for frames of ", given);
      p.frame = given;
    }
    check(p.step >= 1 && p.frame >= 1 && p.frame <= x[1] && p.frame < std::int64_t{1} << 31, "frames of ", p.frame, " every ", p.step,
          " in a signal of ", x[1]);
    p.frames = (x[1] - p.frame) / p.step + 1;
    p.bins = onesided_ ? p.frame / 2 + 1 : p.frame;
    return p;
  }

  bool onesided_;
};

/// Stores a number in a tensor of any numeric type; integers are cut, not rounded.
void store_number(const TensorView& view, std::int64_t i, double value) {
  dispatch<NumericTypes>(view.dtype(), [&]<class T>() {
    if constexpr (is_float<T>) view.mutable_data<T>()[i] = narrow<T>(value);
    else view.mutable_data<T>()[i] = saturate<T>(std::trunc(value));
  });
}

class MelWeightMatrix : public Kernel {
 public:
  explicit MelWeightMatrix(const NodeView&) {}

  static provider::Verdict verdict(const NodeView& node) {
    if (auto v = indices_verdict(node, {0, 1, 2}); v.code != ASHLAR_ACCEPTED) return v;
    for (const int i : {3, 4})
      if (auto v = require_dtype<FloatTypes>(node, node.input(i)); v.code != ASHLAR_ACCEPTED) return v;
    return require_dtype<NumericTypes>(node, node.output(0));
  }
  std::uint64_t bind_reads() const override { return 1u << 0 | 1u << 1; }

  void bind(BindContext& context) const override {
    const std::int64_t bands = scalar(context.input(0), "num_mel_bins"), length = scalar(context.input(1), "dft_length");
    check(bands >= 0 && bands < std::int64_t{1} << 31 && length >= 0 && length < std::int64_t{1} << 31, bands, " bands of a DFT of length ",
          length);
    context.set_output(0, {length / 2 + 1, bands});
  }

  void run(const RunContext& context) const override {
    const TensorView y = context.output(0);
    const std::int64_t bins = y.dim(0), bands = y.dim(1);
    const double length = static_cast<double>(scalar(context.input(1), "dft_length")),
                 rate = static_cast<double>(scalar(context.input(2), "sample_rate"));
    const auto mel = [&](int input) {
      check(context.input(input).count() == 1, "input ", input, " has ", context.input(input).count(), " values");
      double hertz;
      load_reals(context.input(input), 0, 1, &hertz);
      return 2595 * std::log10(1 + hertz / 700);
    };
    const double low = mel(3), step = (mel(4) - low) / static_cast<double>(bands + 2);
    std::vector<std::int64_t> edges;
    for (std::int64_t i = 0; i < bands + 2; ++i) {
      const double hertz = 700 * (std::pow(10, (static_cast<double>(i) * step + low) / 2595) - 1);
      const double bin = std::floor((length + 1) * hertz / rate);
      check(bin >= 0 && bin < static_cast<double>(bins), "the band edge ", hertz, " Hz is bin ", bin, " of ", bins);
      edges.push_back(static_cast<std::int64_t>(bin));
    }
    for (std::int64_t i = 0; i < y.count(); ++i) store_number(y, i, 0);
    for (std::int64_t band = 0; band < bands; ++band) {
      const auto at = static_cast<std::size_t>(band);
      const std::int64_t left = edges[at], centre = edges[at + 1], right = edges[at + 2];
      if (left == centre) store_number(y, centre * bands + band, 1);
      for (std::int64_t j = left; j <= centre && left < centre; ++j)
        store_number(y, j * bands + band, static_cast<double>(j - left) / static_cast<double>(centre - left));
      for (std::int64_t j = centre; j < right; ++j)
        store_number(y, j * bands + band, static_cast<double>(right - j) / static_cast<double>(right - centre));
    }
  }
};

/// w(i) = a - b cos(2 pi i / n) + c cos(4 pi i / n), n being the size or, for symmetric windows, one less.
struct CosineWindow {
  const char* op;
  double a, b, c;
};
constexpr CosineWindow kCosineWindows[] = {
    {"HannWindow", 0.5, 0.5, 0}, {"HammingWindow", 25.0 / 46, 21.0 / 46, 0}, {"BlackmanWindow", 0.42, 0.5, 0.08}};

class WindowFunction : public Kernel {
 public:
  explicit WindowFunction(const NodeView& node) : periodic_(node.integer("periodic", 1) != 0) {
    window_ =
        *std::find_if(std::begin(kCosineWindows), std::end(kCosineWindows), [&](const CosineWindow& w) { return node.op_type() == w.op; });
  }
  static provider::Verdict verdict(const NodeView& node) {
    if (auto v = indices_verdict(node, {0}); v.code != ASHLAR_ACCEPTED) return v;
    return require_dtype<NumericTypes>(node, node.output(0));
  }
  std::uint64_t bind_reads() const override { return 1u << 0; }
  void bind(BindContext& context) const override { context.set_output(0, {scalar(context.input(0), "size")}); }

  void run(const RunContext& context) const override {
    const std::int64_t size = context.output(0).count();
    const double n = static_cast<double>(periodic_ ? size : size - 1);
    for (std::int64_t i = 0; i < size; ++i) {
      const double angle = n == 0 ? std::numbers::pi : 2 * std::numbers::pi * static_cast<double>(i) / n;
      store_number(context.output(0), i, window_.a - window_.b * std::cos(angle) + window_.c * std::cos(2 * angle));
    }
  }

 private:
  CosineWindow window_;
  bool periodic_;
};

constexpr KernelEntry kKernels[] = {
    {"DFT", 20, provider::kLatest, &Dft::verdict, &provider::make<Dft>},
    {"STFT", 17, provider::kLatest, &Stft::verdict, &provider::make<Stft>},
    {"MelWeightMatrix", 17, provider::kLatest, &MelWeightMatrix::verdict, &provider::make<MelWeightMatrix>},
    {"HannWindow", 17, provider::kLatest, &WindowFunction::verdict, &provider::make<WindowFunction>},
    {"HammingWindow", 17, provider::kLatest, &WindowFunction::verdict, &provider::make<WindowFunction>},
    {"BlackmanWindow", 17, provider::kLatest, &WindowFunction::verdict, &provider::make<WindowFunction>},
};

}  // namespace

std::span<const KernelEntry> signal_kernels() { return kKernels; }

}  // namespace ashlar::reference
