// SPDX-License-Identifier: Apache-2.0
#include "ops/work.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "ops/internal.h"

namespace ashlar::ops {
namespace {

struct Call {
  const graph::Node& node;
  std::span<const Shape*const> inputs, outputs;

  const Shape* input(std::size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  const Shape* output(std::size_t i = 0) const { return i < outputs.size() ? outputs[i] : nullptr; }
  std::int64_t integer(const char* name, std::int64_t otherwise = 0) const {
    const auto* value = node.find_as<std::int64_t>(name);
    return value ? *value : otherwise;
  }
};

double count(const Shape* shape) {
  double out = shape ? 1 : 0;
  for (int d = 0; shape && d < shape->rank(); ++d) out *= static_cast<double>((*shape)[static_cast<std::size_t>(d)]);
  return out;
}
/// Counted from the end: 1 is the last.
double dim(const Shape* shape, int from_end) {
  return shape && shape->rank() >= from_end ? static_cast<double>((*shape)[shape->size() - static_cast<std::size_t>(from_end)]) : 0;
}
double front(const Shape* shape, std::size_t axis) { return shape && shape->size() > axis ? static_cast<double>((*shape)[axis]) : 0; }

/// Elements of a weight that belong to one of its outputs: all behind the first axis.
double taps(const Shape* weight) { return front(weight, 0) > 0 ? count(weight) / front(weight, 0) : 0; }

double per_output(const Call& c) { return count(c.output()); }
double per_input(const Call& c) { return count(c.input(0)); }
double convolution(const Call& c) { return 2 * count(c.output()) * taps(c.input(1)); }
double quantized_convolution(const Call& c) { return 2 * count(c.output()) * taps(c.input(3)); }
double transposed_convolution(const Call& c) { return 2 * count(c.input(0)) * taps(c.input(1)); }
double product(const Call& c) {
  return 2 * count(c.output()) * (c.input(0) && c.input(0)->rank() == 1 ? count(c.input(0)) : dim(c.input(0), 1));
}
double gemm(const Call& c) { return 2 * count(c.output()) * dim(c.input(0), c.integer("transA") != 0 ? 2 : 1); }
double pooling(const Call& c) {
  const auto* window = c.node.find_as<std::vector<std::int64_t>>("kernel_shape");
  double size = 1;
  for (std::size_t i = 0; window && i < window->size(); ++i) size *= static_cast<double>((*window)[i]);
  return count(c.output()) * size;
}
/// Scores and their sums, from shapes of rank 3 (heads side by side) or 4.
double attention(const Call& c) {
  const Shape *q = c.input(0), *k = c.input(1), *v = c.input(2), *past = c.input(4);
  if (!q || !k || !v || (q->rank() != 3 && q->rank() != 4)) return 0;
  const bool packed = q->rank() == 3;
  const double groups = packed ? static_cast<double>(c.integer("kv_num_heads", 1)) : front(k, 1);
  const double heads = packed ? static_cast<double>(c.integer("q_num_heads", 1)) : front(q, 1);
  const double keys = dim(k, 2) + (past && past->rank() == 4 ? dim(past, 2) : 0);
  const double size = packed ? dim(q, 1) / heads : dim(q, 1), value_size = packed ? dim(v, 1) / groups : dim(v, 1);
  return 2 * front(q, 0) * heads * dim(q, 2) * keys * (size + value_size);
}
/// Every gate's products with the input and with the state.
double recurrent(const Call& c) {
  const Shape* x = c.input(0);
  return 2 * front(x, 0) * front(x, 1) * (count(c.input(1)) + count(c.input(2)));
}

using Rule = double (*)(const Call&);

const std::unordered_map<std::string_view, Rule>& rules() {
  static const auto* table = [] {
    auto* out = new std::unordered_map<std::string_view, Rule>{
        {"Conv", convolution},
        {"ConvInteger", convolution},
        {"QLinearConv", quantized_convolution},
        {"DeformConv", convolution},
        {"ConvTranspose", transposed_convolution},
        {"MatMul", product},
        {"MatMulInteger", product},
        {"QLinearMatMul", product},
        {"Linear", product},
        {"Gemm", gemm},
        {"MaxPool", pooling},
        {"AveragePool", pooling},
        {"LpPool", pooling},
        {"Attention", attention},
        {"LSTM", recurrent},
        {"GRU", recurrent},
        {"RNN", recurrent},
    };
    for (const char* op :
         {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
          "ReduceSumSquare", "ArgMax", "ArgMin", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "CumSum", "CumProd", "TopK"})
      out->emplace(op, per_input);
    for (const char* op : {"Reshape",
                           "Transpose",
                           "Concat",
                           "Split",
                           "Slice",
                           "Gather",
                           "GatherElements",
                           "GatherND",
                           "Squeeze",
                           "Unsqueeze",
                           "Flatten",
                           "Identity",
                           "Expand",
                           "Tile",
                           "Pad",
                           "Shape",
                           "Size",
                           "Constant",
                           "ConstantOfShape",
                           "Range",
                           "EyeLike",
                           "ScatterElements",
                           "ScatterND",
                           "SpaceToDepth",
                           "DepthToSpace",
                           "Where",
                           "NonZero",
                           "Compress",
                           "OneHot",
                           "ReverseSequence",
                           "Unique",
                           "If",
                           "Loop",
                           "Scan"})
      out->emplace(op, nullptr);
    return out;
  }();
  return *table;
}

}  // namespace

double operations(const graph::Node& node, std::span<const Shape* const> inputs, std::span<const Shape* const> outputs) {
  if (!node.domain.empty() && node.domain != kInternalDomain) return 0;
  const Call call{node, inputs, outputs};
  const auto rule = rules().find(node.op_type);
  if (rule == rules().end()) return per_output(call);
  return rule->second ? rule->second(call) : 0;
}

bool picks(const graph::Node& node) {
  return node.domain.empty() && (node.op_type == "Gather" || node.op_type == "GatherND" || node.op_type == "GatherElements");
}

}  // namespace ashlar::ops
