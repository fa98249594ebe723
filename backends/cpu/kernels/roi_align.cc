// SPDX-License-Identifier: Apache-2.0
// RoiAlign (K. He et al., "Mask R-CNN"): bins of a region by bilinear samples. "max" takes the largest of the weighted pixels, as ONNX
// defines it by its test data. The samples of a region are worked out once, then every channel is read at them.
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "scalar.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

/// The two pixels around a coordinate and the weight of the second.
struct Sample {
  std::int64_t first, second;
  float weight;
};

/// The samples of one dimension that lie in the map, or at most one pixel outside of it, bin by bin.
struct SampleLine {
  std::vector<Sample> samples;
  std::vector<std::size_t> bins;  ///< where each bin's samples begin, and the end of the last
  std::int64_t each = 0;          ///< samples a bin has, those outside included

  void fill(double from, double to, bool aligned, std::int64_t count, std::int64_t ratio, std::int64_t length) {
    const double extent = aligned ? to - from : std::max(to - from, 1.0), size = extent / static_cast<double>(count);
    each = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(size));
    samples.clear();
    bins.assign(1, 0);
    for (std::int64_t bin = 0; bin < count; ++bin) {
      const double start = from + static_cast<double>(bin) * size, step = size / static_cast<double>(each);
      std::int64_t s = 0;
      if (size > 0 && each > 0) s = static_cast<std::int64_t>(std::clamp((-1 - start) / step - 1.5, 0.0, static_cast<double>(each)));
      for (; s < each; ++s) {
        const double at = start + (static_cast<double>(s) + 0.5) * size / static_cast<double>(each);
        if (size > 0 && at > static_cast<double>(length)) break;
        if (!(at >= -1 && at <= static_cast<double>(length))) continue;
        const double inside = std::max(at, 0.0);
        const std::int64_t first = std::min(static_cast<std::int64_t>(inside), length - 1);
        const float weight = first == length - 1 ? 0.0f : static_cast<float>(inside - static_cast<double>(first));
        samples.push_back({first, std::min(first + 1, length - 1), weight});
      }
      bins.push_back(samples.size());
    }
  }
  std::span<const Sample> of(std::int64_t bin) const {
    const auto b = static_cast<std::size_t>(bin);
    return std::span(samples).subspan(bins[b], bins[b + 1] - bins[b]);
  }
};

class RoiAlign final : public provider::Kernel {
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
    return uniform<FloatTypes, 2>(node);
  }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), rois = context.input(1).dims();
    check(x.rank() == 4 && rois.rank() == 2 && rois[1] == 4 && context.input(2).dims() == Dims{rois[0]}, "regions of shape ", rois,
          " with batch indices of shape ", context.input(2).dims(), " for an input of shape ", x);
    check(x[2] >= 1 && x[3] >= 1, "regions of an input of shape ", x);
    context.set_output(0, {rois[0], x[1], height_, width_});
  }

  void run(const RunContext& context) const override {
    const TensorView x = context.input(0), y = context.output(0);
    const auto* batches = context.input(2).data<std::int64_t>();
    const std::int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
    if (y.count() == 0) return;
    const std::int64_t bins = height_ * width_;
    SampleLine rows, columns;
    dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
      const T* rois = context.input(1).data<T>();
      for (std::int64_t r = 0; r < context.input(1).dim(0); ++r) {
        check(batches[r] >= 0 && batches[r] < x.dim(0), "region ", r, " is of image ", batches[r], " of ", x.dim(0));
        double corners[4];
        for (int i = 0; i < 4; ++i) {
          const double corner = static_cast<double>(static_cast<Compute<T>>(rois[r * 4 + i])) * static_cast<double>(scale_);
          check(std::abs(corner) < 0x1p30, "a region ends at ", corner);
          corners[i] = corner - (aligned_ ? 0.5 : 0);
        }
        rows.fill(corners[1], corners[3], aligned_, height_, ratio_, height);
        columns.fill(corners[0], corners[2], aligned_, width_, ratio_, width);
        const std::int64_t cost = 8 * static_cast<std::int64_t>(rows.samples.size() * columns.samples.size()) + bins;
        context.parallel_for(channels, grain_of(cost), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t c = begin; c < end; ++c) {
            const T* plane = x.data<T>() + (batches[r] * channels + c) * height * width;
            T* to = y.mutable_data<T>() + (r * channels + c) * bins;
            for (std::int64_t i = 0; i < height_; ++i)
              for (std::int64_t j = 0; j < width_; ++j) *to++ = narrow<T>(pool(plane, width, rows, columns, i, j));
          }
        });
      }
    });
  }

 private:
  template <class T> using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

  template <class T>
  Sum<T> pool(const T* plane, std::int64_t width, const SampleLine& rows, const SampleLine& columns, std::int64_t i, std::int64_t j) const {
    using S = Sum<T>;
    if (rows.each <= 0 || columns.each <= 0) return 0;
    S sum = 0, best = -std::numeric_limits<S>::infinity();
    for (const Sample& v : rows.of(i)) {
      const T *upper = plane + v.first * width, *lower = plane + v.second * width;
      const S down = static_cast<S>(v.weight), up = 1 - down;
      for (const Sample& h : columns.of(j)) {
        const S right = static_cast<S>(h.weight), left = 1 - right;
        const S a = up * left * load<S>(upper[h.first]), b = up * right * load<S>(upper[h.second]);
        const S d = down * left * load<S>(lower[h.first]), e = down * right * load<S>(lower[h.second]);
        if (average_) sum += a + b + d + e;
        else best = std::max({best, a, b, d, e});
      }
    }
    const double total = static_cast<double>(rows.each) * static_cast<double>(columns.each);
    if (average_) return static_cast<S>(static_cast<double>(sum) / total);
    const double seen = static_cast<double>(rows.of(i).size()) * static_cast<double>(columns.of(j).size());
    return seen < total ? std::max(best, S{0}) : best;
  }
  template <class S, class T> static S load(T v) { return static_cast<S>(static_cast<Compute<T>>(v)); }

  std::int64_t height_, width_, ratio_;
  float scale_;
  bool average_, aligned_;
};

constexpr provider::KernelEntry kRows[] = {{"RoiAlign", 16, provider::kLatest, &RoiAlign::verdict, &provider::make<RoiAlign>}};

}  // namespace

std::span<const provider::KernelEntry> roi_align_kernels() { return kRows; }

}  // namespace ashlar::cpu
