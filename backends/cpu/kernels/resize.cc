// SPDX-License-Identifier: Apache-2.0
// Resize. Every mode is separable: along an axis an output coordinate becomes a list of input coordinates with weights, and axes are
// resized one after the other over the dims in memory order, whatever the layout. Nearest neighbours only pick, in one pass.
#include <complex>
#include <string>

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

using RoiTypes = Types<float, double, Float16>;
using PickedTypes = Join<NumericTypes, Types<bool, std::complex<float>, std::complex<double>>>;
/// Elements that are interpolated in floats; the others in doubles.
using SingleTypes = Types<float, Float16, BFloat16, std::int8_t, std::int16_t, std::uint8_t, std::uint16_t>;

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

/// An axis resized: [outer, in, inner] to [outer, out, inner]. `offset` is the index times inner.
struct Pass {
  std::int64_t outer = 1, in = 0, out = 0, inner = 1, taps = 0;
  std::vector<std::int64_t> offset;
  std::vector<double> weight;
  std::vector<float> weight_single;
  std::vector<char> outside;
};

struct Bound : provider::Binding {
  std::vector<Pass> passes;  ///< in the order in which they are done; for nearest neighbours in that of memory, every axis but the trailing
  std::int64_t largest = 0;  ///< elements of the largest tensor between passes
  Dims outer_dims;           ///< nearest neighbours: the output along the axes before the last pass
  alignas(16) std::byte fill[16] = {};
};

/// The integer nearest to `value`, ties to even, held to the range of T, 0 for NaN; floats as narrow.
template <class T, class C> T saturate(C value) {
  if constexpr (!std::is_integral_v<T>) return narrow<T>(value);
  else {
    constexpr T kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
    const C rounded = std::nearbyint(value);
    if (std::isnan(rounded)) return T{0};
    return rounded <= static_cast<C>(kLow) ? kLow : rounded >= static_cast<C>(kHigh) ? kHigh : static_cast<T>(rounded);
  }
}

class Resize final : public CpuKernel {
 public:
  explicit Resize(const NodeView& node)
      : axes_(node.integers("axes")), mode_(node.text("mode", "nearest")),
        transform_(node.text("coordinate_transformation_mode", "half_pixel")), nearest_(node.text("nearest_mode", "round_prefer_floor")),
        policy_(node.text("keep_aspect_ratio_policy", "stretch")), antialias_(node.integer("antialias") != 0),
        exclude_outside_(node.integer("exclude_outside") != 0), cubic_a_(node.real("cubic_coeff_a", -0.75f)),
        extrapolation_(node.real("extrapolation_value")) {
    for (const int i : {1, 2, 3})
      if (node.has_input(i) && !node.input(i).constant() && (i != 1 || crops())) reads_ |= 1ull << i;
  }

  static provider::Verdict verdict(const NodeView& node) {
    const std::string mode = node.text("mode", "nearest"), transform = node.text("coordinate_transformation_mode", "half_pixel");
    const DType dtype = node.input(0).dtype();
    const auto one_of = [](const std::string& text, std::initializer_list<const char*> words) {
      return std::find(words.begin(), words.end(), text) != words.end();
    };
    ASHLAR_REQUIRE(one_of(mode, {"nearest", "linear", "cubic"}), ASHLAR_ATTRIBUTE, "mode is ", mode);
    ASHLAR_REQUIRE(one_of(transform, {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                                      "tf_crop_and_resize"}),
                   ASHLAR_ATTRIBUTE, "coordinate_transformation_mode is ", transform);
    const std::string nearest = node.text("nearest_mode", "round_prefer_floor");
    ASHLAR_REQUIRE(one_of(nearest, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}), ASHLAR_ATTRIBUTE, "nearest_mode is ",
                   nearest);
    const std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
    ASHLAR_REQUIRE(one_of(policy, {"stretch", "not_larger", "not_smaller"}), ASHLAR_ATTRIBUTE, "keep_aspect_ratio_policy is ", policy);
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

  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t bind_reads() const override { return reads_; }

