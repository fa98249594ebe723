// SPDX-License-Identifier: Apache-2.0
// Resize. Every mode is separable: along an axis an output coordinate becomes a list of input coordinates with weights, and axes are
// resized one after the other in doubles. Nearest neighbours only pick, so they serve every element type.
#include <cmath>
#include <string>

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

/// How one axis is resized; `scale` is output over input before the output's length is rounded.
struct AxisSpec {
  std::int64_t in = 0, out = 0;
  double scale = 1, roi_start = 0, roi_end = 1;
};

/// Where the outputs of an axis come from: `taps` coordinates in the input and weights for each; outside: takes the extrapolation value.
struct AxisPlan {
  std::int64_t taps = 0;
  std::vector<std::int64_t> index;
  std::vector<double> weight;
  std::vector<char> outside;
};

class Resize : public Kernel {
 public:
  explicit Resize(const NodeView& node)
      : axes_(node.integers("axes")), mode_(node.text("mode", "nearest")),
        transform_(node.text("coordinate_transformation_mode", "half_pixel")), nearest_(node.text("nearest_mode", "round_prefer_floor")),
        policy_(node.text("keep_aspect_ratio_policy", "stretch")), antialias_(node.integer("antialias") != 0),
        exclude_outside_(node.integer("exclude_outside") != 0), cubic_a_(node.real("cubic_coeff_a", -0.75f)),
        extrapolation_(node.real("extrapolation_value")) {}

  static provider::Verdict verdict(const NodeView& node) {
    const std::string mode = node.text("mode", "nearest"), transform = node.text("coordinate_transformation_mode", "half_pixel");
    const DType dtype = node.input(0).dtype();
    ASHLAR_REQUIRE(mode == "nearest" || mode == "linear" || mode == "cubic", ASHLAR_ATTRIBUTE, "mode is ", mode);
    static constexpr const char* kTransforms[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                                  "align_corners", "asymmetric",           "tf_crop_and_resize"};
    ASHLAR_REQUIRE(std::find(std::begin(kTransforms), std::end(kTransforms), transform) != std::end(kTransforms), ASHLAR_ATTRIBUTE,
                   "coordinate_transformation_mode is ", transform);
    static constexpr const char* kNearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const std::string nearest = node.text("nearest_mode", "round_prefer_floor");
    ASHLAR_REQUIRE(std::find(std::begin(kNearest), std::end(kNearest), nearest) != std::end(kNearest), ASHLAR_ATTRIBUTE, "nearest_mode is ",
                   nearest);
    const std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
    ASHLAR_REQUIRE(policy == "stretch" || policy == "not_larger" || policy == "not_smaller", ASHLAR_ATTRIBUTE,
                   "keep_aspect_ratio_policy is ", policy);
    ASHLAR_REQUIRE(mode != "nearest" || node.integer("antialias") == 0, ASHLAR_ATTRIBUTE, "nearest neighbours have no antialiasing");
    ASHLAR_REQUIRE(
        contains<NumericTypes>(dtype) || (mode == "nearest" && transform != "tf_crop_and_resize" && contains<PickedTypes>(dtype)),
        ASHLAR_NO_KERNEL_DTYPE, mode, " Resize of ", provider::dtype_name(dtype), " has no kernel");
    ASHLAR_REQUIRE(!node.has_input(1) || contains<RoiTypes>(node.input(1).dtype()), ASHLAR_NO_KERNEL_DTYPE, "roi is ",
                   provider::dtype_name(node.input(1).dtype()));
    ASHLAR_REQUIRE(!node.has_input(2) || node.input(2).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "scales are float32");
    ASHLAR_REQUIRE(!node.has_input(3) || node.input(3).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "sizes are int64");
    return provider::accept();
  }

  std::uint64_t bind_reads() const override { return 1u << 2 | 1u << 3; }

