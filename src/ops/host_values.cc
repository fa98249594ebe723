// SPDX-License-Identifier: Apache-2.0
#include "ops/host_values.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "ops/host_evaluate.h"

namespace ashlar::ops {
namespace {

struct ShapeInputs {
  std::string_view op;
  std::uint32_t inputs;  ///< bit i: input i
};

constexpr std::uint32_t bits(std::initializer_list<int> inputs) {
  std::uint32_t out = 0;
  for (const int i : inputs) out |= 1u << i;
  return out;
}

// Inputs whose elements give shapes, positions, trip counts or conditions and nothing else.
constexpr auto kShapeInputs = std::to_array<ShapeInputs>({
    {"AffineGrid", bits({1})},
    {"BlackmanWindow", bits({0})},
    {"CenterCropPad", bits({1})},
    {"Col2Im", bits({1, 2})},
    {"ConstantOfShape", bits({0})},
    {"CumSum", bits({1})},
    {"DFT", bits({1, 2})},
    {"Expand", bits({1})},
    {"HammingWindow", bits({0})},
    {"HannWindow", bits({0})},
    {"If", bits({0})},
    {"Loop", bits({0, 1})},
    {"MaxUnpool", bits({2})},
    {"MelWeightMatrix", bits({0, 1})},
    {"OneHot", bits({1})},
    {"Pad", bits({1, 3})},
    {"Range", bits({0, 1, 2})},
    {"ReduceL1", bits({1})},
    {"ReduceL2", bits({1})},
    {"ReduceLogSum", bits({1})},
    {"ReduceLogSumExp", bits({1})},
    {"ReduceMax", bits({1})},
    {"ReduceMean", bits({1})},
    {"ReduceMin", bits({1})},
    {"ReduceProd", bits({1})},
    {"ReduceSum", bits({1})},
    {"ReduceSumSquare", bits({1})},
    {"Reshape", bits({1})},
    {"Resize", bits({1, 2, 3})},
    {"STFT", bits({1, 3})},
    {"SequenceAt", bits({1})},
    {"SequenceErase", bits({1})},
    {"SequenceInsert", bits({2})},
    {"Slice", bits({1, 2, 3, 4})},
    {"Split", bits({1})},
    {"SplitToSequence", bits({1})},
    {"Squeeze", bits({1})},
    {"Tile", bits({1})},
    {"TopK", bits({1})},
    {"Trilu", bits({1})},
    {"Unsqueeze", bits({1})},
    {"Upsample", bits({1})},
});

bool is_small_list(const ValueType& type) {
  if (type.kind != ValueType::Kind::kTensor || !host_evaluable(type.dtype) || !type.shape || type.shape->size() > 1) return false;
  return type.shape->empty() || type.shape->front().value <= kHostValueLimit;
}

class Marker {
 public:
  explicit Marker(const graph::Graph& graph)
      : graph_(graph), known_(graph.values.size(), 0), needed_(graph.values.size(), 0), marks_(graph.nodes.size(), 0) {
    for (std::size_t v = 0; v < graph.values.size(); ++v) {
      const Tensor& t = graph.values[v].constant;
      known_[v] = t.defined() && host_evaluable(t.dtype()) && t.element_count() <= kHostValueLimit;
    }
    for (const graph::ValueId v : graph.inputs) known_[v] = 0;
  }

  std::vector<char> run() {
    for (std::size_t n = 0; n < marks_.size(); ++n) {
      const graph::Node& node = graph_.nodes[n];
      marks_[n] = is_evaluable(node);
      if (marks_[n]) set(node.outputs, known_);
    }
    for (std::size_t n = marks_.size(); n-- > 0;) {
      const graph::Node& node = graph_.nodes[n];
      marks_[n] = marks_[n] && (reads_shape_only(node) || any(node.outputs, needed_));
      need_inputs(node, marks_[n] != 0);
    }
    return std::move(marks_);
  }

 private:
  static void set(const std::vector<graph::ValueId>& values, std::vector<char>& flags) {
    for (const graph::ValueId v : values)
      if (v != graph::kNone) flags[v] = 1;
  }
  static bool any(const std::vector<graph::ValueId>& values, const std::vector<char>& flags) {
    return std::any_of(values.begin(), values.end(), [&](graph::ValueId v) { return v != graph::kNone && flags[v]; });
  }
  bool is_evaluable(const graph::Node& node) const {
    if (reads_shape_only(node)) return true;
    const auto known = [&](graph::ValueId v) { return v == graph::kNone || known_[v]; };
    const auto small = [&](graph::ValueId v) { return v == graph::kNone || is_small_list(graph_.values[v].type); };
    return host_evaluable(node) && !node.inputs.empty() && std::all_of(node.inputs.begin(), node.inputs.end(), known) &&
           std::all_of(node.outputs.begin(), node.outputs.end(), small);
  }
  void need_inputs(const graph::Node& node, bool on_host) {
    if (on_host && !reads_shape_only(node)) set(node.inputs, needed_);
    const std::uint32_t mask = shape_inputs(node);
    for (std::size_t i = 0; i < node.inputs.size() && i < 32; ++i)
      if ((mask >> i & 1u) && node.inputs[i] != graph::kNone) needed_[node.inputs[i]] = 1;
    for (const graph::ValueId v : node.captures) {
      const ValueType& type = graph_.values[v].type;
      if (type.shape && std::all_of(type.shape->begin(), type.shape->end(), [](const Dim& d) { return d.fixed(); })) needed_[v] = 1;
    }
  }

  const graph::Graph& graph_;
  std::vector<char> known_;   ///< values that host_evaluate may read
  std::vector<char> needed_;  ///< values that give a shape or control
  std::vector<char> marks_;
};

}  // namespace

std::uint32_t shape_inputs(const graph::Node& node) {
  if (!node.domain.empty()) return 0;
  const auto row = std::find_if(kShapeInputs.begin(), kShapeInputs.end(), [&](const ShapeInputs& r) { return r.op == node.op_type; });
  return row == kShapeInputs.end() ? 0 : row->inputs;
}

std::vector<char> host_nodes(const graph::Graph& graph) { return Marker(graph).run(); }

}  // namespace ashlar::ops
