// SPDX-License-Identifier: Apache-2.0
// GridSample, AffineGrid, Col2Im and DeformConv, in plain layout. Coordinates and sums are doubles.
#include <string>

#include "scalar.h"
#include "window.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

constexpr int kMostDims = 3;

/// Elements of a floating-point tensor, widened.
struct Reals {
  DType dtype;
  const void* data;
  explicit Reals(const TensorView& view) : dtype(view.dtype()), data(view.raw()) {}
  double operator[](std::int64_t i) const {
    switch (dtype) {
      case DType::kFloat32: return static_cast<double>(static_cast<const float*>(data)[i]);
      case DType::kFloat64: return static_cast<const double*>(data)[i];
      case DType::kFloat16: return static_cast<double>(static_cast<float>(static_cast<const Float16*>(data)[i]));
      default: return static_cast<double>(static_cast<float>(static_cast<const BFloat16*>(data)[i]));
    }
  }
};

/// GridSample: along each dimension a position becomes up to four coordinates with weights; the sample sums over their combinations.
class GridSample final : public Kernel {
 public:
  explicit GridSample(const NodeView& node)
      : mode_(node.text("mode", "linear")), padding_(node.text("padding_mode", "zeros")), align_(node.integer("align_corners") != 0) {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string mode = node.text("mode", "linear"), padding = node.text("padding_mode", "zeros");
    const DType grid = node.input(1).dtype();
    ASHLAR_REQUIRE(mode == "nearest" || mode == "linear" || mode == "cubic", ASHLAR_ATTRIBUTE, "mode is ", mode);
    ASHLAR_REQUIRE(padding == "zeros" || padding == "border" || padding == "reflection", ASHLAR_ATTRIBUTE, "padding_mode is ", padding);
    ASHLAR_REQUIRE(node.input(0).rank() >= 0 && node.input(0).rank() <= kMostDims + 2, ASHLAR_RANK, "samples in more than ", kMostDims,
                   " dimensions have no kernel");
    ASHLAR_REQUIRE(contains<FloatTypes>(grid), ASHLAR_NO_KERNEL_DTYPE, "a grid of ", provider::dtype_name(grid), " has no kernel");
    return uniform<NumericTypes, 1>(node);
  }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), grid = context.input(1).dims();
    const int n = x.rank() - 2;
    check(n >= 1 && n <= kMostDims && grid.rank() == x.rank() && grid[0] == x[0] && grid[n + 1] == n, "a grid of shape ", grid,
          " for an input of shape ", x);
    Dims y{x[0], x[1]};
    for (int d = 1; d <= n; ++d) y.push_back(grid[d]);
    check(y.count() == 0 || x.count() > 0, "samples of an input of shape ", x);
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    const TensorView x = context.input(0), y = context.output(0);
    if (y.count() == 0) return;
    const Dims plane = tail(x.dims(), 2);
    const std::int64_t n = plane.rank(), inputs = plane.count(), outputs = tail(y.dims(), 2).count(), channels = x.dim(1);
    const Reals grid(context.input(1));
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      const T* data = x.data<T>();
      T* out = y.mutable_data<T>();
      context.parallel_for(x.dim(0) * outputs, grain_of(estimate(channels, 8) + 100), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          const std::int64_t b = i / outputs;
          const Sample sample = taps(plane, grid, i * n);
          for (std::int64_t c = 0; c < channels; ++c) {
            const T* from = data + (b * channels + c) * inputs;
            double sum = 0;
            for (int t = 0; t < sample.count; ++t) sum += sample.tap[t].weight * static_cast<double>(from[sample.tap[t].offset]);
            T& to = out[(b * channels + c) * outputs + i % outputs];
            if constexpr (is_float<T>) to = narrow<T>(sum);
            else to = truncated<T>(sum);
          }
        }
      });
    });
  }

 private:
  struct Tap {
    std::int64_t offset;
    double weight;
  };
  struct Sample {
    Tap tap[64];  // 4 ^ kMostDims
    int count = 0;
    void add(std::int64_t offset, double weight) { tap[count++] = {offset, weight}; }
  };

  template <class T> static T truncated(double value) {
    if (!(value > static_cast<double>(std::numeric_limits<T>::lowest()))) return value == value ? std::numeric_limits<T>::lowest() : T{0};
    return value >= static_cast<double>(std::numeric_limits<T>::max()) ? std::numeric_limits<T>::max() : static_cast<T>(value);
  }

  /// The taps of the position that starts at element `at` of the grid, whose coordinates are listed innermost first.
  Sample taps(const Dims& plane, const Reals& grid, std::int64_t at) const {
    const int n = plane.rank();
    Sample sample;
    sample.add(0, 1);
    for (int d = 0; d < n; ++d) {
      const Sample along = axis(plane[d], grid[at + n - 1 - d], grid.dtype != DType::kFloat64);
      Sample next;
      for (int o = 0; o < sample.count; ++o)
        for (int i = 0; i < along.count; ++i)
          next.add(sample.tap[o].offset * plane[d] + along.tap[i].offset, sample.tap[o].weight * along.tap[i].weight);
      sample.count = next.count;
      std::copy(next.tap, next.tap + next.count, sample.tap);
    }
    return sample;
  }

  /// Coordinates and weights along a dimension for a normalised position.
  Sample axis(std::int64_t length, double position, bool single) const {
    const double low = align_ ? 0 : -0.5, high = static_cast<double>(length) - (align_ ? 1 : 0.5);
    double x = align_ ? (position + 1) / 2 * static_cast<double>(length - 1) : ((position + 1) * static_cast<double>(length) - 1) / 2;
    if (single) x = static_cast<double>(static_cast<float>(x));
    if (std::isnan(x)) x = -0x1p40;
    x = std::clamp(x, -0x1p40, 0x1p40);
    if (mode_ == "nearest") x = std::nearbyint(x);
    if (x < low || x > high) {
      if (padding_ == "border") x = std::clamp(x, 0.0, static_cast<double>(length - 1));
      if (padding_ == "reflection") x = reflect(x, low, high);
    }
    Sample sample;
    const double base = std::floor(x), t = x - base;
    const auto first = static_cast<std::int64_t>(base);
    if (mode_ == "nearest") {
      pad(sample, length, static_cast<std::int64_t>(x), 1);
    } else if (mode_ == "linear") {
      pad(sample, length, first, 1 - t);
      pad(sample, length, first + 1, t);
    } else {
      const double distance[] = {1 + t, t, 1 - t, 2 - t};
      for (int i = 0; i < 4; ++i) pad(sample, length, first - 1 + i, cubic(distance[i]));
    }
    return sample;
  }

  /// Adds a coordinate, brought into the dimension as padding_mode says.
  void pad(Sample& sample, std::int64_t length, std::int64_t i, double weight) const {
    if (i < 0 || i >= length) {
      if (padding_ == "zeros") return;
      const double low = align_ ? 0 : -0.5, high = static_cast<double>(length) - (align_ ? 1 : 0.5);
      if (padding_ == "reflection") i = static_cast<std::int64_t>(reflect(static_cast<double>(i), low, high));
      i = std::clamp<std::int64_t>(i, 0, length - 1);
    }
    sample.add(i, weight);
  }

  static double reflect(double x, double low, double high) {
    const double range = high - low;
    if (range <= 0) return low;
    const double beyond = x < low ? low - x : x > high ? x - high : 0;
    if (beyond == 0) return x;
    const double turns = std::floor(beyond / range), rest = beyond - turns * range;
    const bool from_near = std::fmod(turns, 2) == 0;
    return (x < low) == from_near ? low + rest : high - rest;
  }

  /// R. Keys, "Cubic convolution interpolation for digital image processing", equation 15, with a = -0.75.
  static double cubic(double x) {
    constexpr double a = -0.75;
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  }

  std::string mode_, padding_;
  bool align_;
};

