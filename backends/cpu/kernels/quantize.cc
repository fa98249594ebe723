// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear and DequantizeLinear per tensor, per axis and in blocks along an axis; DynamicQuantizeLinear. Elements pass through
// buffers of floats, a piece at a time, so that a dtype is a way in or a way out.
#include <algorithm>
#include <cmath>

#include "scalar.h"
#include "small_float.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

constexpr std::int64_t kPiece = 256;  // elements a buffer holds; pieces begin at whole bytes of packed elements

/// Bits of an element.
int width_of(DType dtype) {
  switch (dtype) {
    case DType::kUint4:
    case DType::kInt4:
    case DType::kFloat4E2M1: return 4;
    case DType::kUint2:
    case DType::kInt2: return 2;
    default: return 8;
  }
}

/// The lowest and highest value of the integer types that tensors are quantized to.
struct Range {
  float low, high;
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

template <class T, class V> void copy_in(const void* data, std::int64_t first, std::int64_t n, V* to) {
  const T* from = static_cast<const T*>(data) + first;
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<V>(from[i]);
}

/// Elements [first, first + n) as V, float or double.
template <class V> void read(DType dtype, const void* data, std::int64_t first, std::int64_t n, V* to) {
  switch (dtype) {
    case DType::kFloat32: return copy_in<float>(data, first, n, to);
    case DType::kFloat16: return copy_in<Float16>(data, first, n, to);
    case DType::kBFloat16: return copy_in<BFloat16>(data, first, n, to);
    case DType::kInt32: return copy_in<std::int32_t>(data, first, n, to);
    case DType::kUint8: return copy_in<std::uint8_t>(data, first, n, to);
    case DType::kInt8: return copy_in<std::int8_t>(data, first, n, to);
    case DType::kUint16: return copy_in<std::uint16_t>(data, first, n, to);
    case DType::kInt16: return copy_in<std::int16_t>(data, first, n, to);
    default: break;
  }
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  if (dtype == DType::kFloat8E8M0) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<V>(decode_e8m0(bytes[first + i]));
    return;
  }
  const SmallFormat* format = SmallFormat::find(dtype);
  const int width = width_of(dtype);
  const bool negative = dtype == DType::kInt4 || dtype == DType::kInt2;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t bit = (first + i) * width;
    const std::uint32_t code = static_cast<std::uint32_t>(bytes[bit / 8] >> bit % 8) & ((1u << width) - 1);
    if (format) to[i] = static_cast<V>(format->decode(code));
    else to[i] = static_cast<V>(static_cast<int>(code) - (negative && code >> (width - 1) ? 1 << width : 0));
  }
}

template <class T> void copy_out(const float* from, void* data, std::int64_t first, std::int64_t n) {
  T* to = static_cast<T*>(data) + first;
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(static_cast<std::int32_t>(from[i]));
}

/// Writes floats that hold values of the dtype; `first` is the first element of a byte.
void write(DType dtype, const float* from, void* data, std::int64_t first, std::int64_t n, bool saturate) {
  switch (dtype) {
    case DType::kUint8: return copy_out<std::uint8_t>(from, data, first, n);
    case DType::kInt8: return copy_out<std::int8_t>(from, data, first, n);
    case DType::kUint16: return copy_out<std::uint16_t>(from, data, first, n);
    case DType::kInt16: return copy_out<std::int16_t>(from, data, first, n);
    default: break;
  }
  const SmallFormat* format = SmallFormat::find(dtype);
  const int width = width_of(dtype), in_byte = 8 / width;
  auto* bytes = static_cast<std::uint8_t*>(data) + first / in_byte;
  for (std::int64_t i = 0; i < n; i += in_byte) {
    std::uint32_t byte = 0;
    for (int k = 0; k < in_byte && i + k < n; ++k) {
      const float value = from[i + k];
      const std::uint32_t code = format ? format->encode(value, saturate) : static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
      byte |= (code & ((1u << width) - 1)) << (k * width);
    }
    *bytes++ = static_cast<std::uint8_t>(byte);
  }
}

/// How scales lie over a tensor: runs of elements that share a scale, or that have `step` 1 from one to the next.
struct Granularity {
  std::int64_t run = 1;  ///< elements
  std::int64_t step = 0;
  std::int64_t inner = 1, size = 1, block = 1, scales = 1;
  enum { kTensor, kAxis, kLastAxis, kBlocks, kLastBlocks } kind = kTensor;

