// SPDX-License-Identifier: Apache-2.0
// The provider: which nodes it takes, and what its device does for them.
#include <cmath>

#include <ashlar/export.h>
#include <ashlar/provider/planned_kernel.h>
#include <ashlar/provider/shapes.h>
#include <ashlar/provider/verdicts.h>
#include <ashlar/provider/window.h>

#include "device.h"

namespace example {
namespace {

using Int = std::int64_t;

/// What the device does for a node, with the operands where it finds them.
using Work = std::function<void(const Operands&)>;

/// The plan to enqueue what kBind gives, a function `Work (const NodeView& node, BindContext& context)` that tells the shapes.
template <auto kBind> Plan enqueued(const NodeView& node, BindContext& context) {
  return [work = kBind(node, context), id = node.abi().id](const Operands& operands, void* queue) {
    const auto task = [&work, at = operands.moved(&SimDevice::translate)] { work(at); };
    if (fault("leak")) *static_cast<volatile char*>(std::malloc(4096)) = 1;
    if (fault("missing_wait")) return pause(2ms), task();
    SimDevice::enqueue(queue, id, task);
  };
}
template <auto kBind, std::uint64_t kRead = 0, std::uint64_t kInPlace = 0> std::unique_ptr<Kernel> queued(const NodeView& node) {
  check(!fault("accepts_unprepared") || node.op_type() != "Softmax", "the device has had its Softmax");
  return make<PlannedKernel<enqueued<kBind>, kRead, kInPlace>>(node);
}

/// A verdict: the first kInputs inputs are float32 (kMoved: of any dtype whose elements take whole bytes) and of a rank in [kLeast, kMost].
template <int kInputs, bool kMoved = false, int kLeast = -1, int kMost = ASHLAR_MAX_RANK> Verdict takes(const NodeView& node) {
  const auto known = [](DType dtype) { return kMoved ? element_bytes(dtype) != 0 : dtype == DType::kFloat32; };
  Verdict verdict = require_inputs(node, kInputs, known, kLeast, kMost);
  if (fault("reason_missing")) verdict.reason.clear();
  return verdict;
}

template <auto kFunction> Work unary(const NodeView&, BindContext& context) {
  context.set_output(0, context.input(0).dims());
  return [n = context.input(0).count()](const Operands& o) {
    std::transform(o.in(), o.in() + n, o.out(), kFunction);
    if (fault("overrun")) o.out()[n] = 42;
    if (fault("not_thread_safe") && n != 0) kept = *o.out(), pause(100us), *o.out() = kept;
    if (fault("writes_input") && n != 0 && o.in() != o.out()) const_cast<float*>(o.in())[n - 1] = 42;
  };
}

template <auto kFunction> Work binary(const NodeView& node, BindContext& context) {
  const Dims a = context.input(0).dims(), b = context.input(1).dims(), c = broadcast(a, b);
  context.set_output(0, c);
  const float error = fault("wrong_result") && node.op_type() == "Add" && c.rank() > 0 && c[c.rank() - 1] == 7 ? 1 : 0;
  return [=](const Operands& o) {
    for_each_broadcast(c, a, b, [&](Int i, Int j, Int k) { o.out()[i] = kFunction(o.in()[j], o.in(1)[k]) + error; });
    if (fault("not_thread_safe") && c.count() != 0) kept = *o.out(), pause(100us), *o.out() = kept;
  };
}

Work clip(const NodeView&, BindContext& context) {
  context.set_output(0, context.input(0).dims());
  return [n = context.input(0).count(), low = context.has_input(1), high = context.has_input(2)](const Operands& o) {
    const float least = low ? *o.in(1) : -INFINITY, most = high ? *o.in(2) : INFINITY;
    std::transform(o.in(), o.in() + n, o.out(), [=](float x) { return std::min(std::max(x, least), most); });
  };
}

Work reshape(const NodeView& node, BindContext& context) {  // and Identity, which has no target
  const Dims in = context.input(0).dims();
  context.set_output(0, context.has_input(1) ? reshaped(in, Dims(context.input(1).indices()), node.integer("allowzero") != 0) : in);
  context.set_view(0, 0);
  return [bytes = in.count() * element_bytes(context.input(0).dtype())](const Operands& o) {
    if (o.outputs[0] != o.inputs[0]) std::memcpy(o.outputs[0], o.inputs[0], static_cast<std::size_t>(bytes));
  };
}

Work transpose(const NodeView& node, BindContext& context) {
  const Dims in = context.input(0).dims(), axes = permutation(in.rank(), node.has("perm"), node.integers("perm")), out = permuted(in, axes);
  context.set_output(0, out);
  return [out, strides = permuted(strides_of(in), axes), size = element_bytes(context.input(0).dtype())](const Operands& o) {
    for_each_index<1>(out, {strides},
                      [&](Int i, const auto& at) { std::copy_n(o.in<char>() + at[0] * size, size, o.out<char>() + i * size); });
  };
}

Work join(const NodeView& node, BindContext& context) {
  std::vector<Dims> inputs;
  for (int i = 0; i < context.input_count(); ++i) inputs.push_back(context.input(i).dims());
  const int axis = normalize_axis(node.integer("axis"), inputs.at(0).rank());
  Dims out = concatenated(inputs, axis);
  std::vector<Int> parts;  // of a row of the output, in bytes
  for (const Dims& in : inputs) parts.push_back(in.product(axis, in.rank()) * element_bytes(context.input(0).dtype()));
  const Int rows = out.product(0, axis);
  std::uint64_t at = 0;
  for (int i = 0; rows == 1 && i < context.input_count(); at += parts[i++]) context.set_input_offset(i, at);
  if (fault("wrong_shape")) ++out[axis];
  context.set_output(0, out);
  return [=](const Operands& o) {
    char* to = o.out<char>();
    for (Int r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < parts.size(); to += parts[i++])
        if (to != o.in<char>(i)) std::copy_n(o.in<char>(i) + r * parts[i], parts[i], to);
  };
}

Work gather(const NodeView& node, BindContext& context) {
  const Dims in = context.input(0).dims();
  const int axis = normalize_axis(node.integer("axis"), in.rank());
  context.set_output(0, gathered(in, axis, context.input(1).dims()));
  return [view = AxisView(in, axis), n = context.input(1).count(), wide = context.input(1).dtype() == DType::kInt64,
          size = element_bytes(context.input(0).dtype())](const Operands& o) {
    for (Int i = 0, bytes = view.inner * size; i < view.outer * n; ++i) {
      const Int index = wide ? o.in<Int>(1)[i % n] : o.in<std::int32_t>(1)[i % n], at = index < 0 ? index + view.size : index;
      check(at >= 0 && at < view.size, "index ", index, " is outside [-", view.size, ", ", view.size, ")");
      std::copy_n(o.in<char>() + (i / n * view.size + at) * bytes, bytes, o.out<char>() + i * bytes);
    }
  };
}

Work softmax(const NodeView& node, BindContext& context) {
  const Dims in = context.input(0).dims();
  const AxisView view(in, normalize_axis(node.integer("axis", -1), in.rank()));
  context.set_output(0, in);
  return [=](const Operands& o) {
    for (Int line = 0; line < view.outer * view.inner; ++line) {
      const Int first = line / view.inner * view.size * view.inner + line % view.inner, last = first + view.size * view.inner;
      double most = -INFINITY, sum = 0;
      for (Int i = first; i < last; i += view.inner) most = std::max<double>(most, o.in()[i]);
      for (Int i = first; i < last; i += view.inner) sum += std::exp(o.in()[i] - most);
      for (Int i = first; i < last; i += view.inner) o.out()[i] = static_cast<float>(std::exp(o.in()[i] - most) / sum);
    }
  };
}

struct Matrix {
  const float* at;
  Int down, right;  // elements to the next row, to the next column
};
/// c += factor a b, where c is dense.
void multiply(Int rows, Int columns, Int depth, float factor, Matrix a, Matrix b, float* c) {
  for (Int i = 0; i < rows; ++i, c += columns)
    for (Int k = 0; k < depth; ++k)
      for (Int j = 0; j < columns; ++j) c[j] += factor * a.at[i * a.down + k * a.right] * b.at[k * b.down + j * b.right];
}

/// MatMul; and Gemm, whose operands may be transposed, and which has an addend.
Work product(const NodeView& node, BindContext& context) {
  const auto turned = [](const Dims& dims, bool turn) { return turn ? permuted(dims, {1, 0}) : dims; };
  const bool a_turns = node.integer("transA") != 0, b_turns = node.integer("transB") != 0;
  const BatchedProduct p(turned(context.input(0).dims(), a_turns), turned(context.input(1).dims(), b_turns));
  const Dims c = context.has_input(2) ? context.input(2).dims() : Dims();
  check(broadcast(p.output, c) == p.output, "an addend of shape ", c, " for a product of shape ", p.output);
  context.set_output(0, p.output);
  return [=, alpha = node.real("alpha", 1), beta = context.has_input(2) ? node.real("beta", 1) : 0](const Operands& o) {
    for_each_broadcast(p.output, p.output, c, [&](Int i, Int, Int k) { o.out()[i] = beta == 0 ? 0 : beta * o.in(2)[k]; });
    for_each_broadcast(p.batch, p.a_batch, p.b_batch, [&](Int i, Int j, Int k) {
      const Matrix a{o.in() + j * p.rows * p.depth, a_turns ? 1 : p.depth, a_turns ? p.rows : 1};
      const Matrix b{o.in(1) + k * p.depth * p.columns, b_turns ? 1 : p.columns, b_turns ? p.depth : 1};
      multiply(p.rows, p.columns, p.depth, alpha, a, b, o.out() + i * p.rows * p.columns);
    });
  };
}

/// For each image and group, what the taps read is laid out as a matrix, and the weights are multiplied by it.
Work conv(const NodeView& node, BindContext& context) {
  const Dims x = context.input(0).dims(), w = context.input(1).dims();
  const Window window = WindowAttributes(node).slide(x, tail(w, 2));
  const Int groups = std::max<Int>(node.integer("group", 1), 1), filters = w[0] / groups, depth = w.product(1, 4),
            places = window.output.count();
  check(x[1] == w[1] * groups && w[0] == filters * groups, "a weight of shape ", w, " in ", groups, " groups for an input of shape ", x);
  context.set_output(0, {x[0], w[0], window.output[0], window.output[1]});
  context.set_workspace(static_cast<std::uint64_t>(depth * places) * sizeof(float));
  return [=, biased = context.has_input(2)](const Operands& o) {
    auto* taps = static_cast<float*>(o.workspace);
    for (Int g = 0; g < x[0] * groups; ++g) {
      for_each_index<3>(
          {w[1], w[2], w[3], window.output[0], window.output[1]},
          {Dims{1, 0, 0, 0, 0}, {0, window.dilation[0], 0, window.stride[0], 0}, {0, 0, window.dilation[1], 0, window.stride[1]}},
          [&](Int i, const auto& at) {
            const Int row = at[1] - window.begin[0], column = at[2] - window.begin[1];
            const bool inside = row >= 0 && row < x[2] && column >= 0 && column < x[3];
            taps[i] = inside ? o.in()[((g * w[1] + at[0]) * x[2] + row) * x[3] + column] : 0;
          });
      const Int first = g % groups * filters;
      for (Int f = 0; f < filters; ++f) std::fill_n(o.out() + (g * filters + f) * places, places, biased ? o.in(2)[first + f] : 0);
      multiply(filters, places, depth, 1, {o.in(1) + first * depth, depth, 1}, {taps, places, 1}, o.out() + g * filters * places);
    }
  };
}

constexpr KernelEntry kKernels[] = {
    {"Add", 7, kLatest, &takes<2>, &queued<binary<[](float a, float b) { return a + b; }>, 0, 3>},
    {"Sub", 7, kLatest, &takes<2>, &queued<binary<[](float a, float b) { return a - b; }>, 0, 3>},
    {"Mul", 7, kLatest, &takes<2>, &queued<binary<[](float a, float b) { return a * b; }>, 0, 3>},
    {"Div", 7, kLatest, &takes<2>, &queued<binary<[](float a, float b) { return a / b; }>, 0, 3>},
    {"Relu", 6, kLatest, &takes<1>, &queued<unary<[](float x) { return x < 0 ? 0 : x; }>, 0, 1>},
    {"Sigmoid", 6, kLatest, &takes<1>, &queued<unary<[](float x) { return 1 / (1 + std::exp(-x)); }>, 0, 1>},
    {"Tanh", 6, kLatest, &takes<1>, &queued<unary<[](float x) { return std::tanh(x); }>, 0, 1>},
    {"Sqrt", 6, kLatest, &takes<1>, &queued<unary<[](float x) { return std::sqrt(x); }>, 0, 1>},
    {"Erf", 9, kLatest, &takes<1>, &queued<unary<[](float x) { return std::erf(x); }>, 0, 1>},
    {"Clip", 11, kLatest, &takes<3>, &queued<clip, 0, 1>},
    {"Identity", 1, kLatest, &takes<1, true>, &queued<reshape>},
    {"Reshape", 5, kLatest, &takes<1, true>, &queued<reshape, 2>},
    {"Transpose", 1, kLatest, &takes<1, true>, &queued<transpose>},
    {"Concat", 4, kLatest, &takes<1 << 20, true>, &queued<join>},
    {"Gather", 1, kLatest, &takes<1, true>, &queued<gather>},
    {"Softmax", 13, kLatest, &takes<1>, &queued<softmax, 0, 1>},
    {"MatMul", 1, kLatest, &takes<2>, &queued<product>},
    {"Gemm", 7, kLatest, &takes<3>, &queued<product>},
    {"Conv", 1, kLatest, &takes<2, false, 4, 4>, &queued<conv>},
};

struct Example {
  static constexpr const char* name = "example";
  static constexpr const char* version = "1.0";
  static constexpr std::span<const KernelEntry> tables[] = {kKernels};
  static std::span<const std::span<const KernelEntry>> kernels() { return tables; }
  static std::unique_ptr<Device> open(const AshlarHost*, const Options& options) {
    plan(nullptr, options);
    static std::atomic<int> opened;
    check(!fault("breaks_on_reload") || opened++ == 0, "the driver is in use");
    return std::make_unique<SimDevice>(options);
  }
  static void plan(const AshlarHost*, const Options& options) {
    options.allow({"memory", "slow", "lose_after", "claim", "seed", "most", "fault"});
    plant(options.get("fault"));
  }
  static Verdict admit(const Options& options, const NodeView& node) {
    static std::atomic<int> asked;
    ASHLAR_REQUIRE(!fault("unstable_verdict") || asked++ % 2 == 0, ASHLAR_COST_MODEL, "not this time");
    ASHLAR_REQUIRE(SimDevice::claims(options, node.id()), ASHLAR_USER_PIN, "left to others by the option claim");
    const Int most = options.number<Int>("most", 0, 0, INT64_MAX);  // of the first dimension
    return most && node.has_input(0) && node.input(0).rank() > 0 ? accept().within(0, 0, most) : accept();
  }
};

}  // namespace
}  // namespace example

extern "C" ASHLAR_API const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  AshlarHost same{};
  same.abi_version = ASHLAR_ABI_VERSION, same.abi_layout = ASHLAR_ABI_LAYOUT;
  return ashlar::provider::TableProvider<example::Example>::entry(example::fault("any_version") ? &same : host, status);
}