/// AffineGrid: the positions of a grid over [-1, 1] in each dimension, x first, sent through theta = [batch, n, n + 1].
class AffineGrid final : public Kernel {
 public:
  explicit AffineGrid(const NodeView& node) : align_(node.integer("align_corners") != 0) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.input(1).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "the size of AffineGrid is int64");
    return uniform<FloatTypes, 1>(node);
  }
  std::uint64_t bind_reads() const override { return 1u << 1; }

  void bind(BindContext& context) const override {
    const Dims theta = context.input(0).dims();
    const std::vector<std::int64_t> size = context.input(1).indices();
    const auto n = static_cast<std::int64_t>(size.size()) - 2;
    check((n == 2 || n == 3) && theta == Dims{size[0], n, n + 1}, "theta of shape ", theta, " for a size of ", size.size(), " numbers");
    Dims y{size[0]};
    for (std::int64_t d = 0; d < n; ++d) y.push_back(size[static_cast<std::size_t>(d + 2)]);
    y.push_back(n);
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    const TensorView grid = context.output(0);
    if (grid.count() == 0) return;
    Dims positions = tail(grid.dims(), 1);
    const std::int64_t n = positions[positions.rank() - 1];
    positions.erase(positions.rank() - 1);
    const Reals theta(context.input(0));
    dispatch<FloatTypes>(grid.dtype(), [&]<class T>() {
      T* to = grid.mutable_data<T>();
      Dims index = Dims::filled(positions.rank(), 0);
      for (std::int64_t b = 0; b < grid.dim(0); ++b) {
        do {
          for (std::int64_t r = 0; r < n; ++r) {
            const std::int64_t row = (b * n + r) * (n + 1);
            double sum = theta[row + n];
            for (std::int64_t c = 0; c < n; ++c) sum += theta[row + c] * coordinate(index[n - 1 - c], positions[n - 1 - c]);
            *to++ = narrow<T>(sum);
          }
        } while (advance(index, positions));
      }
    });
  }

 private:
  double coordinate(std::int64_t i, std::int64_t length) const {
    const double at = static_cast<double>(i), n = static_cast<double>(length);
    if (align_) return length == 1 ? 0 : 2 * at / (n - 1) - 1;
    return (2 * at + 1) / n - 1;
  }

  bool align_;
};

