// SPDX-License-Identifier: Apache-2.0
#include "onnx/infer_context.h"

#include <algorithm>

#include <onnx/defs/shape_inference.h>

#include "onnx/attributes.h"
#include "onnx/schemas.h"
#include "onnx/types.h"

namespace ashlar::onnx {
namespace {

[[noreturn]] void fail(const std::string& message) { throw proto::InferenceError(message); }

/// Outputs the operator has, those dropped at the end of the node's list included.
std::size_t output_count(const graph::Node& node, const proto::OpSchema& schema) {
  std::size_t count = std::max(node.outputs.size(), static_cast<std::size_t>(std::max(schema.min_output(), 0)));
  const std::size_t conditions = node.op_type == "Loop" ? 1 : 0;
  for (const auto& [name, body] : graph::bodies(node))
    if (body->outputs.size() > conditions) count = std::max(count, body->outputs.size() - conditions);
  return count;
}

}  // namespace

const Tensor* constant_of(const graph::Graph& graph, graph::ValueId id, const InferOptions& options) {
  const Tensor& constant = graph.values[id].constant;
  if (!constant.defined()) return nullptr;
  const bool is_default = !options.inputs_are_constant && std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end();
  return is_default ? nullptr : &constant;
}

std::vector<const proto::TypeProto*> BodyInferencer::doInferencing(const std::vector<const proto::TypeProto*>& input_types,
                                                                   const std::vector<const proto::TensorProto*>&) {
  if (!input_types.empty() && input_types.size() != body_.inputs.size())
    fail("the body has " + std::to_string(body_.inputs.size()) + " inputs, but is given " + std::to_string(input_types.size()));
  for (const graph::Capture& c : body_.captures) body_.values[c.inner].type = outer_.values[c.outer].type;
  for (std::size_t i = 0; i < input_types.size(); ++i)
    if (input_types[i]) add_type(body_.values[body_.inputs[i]], to_type(*input_types[i], body_.values[body_.inputs[i]].name), options_);
  infer_graph(body_, options_);
  outputs_.clear();
  std::vector<const proto::TypeProto*> out;
  for (const graph::ValueId v : body_.outputs) outputs_.push_back(to_proto(body_.values[v].type));
  for (const auto& type : outputs_) out.push_back(&type);
  return out;
}

NodeContext::NodeContext(const graph::Graph& graph, const graph::Node& node, const proto::OpSchema& schema, const InferOptions& options)
    : graph_(graph), node_(node), options_(options),
      inputs_(std::max(node.inputs.size(), static_cast<std::size_t>(std::max(schema.min_input(), 0)))),
      outputs_(output_count(node, schema)) {
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    inputs_[i].id = node.inputs[i];
    if (node.inputs[i] == graph::kNone) continue;
    const ValueType& type = graph.values[node.inputs[i]].type;
    if (is_known(type)) inputs_[i].type = to_proto(type);
    else has_unknown_input_ = true;
  }
}

const proto::AttributeProto* NodeContext::getAttribute(const std::string& name) const {
  if (const auto made = attributes_.find(name); made != attributes_.end()) return &made->second;
  const graph::Attribute* value = node_.find(name);
  return value ? &attributes_.emplace(name, to_proto(name, *value, kMostElements)).first->second : nullptr;
}

const proto::TypeProto* NodeContext::getInputType(std::size_t index) const {
  if (index >= inputs_.size()) fail("there is no input " + std::to_string(index));
  return hasInput(index) ? &inputs_[index].type : nullptr;
}

const proto::TensorProto* NodeContext::getInputData(std::size_t index) const {
  if (!hasInput(index)) return nullptr;
  Input& input = inputs_[index];
  if (!input.converted) {
    input.converted = true;
    const Tensor* constant = constant_of(graph_, input.id, options_);
    if (constant && constant->element_count() <= kMostElements) input.data = std::make_unique<proto::TensorProto>(to_proto(*constant));
  }
  return input.data.get();
}

proto::GraphInferencer* NodeContext::getGraphAttributeInferencer(const std::string& name) {
  if (const auto made = bodies_.find(name); made != bodies_.end()) return made->second.get();
  const auto* body = node_.find_as<std::shared_ptr<graph::Graph>>(name);
  if (!body || !*body) fail("attribute '" + name + "' is not a graph");
  return bodies_.emplace(name, std::make_unique<BodyInferencer>(graph_, **body, options_)).first->second.get();
}

void NodeContext::infer_remaining_bodies() {
  for (const auto& [name, body] : graph::bodies(node_))
    if (!bodies_.contains(name)) getGraphAttributeInferencer(name)->doInferencing({}, {});
}

}  // namespace ashlar::onnx