  void bind(BindContext& context) const override {
    const TensorView x = context.input(0);
    std::vector<AxisSpec> specs = axes(context);
    if (crops()) read_roi(context, specs);
    Dims y;
    for (const AxisSpec& axis : specs) y.push_back(axis.out);
    context.set_output(0, y);
    context.set_layout(0, x.layout());
    auto bound = std::make_unique<Bound>();
    if (y.count() > 0) {
      std::vector<AxisSpec> ordered = specs;
      for (int d = 0; d < y.rank(); ++d)
        ordered[static_cast<std::size_t>(physical_axis(d, y.rank(), x.layout()))] = specs[static_cast<std::size_t>(d)];
      if (mode_ == "nearest") plan_picking(*bound, ordered, x.dtype());
      else plan_passes(*bound, ordered, physical_dims(x.dims(), x.layout()));
      const bool single = contains<SingleTypes>(x.dtype());
      if (mode_ != "nearest") context.set_workspace(2 * buffer_bytes(*bound, single ? sizeof(float) : sizeof(double)));
    }
    context.set_binding(std::move(bound));
  }

  void run(const RunContext& context) const override {
    const Bound& b = context.binding<Bound>();
    const DType dtype = context.input(0).dtype();
    if (context.output(0).count() == 0) return;
    if (b.passes.empty()) {
      if (context.output(0).raw() != context.input(0).raw())
        std::memcpy(context.output(0).raw(), context.input(0).raw(), context.input(0).bytes());
    } else if (mode_ == "nearest") {
      dispatch<PickedTypes>(dtype, [&]<class T>() { pick<std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>>(context, b); });
    } else if (contains<SingleTypes>(dtype)) {
      dispatch<SingleTypes>(dtype, [&]<class T>() { interpolate<T, float>(context, b); });
    } else {
      dispatch<Types<double, std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>>(
          dtype, [&]<class T>() { interpolate<T, double>(context, b); });
    }
  }

 private:
  bool crops() const { return transform_ == "tf_crop_and_resize"; }
  static std::uint64_t buffer_bytes(const Bound& b, std::uint64_t element) {
    return (static_cast<std::uint64_t>(b.largest) * element + 63) / 64 * 64;
  }

  std::vector<std::size_t> resized_axes(int rank) const {
    std::vector<std::size_t> out;
    if (axes_.empty())
      for (int i = 0; i < rank; ++i) out.push_back(static_cast<std::size_t>(i));
    for (const std::int64_t a : axes_) out.push_back(static_cast<std::size_t>(provider::normalize_axis(a, rank)));
    return out;
  }