  Granularity() = default;
  Granularity(const Dims& x, const Dims& scale, std::int64_t axis, std::int64_t block_size) {
    if (scale.rank() <= 1 && scale.count() == 1) {
      run = std::max<std::int64_t>(1, x.count());
      return;
    }
    const int at = provider::normalize_axis(axis, x.rank());
    const AxisView view(x, at);
    inner = view.inner;
    size = view.size;
    if (scale.rank() == 1 && block_size == 0) {
      check(scale[0] == x[at], scale[0], " scales for axis ", at, " of ", x);
      kind = inner == 1 ? kLastAxis : kAxis;
      run = inner == 1 ? size : inner;
      step = inner == 1;
    } else {
      check(block_size > 0 && scale.rank() == x.rank(), "a scale of shape ", scale, " does not go with a tensor of shape ", x,
            " and block_size ", block_size);
      Dims expected = x;
      scales = expected[at] = x[at] / block_size + (x[at] % block_size != 0);
      check(scale == expected, "blocks of ", block_size, " along axis ", at, " of ", x, " need scales of shape ", expected, ", not ",
            scale);
      block = block_size;
      kind = inner == 1 ? kLastBlocks : kBlocks;
      run = inner == 1 ? std::min(block, std::max<std::int64_t>(1, size)) : inner;
      step = inner != 1;
    }
    run = std::max<std::int64_t>(1, run);
  }

  /// The index of element i's scale, and how many elements from i on lie in the same run.
  std::int64_t scale_of(std::int64_t i, std::int64_t& left) const {
    if (kind == kLastBlocks) {
      const std::int64_t o = i / size, a = i % size;
      left = std::min(block - a % block, size - a);
      return o * scales + a / block;
    }
    left = run - i % run;
    switch (kind) {
      case kAxis: return i / inner % size;
      case kLastAxis: return i % size;
      case kBlocks: return (i / inner / size * scales + i / inner % size / block) * inner + i % inner;
      default: return 0;
    }
  }
};

class Linear : public provider::Kernel {
 public:
  explicit Linear(const NodeView& node) : axis_(node.integer("axis", 1)), block_(node.integer("block_size")) {}

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), scale = context.input(1).dims();
    auto plan = std::make_unique<Plan>();
    plan->granularity = Granularity(x, scale, axis_, block_);
    if (context.has_input(2)) {
      const Dims zero = context.input(2).dims();
      check(zero == scale || (zero.count() == 1 && scale.count() == 1), "a zero point of shape ", zero, " for a scale of shape ", scale);
    }
    context.set_output(0, x);
    context.set_binding(std::move(plan));
  }

 protected:
  struct Plan : provider::Binding {
    Granularity granularity;
  };

  /// body(first, n, values, scales, zeros, step) for pieces of input 0: values[i] is element first + i, scales[i * step] and
  /// zeros[i * step] go with it. The buffer behind `values` holds elements from the last multiple of kPiece on.
  template <class V, class Body> static void pieces(const RunContext& context, Body body) {
    const Granularity& g = context.binding<Plan>().granularity;
    const TensorView x = context.input(0), scale = context.input(1);
    const bool has_zero = context.has_input(2);
    const TensorView zero = context.input(has_zero ? 2 : 1);
    const std::int64_t count = x.count();
    context.parallel_for(count / kPiece + (count % kPiece != 0), 128, [&](std::int64_t begin, std::int64_t end) {
      V values[kPiece], scales[kPiece], zeros[kPiece] = {};
      const std::int64_t last = std::min(count, end * kPiece);
      for (std::int64_t i = begin * kPiece; i < last;) {
        std::int64_t left = 0;
        const std::int64_t at = g.scale_of(i, left), n = std::min({left, last - i, kPiece - i % kPiece});
        read(scale.dtype(), scale.raw(), at, g.step ? n : 1, scales);
        if (has_zero) read(zero.dtype(), zero.raw(), at, g.step ? n : 1, zeros);
        V* piece = values + i % kPiece;
        read(x.dtype(), x.raw(), i, n, piece);
        body(i, n, piece, scales, zeros, g.step);
        i += n;
      }
    });
  }

  static provider::Verdict same_zero_point(const NodeView& node, DType dtype) {
    if (node.has_input(2))
      ASHLAR_REQUIRE(node.input(2).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                     " with a zero point of type ", provider::dtype_name(node.input(2).dtype()));
    return provider::accept();
  }
  static bool is_scale(DType dtype) {
    return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 || dtype == DType::kFloat8E8M0;
  }
  std::int64_t axis_, block_;
};

