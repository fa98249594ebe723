// SPDX-License-Identifier: Apache-2.0
// Pooling over windows and over whole planes, and MaxUnpool. Float32 maxima and averages of channels-last images are vector loops
// (spatial.h); the rest are plain loops over strides. A window visits only the taps that lie inside the input.
#include "scalar.h"
#include "spatial.h"
#include "window.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

using MaxTypes = Join<FloatTypes, Types<std::int8_t, std::uint8_t>>;

/// A pooling's fold over the taps of a window: start, one step per tap, finish. Maxima report the tap that gave them.
template <class T> struct MaxFold {
  using C = Compute<T>;
  static C start() { return std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest(); }
  C best = start();
  std::int64_t where = -1;
  void add(T x, std::int64_t at) {
    const C value = static_cast<C>(x);
    if (where < 0 || value > best || (value != value && best == best)) best = value, where = at;
  }
  T finish(std::int64_t) const { return narrow<T>(best); }
};
template <class T> struct AverageFold {
  double sum = 0;
  void add(T x, std::int64_t) { sum += static_cast<double>(x); }
  T finish(std::int64_t count) const { return narrow<T>(sum / static_cast<double>(count)); }
};
template <class T> struct LpFold {
  double p = 2, sum = 0;
  void add(T x, std::int64_t) { sum += std::pow(std::abs(static_cast<double>(x)), p); }
  T finish(std::int64_t) const { return narrow<T>(std::pow(sum, 1 / p)); }
};

struct Bound : provider::Binding {
  Window window;
  Dims input, output;
  bool vector = false;
  PoolJob job;
};

enum class Kind { kMax, kAverage, kLp };

