// SPDX-License-Identifier: Apache-2.0
// GridSample, AffineGrid and Col2Im.
#include <array>
#include <cmath>
#include <string>
#include <vector>

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
using provider::TensorView;

/// GridSample: along each dimension a position becomes up to four coordinates with weights; the sample sums over their combinations.
class GridSample : public Kernel {
 public:
  explicit GridSample(const NodeView& node)
      : mode_(node.text("mode", "linear")), padding_(node.text("padding_mode", "zeros")), align_(node.integer("align_corners") != 0) {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string mode = node.text("mode", "linear"), padding = node.text("padding_mode", "zeros");
    ASHLAR_REQUIRE(mode == "nearest" || mode == "linear" || mode == "cubic", ASHLAR_ATTRIBUTE, "mode is ", mode);
    ASHLAR_REQUIRE(padding == "zeros" || padding == "border" || padding == "reflection", ASHLAR_ATTRIBUTE, "padding_mode is ", padding);
    ASHLAR_REQUIRE(node.input(0).rank() <= kMostDims + 2, ASHLAR_RANK, "samples in more than ", kMostDims, " dimensions have no kernel");
    if (auto v = require_dtype<FloatTypes>(node, node.input(1)); v.code != ASHLAR_ACCEPTED) return v;
    return takes<NumericTypes>(node);
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
    const TensorView x = context.input(0), grid = context.input(1), y = context.output(0);
    if (y.count() == 0) return;
    const Dims plane = tail(x.dims(), 2);
    const std::int64_t n = plane.rank(), inputs = plane.count(), outputs = tail(y.dims(), 2).count(), channels = x.dim(1);
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      for (std::int64_t b = 0; b < x.dim(0); ++b) {
        for (std::int64_t i = 0; i < outputs; ++i) {
          const Sample sample = taps(plane, grid, (b * outputs + i) * n);
          for (std::int64_t c = 0; c < channels; ++c) {
            const T* from = x.data<T>() + (b * channels + c) * inputs;
            double sum = 0;
            for (const auto& [offset, weight] : sample) sum += weight * static_cast<double>(from[offset]);
            T& to = y.mutable_data<T>()[(b * channels + c) * outputs + i];
            if constexpr (is_float<T>) to = narrow<T>(sum);
            else to = saturate<T>(std::trunc(sum));
          }
        }
      }
    });
  }

 private:
  static constexpr int kMostDims = 5;
  struct Tap {
    std::int64_t offset;
    double weight;
  };
  using Sample = std::vector<Tap>;

  /// The taps of the position that starts at element `at` of the grid, whose coordinates are listed innermost first.
  Sample taps(const Dims& plane, const TensorView& grid, std::int64_t at) const {
    const int n = plane.rank();
    double position[kMostDims];
    load_reals(grid, at, n, position);
    Sample sample{{0, 1}};
    for (int d = 0; d < n; ++d) {
      Sample next;
      for (const Tap& outer : sample)
        for (const Tap& tap : axis(plane[d], position[n - 1 - d], grid.dtype() != DType::kFloat64))
          next.push_back({outer.offset * plane[d] + tap.offset, outer.weight * tap.weight});
      sample = next;
    }
    return sample;
  }

  /// Coordinates and weights along a dimension for a normalised position.
  Sample axis(std::int64_t length, double position, bool single) const {
    const double low = align_ ? 0 : -0.5, high = static_cast<double>(length) - (align_ ? 1 : 0.5);
    double x = align_ ? (position + 1) / 2 * static_cast<double>(length - 1) : ((position + 1) * static_cast<double>(length) - 1) / 2;
    if (single) x = static_cast<float>(x);
    if (std::isnan(x)) x = -0x1p40;
    x = std::clamp(x, -0x1p40, 0x1p40);
    if (mode_ == "nearest") x = std::nearbyint(x);
    if (x < low || x > high) {
      if (padding_ == "border") x = std::clamp(x, 0.0, static_cast<double>(length - 1));
      if (padding_ == "reflection") x = reflect(x, low, high);
    }
    if (mode_ == "nearest") return padded(length, static_cast<std::int64_t>(x), {1});
    const double base = std::floor(x), t = x - base;
    if (mode_ == "linear") return padded(length, static_cast<std::int64_t>(base), {1 - t, t});
    return padded(length, static_cast<std::int64_t>(base) - 1, {cubic(1 + t), cubic(t), cubic(1 - t), cubic(2 - t)});
  }

  Sample padded(std::int64_t length, std::int64_t first, std::initializer_list<double> weights) const {
    Sample sample;
    std::int64_t at = first;
    for (const double weight : weights) {
      const std::int64_t i = at++;
      if (i >= 0 && i < length) sample.push_back({i, weight});
      else if (padding_ == "border") sample.push_back({std::clamp<std::int64_t>(i, 0, length - 1), weight});
      else if (padding_ == "reflection")
        sample.push_back({static_cast<std::int64_t>(
                              reflect(static_cast<double>(i), align_ ? 0 : -0.5, static_cast<double>(length) - (align_ ? 1 : 0.5))),
                          weight});
    }
    return sample;
  }

  static double reflect(double x, double low, double high) {
    const double range = high - low;
    if (range <= 0) return low;
    const double beyond = x < low ? low - x : x > high ? x - high : 0;
    const double turns = std::floor(beyond / range), rest = beyond - turns * range;
    if (beyond == 0) return x;
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
class AffineGrid : public Kernel {
 public:
  explicit AffineGrid(const NodeView& node) : align_(node.integer("align_corners") != 0) {}
  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.input(1).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "the size of AffineGrid is int64");
    return takes<FloatTypes>(node);
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
    double theta[3 * 4], out[3];
    Dims index = Dims::filled(positions.rank(), 0);
    for (std::int64_t b = 0, i = 0; b < grid.dim(0); ++b) {
      load_reals(context.input(0), b * n * (n + 1), n * (n + 1), theta);
      do {
        for (std::int64_t r = 0; r < n; ++r) {
          out[r] = theta[r * (n + 1) + n];
          for (std::int64_t c = 0; c < n; ++c) out[r] += theta[r * (n + 1) + c] * coordinate(index[n - 1 - c], positions[n - 1 - c]);
        }
        store_reals(grid, n * i++, n, out);
      } while (advance(index, positions));
    }
  }

 private:
  double coordinate(std::int64_t i, std::int64_t length) const {
    const double at = static_cast<double>(i), n = static_cast<double>(length);
    if (align_) return length == 1 ? 0 : 2 * at / (n - 1) - 1;
    return (2 * at + 1) / n - 1;
  }

  bool align_;
};

