// SPDX-License-Identifier: Apache-2.0
// Pooling over windows and over whole planes, and MaxUnpool. A window visits only the taps that lie inside the input.
#include <cmath>
#include <limits>

#include "product.h"
#include "window.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;

using MaxTypes = Join<FloatTypes, Types<std::int8_t, std::uint8_t>>;

/// f(output index, offset of the first tap in the plane, how many taps per dimension) for every position of a window. Consecutive taps
/// are dilation[d] * strides_of(input)[d] apart.
template <class F> void for_each_position(const Window& w, F f) {
  if (w.output.count() == 0) return;
  const Dims strides = strides_of(w.input);
  Dims position = Dims::filled(w.rank(), 0), taps = position;
  std::int64_t i = 0;
  do {
    std::int64_t base = 0;
    for (int d = 0; d < w.rank(); ++d) {
      const std::int64_t origin = position[d] * w.stride[d] - w.begin[d];
      const TapRange range(origin, w.dilation[d], w.kernel[d], 0, w.input[d]);
      taps[d] = range.last - range.first;
      base += (origin + range.first * w.dilation[d]) * strides[d];
    }
    f(i++, position, base, taps);
  } while (advance(position, w.output));
}

/// The taps of a position that lie inside the padded input.
std::int64_t padded_taps(const Window& w, const Dims& position) {
  std::int64_t count = 1;
  for (int d = 0; d < w.rank(); ++d) {
    const TapRange range(position[d] * w.stride[d] - w.begin[d], w.dilation[d], w.kernel[d], -w.begin[d], w.input[d] + w.end[d]);
    count *= range.last - range.first;
  }
  return count;
}

/// What the poolings over a window share: the window, and a visit of every position of every plane.
class WindowPool : public Kernel {
 public:
  explicit WindowPool(const NodeView& node) : attributes_(node) {}
  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    Dims y{x[0], x.rank() > 1 ? x[1] : 0};
    for (const std::int64_t d : attributes_.slide(x).output) y.push_back(d);
    context.set_output(0, y);
    context.set_output(1, y);
  }

 protected:
  /// f(output element, the plane's first element, index in the output plane, offset of the first tap, taps per dimension)
  template <class F> static void visit(const Window& w, const Dims& x, F f) {
    const std::int64_t inputs = w.input.count(), outputs = w.output.count();
    if (outputs == 0) return;
    for (std::int64_t p = 0; p < x[0] * x[1]; ++p)
      for_each_position(w, [&](std::int64_t i, const Dims& position, std::int64_t base, const Dims& taps) {
        f(p * outputs + i, p * inputs, position, base, taps);
      });
  }
  static Dims tap_strides(const Window& w, Dims strides) {
    for (int d = 0; d < w.rank(); ++d) strides[d] *= w.dilation[d];
    return strides;
  }
  Window window(const Dims& x) const { return attributes_.slide(x); }

 private:
  WindowAttributes attributes_;
};

class MaxPool : public WindowPool {
 public:
  explicit MaxPool(const NodeView& node) : WindowPool(node), column_major_(node.integer("storage_order") == 1) {}

  void run(const RunContext& context) const override {
    const Dims dims = context.input(0).dims();
    const Window w = window(dims);
    const Dims strides = strides_of(w.input);
    Dims order = strides;
    if (column_major_)
      for (int d = 0; d < w.rank(); ++d) order[d] = w.input.product(0, d);
    const Dims step = tap_strides(w, strides);
    auto* indices = context.has_output(1) ? context.output(1).mutable_data<std::int64_t>() : nullptr;
    dispatch<MaxTypes>(context.input(0).dtype(), [&]<class T>() {
      using C = Compute<T>;
      const T* x = context.input(0).data<T>();
      T* y = context.has_output(0) ? context.output(0).mutable_data<T>() : nullptr;
      visit(w, dims, [&](std::int64_t at, std::int64_t plane, const Dims&, std::int64_t base, const Dims& taps) {
        C best = std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();
        std::int64_t where = -1;
        for_each_index<1>(taps, {step}, [&](std::int64_t, const auto& offset) {
          const C value = static_cast<C>(x[plane + base + offset[0]]);
          if (where < 0 || value > best || (value != value && best == best)) best = value, where = base + offset[0];
        });
        if (y) y[at] = narrow<T>(best);
        if (!indices) return;
        std::int64_t index = plane;
        for (int d = 0; where >= 0 && d < w.rank(); ++d) index += where / strides[d] % w.input[d] * order[d];
        indices[at] = where < 0 ? -1 : index;
      });
    });
  }

