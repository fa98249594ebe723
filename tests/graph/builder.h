// SPDX-License-Identifier: Apache-2.0
// Graphs for tests, written by names.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace ashlar::testing {

/// A tensor type; a dimension of -1 is unknown.
inline ValueType tensor_type(DType dtype, std::initializer_list<std::int64_t> dims) {
  ValueType type;
  type.dtype = dtype;
  type.shape.emplace();
  for (const std::int64_t d : dims) type.shape->push_back({d, ""});
  return type;
}
inline ValueType unranked(DType dtype) {
  ValueType type;
  type.dtype = dtype;
  return type;
}

struct Builder {
  graph::Graph graph;

  explicit Builder(std::string name = "g") { graph.name = std::move(name); }

  /// The value of that name, made without a type when it is new. "" is a left-out one.
  graph::ValueId value(const std::string& name) {
    if (name.empty()) return graph::kNone;
    for (graph::ValueId v = 0; v < graph.values.size(); ++v)
      if (graph.values[v].name == name) return v;
    return graph.add_value(name);
  }
  Builder& input(const std::string& name, ValueType type) {
    graph.values[value(name)].type = std::move(type);
    graph.inputs.push_back(value(name));
    return *this;
  }
  Builder& constant(const std::string& name, Tensor tensor) {
    graph.values[value(name)].constant = std::move(tensor);
    return *this;
  }
  Builder& output(const std::string& name, ValueType type = {}) {
    graph.values[value(name)].type = std::move(type);
    graph.outputs.push_back(value(name));
    return *this;
  }
  /// "Op" or "domain::Op".
  Builder& node(const std::string& op, int version, std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs,
                std::map<std::string, graph::Attribute> attributes = {}, std::string id = "") {
    graph::Node made;
    const std::size_t domain = op.rfind("::");
    made.op_type = domain == std::string::npos ? op : op.substr(domain + 2);
    if (domain != std::string::npos) made.domain = op.substr(0, domain);
    made.id = id.empty() ? "n" + std::to_string(graph.nodes.size()) : std::move(id);
    made.version = made.original_version = version;
    for (const char* name : inputs) made.inputs.push_back(value(name));
    for (const char* name : outputs) made.outputs.push_back(value(name));
    made.attributes = std::move(attributes);
    made.origins = {made.id};
    graph.nodes.push_back(std::move(made));
    return *this;
  }
};

/// A body that gives back the captured value `outer` of the graph around it.
inline std::shared_ptr<graph::Graph> forwarding_body(const std::string& name, graph::ValueId outer, const ValueType& type) {
  auto body = std::make_shared<graph::Graph>();
  body->name = name;
  const graph::ValueId inner = body->add_value("captured", type);
  const graph::ValueId out = body->add_value("out", type);
  graph::Node node;
  node.id = name + "/forward";
  node.op_type = "Neg";
  node.version = node.original_version = 13;
  node.inputs = {inner};
  node.outputs = {out};
  node.origins = {node.id};
  body->nodes.push_back(std::move(node));
  body->captures = {{outer, inner}};
  body->outputs = {out};
  return body;
}

}  // namespace ashlar::testing
