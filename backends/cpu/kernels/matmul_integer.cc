// SPDX-License-Identifier: Apache-2.0
// MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv. Elements less their zero points are at most 255, so that float32 holds
// 256 of their products exactly: products of that depth are made in float32 and added up as integers, which wrap around.
#include <cmath>

#include "plain_product.h"
#include "window.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

using ByteTypes = Types<std::int8_t, std::uint8_t>;

/// sums += A B for A and B of small whole numbers in float32.
class WholeProduct {
 public:
  WholeProduct() = default;
  WholeProduct(std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t depth, int threads)
      : columns_(columns), depth_(depth), part_(batch, rows, columns, kPart, false, threads),
        rest_(batch, rows, columns, depth % kPart, false, threads) {}
  std::uint64_t workspace_bytes() const { return std::max(part_.workspace_bytes(), rest_.workspace_bytes()); }
  /// operands.c is scratch, as large as the sums.
  void run(const AshlarHost* host, ProductOperands operands, std::uint32_t* sums, void* workspace) const {
    const Target target{sums, columns_};
    operands.epilogue = {&add, &target};
    for (std::int64_t k = 0; k < depth_; k += kPart) {
      (depth_ - k < kPart ? rest_ : part_).run(host, operands, workspace);
      operands.a += kPart;
      operands.b += kPart * operands.b_row;
    }
  }

 private:
  static constexpr std::int64_t kPart = 256;
  struct Target {
    std::uint32_t* sums;
    std::int64_t columns;
  };
  static void add(const void* context, float* c, std::int64_t row, std::int64_t column, std::int64_t count) {
    const Target& target = *static_cast<const Target*>(context);
    std::uint32_t* sums = target.sums + row * target.columns + column;
    for (std::int64_t j = 0; j < count; ++j) sums[j] += static_cast<std::uint32_t>(static_cast<std::int32_t>(c[j]));
  }
  std::int64_t columns_ = 0, depth_ = 0;
  ProductPlan part_, rest_;
};

/// Element i of a scale or zero point.
double parameter(const TensorView& view, std::int64_t i) {
  double value = 0;
  dispatch<Types<float, Float16, BFloat16, std::int8_t, std::uint8_t>>(view.dtype(),
                                                                       [&]<class T>() { value = static_cast<double>(view.data<T>()[i]); });
  return value;
}

/// The integer nearest to `value`, ties to even, plus the zero point, held to the range of T; 0 for NaN.
template <class T> T requantized(double value, double zero) {
  const double shifted = std::nearbyint(value) + zero;
  if (std::isnan(shifted)) return T{0};
  return static_cast<T>(
      std::clamp(shifted, static_cast<double>(std::numeric_limits<T>::lowest()), static_cast<double>(std::numeric_limits<T>::max())));
}

/// Pieces of a workspace, each at a multiple of 64 bytes.
class Pieces {
 public:
  std::uint64_t add(const Dims& dims, std::uint64_t element) {
    const std::uint64_t at = bytes_;
    std::uint64_t size = 0;
    check(!__builtin_mul_overflow(static_cast<std::uint64_t>(dims.count()), element, &size) && size < std::uint64_t{1} << 62,
          "a workspace of ", dims, " is too large");
    bytes_ += (size + 63) / 64 * 64;
    return at;
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t bytes_ = 0;
};
template <class T> T* piece(const RunContext& context, std::uint64_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(context.workspace()) + offset);
}

/// Where the operands and their parameters are among the inputs; -1 where the operator has none.
struct QuantizedInputs {
  int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;
};
constexpr QuantizedInputs kInteger = {0, -1, 2, 1, -1, 3, -1, -1};
constexpr QuantizedInputs kLinear = {0, 1, 2, 3, 4, 5, 6, 7};