/// Col2Im: an element of the image is the sum of the taps of the blocks that cover it.
class Col2Im final : public Kernel {
 public:
  explicit Col2Im(const NodeView& node) : attributes_(node) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.input(1).dtype() == DType::kInt64 && node.input(2).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE,
                   "the shapes of Col2Im are int64");
    return uniform<NumericTypes, 1>(node);
  }
  std::uint64_t bind_reads() const override { return 1u << 1 | 1u << 2; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    const std::vector<std::int64_t> shape = context.input(1).indices(), block = context.input(2).indices();
    check(x.rank() == 3 && shape.size() == block.size() && !shape.empty(), "columns of shape ", x, " for an image of ", shape.size(),
          " and blocks of ", block.size(), " dimensions");
    double taps = 1;
    for (const std::int64_t k : block) {
      check(k >= 1, "a block is ", k, " long");
      taps *= static_cast<double>(k);
    }
    check(taps <= static_cast<double>(x[1]) || x[1] == 0, "blocks of ", taps, " elements in columns of shape ", x);
    const Dims kernel{std::span(block)};
    auto bound = std::make_unique<Bound>();
    Dims image{x[0], x[1] == 0 ? 0 : x[1] / kernel.count()};
    for (const std::int64_t n : shape) {
      check(n >= 0, "the image is ", n, " long");
      image.push_back(n);
    }
    bound->window = attributes_.slide(image, kernel);
    check((x[1] == 0 || image[1] * kernel.count() == x[1]) && bound->window.output.count() == x[2], "columns of shape ", x, " for ",
          bound->window.output, " blocks of ", kernel);
    context.set_output(0, image);
    context.set_binding(std::move(bound));
  }

  void run(const RunContext& context) const override {
    if (context.output(0).count() == 0) return;
    const Window& w = context.binding<Bound>().window;
    const std::int64_t taps = w.kernel.count(), blocks = w.output.count(), pixels = w.input.count();
    dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
      using Sum = std::conditional_t<is_float<T>, double, std::uint64_t>;
      const T* from = context.input(0).data<T>();
      T* to = context.output(0).mutable_data<T>();
      context.parallel_for(context.output(0).count() / pixels, grain_of(estimate(taps, pixels)),
                           [&](std::int64_t first, std::int64_t last) {
                             Dims at = Dims::filled(w.rank(), 0), tap = at;
                             for (std::int64_t p = first; p < last; ++p) {
                               std::int64_t i = p * pixels;
                               do {
                                 Sum sum = 0;
                                 std::int64_t k = 0;
                                 do {
                                   const std::int64_t block = block_of(w, at, tap);
                                   if (block >= 0) sum += static_cast<Sum>(from[(p * taps + k) * blocks + block]);
                                   ++k;
                                 } while (advance(tap, w.kernel));
                                 to[i++] = narrow<T>(sum);
                               } while (advance(at, w.input));
                             }
                           });
    });
  }

 private:
  struct Bound : provider::Binding {
    Window window;
  };

  /// The block whose tap lies at the place `at` of the image, or -1.
  static std::int64_t block_of(const Window& w, const Dims& at, const Dims& tap) {
    std::int64_t block = 0;
    for (int d = 0; d < w.rank(); ++d) {
      const std::int64_t origin = at[d] + w.begin[d] - tap[d] * w.dilation[d];
      if (origin < 0 || origin % w.stride[d] != 0 || origin / w.stride[d] >= w.output[d]) return -1;
      block = block * w.output[d] + origin / w.stride[d];
    }
    return block;
  }

  WindowAttributes attributes_;
};

