// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear and DequantizeLinear per tensor, per axis and in blocks along an axis; DynamicQuantizeLinear.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "convert.h"

namespace ashlar::reference {
namespace {

/// How a scale lies over a tensor seen as [outer, size, inner] around the axis.
struct Granularity {
  std::int64_t outer = 1, size = 1, inner = 1;
  std::int64_t scales = 1, block = 1;  // along the axis: scales, and elements that share one
  bool per_position = false;           // one scale for each outer and inner index too

  std::int64_t at(std::int64_t o, std::int64_t a, std::int64_t i) const {
    return per_position ? (o * scales + a / block) * inner + i : a / block;
  }
};

Granularity granularity(const Dims& x, const Dims& scale, std::int64_t axis, std::int64_t block) {
  Granularity g;
  if (scale.rank() <= 1 && scale.count() == 1) {
    g.inner = x.count();
    return g;
  }
  const int at = provider::normalize_axis(axis, x.rank());
  const AxisView view(x, at);
  g.outer = view.outer;
  g.size = view.size;
  g.inner = view.inner;
  if (scale.rank() == 1 && block == 0) {
    provider::check(scale[0] == x[at], scale[0], " scales for axis ", at, " of ", x);
    g.scales = scale[0];
    return g;
  }
  provider::check(block > 0 && scale.rank() == x.rank(), "a scale of shape ", scale, " does not go with a tensor of shape ", x,
                  " and block_size ", block);
  Dims expected = x;
  expected[at] = x[at] / block + (x[at] % block != 0);
  provider::check(scale == expected, "blocks of ", block, " along axis ", at, " of ", x, " need scales of shape ", expected, ", not ",
                  scale);
  g.scales = expected[at];
  g.block = block;
  g.per_position = true;
  return g;
}

/// f(element, scale) in the order of the elements.
template <class F> void for_each_scaled(const Granularity& g, F f) {
  std::int64_t n = 0;
  for (std::int64_t o = 0; o < g.outer; ++o)
    for (std::int64_t a = 0; a < g.size; ++a)
      for (std::int64_t i = 0; i < g.inner; ++i) f(n++, g.at(o, a, i));
}

/// The lowest and highest value of the integer types that tensors are quantized to.
struct Range {
  double low, high;
};
bool integer_range(DType dtype, Range& range) {
  switch (dtype) {
    case DType::kUint8: range = {0, 255}; return true;
    case DType::kInt8: range = {-128, 127}; return true;
    case DType::kUint16: range = {0, 65535}; return true;
    case DType::kInt16: range = {-32768, 32767}; return true;
    case DType::kUint4: range = {0, 15}; return true;
    case DType::kInt4: range = {-8, 7}; return true;
    case DType::kUint2: range = {0, 3}; return true;
    case DType::kInt2: range = {-2, 1}; return true;
    default: return false;
  }
}

bool is_quantized_float(DType dtype) { return contains<Join<Float8Types, Types<Float6E2M3, Float6E3M2, Float4E2M1>>>(dtype); }

using ScaleTypes = Types<float, Float16, BFloat16, Float8E8M0>;
using RealTypes = Types<float, Float16, BFloat16, std::int32_t>;

/// A function that rounds to what a dtype can hold.
using Rounding = double (*)(double);
Rounding rounding(DType dtype) {
  switch (dtype) {
    case DType::kFloat16: return [](double v) { return static_cast<double>(static_cast<float>(convert<Float16>(v))); };
    case DType::kBFloat16: return [](double v) { return static_cast<double>(static_cast<float>(convert<BFloat16>(v))); };
    case DType::kFloat32:
    case DType::kFloat8E8M0: return [](double v) { return static_cast<double>(static_cast<float>(v)); };
    default: return [](double v) { return v; };
  }
}

class Linear : public provider::Kernel {
 public:
  explicit Linear(const provider::NodeView& node) : axis_(node.integer("axis", 1)), block_(node.integer("block_size")) {}
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims(), scale = context.input(1).dims();
    granularity(x, scale, axis_, block_);
    if (context.has_input(2)) {
      const Dims zero = context.input(2).dims();
      provider::check(zero == scale || (zero.count() == 1 && scale.count() == 1), "a zero point of shape ", zero, " for a scale of shape ",
                      scale);
    }
    context.set_output(0, x);
  }