 private:
  bool column_major_;
};

class AveragePool : public WindowPool {
 public:
  explicit AveragePool(const NodeView& node) : WindowPool(node), include_pad_(node.integer("count_include_pad") != 0) {}

  void run(const RunContext& context) const override {
    const Dims dims = context.input(0).dims();
    const Window w = window(dims);
    const Dims step = tap_strides(w, strides_of(w.input));
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* x = context.input(0).data<T>();
      T* y = context.output(0).mutable_data<T>();
      visit(w, dims, [&](std::int64_t at, std::int64_t plane, const Dims& position, std::int64_t base, const Dims& taps) {
        double sum = 0;
        for_each_index<1>(taps, {step}, [&](std::int64_t, const auto& offset) { sum += static_cast<double>(x[plane + base + offset[0]]); });
        const std::int64_t count = include_pad_ ? padded_taps(w, position) : taps.count();
        y[at] = narrow<T>(count == 0 ? 0 : sum / static_cast<double>(count));
      });
    });
  }

 private:
  bool include_pad_;
};

class LpPool : public WindowPool {
 public:
  explicit LpPool(const NodeView& node) : WindowPool(node), p_(static_cast<double>(node.integer("p", 2))) {}

  void run(const RunContext& context) const override {
    const Dims dims = context.input(0).dims();
    const Window w = window(dims);
    const Dims step = tap_strides(w, strides_of(w.input));
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* x = context.input(0).data<T>();
      T* y = context.output(0).mutable_data<T>();
      visit(w, dims, [&](std::int64_t at, std::int64_t plane, const Dims&, std::int64_t base, const Dims& taps) {
        double sum = 0;
        for_each_index<1>(taps, {step}, [&](std::int64_t, const auto& offset) {
          sum += std::pow(std::abs(static_cast<double>(x[plane + base + offset[0]])), p_);
        });
        y[at] = narrow<T>(std::pow(sum, 1 / p_));
      });
    });
  }

 private:
  double p_;
};

/// How a whole plane becomes one number: start with `start`, fold elements in, finish with the count.
struct PlaneRule {
  const char* op;
  double start;
  double (*fold)(double sum, double x, double p);
  double (*finish)(double sum, double count, double p);
};
constexpr PlaneRule kPlaneRules[] = {
    {"GlobalMaxPool", -std::numeric_limits<double>::infinity(), [](double m, double x, double) { return x > m || x != x ? x : m; },
     [](double m, double, double) { return m; }},
    {"GlobalAveragePool", 0, [](double sum, double x, double) { return sum + x; },
     [](double sum, double count, double) { return sum / count; }},
    {"GlobalLpPool", 0, [](double sum, double x, double p) { return sum + std::pow(std::abs(x), p); },
     [](double sum, double, double p) { return std::pow(sum, 1 / p); }},
};

