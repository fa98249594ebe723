// SPDX-License-Identifier: Apache-2.0
// Conv, ConvTranspose, ConvInteger and QLinearConv. For each image and group, columns of input taps [C/group * taps, positions]
// are laid out block by block and multiplied by the weights [M/group, C/group * taps]; taps outside the input are zeros.
#include <array>
#include <optional>

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

class Convolution {
 public:
  Convolution(const NodeView& node, bool transposed) : attributes_(node), group_(node.integer("group", 1)), transposed_(transposed) {}

  struct Shape {
    Window window;
    std::int64_t batch, group, group_inputs, group_outputs, taps;
    Dims output;
  };

  Shape shape(const Dims& x, const Dims& w) const {
    check(x.rank() >= 3 && w.rank() == x.rank(), "a weight of shape ", w, " for an input of shape ", x);
    check(group_ >= 1 && x[1] % group_ == 0 && w[0] % group_ == 0, group_, " groups of an input of shape ", x, " and a weight of shape ",
          w);
    Shape s;
    s.window = transposed_ ? attributes_.slide_transposed(x, tail(w, 2)) : attributes_.slide(x, tail(w, 2));
    s.batch = x[0];
    s.group = group_;
    s.group_inputs = x[1] / group_;
    s.group_outputs = transposed_ ? w[1] : w[0] / group_;
    check((transposed_ ? w[0] : w[1] * group_) == x[1], "a weight of shape ", w, " for an input of shape ", x, " in ", group_, " groups");
    s.taps = s.window.kernel.count();
    s.output = {x[0], s.group_outputs * group_};
    for (const std::int64_t d : s.window.output) s.output.push_back(d);
    return s;
  }

  /// x(i) and w(i) give elements as S; store(channel, offset, sum) takes an element of the output.
  template <class S, class LoadX, class LoadW, class Store>
  void compute(const Shape& s, const LoadX& x, const LoadW& w, const Store& store) const {
    const std::int64_t inputs = s.window.input.count(), outputs = s.window.output.count(), depth = s.group_inputs * s.taps;
    if (s.output.count() == 0) return;
    for (std::int64_t n = 0; n < s.batch; ++n) {
      for (std::int64_t g = 0; g < s.group; ++g) {
        const std::int64_t source = (n * s.group + g) * s.group_inputs * inputs;
        const std::int64_t channel = g * s.group_outputs;
        const auto weight = [&](std::int64_t m, std::int64_t k) {
          if (!transposed_) return w((channel + m) * depth + k);
          const std::int64_t c = k / s.taps;
          return w(((g * s.group_inputs + c) * s.group_outputs + m) * s.taps + k % s.taps);
        };
        const auto fill = [&](std::int64_t first, std::int64_t width, S* tile) {
          if (s.group_inputs == 0) return;
          Dims tap = Dims::filled(s.window.rank(), 0);
          for (std::int64_t k = 0; k < s.taps; ++k, advance(tap, s.window.kernel)) {
            for (std::int64_t j = 0; j < width; ++j) {
              const std::int64_t at = read_offset(s.window, first + j, tap);
              for (std::int64_t c = 0; c < s.group_inputs; ++c)
                tile[(c * s.taps + k) * kTile + j] = at < 0 ? S{0} : x(source + c * inputs + at);
            }
          }
        };
        const auto put = [&](std::int64_t m, std::int64_t j, S sum) {
          store(channel + m, ((n * s.group + g) * s.group_outputs + m) * outputs + j, sum);
        };
        multiply_tiles<S>(s.group_outputs, outputs, depth, weight, fill, put);
      }
    }
  }

