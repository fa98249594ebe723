// SPDX-License-Identifier: Apache-2.0
#include "ops/internal.h"

#include <array>
#include <utility>

#include "ops/rewriter.h"

namespace ashlar::ops {
namespace {

using graph::kNone;
using graph::ValueId;

/// Writes a body: values by position of the node, nodes in order.
class BodyWriter {
 public:
  BodyWriter(const graph::Graph& graph, const graph::Node& node) : graph_(graph), node_(node) {
    body_.name = node.op_type;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      inputs_.push_back(kNone);
      if (node.inputs[i] == kNone) continue;
      inputs_[i] = body_.add_value("input_" + std::to_string(i), graph.values[node.inputs[i]].type);
      body_.inputs.push_back(inputs_[i]);
    }
  }

  ValueId input(std::size_t i) const { return i < inputs_.size() ? inputs_[i] : kNone; }
  DType dtype() const { return graph_.values[node_.inputs[0]].type.dtype; }
  float real(const char* name, float otherwise) const {
    const auto* v = node_.find_as<float>(name);
    return v ? *v : otherwise;
  }
  std::int64_t integer(const char* name) const {
    const auto* v = node_.find_as<std::int64_t>(name);
    return v ? *v : 0;
  }
  ValueId constant(const std::string& name, Tensor tensor) {
    ValueType type;
    type.dtype = tensor.dtype();
    type.shape.emplace();
    for (const std::int64_t d : tensor.shape().dims()) type.shape->push_back({d, ""});
    return body_.add_value(name, std::move(type), std::move(tensor));
  }
  ValueId add(const std::string& op, std::vector<ValueId> inputs, std::map<std::string, graph::Attribute> attributes = {}) {
    graph::Node made;
    made.id = op + "_" + std::to_string(body_.nodes.size());
    made.op_type = op;
    made.version = made.original_version = newest_version(op, "").value_or(0);
    while (!inputs.empty() && inputs.back() == kNone) inputs.pop_back();
    made.inputs = std::move(inputs);
    made.attributes = std::move(attributes);
    made.outputs = {body_.add_value(made.id)};
    made.origins = node_.origins;
    fill_defaults(made, made.version);
    body_.nodes.push_back(std::move(made));
    return body_.nodes.back().outputs[0];
  }
  graph::Graph finish(const std::vector<ValueId>& outputs) {
    for (std::size_t i = 0; i < node_.outputs.size(); ++i)
      if (node_.outputs[i] != kNone) body_.outputs.push_back(outputs[i]);
    return std::move(body_);
  }

 private:
  const graph::Graph& graph_;
  const graph::Node& node_;
  graph::Graph body_;
  std::vector<ValueId> inputs_;
};

graph::Graph linear(BodyWriter w) {
  const ValueId weights = w.integer("transB") ? w.add("Transpose", {w.input(1)}, {{"perm", std::vector<std::int64_t>{1, 0}}}) : w.input(1);
  ValueId y = w.add("MatMul", {w.input(0), weights});
  if (w.input(2) != kNone) y = w.add("Add", {y, w.input(2)});
  return w.finish({y});
}

graph::Graph skip_layer_normalization(BodyWriter w) {
  const ValueId sum = w.add("Add", {w.input(0), w.input(1)});
  const ValueId y =
      w.add("LayerNormalization", {sum, w.input(2), w.input(3)}, {{"axis", std::int64_t{-1}}, {"epsilon", w.real("epsilon", 1e-5f)}});
  return w.finish({y, sum});
}

graph::Graph skip_rms_normalization(BodyWriter w) {
  const ValueId sum = w.add("Add", {w.input(0), w.input(1)});
  const ValueId y = w.add("RMSNormalization", {sum, w.input(2)}, {{"axis", std::int64_t{-1}}, {"epsilon", w.real("epsilon", 1e-5f)}});
  return w.finish({y, sum});
}

graph::Graph scaled_masked_softmax(BodyWriter w) {
  ValueId x = w.input(0);
  const float scale = w.real("scale", 1);
  if (scale != 1) x = w.add("Mul", {x, w.constant("scale", *scalar_of(w.dtype(), scale))});
  if (w.input(1) != kNone) x = w.add("Add", {x, w.input(1)});
  return w.finish({w.add("Softmax", {x}, {{"axis", std::int64_t{-1}}})});
}

struct Row {
  std::string_view op;
  graph::Graph (*body)(BodyWriter);
  std::string_view attribute;
  graph::Attribute otherwise;
};

const std::array<Row, 4>& rows() {
  static const std::array<Row, 4> rows = {{
      {"Linear", &linear, "transB", std::int64_t{0}},
      {"ScaledMaskedSoftmax", &scaled_masked_softmax, "scale", 1.0f},
      {"SkipLayerNormalization", &skip_layer_normalization, "epsilon", 1e-5f},
      {"SkipRMSNormalization", &skip_rms_normalization, "epsilon", 1e-5f},
  }};
  return rows;
}

const Row* find(const graph::Node& node) {
  if (node.domain != kInternalDomain) return nullptr;
  for (const Row& row : rows())
    if (row.op == node.op_type) return &row;
  return nullptr;
}

}  // namespace

bool is_internal(const graph::Node& node) { return find(node) != nullptr; }

void fill_internal_defaults(graph::Node& node) {
  if (const Row* row = find(node)) node.attributes.emplace(row->attribute, row->otherwise);
}

std::optional<graph::Graph> internal_body(const graph::Graph& graph, const graph::Node& node) {
  const Row* row = find(node);
  if (!row) return std::nullopt;
  return row->body(BodyWriter(graph, node));
}

}  // namespace ashlar::ops
