// SPDX-License-Identifier: Apache-2.0
// RoiAlign and MaxRoiPool.
#include <cmath>
#include <limits>
#include <string>

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

/// The corners x1, y1, x2, y2 of a region, scaled to the feature map.
struct Region {
  double x1, y1, x2, y2;
  Region(const TensorView& rois, std::int64_t offset, double scale) {
    double corners[4];
    load_reals(rois, offset, 4, corners);
    for (double& c : corners) {
      c *= scale;
      check(std::abs(c) < 0x1p30, "a region ends at ", c);
    }
    x1 = corners[0], y1 = corners[1], x2 = corners[2], y2 = corners[3];
  }
};

/// [low, high): the pixels a bin of MaxRoiPool covers in a dimension.
struct PixelRange {
  std::int64_t low, high;
  PixelRange(double start, double end, std::int64_t bin, std::int64_t bins, std::int64_t length) {
    const double first = std::round(start), size = std::max(std::round(end) - first + 1, 1.0) / static_cast<double>(bins);
    const auto pixel = [&](double at) { return static_cast<std::int64_t>(std::clamp(at + first, 0.0, static_cast<double>(length))); };
    low = pixel(std::floor(static_cast<double>(bin) * size));
    high = pixel(std::ceil(static_cast<double>(bin + 1) * size));
  }
};

/// MaxRoiPool: the largest pixel of each bin, 0 for a bin outside the map (R. Girshick, "Fast R-CNN").
class MaxRoiPool : public Kernel {
 public:
  explicit MaxRoiPool(const NodeView& node) : pooled_(node.integers("pooled_shape")), scale_(node.real("spatial_scale", 1)) {}

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), rois = context.input(1).dims();
    check(x.rank() == 4 && rois.rank() == 2 && rois[1] == 5, "regions of shape ", rois, " for an input of shape ", x);
    check(pooled_.size() == 2 && pooled_[0] >= 1 && pooled_[1] >= 1, "pooled_shape is not two positive numbers");
    context.set_output(0, {rois[0], x[1], pooled_[0], pooled_[1]});
  }

  void run(const RunContext& context) const override {
    const TensorView x = context.input(0), rois = context.input(1), y = context.output(0);
    const std::int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      T* to = y.mutable_data<T>();
      for (std::int64_t r = 0; y.count() > 0 && r < rois.dim(0); ++r) {
        double batch;
        load_reals(rois, r * 5, 1, &batch);
        check(batch >= 0 && batch < static_cast<double>(x.dim(0)), "region ", r, " is of image ", batch, " of ", x.dim(0));
        const Region region(rois, r * 5 + 1, scale_);
        for (std::int64_t c = 0; c < channels; ++c) {
          const T* plane = x.data<T>() + (static_cast<std::int64_t>(batch) * channels + c) * height * width;
          for (std::int64_t i = 0; i < pooled_[0]; ++i) {
            const PixelRange rows(region.y1, region.y2, i, pooled_[0], height);
            for (std::int64_t j = 0; j < pooled_[1]; ++j) {
              const PixelRange columns(region.x1, region.x2, j, pooled_[1], width);
              const bool empty = rows.low >= rows.high || columns.low >= columns.high;
              double best = empty ? 0 : -std::numeric_limits<double>::infinity();
              for (std::int64_t h = rows.low; h < rows.high; ++h)
                for (std::int64_t w = columns.low; w < columns.high; ++w) best = std::max(best, static_cast<double>(plane[h * width + w]));
              *to++ = narrow<T>(best);
            }
          }
        }
      }
    });
  }

 private:
  std::vector<std::int64_t> pooled_;
  double scale_;
};

/// The two pixels around a coordinate and the weight of the second; `inside` is false beyond one pixel outside the map.
struct Neighbours {
  std::int64_t first, second;
  double weight;
  bool inside;
  Neighbours(double x, std::int64_t length) : first(0), second(0), weight(0), inside(x >= -1 && x <= static_cast<double>(length)) {
    if (!inside) return;
    x = std::max(x, 0.0);
    first = std::min(static_cast<std::int64_t>(x), length - 1);
    second = std::min(first + 1, length - 1);
    weight = first == length - 1 ? 0 : x - static_cast<double>(first);
  }
};

/// The sample points of one dimension: bins of `size` from `start`, `samples` in each.
struct SampleLine {
  double start, size;
  std::int64_t samples;

  SampleLine(double from, double to, bool aligned, std::int64_t bins, std::int64_t ratio) : start(from) {
    const double length = aligned ? to - from : std::max(to - from, 1.0);
    size = length / static_cast<double>(bins);
    samples = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(size));
  }
  double at(std::int64_t bin, std::int64_t sample) const {
    return start + static_cast<double>(bin) * size + (static_cast<double>(sample) + 0.5) * size / static_cast<double>(samples);
  }
  /// The first sample of a bin that is not left of -1, give or take one; later ones end the loop when they leave the map.
  std::int64_t first(std::int64_t bin) const {
    if (!(size > 0)) return 0;
    const double skipped = (-1 - start - static_cast<double>(bin) * size) * static_cast<double>(samples) / size - 1.5;
    return static_cast<std::int64_t>(std::clamp(skipped, 0.0, static_cast<double>(samples)));
  }
};

