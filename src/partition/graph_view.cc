// SPDX-License-Identifier: Apache-2.0
#include "partition/graph_view.h"

namespace ashlar::partition {

std::string input_types(const graph::Graph& graph, const graph::Node& node) {
  std::string out;
  for (const graph::ValueId id : node.inputs) {
    if (!out.empty()) out += ", ";
    out += id == graph::kNone ? "-" : graph.values[id].type.to_string();
  }
  return out;
}

ErrorContext GraphView::context(std::uint32_t node, const std::string& provider) const {
  const graph::Node& n = graph_->nodes[node];
  return {.node = n.id,
          .op = n.op_name(),
          .opset = n.version,
          .provider = provider,
          .tensor = {},
          .inputs = input_types(*graph_, n),
          .file = {}};
}

const AshlarTensor* GraphView::add_tensor(const Tensor& tensor) {
  AshlarTensor t{};
  t.struct_size = sizeof(t);
  t.dtype = static_cast<std::int32_t>(tensor.dtype());
  t.rank = tensor.shape().rank();
  t.dims = tensor.shape().data();
  t.data = const_cast<void*>(tensor.raw());
  t.count = static_cast<std::uint64_t>(tensor.element_count());
  t.bytes = tensor.bytes();
  return &tensors_.emplace_back(t);
}

void GraphView::add_attribute(std::vector<AshlarAttribute>& to, const std::string& name, const graph::Attribute& attribute) {
  AshlarAttribute a{};
  a.struct_size = sizeof(a);
  a.name = name.c_str();
  if (const auto* i = std::get_if<std::int64_t>(&attribute)) {
    a.type = ASHLAR_ATTR_INT;
    a.i = *i;
  } else if (const auto* f = std::get_if<float>(&attribute)) {
    a.type = ASHLAR_ATTR_FLOAT;
    a.f = *f;
  } else if (const auto* s = std::get_if<std::string>(&attribute)) {
    a.type = ASHLAR_ATTR_STRING;
    a.s = {s->data(), s->size()};
  } else if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&attribute)) {
    a.type = ASHLAR_ATTR_INTS;
    a.ints = ints->data();
    a.count = ints->size();
  } else if (const auto* floats = std::get_if<std::vector<float>>(&attribute)) {
    a.type = ASHLAR_ATTR_FLOATS;
    a.floats = floats->data();
    a.count = floats->size();
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute)) {
    auto& strings = strings_.emplace_back();
    for (const std::string& text : *texts) strings.push_back({text.data(), text.size()});
    a.type = ASHLAR_ATTR_STRINGS;
    a.strings = strings.data();
    a.count = strings.size();
  } else if (const auto* tensor = std::get_if<Tensor>(&attribute)) {
    a.type = ASHLAR_ATTR_TENSOR;
    a.tensor = add_tensor(*tensor);
  } else if (const auto* body = std::get_if<std::shared_ptr<graph::Graph>>(&attribute)) {
    a.type = ASHLAR_ATTR_GRAPH;
    a.graph = &bodies_.emplace_back(std::make_unique<GraphView>(*body))->abi();
  } else {
    return;  // lists of tensors and types belong to operators that are the core's
  }
  to.push_back(a);
}

void GraphView::add_value(const graph::Value& value) {
  AshlarValue v{};
  v.struct_size = sizeof(v);
  v.is_tensor = value.type.kind == ValueType::Kind::kTensor;
  v.name = value.name.c_str();
  v.dtype = static_cast<std::int32_t>(value.type.dtype);
  v.rank = -1;
  auto& dims = dims_.emplace_back();
  auto& symbols = symbols_.emplace_back();
  if (value.constant.defined()) {
    v.constant = add_tensor(value.constant);
    v.dtype = v.constant->dtype;
    v.rank = v.constant->rank;
    dims.assign(value.constant.shape().begin(), value.constant.shape().end());
    symbols.assign(dims.size(), "");
  } else if (v.is_tensor && value.type.shape) {
    v.rank = static_cast<std::int32_t>(value.type.shape->size());
    for (const Dim& d : *value.type.shape) {
      dims.push_back(d.fixed() ? d.value : -1);
      symbols.push_back(d.symbol.c_str());
    }
  }
  v.dims = dims.data();
  v.symbols = symbols.data();
  values_.push_back(v);
}

GraphView::GraphView(std::shared_ptr<const graph::Graph> graph) : graph_(std::move(graph)) {
  values_.reserve(graph_->values.size());
  for (const graph::Value& value : graph_->values) add_value(value);
  for (const graph::ValueId id : graph_->inputs) values_[id].constant = nullptr;  // a default, which a run may replace
  nodes_.reserve(graph_->nodes.size());
  for (const graph::Node& node : graph_->nodes) {
    auto& attributes = attributes_.emplace_back();
    for (const auto& [name, attribute] : node.attributes) add_attribute(attributes, name, attribute);
    AshlarNode n{};
    n.struct_size = sizeof(n);
    n.since_version = node.version;
    n.id = node.id.c_str();
    n.op_type = node.op_type.c_str();
    n.domain = node.domain.c_str();
    n.inputs = node.inputs.data();
    n.outputs = node.outputs.data();
    n.input_count = static_cast<std::uint32_t>(node.inputs.size());
    n.output_count = static_cast<std::uint32_t>(node.outputs.size());
    n.attributes = attributes.data();
    n.attribute_count = attributes.size();
    n.captures = node.captures.data();
    n.capture_count = node.captures.size();
    nodes_.push_back(n);
  }
  view_.struct_size = sizeof(view_);
  view_.node_count = static_cast<std::uint32_t>(nodes_.size());
  view_.value_count = static_cast<std::uint32_t>(values_.size());
  view_.input_count = static_cast<std::uint32_t>(graph_->inputs.size());
  view_.output_count = static_cast<std::uint32_t>(graph_->outputs.size());
  view_.node_stride = sizeof(AshlarNode);
  view_.value_stride = sizeof(AshlarValue);
  view_.attribute_stride = sizeof(AshlarAttribute);
  view_.nodes = nodes_.data();
  view_.values = values_.data();
  view_.inputs = graph_->inputs.data();
  view_.outputs = graph_->outputs.data();
}

}  // namespace ashlar::partition