class GlobalPool : public Kernel {
 public:
  explicit GlobalPool(const NodeView& node) : p_(static_cast<double>(node.integer("p", 2))) {
    rule_ = &*std::find_if(std::begin(kPlaneRules), std::end(kPlaneRules), [&](const PlaneRule& r) { return node.op_type() == r.op; });
  }
  void bind(BindContext& context) const override {
    Dims y = context.input(0).dims();
    check(y.rank() >= 2, rule_->op, " of a tensor of shape ", y);
    std::fill(y.begin() + 2, y.end(), 1);
    context.set_output(0, y);
  }
  void run(const RunContext& context) const override {
    const Dims dims = context.input(0).dims();
    const std::int64_t planes = dims[0] * dims[1], size = dims.product(2, dims.rank());
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* x = context.input(0).data<T>();
      T* y = context.output(0).mutable_data<T>();
      for (std::int64_t i = 0; i < planes; ++i) {
        double sum = rule_->start;
        for (std::int64_t j = 0; j < size; ++j) sum = rule_->fold(sum, static_cast<double>(x[i * size + j]), p_);
        y[i] = narrow<T>(rule_->finish(sum, static_cast<double>(size), p_));
      }
    });
  }

 private:
  const PlaneRule* rule_;
  double p_;
};

/// Indices count within the plane sizes that kernel, strides and pads imply; a larger output_shape adds zeros at the ends.
class MaxUnpool : public Kernel {
 public:
  explicit MaxUnpool(const NodeView& node) : attributes_(node), kernel_(node.integers("kernel_shape")) {}
  std::uint64_t bind_reads() const override { return 1u << 2; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    check(context.input(1).dims() == x, "indices of shape ", context.input(1).dims(), " for an input of shape ", x);
    Dims y = natural(x);
    if (context.has_input(2)) {
      const std::vector<std::int64_t> shape = context.input(2).indices();
      const Dims given{std::span(shape)};
      check(given.rank() == y.rank() && given[0] == y[0] && given[1] == y[1], "an output_shape of ", given, " for an input of shape ", x);
      y = given;
    }
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    const Dims x = context.input(0).dims(), from = natural(x), to = context.output(0).dims();
    const Dims from_strides = strides_of(from), to_strides = strides_of(to);
    const auto* indices = context.input(1).data<std::int64_t>();
    const std::int64_t limit = from.count();
    dispatch<MaxTypes>(context.input(0).dtype(), [&]<class T>() {
      T* y = context.output(0).mutable_data<T>();
      std::fill(y, y + context.output(0).count(), T{});
      for (std::int64_t i = 0; i < x.count(); ++i) {
        check(indices[i] >= 0 && indices[i] < limit, "index ", indices[i], " is outside the unpooled shape ", from);
        std::int64_t at = 0;
        for (int d = 0; d < from.rank(); ++d) {
          const std::int64_t coordinate = indices[i] / from_strides[d] % from[d];
          check(coordinate < to[d], "index ", indices[i], " of the unpooled shape ", from, " lies outside ", to);
          at += coordinate * to_strides[d];
        }
        y[at] = context.input(0).data<T>()[i];
      }
    });
  }

 private:
  Dims natural(const Dims& x) const {
    Dims y{x[0], x.rank() > 1 ? x[1] : 0};
    for (const std::int64_t d : attributes_.slide_transposed(x, Dims(std::span(kernel_))).output) y.push_back(d);
    return y;
  }
  WindowAttributes attributes_;
  std::vector<std::int64_t> kernel_;
};

constexpr KernelEntry kKernels[] = {
    {"MaxPool", 1, provider::kLatest, &takes<MaxTypes>, &provider::make<MaxPool>},
    {"AveragePool", 1, provider::kLatest, &takes<FloatTypes>, &provider::make<AveragePool>},
    {"LpPool", 2, provider::kLatest, &takes<FloatTypes>, &provider::make<LpPool>},
    {"GlobalMaxPool", 1, provider::kLatest, &takes<FloatTypes>, &provider::make<GlobalPool>},
    {"GlobalAveragePool", 1, provider::kLatest, &takes<FloatTypes>, &provider::make<GlobalPool>},
    {"GlobalLpPool", 2, provider::kLatest, &takes<FloatTypes>, &provider::make<GlobalPool>},
    {"MaxUnpool", 9, provider::kLatest, &takes<MaxTypes>, &provider::make<MaxUnpool>},
};

}  // namespace

std::span<const KernelEntry> pool_kernels() { return kKernels; }

}  // namespace ashlar::reference