/// RoiAlign (K. He et al., "Mask R-CNN"); "max" takes the largest of the weighted pixels, as ONNX defines it by its test data.
class RoiAlign : public Kernel {
 public:
  explicit RoiAlign(const NodeView& node)
      : height_(node.integer("output_height", 1)), width_(node.integer("output_width", 1)), ratio_(node.integer("sampling_ratio")),
        scale_(node.real("spatial_scale", 1)), average_(node.text("mode", "avg") == "avg"),
        aligned_(node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel") {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string mode = node.text("mode", "avg"), transform = node.text("coordinate_transformation_mode", "half_pixel");
    ASHLAR_REQUIRE(mode == "avg" || mode == "max", ASHLAR_ATTRIBUTE, "mode is ", mode);
    ASHLAR_REQUIRE(transform == "half_pixel" || transform == "output_half_pixel", ASHLAR_ATTRIBUTE, "coordinate_transformation_mode is ",
                   transform);
    ASHLAR_REQUIRE(node.integer("output_height", 1) >= 1 && node.integer("output_width", 1) >= 1, ASHLAR_ATTRIBUTE,
                   "the output of RoiAlign has at least one row and column");
    ASHLAR_REQUIRE(node.integer("sampling_ratio") >= 0 && node.integer("sampling_ratio") <= 4096, ASHLAR_ATTRIBUTE, "sampling_ratio is ",
                   node.integer("sampling_ratio"));
    ASHLAR_REQUIRE(node.input(2).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "batch_indices are int64");
    return takes_same<FloatTypes, 1>(node);
  }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), rois = context.input(1).dims();
    check(x.rank() == 4 && rois.rank() == 2 && rois[1] == 4 && context.input(2).dims() == Dims{rois[0]}, "regions of shape ", rois,
          " with batch indices of shape ", context.input(2).dims(), " for an input of shape ", x);
    check(x[2] >= 1 && x[3] >= 1, "regions of an input of shape ", x);
    context.set_output(0, {rois[0], x[1], height_, width_});
  }

  void run(const RunContext& context) const override {
    const TensorView x = context.input(0), rois = context.input(1), y = context.output(0);
    const auto* batches = context.input(2).data<std::int64_t>();
    const std::int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3);
    const double shift = aligned_ ? 0.5 : 0;
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      T* to = y.mutable_data<T>();
      for (std::int64_t r = 0; y.count() > 0 && r < rois.dim(0); ++r) {
        check(batches[r] >= 0 && batches[r] < x.dim(0), "region ", r, " is of image ", batches[r], " of ", x.dim(0));
        const Region region(rois, r * 4, scale_);
        const SampleLine rows(region.y1 - shift, region.y2 - shift, aligned_, height_, ratio_),
            columns(region.x1 - shift, region.x2 - shift, aligned_, width_, ratio_);
        for (std::int64_t c = 0; c < channels; ++c)
          for (std::int64_t i = 0; i < height_; ++i)
            for (std::int64_t j = 0; j < width_; ++j)
              *to++ = narrow<T>(pool(x.data<T>() + (batches[r] * channels + c) * plane, x.dim(2), x.dim(3), rows, columns, i, j));
      }
    });
  }

 private:
  template <class T>
  double pool(const T* plane, std::int64_t height, std::int64_t width, const SampleLine& rows, const SampleLine& columns, std::int64_t i,
              std::int64_t j) const {
    if (rows.samples <= 0 || columns.samples <= 0) return 0;
    const double total = static_cast<double>(rows.samples) * static_cast<double>(columns.samples);
    double sum = 0, best = -std::numeric_limits<double>::infinity(), seen = 0;
    for (std::int64_t a = rows.first(i); a < rows.samples && rows.at(i, a) <= static_cast<double>(height); ++a) {
      const Neighbours v(rows.at(i, a), height);
      for (std::int64_t b = columns.first(j); b < columns.samples && columns.at(j, b) <= static_cast<double>(width); ++b) {
        const Neighbours h(columns.at(j, b), width);
        if (!v.inside || !h.inside) continue;
        const auto corner = [&](std::int64_t row, std::int64_t column, double weight) {
          const double value = weight * static_cast<double>(plane[row * width + column]);
          sum += value;
          best = std::max(best, value);
        };
        corner(v.first, h.first, (1 - v.weight) * (1 - h.weight));
        corner(v.first, h.second, (1 - v.weight) * h.weight);
        corner(v.second, h.first, v.weight * (1 - h.weight));
        corner(v.second, h.second, v.weight * h.weight);
        ++seen;
      }
    }
    if (average_) return sum / total;
    return seen < total ? std::max(best, 0.0) : best;
  }

  std::int64_t height_, width_, ratio_;
  double scale_;
  bool average_, aligned_;
};

constexpr KernelEntry kKernels[] = {
    {"MaxRoiPool", 1, provider::kLatest, &takes_same<FloatTypes, 1>, &provider::make<MaxRoiPool>},
    {"RoiAlign", 16, provider::kLatest, &RoiAlign::verdict, &provider::make<RoiAlign>},
};

}  // namespace

std::span<const KernelEntry> roi_kernels() { return kKernels; }

}  // namespace ashlar::reference
