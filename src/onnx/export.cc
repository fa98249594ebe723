// SPDX-License-Identifier: Apache-2.0
#include "onnx/export.h"

#include "onnx/attributes.h"
#include "onnx/types.h"
#include "onnx/wire_scan.h"

namespace ashlar::onnx {
namespace {

void put_value(const graph::Value& value, const std::string& name, proto::ValueInfoProto* to) {
  to->set_name(name);
  if (is_known(value.type)) *to->mutable_type() = to_proto(value.type);
}

}  // namespace

proto::AttributeProto to_proto(const std::string& name, const graph::Attribute& value, const ValueNames& outer, int& next_name,
                               TensorReader& tensors) {
  proto::AttributeProto out;
  out.set_name(name);
  out.set_type(type_of(value));
  if (const auto* tensor = std::get_if<Tensor>(&value)) tensors.refer(*tensor, out.mutable_t());
  else if (const auto* list = std::get_if<std::vector<Tensor>>(&value))
    for (const Tensor& t : *list) tensors.refer(t, out.add_tensors());
  else if (const auto* body = std::get_if<std::shared_ptr<graph::Graph>>(&value))
    *out.mutable_g() = to_proto(**body, outer, next_name, tensors);
  else return to_proto(name, value, 0);
  return out;
}

proto::GraphProto to_proto(const graph::Graph& body, const ValueNames& outer, int& next_name, TensorReader& tensors) {
  proto::GraphProto out;
  out.set_name(body.name);
  ValueNames names;
  for (const graph::Capture& c : body.captures) names[c.inner] = outer.at(c.outer);
  for (graph::ValueId v = 0; v < body.values.size(); ++v)
    if (!names.contains(v)) names.emplace(v, "body_value_" + std::to_string(next_name++));
  const auto name_of = [&](graph::ValueId v) { return v == graph::kNone ? std::string() : names.at(v); };
  for (const graph::ValueId v : body.inputs) put_value(body.values[v], names.at(v), out.add_input());
  for (const graph::ValueId v : body.outputs) put_value(body.values[v], names.at(v), out.add_output());
  for (graph::ValueId v = 0; v < body.values.size(); ++v) {
    if (!body.values[v].constant.defined()) continue;
    auto* tensor = out.add_initializer();
    tensors.refer(body.values[v].constant, tensor);
    tensor->set_name(names.at(v));
  }
  for (const graph::Node& node : body.nodes) {
    auto* n = out.add_node();
    n->set_name(node.id.substr(node.id.rfind('/') + 1));
    n->set_op_type(node.op_type);
    n->set_domain(node.domain);
    n->set_overload(kTableMark + std::to_string(node.version));
    for (const graph::ValueId v : node.inputs) n->add_input(name_of(v));
    for (const graph::ValueId v : node.outputs) n->add_output(name_of(v));
    for (const auto& [name, value] : node.attributes) *n->add_attribute() = to_proto(name, value, names, next_name, tensors);
  }
  return out;
}

}  // namespace ashlar::onnx