template <Kind kKind> class WindowPool final : public CpuKernel {
 public:
  explicit WindowPool(const NodeView& node)
      : attributes_(node), indices_(node.has_output(1)), column_major_(node.integer("storage_order") == 1),
        include_pad_(node.integer("count_include_pad") != 0), p_(static_cast<double>(node.integer("p", 2))) {}

  LayoutRule layout_rule() const override { return indices_ ? LayoutRule::kPlain : LayoutRule::kPrefers; }
  void set_output_layout(Layout layout) override { output_layout_ = layout; }

  void bind(BindContext& context) const override {
    const TensorView x = context.input(0);
    auto bound = std::make_unique<Bound>();
    bound->window = attributes_.slide(x.dims());
    bound->input = bound->output = x.dims();
    for (int d = 0; d < bound->window.rank(); ++d) bound->output[d + 2] = bound->window.output[d];
    context.set_output(0, bound->output);
    context.set_output(1, bound->output);
    context.set_layout(0, output_layout_);
    const auto last = [](const Dims& dims, std::uint64_t layout) { return layout == kChannelsLast || layouts_agree(dims); };
    bound->vector = kKind != Kind::kLp && !indices_ && x.dtype() == DType::kFloat32 && bound->window.rank() <= 3 &&
                    last(bound->input, x.layout()) && last(bound->output, output_layout_);
    if (bound->vector && bound->output.count() > 0) bound->job = job(*bound);
    context.set_binding(std::move(bound));
  }

  void run(const RunContext& context) const override {
    const Bound& b = context.binding<Bound>();
    if (b.output.count() == 0) return;
    if (b.vector) {
      PoolJob job = b.job;
      job.x = context.input(0).data<float>();
      job.y = context.output(0).mutable_data<float>();
      const std::int64_t cost = estimate(b.window.kernel.count(), job.output[2] * job.block / 4);
      context.parallel_for(b.input[0] * job.output[0] * job.output[1] * job.blocks(), grain_of(cost),
                           [&](std::int64_t first, std::int64_t last) { pool_rows(job, first, last); });
      return;
    }
    using List = std::conditional_t<kKind == Kind::kMax, MaxTypes, FloatTypes>;
    dispatch<List>(context.input(0).dtype(), [&]<class T>() {
      if constexpr (kKind == Kind::kMax) fold<T>(context, b, MaxFold<T>());
      else if constexpr (kKind == Kind::kAverage) fold<T>(context, b, AverageFold<T>());
      else fold<T>(context, b, LpFold<T>{p_});
    });
  }

 private:
  PoolJob job(const Bound& b) const {
    PoolJob j;
    j.mode = kKind == Kind::kMax ? Pooling::kMax : Pooling::kAverage;
    j.include_pad = include_pad_;
    j.channels = b.input[1];
    const Window& w = b.window;
    for (int d = 0, at = 3 - w.rank(); d < w.rank(); ++d, ++at) {
      j.input[at] = w.input[d], j.output[at] = w.output[d], j.kernel[at] = w.kernel[d], j.stride[at] = w.stride[d];
      j.dilation[at] = w.dilation[d], j.begin[at] = w.begin[d], j.end[at] = w.end[d];
    }
    j.block = b.input[0] * j.output[0] * j.output[1] >= 8 ? j.channels : 64;
    return j;
  }

  /// The taps of a position that lie inside the padded input.
  static std::int64_t padded_taps(const Window& w, const Dims& position) {
    std::int64_t count = 1;
    for (int d = 0; d < w.rank(); ++d) {
      const TapRange range(position[d] * w.stride[d] - w.begin[d], w.dilation[d], w.kernel[d], -w.begin[d], w.input[d] + w.end[d]);
      count *= range.last - range.first;
    }
    return count;
  }

  /// The index, as the operator counts it, of the tap at this offset of a plane.
  std::int64_t index_of(const Bound& b, std::int64_t plane, std::int64_t offset) const {
    std::int64_t index = plane * b.window.input.count();
    for (int d = 0; d < b.window.rank(); ++d) {
      const std::int64_t inner = b.window.input.product(d + 1, b.window.rank());
      index += offset / inner % b.window.input[d] * (column_major_ ? b.window.input.product(0, d) : inner);
    }
    return index;
  }

  template <class T, class Fold> void fold(const RunContext& context, const Bound& b, const Fold& start) const {
    const Window& w = b.window;
    const T* x = context.input(0).data<T>();
    T* y = context.has_output(0) ? context.output(0).mutable_data<T>() : nullptr;
    std::int64_t* indices = indices_ && context.has_output(1) ? context.output(1).mutable_data<std::int64_t>() : nullptr;
    const Dims from = strides_in(b.input, context.input(0).layout());
    const Dims to = strides_in(b.output, context.has_output(0) ? context.output(0).layout() : kPlain);
    const std::int64_t channels = b.input[1], cost = estimate(w.output.count(), w.kernel.count());
    context.parallel_for(b.input[0] * channels, grain_of(cost), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t plane = first; plane < last; ++plane) {
        const T* image = x + plane / channels * from[0] + plane % channels * from[1];
        Dims at = Dims::filled(w.rank(), 0), taps = at, tap = at;
        do {
          std::int64_t base = 0, inside = 1, out = plane / channels * to[0] + plane % channels * to[1];
          for (int d = 0; d < w.rank(); ++d) {
            const std::int64_t origin = at[d] * w.stride[d] - w.begin[d];
            const TapRange range(origin, w.dilation[d], w.kernel[d], 0, w.input[d]);
            taps[d] = range.last - range.first;
            inside *= taps[d];
            base += (origin + range.first * w.dilation[d]) * from[d + 2];
            out += at[d] * to[d + 2];
          }
          Fold total = start;
          if (inside > 0) {
            do {
              std::int64_t offset = base;
              for (int d = 0; d < w.rank(); ++d) offset += tap[d] * w.dilation[d] * from[d + 2];
              total.add(image[offset], offset);
            } while (advance(tap, taps));
          }
          if (y) y[out] = total.finish(std::max<std::int64_t>(1, include_pad_ ? padded_taps(w, at) : inside));
          if constexpr (kKind == Kind::kMax)
            if (indices) indices[out] = total.where < 0 ? -1 : index_of(b, plane, total.where);
        } while (advance(at, w.output));
      }
    });
  }

  WindowAttributes attributes_;
  bool indices_, column_major_, include_pad_;
  double p_;
  Layout output_layout_ = kPlain;
};