 protected:
  static provider::Verdict same_zero_point(const provider::NodeView& node, DType dtype) {
    if (node.has_input(2))
      ASHLAR_REQUIRE(node.input(2).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                     " with a zero point of type ", provider::dtype_name(node.input(2).dtype()));
    return provider::accept();
  }
  std::int64_t axis_, block_;
};

/// y = saturate(round(x / scale) + zero_point); the quotient has the precision of the scale, or the one the attribute names.
class QuantizeLinear : public Linear {
 public:
  explicit QuantizeLinear(const provider::NodeView& node)
      : Linear(node), saturate_(node.integer("saturate", 1) != 0), precision_(static_cast<DType>(node.integer("precision"))) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType x = node.input(0).dtype(), scale = node.input(1).dtype(), y = node.output(0).dtype();
    Range range;
    ASHLAR_REQUIRE(contains<RealTypes>(x), ASHLAR_NO_KERNEL_DTYPE, "QuantizeLinear from ", provider::dtype_name(x), " has no kernel");
    ASHLAR_REQUIRE((contains<Join<ScaleTypes, Types<std::int32_t>>>(scale)), ASHLAR_NO_KERNEL_DTYPE,
                   "QuantizeLinear has no kernel for a scale of type ", provider::dtype_name(scale));
    ASHLAR_REQUIRE(integer_range(y, range) || is_quantized_float(y), ASHLAR_NO_KERNEL_DTYPE, "QuantizeLinear to ", provider::dtype_name(y),
                   " has no kernel");
    const auto precision = static_cast<DType>(node.integer("precision"));
    ASHLAR_REQUIRE(precision == DType::kUndefined || contains<FloatTypes>(precision), ASHLAR_ATTRIBUTE, "QuantizeLinear cannot divide in ",
                   provider::dtype_name(precision));
    return same_zero_point(node, y);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), scale = context.input(1), y = context.output(0);
    const bool has_zero = context.has_input(2);
    const void* zeros = has_zero ? context.input(2).raw() : nullptr;
    const Reader<double> read_x = reader<double>(x.dtype()), read_scale = reader<double>(scale.dtype()),
                         read_zero = reader<double>(y.dtype());
    const Writer<double> write = writer<double>(y.dtype(), saturate_);
    const Rounding round = rounding(precision_ == DType::kUndefined ? scale.dtype() : precision_);
    Range range{};
    const bool whole = integer_range(y.dtype(), range);
    for_each_scaled(granularity(x.dims(), scale.dims(), axis_, block_), [&](std::int64_t n, std::int64_t s) {
      const double quotient = round(round(read_x(x.raw(), n)) / round(read_scale(scale.raw(), s)));
      const double zero = has_zero ? read_zero(zeros, s) : 0;
      if (!whole) return write(y.raw(), n, quotient + zero);
      const double value = std::nearbyint(quotient) + zero;
      write(y.raw(), n, value > range.low ? std::min(value, range.high) : range.low);
    });
  }

 private:
  bool saturate_;
  DType precision_;
};

/// y = (x - zero_point) * scale
class DequantizeLinear : public Linear {
 public:
  using Linear::Linear;
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType x = node.input(0).dtype(), scale = node.input(1).dtype(), y = node.output(0).dtype();
    Range range;
    ASHLAR_REQUIRE(integer_range(x, range) || is_quantized_float(x) || x == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear from ",
                   provider::dtype_name(x), " has no kernel");
    ASHLAR_REQUIRE(contains<ScaleTypes>(scale), ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear has no kernel for a scale of type ",
                   provider::dtype_name(scale));
    ASHLAR_REQUIRE(contains<FloatTypes>(y), ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear to ", provider::dtype_name(y), " has no kernel");
    return same_zero_point(node, x);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), scale = context.input(1), y = context.output(0);
    const bool has_zero = context.has_input(2);
    const void* zeros = has_zero ? context.input(2).raw() : nullptr;
    const Reader<double> read_x = reader<double>(x.dtype()), read_scale = reader<double>(scale.dtype());
    const Writer<double> write = writer<double>(y.dtype(), false);
    for_each_scaled(granularity(x.dims(), scale.dims(), axis_, block_), [&](std::int64_t n, std::int64_t s) {
      const double zero = has_zero ? read_x(zeros, s) : 0;
      write(y.raw(), n, (read_x(x.raw(), n) - zero) * read_scale(scale.raw(), s));
    });
  }
};

/// Scale and zero point from the range of the data and 0, to uint8. Steps are rounded to float32 as ONNX's function body does.
class DynamicQuantizeLinear : public provider::Kernel {
 public:
  explicit DynamicQuantizeLinear(const provider::NodeView&) {}
  void bind(provider::BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_output(1, {});
    context.set_output(2, {});
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const auto* values = x.data<float>();
    float low = 0, high = 0;
    for (std::int64_t i = 0; i < x.count(); ++i) {
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
    const float scale = (high - low) / 255.0f;
    const float zero = scale == 0 ? 0.0f : std::nearbyint(bounded(-low / scale));
    if (context.has_output(1)) *context.output(1).mutable_data<float>() = scale;
    if (context.has_output(2)) *context.output(2).mutable_data<std::uint8_t>() = static_cast<std::uint8_t>(zero);
    if (!context.has_output(0)) return;
    auto* y = context.output(0).mutable_data<std::uint8_t>();
    for (std::int64_t i = 0; i < x.count(); ++i)
      y[i] = static_cast<std::uint8_t>(bounded(std::nearbyint(scale == 0 ? 0.0f : values[i] / scale) + zero));
  }

 private:
  static float bounded(float value) { return value > 0 ? std::min(value, 255.0f) : 0.0f; }
};

provider::Verdict dynamic_verdict(const provider::NodeView& node) {
  const auto input = takes<Types<float>>(node);
  return input.code == ASHLAR_ACCEPTED ? gives(node, DType::kUint8) : input;
}

constexpr provider::KernelEntry kRows[] = {
    {"QuantizeLinear", 10, provider::kLatest, &QuantizeLinear::verdict, &provider::make<QuantizeLinear>},
    {"DequantizeLinear", 10, provider::kLatest, &DequantizeLinear::verdict, &provider::make<DequantizeLinear>},
    {"DynamicQuantizeLinear", 11, provider::kLatest, &dynamic_verdict, &provider::make<DynamicQuantizeLinear>},
};

}  // namespace

std::span<const provider::KernelEntry> quantize_kernels() { return kRows; }

}  // namespace ashlar::reference