/// Quantisation parameters are for the whole tensor, for each row of a matrix, or for each row of every matrix; columns of B alike.
class IntegerMatMul : public provider::Kernel {
 public:
  explicit IntegerMatMul(const NodeView& node) : in_(node.op_type() == "MatMulInteger" ? kInteger : kLinear), host_(node.host()) {}

  void bind(BindContext& context) const override {
    auto plan = std::make_unique<Plan>();
    MatMulShape& shape = plan->shape;
    shape = MatMulShape(context.input(in_.a).dims(), context.input(in_.b).dims());
    const std::int64_t a_matrices = shape.a_batch.count(), b_matrices = shape.b_batch.count(), matrices = shape.batch.count();
    const auto expect = [&](int input, std::int64_t lines, std::int64_t count) {
      if (input < 0 || !context.has_input(input)) return;
      const std::int64_t n = context.input(input).count();
      check(n == 1 || n == lines || n == Dims{lines, count}.count(), "input ", input, " has ", n, " values for ", lines,
            " rows or columns");
    };
    for (const int i : {in_.a_scale, in_.a_zero}) expect(i, shape.rows, a_matrices);
    for (const int i : {in_.b_scale, in_.b_zero}) expect(i, shape.columns, b_matrices);
    for (const int i : {in_.y_scale, in_.y_zero}) expect(i, shape.rows, matrices);
    context.set_output(0, shape.output);

    const bool one = shape.one_b();
    plan->rows = one ? Dims{matrices, shape.rows}.count() : shape.rows;
    if (!one) plan->loops = shape.loops();
    plan->product = WholeProduct(one ? 1 : matrices, plan->rows, shape.columns, shape.depth, host_->threads);
    Pieces pieces;
    plan->scratch = pieces.add({static_cast<std::int64_t>(plan->product.workspace_bytes())}, 1);
    plan->a = pieces.add({a_matrices, shape.rows, shape.depth}, sizeof(float));
    plan->b = pieces.add({b_matrices, shape.depth, shape.columns}, sizeof(float));
    plan->c = pieces.add({matrices, shape.rows, shape.columns}, sizeof(float));
    plan->sums = pieces.add({in_.y_scale < 0 ? 0 : matrices, shape.rows, shape.columns}, sizeof(float));
    context.set_workspace(pieces.bytes());
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const MatMulShape& shape = plan.shape;
    const std::int64_t count = context.output(0).count(), columns = shape.columns;
    if (count == 0) return;
    float *a = piece<float>(context, plan.a), *b = piece<float>(context, plan.b);
    widen(context, in_.a, in_.a_zero, shape.a_batch.count() * shape.rows, shape.depth, true, a);
    widen(context, in_.b, in_.b_zero, shape.b_batch.count() * shape.depth, columns, false, b);
    auto* sums = in_.y_scale < 0 ? context.output(0).mutable_data<std::uint32_t>() : piece<std::uint32_t>(context, plan.sums);
    std::fill_n(sums, count, 0u);
    plan.product.run(host_,
                     {.a = a,
                      .a_stride = shape.depth,
                      .b = b,
                      .b_row = columns,
                      .b_column = 1,
                      .c = piece<float>(context, plan.c),
                      .c_stride = columns,
                      .loops = plan.loops},
                     sums, piece<char>(context, plan.scratch));
    if (in_.y_scale < 0) return;
    const TensorView a_scale = context.input(in_.a_scale), b_scale = context.input(in_.b_scale), y_scale = context.input(in_.y_scale),
                     y_zero = context.input(in_.y_zero);
    const std::vector<BatchLoop> loops = shape.loops();
    dispatch<ByteTypes>(context.output(0).dtype(), [&]<class T>() {
      T* y = context.output(0).mutable_data<T>();
      context.parallel_for(count / columns, grain_of(columns * 8), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const BatchOffsets at(loops, row / shape.rows);
          const std::int64_t a_row = shape.depth ? at.a / shape.depth + row % shape.rows : row;
          const std::int64_t b_first = shape.depth ? at.b / shape.depth : 0;
          const double left = parameter(a_scale, a_row % a_scale.count());
          const double divisor = parameter(y_scale, row % y_scale.count()), zero = parameter(y_zero, row % y_zero.count());
          for (std::int64_t j = 0; j < columns; ++j) {
            const auto sum = static_cast<std::int32_t>(sums[row * columns + j]);
            y[row * columns + j] = requantized<T>(sum * left * parameter(b_scale, (b_first + j) % b_scale.count()) / divisor, zero);
          }
        }
      });
    });
  }

  static provider::Verdict verdict(const NodeView& node) {
    const QuantizedInputs in = node.op_type() == "MatMulInteger" ? kInteger : kLinear;
    for (const auto [data, zero] : {std::array{in.a, in.a_zero}, std::array{in.b, in.b_zero}}) {
      const DType dtype = node.input(data).dtype();
      ASHLAR_REQUIRE(contains<ByteTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                     " has no kernel");
      ASHLAR_REQUIRE(!node.has_input(zero) || node.input(zero).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "the zero point of input ", data,
                     " is not ", provider::dtype_name(dtype));
    }
    if (in.y_scale < 0) return provider::accept();
    for (const int i : {in.a_scale, in.b_scale, in.y_scale})
      ASHLAR_REQUIRE((contains<Types<float, Float16, BFloat16>>(node.input(i).dtype())), ASHLAR_NO_KERNEL_DTYPE, "scales of ",
                     provider::dtype_name(node.input(i).dtype()), " have no kernel");
    ASHLAR_REQUIRE(contains<ByteTypes>(node.output(0).dtype()) && node.input(in.y_zero).dtype() == node.output(0).dtype(),
                   ASHLAR_NO_KERNEL_DTYPE, "the output of QLinearMatMul is int8 or uint8, as its zero point");
    return provider::accept();
  }

 private:
  struct Plan : provider::Binding {
    MatMulShape shape;
    std::int64_t rows = 0;
    std::vector<BatchLoop> loops;
    WholeProduct product;
    std::uint64_t scratch = 0, a = 0, b = 0, c = 0, sums = 0;  // bytes into the workspace
  };

  /// The elements of [lines, length], less the zero point of their line or of their place in it.
  static void widen(const RunContext& context, int input, int zero_input, std::int64_t lines, std::int64_t length, bool by_line,
                    float* to) {
    const TensorView view = context.input(input);
    dispatch<ByteTypes>(view.dtype(), [&]<class T>() {
      const T* from = view.data<T>();
      const T* zeros = context.has_input(zero_input) ? context.input(zero_input).data<T>() : nullptr;
      const std::int64_t count = zeros ? context.input(zero_input).count() : 1;
      const std::int64_t matrix = zeros && !by_line ? std::max<std::int64_t>(1, context.input(input).dim(std::max(0, view.rank() - 2))) : 1;
      context.parallel_for(lines, grain_of(length), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const T* row = from + i * length;
          float* out = to + i * length;
          if (by_line || count == 1) {
            const float zero = zeros ? static_cast<float>(zeros[count == 1 ? 0 : i % count]) : 0;
            for (std::int64_t j = 0; j < length; ++j) out[j] = static_cast<float>(row[j]) - zero;
          } else {
            const T* z = zeros + i / matrix * length % count;
            for (std::int64_t j = 0; j < length; ++j) out[j] = static_cast<float>(row[j]) - static_cast<float>(z[j]);
          }
        }
      });
    });
  }

  QuantizedInputs in_;
  const AshlarHost* host_;
};