/// Pooling of whole planes, in either layout.
template <Kind kKind> class GlobalPool final : public CpuKernel {
 public:
  explicit GlobalPool(const NodeView& node) : p_(static_cast<double>(node.integer("p", 2))) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }

  void bind(BindContext& context) const override {
    Dims y = context.input(0).dims();
    check(y.rank() >= 2, "a global pooling of a tensor of shape ", y);
    std::fill(y.begin() + 2, y.end(), 1);
    context.set_output(0, y);
    context.set_layout(0, context.input(0).layout());
  }

  void run(const RunContext& context) const override {
    if (context.output(0).count() == 0) return;
    const TensorView input = context.input(0);
    const Dims dims = input.dims();
    if (kKind == Kind::kLp || input.dtype() != DType::kFloat32 || dims.product(2, dims.rank()) == 0) {
      return dispatch<FloatTypes>(input.dtype(), [&]<class T>() {
        if constexpr (kKind == Kind::kMax) fold<T>(context, MaxFold<T>());
        else if constexpr (kKind == Kind::kAverage) fold<T>(context, AverageFold<T>());
        else fold<T>(context, LpFold<T>{p_});
      });
    }
    const std::int64_t size = dims.product(2, dims.rank());
    const float* x = input.data<float>();
    float* y = context.output(0).mutable_data<float>();
    if (input.layout() == kChannelsLast && !layouts_agree(dims)) {
      PoolJob job;
      job.mode = kKind == Kind::kMax ? Pooling::kMax : Pooling::kAverage;
      job.x = x, job.y = y;
      job.channels = dims[1];
      job.input[2] = job.kernel[2] = size;
      job.block = 64;
      context.parallel_for(dims[0] * job.blocks(), grain_of(estimate(size, job.block / 4)),
                           [&](std::int64_t first, std::int64_t last) { pool_rows(job, first, last); });
      return;
    }
    context.parallel_for(dims[0] * dims[1], grain_of(size / 4), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const float total = reduce_row(x + i * size, size, kKind == Kind::kMax ? Pooling::kMax : Pooling::kSum);
        y[i] = kKind == Kind::kMax ? total : total / static_cast<float>(size);
      }
    });
  }

 private:
  template <class T, class Fold> static void fold(const RunContext& context, const Fold& start) {
    const TensorView input = context.input(0);
    const Dims dims = input.dims();
    const bool last = input.layout() == kChannelsLast;
    const std::int64_t channels = dims[1], size = dims.product(2, dims.rank()), step = last ? channels : 1;
    const T* x = input.data<T>();
    T* y = context.output(0).mutable_data<T>();
    context.parallel_for(dims[0] * channels, grain_of(size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* plane = x + (last ? i / channels * channels * size + i % channels : i * size);
        Fold total = start;
        for (std::int64_t j = 0; j < size; ++j) total.add(plane[j * step], j);
        y[i] = total.finish(size);
      }
    });
  }

  double p_;
};

/// Indices count within the plane sizes that kernel, strides and pads imply; a larger output_shape adds zeros at the ends.
class MaxUnpool final : public provider::Kernel {
 public:
  explicit MaxUnpool(const NodeView& node) : attributes_(node), kernel_(node.integers("kernel_shape")) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.input(1).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "the indices of MaxUnpool are int64");
    return uniform<MaxTypes, 1>(node);
  }
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
    const Dims from_strides = strides_in(from, kPlain), to_strides = strides_in(to, kPlain);
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
    Dims y = x;
    const Window w = attributes_.slide_transposed(x, Dims(std::span(kernel_)));
    std::copy(w.output.begin(), w.output.end(), y.begin() + 2);
    return y;
  }
  WindowAttributes attributes_;
  std::vector<std::int64_t> kernel_;
};

constexpr KernelEntry kKernels[] = {
    {"MaxPool", 1, provider::kLatest, &uniform<MaxTypes, 1>, &provider::make<WindowPool<Kind::kMax>>},
    {"AveragePool", 1, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<WindowPool<Kind::kAverage>>},
    {"LpPool", 2, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<WindowPool<Kind::kLp>>},
    {"GlobalMaxPool", 1, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<GlobalPool<Kind::kMax>>},
    {"GlobalAveragePool", 1, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<GlobalPool<Kind::kAverage>>},
    {"GlobalLpPool", 2, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<GlobalPool<Kind::kLp>>},
    {"MaxUnpool", 9, provider::kLatest, &MaxUnpool::verdict, &provider::make<MaxUnpool>},
};

}  // namespace

std::span<const KernelEntry> pool_kernels() { return kKernels; }

}  // namespace ashlar::cpu