 private:
  /// Where in the input's plane the tap of the given output position lies, or -1.
  std::int64_t read_offset(const Window& w, std::int64_t position, const Dims& tap) const {
    std::int64_t offset = 0, step = 1;
    for (int d = w.rank() - 1; d >= 0; --d) {
      const std::int64_t out = position % w.output[d];
      position /= w.output[d];
      std::int64_t in;
      if (transposed_) {
        in = out + w.begin[d] - tap[d] * w.dilation[d];
        if (in < 0 || in % w.stride[d] != 0) return -1;
        in /= w.stride[d];
      } else {
        in = out * w.stride[d] + tap[d] * w.dilation[d] - w.begin[d];
      }
      if (in < 0 || in >= w.input[d]) return -1;
      offset += in * step;
      step *= w.input[d];
    }
    return offset;
  }

  WindowAttributes attributes_;
  std::int64_t group_;
  bool transposed_;
};

template <bool kTransposed> class FloatConv : public Kernel {
 public:
  explicit FloatConv(const NodeView& node) : convolution_(node, kTransposed) {}

  void bind(BindContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(1).dims());
    if (context.has_input(2))
      check(context.input(2).dims() == Dims{shape.output[1]}, "a bias of shape ", context.input(2).dims(), " for ", shape.output[1],
            " channels");
    context.set_output(0, shape.output);
  }

  void run(const RunContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(1).dims());
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* x = context.input(0).data<T>();
      const T* w = context.input(1).data<T>();
      const T* b = context.has_input(2) ? context.input(2).data<T>() : nullptr;
      T* y = context.output(0).mutable_data<T>();
      const auto load = [](const T* p) { return [p](std::int64_t i) { return static_cast<double>(p[i]); }; };
      convolution_.compute<double>(shape, load(x), load(w), [&](std::int64_t channel, std::int64_t at, double sum) {
        y[at] = narrow<T>(b ? sum + static_cast<double>(b[channel]) : sum);
      });
    });
  }

 private:
  Convolution convolution_;
};

using ByteTypes = Types<std::int8_t, std::uint8_t>;

/// The values of an 8-bit tensor, widened; {otherwise} for an input that is left out.
std::vector<std::int32_t> widened(const RunContext& context, int input, std::int32_t otherwise) {
  if (!context.has_input(input)) return {otherwise};
  std::vector<std::int32_t> out;
  dispatch<ByteTypes>(context.input(input).dtype(), [&]<class T>() {
    const auto values = context.input(input).values<T>();
    out.assign(values.begin(), values.end());
  });
  return out;
}

/// Zero points and scales are scalars or, for weights, one per output channel.
void check_parameter(const BindContext& context, int input, std::int64_t channels) {
  if (!context.has_input(input)) return;
  const std::int64_t count = context.input(input).count();
  check(count == 1 || count == channels, "input ", input, " has ", count, " values for ", channels, " channels");
}

/// The convolution of x - x_zero_point with w - w_zero_point, in exact integers.
template <class Store>
void integer_convolution(const Convolution& convolution, const Convolution::Shape& shape, const RunContext& context, int x_input,
                         int x_zero, int w_input, int w_zero, const Store& store) {
  const std::int32_t zero = widened(context, x_zero, 0).at(0);
  std::vector<std::int32_t> x = widened(context, x_input, 0), w = widened(context, w_input, 0);
  const std::vector<std::int32_t> zeros = widened(context, w_zero, 0);
  for (std::int32_t& v : x) v -= zero;
  const std::int64_t per_channel = shape.group_inputs * shape.taps;
  for (std::size_t i = 0; i < w.size(); ++i) w[i] -= zeros[zeros.size() == 1 ? 0 : i / static_cast<std::size_t>(per_channel)];
  const auto load = [](const std::vector<std::int32_t>& v) {
    return [p = v.data()](std::int64_t i) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(p[i])); };
  };
  convolution.compute<std::uint64_t>(shape, load(x), load(w), [&](std::int64_t channel, std::int64_t at, std::uint64_t sum) {
    store(channel, at, static_cast<std::int64_t>(sum));
  });
}