  std::vector<AxisSpec> axes(const BindContext& context) const {
    const Dims x = context.input(0).dims();
    std::vector<AxisSpec> out(x.size());
    for (std::size_t d = 0; d < out.size(); ++d) out[d].in = out[d].out = x[static_cast<std::int64_t>(d)];
    const std::vector<std::size_t> which = resized_axes(x.rank());
    const auto length = [&](double value) {
      check(value >= 0 && value < 0x1p40, "a dimension would be resized to ", value);
      return static_cast<std::int64_t>(value);
    };
    if (context.has_input(2) && context.input(2).count() > 0) {
      const auto scales = context.input(2).values<float>();
      check(scales.size() == which.size(), scales.size(), " scales for ", which.size(), " axes");
      for (std::size_t i = 0; i < scales.size(); ++i) {
        AxisSpec& axis = out[which[i]];
        check(scales[i] > 0 && std::isfinite(scales[i]), "a scale of ", scales[i]);
        axis.scale = static_cast<double>(scales[i]);
        axis.out = length(std::floor(static_cast<double>(axis.in) * axis.scale));
      }
      return out;
    }
    check(context.has_input(3), "Resize needs scales or sizes");
    const auto sizes = context.input(3).values<std::int64_t>();
    check(sizes.size() == which.size(), sizes.size(), " sizes for ", which.size(), " axes");
    double common = policy_ == "not_larger" ? HUGE_VAL : 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      AxisSpec& axis = out[which[i]];
      check(sizes[i] >= 0 && (axis.in > 0 || sizes[i] == 0), "a dimension of ", axis.in, " would be resized to ", sizes[i]);
      axis.out = length(static_cast<double>(sizes[i]));
      axis.scale = axis.in == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(axis.in);
      common = policy_ == "not_larger" ? std::min(common, axis.scale) : std::max(common, axis.scale);
    }
    if (policy_ == "stretch") return out;
    for (const std::size_t d : which) {
      out[d].scale = common;
      out[d].out = length(std::floor(common * static_cast<double>(out[d].in) + 0.5));
    }
    return out;
  }

  void read_roi(const BindContext& context, std::vector<AxisSpec>& specs) const {
    const std::vector<std::size_t> which = resized_axes(static_cast<int>(specs.size()));
    check(context.has_input(1) && context.input(1).count() == 2 * static_cast<std::int64_t>(which.size()),
          "tf_crop_and_resize needs a roi of ", 2 * which.size(), " values");
    dispatch<RoiTypes>(context.input(1).dtype(), [&]<class T>() {
      const std::vector<T> roi = context.input(1).values<T>();
      for (std::size_t i = 0; i < which.size(); ++i) {
        specs[which[i]].roi_start = static_cast<double>(roi[i]);
        specs[which[i]].roi_end = static_cast<double>(roi[which.size() + i]);
      }
    });
  }

  /// The input coordinate of output coordinate `at`, by the formulas of the operator's documentation.
  double source(const AxisSpec& a, std::int64_t at) const {
    const double x = static_cast<double>(at), in = static_cast<double>(a.in), width = a.scale * in;
    if (transform_ == "align_corners") return a.out == 1 ? 0 : x * (in - 1) / (width - 1);
    if (transform_ == "asymmetric") return x / a.scale;
    if (crops()) {
      if (a.out == 1) return 0.5 * (a.roi_start + a.roi_end) * (in - 1);
      return a.roi_start * (in - 1) + x * (a.roi_end - a.roi_start) * (in - 1) / (width - 1);
    }
    if (transform_ == "pytorch_half_pixel" && a.out == 1) return 0;
    const double offset = transform_ == "half_pixel_symmetric" ? in / 2 * (1 - static_cast<double>(a.out) / width) : 0;
    return offset + (x + 0.5) / a.scale - 0.5;
  }

  /// R. Keys, "Cubic convolution interpolation for digital image processing", equation 15.
  double cubic(double x) const {
    const double a = cubic_a_;
    x = std::abs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  }

  /// Weights of the input coordinates around x: tap i is the coordinate base + first + i, and x = base + ratio with 0 < ratio <= 1.
  void weights(double ratio, double scale, std::int64_t& first, std::vector<double>& out) const {
    out.clear();
    if (mode_ == "nearest") {
      const bool upper = ratio == 1 || nearest_ == "ceil" || (nearest_ == "round_prefer_floor" && ratio > 0.5) ||
                         (nearest_ == "round_prefer_ceil" && ratio >= 0.5);
      first = upper ? 1 : 0;
      out.push_back(1);
      return;
    }
    const double stretch = antialias_ ? std::min(scale, 1.0) : 1;
    const double reach = mode_ == "cubic" ? 2 : 1;
    first = static_cast<std::int64_t>(std::floor(-reach / stretch)) + 1;
    double sum = 0;
    for (std::int64_t i = first; i < 2 - first; ++i) {
      const double x = stretch * (static_cast<double>(i) - ratio);
      out.push_back(mode_ == "cubic" ? cubic(x) : std::max(0.0, 1 - std::abs(x)));
      sum += out.back();
    }
    if (antialias_)
      for (double& w : out) w /= sum;
  }

  AxisPlan plan(const AxisSpec& a) const {
    AxisPlan p;
    std::vector<double> w;
    for (std::int64_t y = 0; y < a.out; ++y) {
      const double x = source(a, y);
      check(std::abs(x) < 0x1p50, "output coordinate ", y, " comes from coordinate ", x);
      const double base = std::ceil(x) - 1;
      std::int64_t first;
      weights(x - base, a.scale, first, w);
      p.taps = static_cast<std::int64_t>(w.size());
      p.outside.push_back(crops() && (x < 0 || x > static_cast<double>(a.in - 1)));
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

  Pass pass(const AxisSpec& spec, const AxisView& view) const {
    AxisPlan p = plan(spec);
    Pass out{.outer = view.outer,
             .in = spec.in,
             .out = spec.out,
             .inner = view.inner,
             .taps = p.taps,
             .offset = std::move(p.index),
             .weight = std::move(p.weight),
             .weight_single = {},
             .outside = std::move(p.outside)};
    for (std::int64_t& o : out.offset) o *= view.inner;
    out.weight_single.assign(out.weight.begin(), out.weight.end());
    return out;
  }

  bool kept(const AxisSpec& a) const { return a.in == a.out && a.scale == 1 && !crops(); }

  /// Axes that shrink come first, so that no tensor between passes is larger than the input and the output.
  void plan_passes(Bound& b, const std::vector<AxisSpec>& specs, Dims dims) const {
    std::vector<std::size_t> order;
    for (std::size_t d = 0; d < specs.size(); ++d)
      if (!kept(specs[d])) order.push_back(d);
    const auto growth = [&](std::size_t d) { return static_cast<double>(specs[d].out) / static_cast<double>(specs[d].in); };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return growth(i) < growth(j); });
    b.largest = dims.count();
    for (const std::size_t d : order) {
      b.passes.push_back(pass(specs[d], AxisView(dims, static_cast<int>(d))));
      dims[static_cast<std::int64_t>(d)] = specs[d].out;
      b.largest = std::max(b.largest, dims.count());
    }
  }

  void plan_picking(Bound& b, const std::vector<AxisSpec>& specs, DType dtype) const {
    std::size_t last = specs.size();
    while (last > 0 && kept(specs[last - 1])) --last;
    Dims dims;
    for (const AxisSpec& a : specs) dims.push_back(a.in);
    for (std::size_t d = 0; d < last; ++d) b.passes.push_back(pass(specs[d], AxisView(dims, static_cast<int>(d))));
    for (std::size_t d = 0; d + 1 < last; ++d) b.outer_dims.push_back(specs[d].out);
    dispatch<PickedTypes>(dtype, [&]<class T>() {
      if constexpr (!std::is_same_v<T, bool> && (is_float<T> || std::is_integral_v<T>)) {
        const T fill = saturate<T>(extrapolation_);
        std::memcpy(b.fill, &fill, sizeof(T));
      }
    });
  }

  template <class T> void pick(const RunContext& context, const Bound& b) const {
    const T* x = context.input(0).data<T>();
    T* y = context.output(0).mutable_data<T>();
    T fill;
    std::memcpy(static_cast<void*>(&fill), b.fill, sizeof(T));
    const Pass& p = b.passes.back();
    const std::int64_t rows = b.outer_dims.count(), row = p.out * p.inner;
    context.parallel_for(rows, grain_of(row), [&](std::int64_t first, std::int64_t last) {
      Dims at = b.outer_dims;
      for (std::int64_t d = at.rank() - 1, rest = first; d >= 0; --d) at[d] = rest % b.outer_dims[d], rest /= b.outer_dims[d];
      for (std::int64_t r = first; r < last; ++r, advance(at, b.outer_dims)) {
        std::int64_t base = 0;
        bool outside = false;
        for (int d = 0; d < at.rank(); ++d) {
          const Pass& axis = b.passes[static_cast<std::size_t>(d)];
          base += axis.offset[static_cast<std::size_t>(at[d])];
          outside |= axis.outside[static_cast<std::size_t>(at[d])] != 0;
        }
        T* to = y + r * row;
        if (outside) {
          std::fill_n(to, row, fill);
          continue;
        }
        if (p.inner == 1 && !crops()) {
          const std::int64_t* offset = p.offset.data();
          for (std::int64_t j = 0; j < row; ++j) to[j] = x[base + offset[j]];
          continue;
        }
        for (std::int64_t j = 0; j < p.out; ++j, to += p.inner) {
          const T* from = x + base + p.offset[static_cast<std::size_t>(j)];
          if (p.outside[static_cast<std::size_t>(j)]) std::fill_n(to, p.inner, fill);
          else std::memcpy(static_cast<void*>(to), from, static_cast<std::size_t>(p.inner) * sizeof(T));
        }
      }
    });
  }

  template <class T, class C> void interpolate(const RunContext& context, const Bound& b) const {
    auto* const workspace = static_cast<std::byte*>(context.workspace());
    C* const buffers[] = {reinterpret_cast<C*>(workspace), reinterpret_cast<C*>(workspace + buffer_bytes(b, sizeof(C)))};
    const T* x = context.input(0).data<T>();
    T* y = context.output(0).mutable_data<T>();
    std::size_t next = 0;
    const C* from;
    if constexpr (std::is_same_v<T, C>) {
      from = x;
    } else {
      context.parallel_for(context.input(0).count(), grain_of(1), [&, to = buffers[0]](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) to[i] = static_cast<C>(x[i]);
      });
      from = buffers[0];
      next = 1;
    }
    for (const Pass& p : b.passes) {
      C* to = buffers[next % 2];
      if constexpr (std::is_same_v<T, C>)
        if (&p == &b.passes.back()) to = y;
      along(context, p, from, to);
      from = to;
      ++next;
    }
    if constexpr (!std::is_same_v<T, C>)
      context.parallel_for(context.output(0).count(), grain_of(1), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) y[i] = saturate<T>(from[i]);
      });
  }

  template <class C> void along(const RunContext& context, const Pass& p, const C* x, C* y) const {
    const auto fill = static_cast<C>(extrapolation_);
    const auto outside = [&](std::int64_t j) { return p.outside[static_cast<std::size_t>(j)] != 0; };
    if (p.inner == 1) {
      context.parallel_for(p.outer, grain_of(estimate(p.out, p.taps)), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t o = first; o < last; ++o) {
          C* to = y + o * p.out;
          if constexpr (std::is_same_v<C, float>) blend_points(x + o * p.in, p.offset.data(), p.weight_single.data(), p.taps, p.out, to);
          else
            for (std::int64_t j = 0; j < p.out; ++j) to[j] = sum_of(p, x + o * p.in, j);
          for (std::int64_t j = 0; crops() && j < p.out; ++j)
            if (outside(j)) to[j] = fill;
        }
      });
      return;
    }
    context.parallel_for(p.outer * p.out, grain_of(estimate(p.inner, p.taps) / 4), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t r = first; r < last; ++r) {
        const std::int64_t o = r / p.out, j = r % p.out;
        const C* from = x + o * p.in * p.inner;
        C* to = y + r * p.inner;
        if (outside(j)) std::fill_n(to, p.inner, fill);
        else if constexpr (std::is_same_v<C, float>)
          blend_rows(from, p.offset.data() + j * p.taps, p.weight_single.data() + j * p.taps, p.taps, p.inner, to);
        else
          for (std::int64_t i = 0; i < p.inner; ++i) to[i] = sum_of(p, from + i, j);
      }
    });
  }

  static double sum_of(const Pass& p, const double* x, std::int64_t j) {
    double sum = 0;
    for (auto t = static_cast<std::size_t>(j * p.taps); t < static_cast<std::size_t>((j + 1) * p.taps); ++t)
      if (p.weight[t] != 0) sum += p.weight[t] * x[p.offset[t]];
    return sum;
  }

  std::vector<std::int64_t> axes_;
  std::string mode_, transform_, nearest_, policy_;
  bool antialias_, exclude_outside_;
  double cubic_a_;
  float extrapolation_;
  std::uint64_t reads_ = 0;
};

constexpr KernelEntry kKernels[] = {{"Resize", 10, provider::kLatest, &Resize::verdict, &provider::make<Resize>}};

}  // namespace

std::span<const KernelEntry> resize_kernels() { return kKernels; }

}  // namespace ashlar::cpu