/// Where a convolution's operands and parameters are among the inputs; -1 where the operator has none.
struct ConvInputs {
  int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
};
constexpr ConvInputs kConvInteger = {0, -1, 2, 1, -1, 3, -1, -1, -1};
constexpr ConvInputs kConvLinear = {0, 1, 2, 3, 4, 5, 6, 7, 8};

/// For blocks of output positions, the taps of the input are laid out as [channels * taps, positions] and multiplied by the weights.
class IntegerConv : public provider::Kernel {
 public:
  explicit IntegerConv(const NodeView& node)
      : in_(node.op_type() == "ConvInteger" ? kConvInteger : kConvLinear), host_(node.host()), attributes_(node),
        group_(node.integer("group", 1)) {}

  void bind(BindContext& context) const override {
    auto plan = std::make_unique<Plan>();
    const Dims x = context.input(in_.x).dims(), w = context.input(in_.w).dims();
    check(x.rank() >= 3 && w.rank() == x.rank(), "a weight of shape ", w, " for an input of shape ", x);
    check(group_ >= 1 && x[1] % group_ == 0 && w[0] % group_ == 0, group_, " groups of an input of shape ", x, " and a weight of shape ",
          w);
    check(w[1] == x[1] / group_, "a weight of shape ", w, " for an input of shape ", x, " in ", group_, " groups");
    plan->window = attributes_.slide(x, tail(w, 2));
    Dims y{x[0], w[0]};
    for (const std::int64_t d : plan->window.output) y.push_back(d);
    const auto expect = [&](int input, std::int64_t channels) {
      if (input < 0 || !context.has_input(input)) return;
      const std::int64_t n = context.input(input).count();
      check(n == 1 || n == channels, "input ", input, " has ", n, " values for ", channels, " channels");
    };
    for (const int i : {in_.x_scale, in_.x_zero, in_.y_scale, in_.y_zero}) expect(i, 1);
    for (const int i : {in_.w_scale, in_.w_zero}) expect(i, w[0]);
    if (in_.bias >= 0 && context.has_input(in_.bias))
      check(context.input(in_.bias).count() == w[0], "a bias of shape ", context.input(in_.bias).dims(), " for ", w[0], " channels");
    context.set_output(0, y);

    plan->channels = w[1];
    plan->outputs = w[0] / group_;
    plan->taps = plan->window.kernel.count();
    plan->depth = Dims{w[1], plan->taps}.count();
    plan->positions = plan->window.output.count();
    plan->blocks = plan->positions / kBlock + (plan->positions % kBlock != 0);
    plan->tasks = Dims{x[0], group_, plan->blocks}.count();
    plan->slots = std::min<std::int64_t>(host_->threads, std::max<std::int64_t>(1, plan->tasks));
    plan->product = WholeProduct(1, plan->outputs, kBlock, plan->depth, 1);
    Pieces pieces;
    plan->weights = pieces.add({w[0], plan->depth}, sizeof(float));
    plan->scratch = pieces.add({plan->slots, static_cast<std::int64_t>((plan->product.workspace_bytes() + 63) / 64 * 64)}, 1);
    plan->taps_at = pieces.add({plan->slots, kBlock}, sizeof(std::int64_t));
    plan->columns = pieces.add({plan->slots, plan->depth, kBlock}, sizeof(float));
    plan->c = pieces.add({plan->slots, plan->outputs, kBlock}, sizeof(float));
    plan->sums = pieces.add({plan->slots, plan->outputs, kBlock}, sizeof(float));
    context.set_workspace(pieces.bytes());
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    if (context.output(0).count() == 0) return;
    dispatch<ByteTypes>(context.input(in_.w).dtype(), [&]<class T>() {
      const T* from = context.input(in_.w).data<T>();
      const T* zeros = context.has_input(in_.w_zero) ? context.input(in_.w_zero).data<T>() : nullptr;
      const bool each = zeros && context.input(in_.w_zero).count() > 1;
      float* to = piece<float>(context, plan.weights);
      context.parallel_for(plan.outputs * group_, grain_of(plan.depth), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t m = begin; m < end; ++m) {
          const float zero = zeros ? static_cast<float>(zeros[each ? m : 0]) : 0;
          for (std::int64_t k = 0; k < plan.depth; ++k) to[m * plan.depth + k] = static_cast<float>(from[m * plan.depth + k]) - zero;
        }
      });
    });
    context.parallel_for(plan.slots, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t slot = begin; slot < end; ++slot)
        for (std::int64_t task = plan.tasks * slot / plan.slots; task < plan.tasks * (slot + 1) / plan.slots; ++task) {
          if (context.input(in_.x).dtype() == DType::kInt8) compute<std::int8_t>(context, plan, slot, task);
          else compute<std::uint8_t>(context, plan, slot, task);
        }
    });
  }

  static provider::Verdict verdict(const NodeView& node) {
    const ConvInputs in = node.op_type() == "ConvInteger" ? kConvInteger : kConvLinear;
    for (const auto [data, zero] : {std::array{in.x, in.x_zero}, std::array{in.w, in.w_zero}}) {
      const DType dtype = node.input(data).dtype();
      ASHLAR_REQUIRE(contains<ByteTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                     " has no kernel");
      ASHLAR_REQUIRE(!node.has_input(zero) || node.input(zero).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "the zero point of input ", data,
                     " is not ", provider::dtype_name(dtype));
    }
    if (in.y_scale < 0) return provider::accept();
    for (const int i : {in.x_scale, in.w_scale, in.y_scale})
      ASHLAR_REQUIRE(node.input(i).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "scales of QLinearConv are float32");
    ASHLAR_REQUIRE(!node.has_input(in.bias) || node.input(in.bias).dtype() == DType::kInt32, ASHLAR_NO_KERNEL_DTYPE,
                   "the bias of QLinearConv is int32");
    ASHLAR_REQUIRE(contains<ByteTypes>(node.output(0).dtype()) && node.input(in.y_zero).dtype() == node.output(0).dtype(),
                   ASHLAR_NO_KERNEL_DTYPE, "the output of QLinearConv is int8 or uint8, as its zero point");
    return provider::accept();
  }

 private:
  static constexpr std::int64_t kBlock = 256;  // output positions
  struct Plan : provider::Binding {
    Window window;
    std::int64_t channels = 0, outputs = 0, taps = 0, depth = 0, positions = 0, blocks = 0, tasks = 0, slots = 1;  // of a group
    WholeProduct product;
    std::uint64_t weights = 0, scratch = 0, taps_at = 0, columns = 0, c = 0, sums = 0;  // bytes into the workspace
  };

  /// at[j] = where in the input's plane `tap` of position first + j lies, or -1.
  static void locate(const Window& w, const Dims& tap, std::int64_t first, std::int64_t count, std::int64_t* at) {
    Dims out = w.output;
    std::int64_t rest = first;
    for (int d = w.rank() - 1; d >= 0; --d) {
      out[d] = rest % w.output[d];
      rest /= w.output[d];
    }
    for (std::int64_t j = 0; j < count; ++j, advance(out, w.output)) {
      std::int64_t offset = 0;
      for (int d = 0; d < w.rank(); ++d) {
        const std::int64_t in = out[d] * w.stride[d] + tap[d] * w.dilation[d] - w.begin[d];
        if (in < 0 || in >= w.input[d]) {
          offset = -1;
          break;
        }
        offset = offset * w.input[d] + in;
      }
      at[j] = offset;
    }
  }

  template <class T> void compute(const RunContext& context, const Plan& plan, std::int64_t slot, std::int64_t task) const {
    const std::int64_t block = task % plan.blocks, image_group = task / plan.blocks;
    const std::int64_t first = block * kBlock, count = std::min(kBlock, plan.positions - first), inputs = plan.window.input.count();
    const T* x = context.input(in_.x).data<T>() + image_group * plan.channels * inputs;
    const float zero = context.has_input(in_.x_zero) ? static_cast<float>(context.input(in_.x_zero).data<T>()[0]) : 0;
    auto* at = piece<std::int64_t>(context, plan.taps_at) + slot * kBlock;
    float* columns = piece<float>(context, plan.columns) + slot * plan.depth * kBlock;
    Dims tap = Dims::filled(plan.window.rank(), 0);
    for (std::int64_t k = 0; k < plan.taps; ++k, advance(tap, plan.window.kernel)) {
      locate(plan.window, tap, first, count, at);
      for (std::int64_t c = 0; c < plan.channels; ++c) {
        const T* plane = x + c * inputs;
        float* row = columns + (c * plan.taps + k) * kBlock;
        for (std::int64_t j = 0; j < count; ++j) row[j] = at[j] < 0 ? 0 : static_cast<float>(plane[at[j]]) - zero;
        std::fill(row + count, row + kBlock, 0.0f);
      }
    }
    const std::int64_t channel = image_group % group_ * plan.outputs;
    auto* sums = piece<std::uint32_t>(context, plan.sums) + slot * plan.outputs * kBlock;
    std::fill_n(sums, plan.outputs * kBlock, 0u);
    plan.product.run(
        host_,
        {.a = piece<float>(context, plan.weights) + channel * plan.depth,
         .a_stride = plan.depth,
         .b = columns,
         .b_row = kBlock,
         .b_column = 1,
         .c = piece<float>(context, plan.c) + slot * plan.outputs * kBlock,
         .c_stride = kBlock},
        sums, piece<char>(context, plan.scratch) + static_cast<std::uint64_t>(slot) * ((plan.product.workspace_bytes() + 63) / 64 * 64));
    for (std::int64_t m = 0; m < plan.outputs; ++m)
      store(context, channel + m, (image_group * plan.outputs + m) * plan.positions + first, count, sums + m * kBlock);
  }

  void store(const RunContext& context, std::int64_t channel, std::int64_t at, std::int64_t count, const std::uint32_t* sums) const {
    if (in_.y_scale < 0) {
      std::copy_n(sums, count, context.output(0).mutable_data<std::uint32_t>() + at);
      return;
    }
    const TensorView w_scale = context.input(in_.w_scale);
    const double x_scale = context.input(in_.x_scale).data<float>()[0], y_scale = context.input(in_.y_scale).data<float>()[0];
    const double scale = w_scale.data<float>()[w_scale.count() == 1 ? 0 : channel];
    const std::int64_t bias = context.has_input(in_.bias) ? context.input(in_.bias).data<std::int32_t>()[channel] : 0;
    const double zero = parameter(context.input(in_.y_zero), 0);
    const auto each = [&]<class T>(T* y) {
      for (std::int64_t j = 0; j < count; ++j)
        y[at + j] = requantized<T>(static_cast<double>(static_cast<std::int32_t>(sums[j]) + bias) * x_scale * scale / y_scale, zero);
    };
    if (context.output(0).dtype() == DType::kInt8) each(context.output(0).mutable_data<std::int8_t>());
    else each(context.output(0).mutable_data<std::uint8_t>());
  }

  ConvInputs in_;
  const AshlarHost* host_;
  WindowAttributes attributes_;
  std::int64_t group_;
};

constexpr provider::KernelEntry kKernels[] = {
    {"MatMulInteger", 10, provider::kLatest, &IntegerMatMul::verdict, &provider::make<IntegerMatMul>},
    {"QLinearMatMul", 10, provider::kLatest, &IntegerMatMul::verdict, &provider::make<IntegerMatMul>},
    {"ConvInteger", 10, provider::kLatest, &IntegerConv::verdict, &provider::make<IntegerConv>},
    {"QLinearConv", 10, provider::kLatest, &IntegerConv::verdict, &provider::make<IntegerConv>},
};

}  // namespace

std::span<const provider::KernelEntry> matmul_integer_kernels() { return kKernels; }

}  // namespace ashlar::cpu