/// y = saturate(round(x / scale) + zero_point); the quotient has the precision of the scale, or the one the attribute names.
class QuantizeLinear : public Linear {
 public:
  explicit QuantizeLinear(const NodeView& node) : Linear(node), saturate_(node.integer("saturate", 1) != 0) {
    const auto precision = static_cast<DType>(node.integer("precision"));
    precision_ = precision == DType::kUndefined ? node.input(1).dtype() : precision;
  }

  static provider::Verdict verdict(const NodeView& node) {
    const DType x = node.input(0).dtype(), scale = node.input(1).dtype(), y = node.output(0).dtype();
    Range range;
    ASHLAR_REQUIRE((contains<Types<float, Float16, BFloat16, std::int32_t>>(x)), ASHLAR_NO_KERNEL_DTYPE, "QuantizeLinear from ",
                   provider::dtype_name(x), " has no kernel");
    ASHLAR_REQUIRE(is_scale(scale) || scale == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE, "QuantizeLinear has no kernel for a scale of type ",
                   provider::dtype_name(scale));
    ASHLAR_REQUIRE(integer_range(y, range) || SmallFormat::find(y), ASHLAR_NO_KERNEL_DTYPE, "QuantizeLinear to ", provider::dtype_name(y),
                   " has no kernel");
    const auto precision = static_cast<DType>(node.integer("precision"));
    ASHLAR_REQUIRE((precision == DType::kUndefined || contains<Types<float, Float16, BFloat16>>(precision)), ASHLAR_ATTRIBUTE,
                   "QuantizeLinear cannot divide in ", provider::dtype_name(precision));
    return same_zero_point(node, y);
  }

  void run(const RunContext& context) const override {
    const TensorView y = context.output(0);
    Range range{};
    const bool whole = integer_range(y.dtype(), range);
    const std::int64_t count = y.count();
    pieces<float>(context,
                  [&](std::int64_t first, std::int64_t n, float* values, const float* scales, const float* zeros, std::int64_t step) {
                    quantize(values, n, scales, zeros, step, whole, range);
                    const std::int64_t before = first % kPiece;
                    if (before + n == kPiece || first + n == count)
                      write(y.dtype(), values - before, y.raw(), first - before, before + n, saturate_);
                  });
  }

 private:
  void quantize(float* values, std::int64_t n, const float* scales, const float* zeros, std::int64_t step, bool whole,
                const Range& range) const {
    round_half(values, n);
    if (step == 0) {
      float scale = scales[0];
      round_half(&scale, 1);
      for (std::int64_t i = 0; i < n; ++i) values[i] /= scale;
    } else {
      for (std::int64_t i = 0; i < n; ++i) {
        float scale = scales[i];
        round_half(&scale, 1);
        values[i] /= scale;
      }
    }
    round_half(values, n);
    if (!whole) {
      for (std::int64_t i = 0; i < n; ++i) values[i] += zeros[i * step];
      return;
    }
    constexpr float kFar = 262144, kShift = 12582912;  // 1.5 * 2^23: a float this large has no fraction
    for (std::int64_t i = 0; i < n; ++i) {
      const float held = values[i] > -kFar ? std::min(values[i], kFar) : -kFar;
      const float value = (held + kShift) - kShift + zeros[i * step];
      values[i] = std::min(std::max(value, range.low), range.high);
    }
  }

  void round_half(float* values, std::int64_t n) const {
    if (precision_ == DType::kFloat16)
      for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(Float16(values[i]));
    else if (precision_ == DType::kBFloat16)
      for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(BFloat16(values[i]));
  }

  bool saturate_;
  DType precision_;
};

/// y = (x - zero_point) * scale
class DequantizeLinear : public Linear {
 public:
  using Linear::Linear;
  static provider::Verdict verdict(const NodeView& node) {
    const DType x = node.input(0).dtype(), scale = node.input(1).dtype(), y = node.output(0).dtype();
    Range range;
    ASHLAR_REQUIRE(integer_range(x, range) || SmallFormat::find(x) || x == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear from ",
                   provider::dtype_name(x), " has no kernel");
    ASHLAR_REQUIRE(is_scale(scale), ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear has no kernel for a scale of type ",
                   provider::dtype_name(scale));
    ASHLAR_REQUIRE((contains<Types<float, Float16, BFloat16>>(y)), ASHLAR_NO_KERNEL_DTYPE, "DequantizeLinear to ", provider::dtype_name(y),
                   " has no kernel");
    return same_zero_point(node, x);
  }

