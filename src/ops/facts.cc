// SPDX-License-Identifier: Apache-2.0
#include "ops/facts.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ashlar::ops {
namespace {

constexpr std::array<std::string_view, 14> kCore = {
    "If",
    "Loop",
    "Scan",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceAt",
    "SequenceInsert",
    "SequenceErase",
    "SequenceLength",
    "ConcatFromSequence",
    "SplitToSequence",
    "Optional",
    "OptionalHasElement",
    "OptionalGetElement",
};
constexpr std::array<std::string_view, 3> kCoreMl = {"ZipMap", "CastMap", "DictVectorizer"};

bool contains(const auto& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

bool is_tensor(const graph::Graph& graph, graph::ValueId v) {
  return v >= graph.values.size() || graph.values[v].type.kind == ValueType::Kind::kTensor;
}

}  // namespace

bool is_core_operator(const graph::Node& node) {
  if (node.domain.empty()) return contains(kCore, node.op_type);
  return node.domain == "ai.onnx.ml" && contains(kCoreMl, node.op_type);
}

bool is_core_operator(const graph::Graph& graph, const graph::Node& node) {
  if (is_core_operator(node)) return true;
  return node.domain.empty() && node.op_type == "Identity" && !node.inputs.empty() && !is_tensor(graph, node.inputs[0]);
}

}  // namespace ashlar::ops