  void bind(BindContext& context) const override {
    Dims y;
    for (const AxisSpec& axis : axes(context)) y.push_back(axis.out);
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    std::vector<AxisSpec> specs = axes(context);
    if (transform_ == "tf_crop_and_resize") read_roi(context, specs);
    if (context.output(0).count() == 0) return;
    std::vector<AxisPlan> plans;
    for (const AxisSpec& spec : specs) plans.push_back(plan(spec));
    if (mode_ == "nearest") pick(context, specs, plans);
    else dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() { interpolate<T>(context, specs, plans); });
  }

 private:
  using RoiTypes = Types<float, double, Float16>;
  using PickedTypes = Join<AllFixedTypes, Types<std::string>>;

  std::vector<int> resized_axes(int rank) const {
    std::vector<int> out;
    if (axes_.empty())
      for (int i = 0; i < rank; ++i) out.push_back(i);
    for (const std::int64_t a : axes_) out.push_back(provider::normalize_axis(a, rank));
    return out;
  }

  template <class Context> std::vector<AxisSpec> axes(const Context& context) const {
    const Dims x = context.input(0).dims();
    std::vector<AxisSpec> out(x.size());
    for (std::size_t d = 0; d < out.size(); ++d) out[d].in = out[d].out = x[static_cast<std::int64_t>(d)];
    const std::vector<int> which = resized_axes(x.rank());
    const auto length = [&](double value) {
      check(value >= 0 && value < 0x1p40, "a dimension would be resized to ", value);
      return static_cast<std::int64_t>(value);
    };
    if (context.has_input(2) && context.input(2).count() > 0) {
      const auto scales = context.input(2).template values<float>();
      check(scales.size() == which.size(), scales.size(), " scales for ", which.size(), " axes");
      for (std::size_t i = 0; i < scales.size(); ++i) {
        AxisSpec& axis = out[static_cast<std::size_t>(which[i])];
        check(scales[i] > 0 && std::isfinite(scales[i]), "a scale of ", scales[i]);
        axis.scale = scales[i];
        axis.out = length(std::floor(static_cast<double>(axis.in) * axis.scale));
      }
      return out;
    }
    check(context.has_input(3), "Resize needs scales or sizes");
    const auto sizes = context.input(3).template values<std::int64_t>();
    check(sizes.size() == which.size(), sizes.size(), " sizes for ", which.size(), " axes");
    double common = policy_ == "not_larger" ? HUGE_VAL : 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      AxisSpec& axis = out[static_cast<std::size_t>(which[i])];
      check(sizes[i] >= 0 && (axis.in > 0 || sizes[i] == 0), "a dimension of ", axis.in, " would be resized to ", sizes[i]);
      axis.out = length(static_cast<double>(sizes[i]));
      axis.scale = axis.in == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(axis.in);
      common = policy_ == "not_larger" ? std::min(common, axis.scale) : std::max(common, axis.scale);
    }
    if (policy_ == "stretch") return out;
    for (const int d : which) {
      AxisSpec& axis = out[static_cast<std::size_t>(d)];
      axis.scale = common;
      axis.out = length(std::floor(common * static_cast<double>(axis.in) + 0.5));
    }
    return out;
  }

  void read_roi(const RunContext& context, std::vector<AxisSpec>& specs) const {
    const std::vector<int> which = resized_axes(static_cast<int>(specs.size()));
    check(context.has_input(1) && context.input(1).count() == 2 * static_cast<std::int64_t>(which.size()),
          "tf_crop_and_resize needs a roi of ", 2 * which.size(), " values");
    dispatch<RoiTypes>(context.input(1).dtype(), [&]<class T>() {
      const T* roi = context.input(1).data<T>();
      for (std::size_t i = 0; i < which.size(); ++i) {
        specs[static_cast<std::size_t>(which[i])].roi_start = static_cast<double>(roi[i]);
        specs[static_cast<std::size_t>(which[i])].roi_end = static_cast<double>(roi[which.size() + i]);
      }
    });
  }

  /// The input coordinate of output coordinate `at`, by the formulas of the operator's documentation.
  double source(const AxisSpec& a, std::int64_t at) const {
    const double x = static_cast<double>(at), in = static_cast<double>(a.in), width = a.scale * in;
    if (transform_ == "align_corners") return a.out == 1 ? 0 : x * (in - 1) / (width - 1);
    if (transform_ == "asymmetric") return x / a.scale;
    if (transform_ == "tf_crop_and_resize") {
      if (a.out == 1) return 0.5 * (a.roi_start + a.roi_end) * (in - 1);
      return a.roi_start * (in - 1) + x * (a.roi_end - a.roi_start) * (in - 1) / (width - 1);
    }
    if (transform_ == "pytorch_half_pixel" && a.out == 1) return 0;
    const double offset = transform_ == "half_pixel_symmetric" ? in / 2 * (1 - static_cast<double>(a.out) / width) : 0;
    return offset + (x + 0.5) / a.scale - 0.5;
  }

  double cubic(double x) const {
    const double a = cubic_a_;
    x = std::abs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  }

  /// Weights of the input coordinates around x: tap i is the coordinate base + first + i, and x = base + ratio with 0 < ratio <= 1.
  std::vector<double> weights(double ratio, double scale, std::int64_t& first) const {
    if (mode_ == "nearest") {
      const bool upper = ratio == 1 || nearest_ == "ceil" || (nearest_ == "round_prefer_floor" && ratio > 0.5) ||
                         (nearest_ == "round_prefer_ceil" && ratio >= 0.5);
      first = upper ? 1 : 0;
      return {1};
    }
    const double stretch = antialias_ ? std::min(scale, 1.0) : 1;
    const double reach = mode_ == "cubic" ? 2 : 1;
    first = static_cast<std::int64_t>(std::floor(-reach / stretch)) + 1;
    std::vector<double> out;
    double sum = 0;
    for (std::int64_t i = first; i < 2 - first; ++i) {
      const double x = stretch * (static_cast<double>(i) - ratio);
      out.push_back(mode_ == "cubic" ? cubic(x) : std::max(0.0, 1 - std::abs(x)));
      sum += out.back();
    }
    if (antialias_)
      for (double& w : out) w /= sum;
    return out;
  }

  AxisPlan plan(const AxisSpec& a) const {
    AxisPlan p;
    for (std::int64_t y = 0; y < a.out; ++y) {
      const double x = source(a, y);
      check(std::abs(x) < 0x1p50, "output coordinate ", y, " comes from coordinate ", x);
      const double base = std::ceil(x) - 1;
      std::int64_t first;
      std::vector<double> w = weights(x - base, a.scale, first);
      p.taps = static_cast<std::int64_t>(w.size());
      p.outside.push_back(transform_ == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(a.in - 1)));
      double sum = 0;
      for (std::size_t i = 0; i < w.size(); ++i) {
        const std::int64_t at = static_cast<std::int64_t>(base) + first + static_cast<std::int64_t>(i);
        if (exclude_outside_ && (at < 0 || at >= a.in)) w[i] = 0;
        sum += w[i];
        p.index.push_back(std::clamp<std::int64_t>(at, 0, a.in - 1));
      }
      for (const double v : w) p.weight.push_back(exclude_outside_ && sum != 0 ? v / sum : v);
    }
    return p;
  }

  void pick(const RunContext& context, const std::vector<AxisSpec>& specs, const std::vector<AxisPlan>& plans) const {
    const TensorView x = context.input(0), y = context.output(0);
    const Dims strides = strides_of(x.dims()), out = y.dims();
    const auto each = [&](auto copy) {
      Dims index = Dims::filled(out.rank(), 0);
      std::int64_t i = 0;
      do {
        std::int64_t at = 0;
        for (std::size_t d = 0; d < specs.size(); ++d) {
          const auto o = static_cast<std::size_t>(index[static_cast<std::int64_t>(d)]);
          if (plans[d].outside[o] || at < 0) at = -1;
          else at += plans[d].index[o] * strides[static_cast<std::int64_t>(d)];
        }
        copy(i++, at);
      } while (advance(index, out));
    };
    if (x.dtype() == DType::kString) return each([&](std::int64_t i, std::int64_t at) { y.set_string(i, x.string(at)); });
    dispatch<AllFixedTypes>(x.dtype(), [&]<class T>() {
      const T fill = value_of<T>(extrapolation_);
      each([&, from = x.data<T>(), to = y.mutable_data<T>()](std::int64_t i, std::int64_t at) { to[i] = at < 0 ? fill : from[at]; });
    });
  }

  template <class T>
  void interpolate(const RunContext& context, const std::vector<AxisSpec>& specs, const std::vector<AxisPlan>& plans) const {
    Dims dims = context.input(0).dims();
    const T* x = context.input(0).data<T>();
    std::vector<double> data(x, x + context.input(0).count());
    for (const std::size_t d : shrinking_first(specs)) {
      if (specs[d].in == specs[d].out && specs[d].scale == 1 && transform_ != "tf_crop_and_resize") continue;
      data = along(data, AxisView(dims, static_cast<int>(d)), specs[d].out, plans[d]);
      dims[static_cast<std::int64_t>(d)] = specs[d].out;
    }
    T* y = context.output(0).mutable_data<T>();
    for (std::size_t i = 0; i < data.size(); ++i) y[i] = value_of<T>(data[i]);
  }

  /// The axes in the order in which no intermediate is larger than the input and the output.
  static std::vector<std::size_t> shrinking_first(const std::vector<AxisSpec>& specs) {
    std::vector<std::size_t> order;
    for (std::size_t d = 0; d < specs.size(); ++d) order.push_back(d);
    const auto growth = [&](std::size_t d) { return static_cast<double>(specs[d].out) / static_cast<double>(specs[d].in); };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return growth(a) < growth(b); });
    return order;
  }

  std::vector<double> along(const std::vector<double>& x, const AxisView& view, std::int64_t out, const AxisPlan& plan) const {
    std::vector<double> y(static_cast<std::size_t>(view.outer * out * view.inner), 0.0);
    for (std::int64_t o = 0; o < view.outer; ++o) {
      for (std::int64_t j = 0; j < out; ++j) {
        double* row = y.data() + (o * out + j) * view.inner;
        if (plan.outside[static_cast<std::size_t>(j)]) {
          std::fill_n(row, view.inner, static_cast<double>(extrapolation_));
          continue;
        }
        for (std::int64_t t = j * plan.taps; t < (j + 1) * plan.taps; ++t) {
          const double w = plan.weight[static_cast<std::size_t>(t)];
          if (w == 0) continue;
          const double* from = x.data() + (o * view.size + plan.index[static_cast<std::size_t>(t)]) * view.inner;
          for (std::int64_t i = 0; i < view.inner; ++i) row[i] += w * from[i];
        }
      }
    }
    return y;
  }

  template <class T> static T value_of(double value) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return saturate<T>(value);
    else return narrow<T>(value);
  }

  std::vector<std::int64_t> axes_;
  std::string mode_, transform_, nearest_, policy_;
  bool antialias_, exclude_outside_;
  double cubic_a_;
  float extrapolation_;
};

constexpr KernelEntry kKernels[] = {{"Resize", 10, provider::kLatest, &Resize::verdict, &provider::make<Resize>}};

}  // namespace

std::span<const KernelEntry> resize_kernels() { return kKernels; }

}  // namespace ashlar::reference