  void run(const RunContext& context) const override {
    const TensorView y = context.output(0);
    if (y.dtype() == DType::kFloat32 && context.input(0).dtype() != DType::kInt32) {
      pieces<float>(context, [&](std::int64_t first, std::int64_t n, const float* values, const float* scales, const float* zeros,
                                 std::int64_t step) {
        float* to = y.mutable_data<float>() + first;
        if (step == 0)
          for (std::int64_t i = 0; i < n; ++i) to[i] = (values[i] - zeros[0]) * scales[0];
        else
          for (std::int64_t i = 0; i < n; ++i) to[i] = (values[i] - zeros[i]) * scales[i];
      });
      return;
    }
    dispatch<Types<float, Float16, BFloat16>>(y.dtype(), [&]<class T>() {
      pieces<double>(context, [&](std::int64_t first, std::int64_t n, const double* values, const double* scales, const double* zeros,
                                  std::int64_t step) {
        T* to = y.mutable_data<T>() + first;
        for (std::int64_t i = 0; i < n; ++i) to[i] = narrow<T>((values[i] - zeros[i * step]) * scales[i * step]);
      });
    });
  }
};

/// Scale and zero point from the range of the data and 0, to uint8. Steps are rounded to float32 as ONNX's function body does.
class DynamicQuantizeLinear : public provider::Kernel {
 public:
  explicit DynamicQuantizeLinear(const NodeView&) {}
  void bind(BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_output(1, {});
    context.set_output(2, {});
    context.set_workspace(kParts * sizeof(Range));
  }
  void run(const RunContext& context) const override {
    const TensorView x = context.input(0);
    const float* values = x.data<float>();
    const std::int64_t count = x.count(), parts = std::clamp<std::int64_t>(count / 32768, 1, kParts);
    auto* ranges = static_cast<Range*>(context.workspace());
    context.parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p) {
        float low = 0, high = 0;
        for (std::int64_t i = count / parts * p, last = p + 1 == parts ? count : count / parts * (p + 1); i < last; ++i) {
          low = values[i] < low ? values[i] : low;
          high = values[i] > high ? values[i] : high;
        }
        ranges[p] = {low, high};
      }
    });
    Range range{0, 0};
    for (std::int64_t p = 0; p < parts; ++p) range = {std::min(range.low, ranges[p].low), std::max(range.high, ranges[p].high)};
    const float scale = (range.high - range.low) / 255.0f;
    const float zero = scale == 0 ? 0.0f : std::nearbyint(bounded(-range.low / scale));
    if (context.has_output(1)) *context.output(1).mutable_data<float>() = scale;
    if (context.has_output(2)) *context.output(2).mutable_data<std::uint8_t>() = static_cast<std::uint8_t>(zero);
    if (!context.has_output(0)) return;
    auto* y = context.output(0).mutable_data<std::uint8_t>();
    context.parallel_for(count, 32768, [&](std::int64_t begin, std::int64_t end) {
      constexpr float kFar = 65536, kShift = 12582912;
      for (std::int64_t i = begin; i < end; ++i) {
        const float quotient = scale == 0 ? 0.0f : values[i] / scale;
        const float held = quotient > -kFar ? std::min(quotient, kFar) : -kFar;
        y[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(bounded((held + kShift) - kShift + zero)));
      }
    });
  }

  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(node.input(0).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "DynamicQuantizeLinear of ",
                   provider::dtype_name(node.input(0).dtype()), " has no kernel");
    return provider::accept();
  }

 private:
  static constexpr std::int64_t kParts = 64;
  static float bounded(float value) { return value > 0 ? std::min(value, 255.0f) : 0.0f; }
};

constexpr provider::KernelEntry kKernels[] = {
    {"QuantizeLinear", 10, provider::kLatest, &QuantizeLinear::verdict, &provider::make<QuantizeLinear>},
    {"DequantizeLinear", 10, provider::kLatest, &DequantizeLinear::verdict, &provider::make<DequantizeLinear>},
    {"DynamicQuantizeLinear", 11, provider::kLatest, &DynamicQuantizeLinear::verdict, &provider::make<DynamicQuantizeLinear>},
};

}  // namespace

std::span<const provider::KernelEntry> quantize_kernels() { return kKernels; }

}  // namespace ashlar::cpu