/// DeformConv (J. Dai et al., "Deformable Convolutional Networks"): a convolution whose taps are moved by offsets and scaled by a mask.
/// A tap between pixels interpolates linearly; pixels outside the input are zeros. First the taps of every position are written to
/// columns, then each output is the product of a filter and a column.
class DeformConv final : public Kernel {
 public:
  explicit DeformConv(const NodeView& node)
      : attributes_(node), group_(node.integer("group", 1)), offset_group_(node.integer("offset_group", 1)) {}

  void bind(BindContext& context) const override {
    const Dims x = context.input(kX).dims(), w = context.input(kWeight).dims();
    check(x.rank() >= 3 && w.rank() == x.rank(), "a weight of shape ", w, " for an input of shape ", x);
    auto bound = std::make_unique<Bound>();
    const Window& window = bound->window = attributes_.slide(x, tail(w, 2));
    check(group_ >= 1 && x[1] % group_ == 0 && w[0] % group_ == 0 && w[1] == x[1] / group_, "a weight of shape ", w,
          " for an input of shape ", x, " in ", group_, " groups");
    check(offset_group_ >= 1 && x[1] % offset_group_ == 0 && offset_group_ <= std::max<std::int64_t>(x[1], 1), offset_group_,
          " offset groups of ", x[1], " channels");
    const std::int64_t taps = window.kernel.count();
    const auto expect = [&](int input, std::int64_t per_tap) {
      Dims dims{x[0], Dims{offset_group_, taps, per_tap}.count()};
      for (const std::int64_t d : window.output) dims.push_back(d);
      check(context.input(input).dims() == dims, "input ", input, " has shape ", context.input(input).dims(), ", not ", dims);
    };
    expect(kOffset, window.rank());
    if (context.has_input(kMask)) expect(kMask, 1);
    if (context.has_input(kBias))
      check(context.input(kBias).dims() == Dims{w[0]}, "a bias of shape ", context.input(kBias).dims(), " for ", w[0], " channels");
    Dims y{x[0], w[0]};
    for (const std::int64_t d : window.output) y.push_back(d);
    context.set_output(0, y);
    if (y.count() > 0) {
      const std::int64_t columns = Dims{x[0], window.output.count(), x[1], taps}.count();
      check(columns < std::int64_t{1} << 50, "columns of ", columns, " elements");
      context.set_workspace(static_cast<std::uint64_t>(columns) * sizeof(double));
    }
    context.set_binding(std::move(bound));
  }

  void run(const RunContext& context) const override {
    if (context.output(0).count() == 0) return;
    dispatch<FloatTypes>(context.input(kX).dtype(), [&]<class T>() { compute<T>(context, context.binding<Bound>().window); });
  }

 private:
  enum Input { kX, kWeight, kOffset, kBias, kMask };
  struct Bound : provider::Binding {
    Window window;
  };