class ConvInteger : public Kernel {
 public:
  explicit ConvInteger(const NodeView& node) : convolution_(node, false) {}
  void bind(BindContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(1).dims());
    check_parameter(context, 2, 1);
    check_parameter(context, 3, shape.output[1]);
    context.set_output(0, shape.output);
  }
  void run(const RunContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(1).dims());
    auto* y = context.output(0).mutable_data<std::int32_t>();
    integer_convolution(convolution_, shape, context, 0, 2, 1, 3,
                        [&](std::int64_t, std::int64_t at, std::int64_t sum) { y[at] = static_cast<std::int32_t>(sum); });
  }

 private:
  Convolution convolution_;
};

class QLinearConv : public Kernel {
 public:
  explicit QLinearConv(const NodeView& node) : convolution_(node, false) {}
  void bind(BindContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(3).dims());
    for (const int i : {1, 2, 6, 7}) check_parameter(context, i, 1);
    for (const int i : {4, 5}) check_parameter(context, i, shape.output[1]);
    if (context.has_input(8))
      check(context.input(8).count() == shape.output[1], "a bias of shape ", context.input(8).dims(), " for ", shape.output[1],
            " channels");
    context.set_output(0, shape.output);
  }
  void run(const RunContext& context) const override {
    const auto shape = convolution_.shape(context.input(0).dims(), context.input(3).dims());
    const double x_scale = context.input(1).data<float>()[0], y_scale = context.input(6).data<float>()[0];
    const float* w_scale = context.input(4).data<float>();
    const bool per_channel = context.input(4).count() > 1;
    const std::int32_t* bias = context.has_input(8) ? context.input(8).data<std::int32_t>() : nullptr;
    const double zero = widened(context, 7, 0).at(0);
    dispatch<ByteTypes>(context.output(0).dtype(), [&]<class T>() {
      T* y = context.output(0).mutable_data<T>();
      integer_convolution(convolution_, shape, context, 0, 2, 3, 5, [&](std::int64_t channel, std::int64_t at, std::int64_t sum) {
        const double real = static_cast<double>(sum + (bias ? bias[channel] : 0)) * x_scale * w_scale[per_channel ? channel : 0];
        y[at] = saturate<T>(std::nearbyint(real / y_scale) + zero);
      });
    });
  }

 private:
  Convolution convolution_;
};

provider::Verdict integer_verdict(const NodeView& node) {
  const bool linear = node.op_type() == "QLinearConv";
  const std::array<std::array<int, 2>, 2> pairs =
      linear ? std::array{std::array{0, 2}, std::array{3, 5}} : std::array{std::array{0, 2}, std::array{1, 3}};
  for (const auto [data, zero] : pairs) {
    const DType dtype = node.input(data).dtype();
    ASHLAR_REQUIRE(contains<ByteTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                   " has no kernel");
    ASHLAR_REQUIRE(!node.has_input(zero) || node.input(zero).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "the zero point of input ", data,
                   " is not ", provider::dtype_name(dtype));
  }
  if (!linear) return provider::accept();
  for (const int i : {1, 4, 6})
    ASHLAR_REQUIRE(node.input(i).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "scales of QLinearConv are float32");
  ASHLAR_REQUIRE(!node.has_input(8) || node.input(8).dtype() == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE, "the bias of QLinearConv is int32");
  ASHLAR_REQUIRE(contains<ByteTypes>(node.input(7).dtype()) && node.input(7).dtype() == node.output(0).dtype(), ASHLAR_NO_KERNEL_DTYPE,
                 "the output of QLinearConv is int8 or uint8, as its zero point");
  return provider::accept();
}

constexpr KernelEntry kKernels[] = {
    {"Conv", 1, provider::kLatest, &takes_same<FloatTypes, 1, 2>, &provider::make<FloatConv<false>>},
    {"ConvTranspose", 1, provider::kLatest, &takes_same<FloatTypes, 1, 2>, &provider::make<FloatConv<true>>},
    {"ConvInteger", 10, provider::kLatest, &integer_verdict, &provider::make<ConvInteger>},
    {"QLinearConv", 10, provider::kLatest, &integer_verdict, &provider::make<QLinearConv>},
};

}  // namespace

std::span<const KernelEntry> conv_kernels() { return kKernels; }

}  // namespace ashlar::reference