/// Col2Im: adds each column's taps to the image at the block's position.
class Col2Im : public Kernel {
 public:
  explicit Col2Im(const NodeView& node) : attributes_(node) {}
  std::uint64_t bind_reads() const override { return 1u << 1 | 1u << 2; }
  void bind(BindContext& context) const override { context.set_output(0, layout(context).image); }

  void run(const RunContext& context) const override {
    const Layout l = layout(context);
    const std::int64_t taps = l.window.kernel.count(), blocks = l.window.output.count(), pixels = l.window.input.count();
    const Dims strides = strides_of(l.window.input);
    dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* from = context.input(0).data<T>();
      T* to = context.output(0).mutable_data<T>();
      std::vector<Sum<T>> plane(static_cast<std::size_t>(pixels));
      for (std::int64_t p = 0; context.output(0).count() > 0 && p < l.image[0] * l.image[1]; ++p) {
        std::fill(plane.begin(), plane.end(), Sum<T>{0});
        Dims tap = Dims::filled(l.window.rank(), 0);
        for (std::int64_t k = 0; k < taps; ++k, advance(tap, l.window.kernel)) {
          Dims block = Dims::filled(l.window.rank(), 0);
          for (std::int64_t b = 0; b < blocks; ++b, advance(block, l.window.output)) {
            std::int64_t at = 0;
            for (int d = 0; d < l.window.rank() && at >= 0; ++d) {
              const std::int64_t i = block[d] * l.window.stride[d] + tap[d] * l.window.dilation[d] - l.window.begin[d];
              at = i < 0 || i >= l.window.input[d] ? -1 : at + i * strides[d];
            }
            if (at >= 0) plane[static_cast<std::size_t>(at)] += static_cast<Sum<T>>(from[(p * taps + k) * blocks + b]);
          }
        }
        for (std::int64_t i = 0; i < pixels; ++i) to[p * pixels + i] = narrow<T>(plane[static_cast<std::size_t>(i)]);
      }
    });
  }

 private:
  struct Layout {
    Dims image;
    Window window;
  };

  template <class Context> Layout layout(const Context& context) const {
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
    Layout l;
    l.image = {x[0], x[1] == 0 ? 0 : x[1] / kernel.count()};
    for (const std::int64_t n : shape) {
      check(n >= 0, "the image is ", n, " long");
      l.image.push_back(n);
    }
    l.window = attributes_.slide(l.image, kernel);
    check((x[1] == 0 || l.image[1] * kernel.count() == x[1]) && l.window.output.count() == x[2], "columns of shape ", x, " for ",
          l.window.output, " blocks of ", kernel);
    return l;
  }

  WindowAttributes attributes_;
};

constexpr KernelEntry kKernels[] = {
    {"GridSample", 20, provider::kLatest, &GridSample::verdict, &provider::make<GridSample>},
    {"AffineGrid", 20, provider::kLatest, &AffineGrid::verdict, &provider::make<AffineGrid>},
    {"Col2Im", 18, provider::kLatest, &takes<NumericTypes>, &provider::make<Col2Im>},
};

}  // namespace

std::span<const KernelEntry> image_kernels() { return kKernels; }

}  // namespace ashlar::reference