  template <class T> void compute(const RunContext& context, const Window& win) const {
    const Dims y_dims = context.output(0).dims();
    const std::int64_t channels = context.input(kX).dim(1), maps = y_dims[1], pixels = win.input.count(), positions = win.output.count();
    const std::int64_t taps = win.kernel.count(), n = win.rank(), share = std::max<std::int64_t>(1, channels / offset_group_);
    const std::int64_t depth = channels / group_ * taps, outputs = maps / group_;
    const T* x = context.input(kX).data<T>();
    const T* w = context.input(kWeight).data<T>();
    const T* offsets = context.input(kOffset).data<T>();
    const T* bias = context.has_input(kBias) ? context.input(kBias).data<T>() : nullptr;
    const T* mask = context.has_input(kMask) ? context.input(kMask).data<T>() : nullptr;
    T* y = context.output(0).mutable_data<T>();
    auto* columns = static_cast<double*>(context.workspace());
    const std::int64_t column = channels * taps;
    context.parallel_for(y_dims[0] * positions, grain_of(estimate(column, 16)), [&](std::int64_t first, std::int64_t last) {
      double at[ASHLAR_MAX_RANK];
      Dims tap = Dims::filled(win.rank(), 0);
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t b = i / positions, p = i % positions;
        double* to = columns + i * column;
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t field = (b * offset_group_ + c / share) * taps;
          for (std::int64_t k = 0; k < taps; ++k, advance(tap, win.kernel)) {
            std::int64_t rest = p;
            for (int d = win.rank() - 1; d >= 0; rest /= win.output[d], --d)
              at[d] = static_cast<double>(rest % win.output[d] * win.stride[d] + tap[d] * win.dilation[d] - win.begin[d]) +
                      static_cast<double>(offsets[((field + k) * n + d) * positions + p]);
            const double scale = mask ? static_cast<double>(mask[(field + k) * positions + p]) : 1;
            *to++ = scale * sample(x + (b * channels + c) * pixels, win.input, at, 0);
          }
        }
      }
    });
    context.parallel_for(y_dims[0] * maps, grain_of(estimate(positions, depth)), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t b = i / maps, m = i % maps;
        const T* filter = w + m * depth;
        for (std::int64_t p = 0; p < positions; ++p) {
          const double* from = columns + (b * positions + p) * column + m / outputs * depth;
          double sum = bias ? static_cast<double>(bias[m]) : 0;
          for (std::int64_t k = 0; k < depth; ++k) sum += static_cast<double>(filter[k]) * from[k];
          y[i * positions + p] = narrow<T>(sum);
        }
      }
    });
  }

  /// The plane at coordinate `at`, linear in each dimension from d on; recursion is as deep as the rank.
  template <class T> static double sample(const T* plane, const Dims& dims, const double* at, int d) {
    if (d == dims.rank()) return static_cast<double>(*plane);
    const double position = at[d], base = std::floor(position);
    if (!(position > -1 && position < static_cast<double>(dims[d]))) return 0;
    const std::int64_t step = dims.product(d + 1, dims.rank()), i = static_cast<std::int64_t>(base);
    double sum = 0;
    if (i >= 0) sum += (1 - (position - base)) * sample(plane + i * step, dims, at, d + 1);
    if (i + 1 < dims[d] && position > base) sum += (position - base) * sample(plane + (i + 1) * step, dims, at, d + 1);
    return sum;
  }

  WindowAttributes attributes_;
  std::int64_t group_, offset_group_;
};

constexpr KernelEntry kKernels[] = {
    {"GridSample", 20, provider::kLatest, &GridSample::verdict, &provider::make<GridSample>},
    {"AffineGrid", 20, provider::kLatest, &AffineGrid::verdict, &provider::make<AffineGrid>},
    {"Col2Im", 18, provider::kLatest, &Col2Im::verdict, &provider::make<Col2Im>},
    {"DeformConv", 19, provider::kLatest, &uniform<FloatTypes, 5>, &provider::make<DeformConv>},
};

}  // namespace

std::span<const KernelEntry> image_kernels() { return kKernels; }

}  // namespace ashlar::cpu
