// SPDX-License-Identifier: Apache-2.0
#include "optimizer/legalize.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include <ashlar/error.h>

#include "graph/nesting.h"
#include "onnx/onnx.h"
#include "ops/canonicalize.h"
#include "ops/facts.h"
#include "ops/internal.h"

namespace ashlar::optimizer {
namespace {

using graph::Graph;
using graph::kNone;
using graph::Node;
using graph::ValueId;

Error contradiction(const Node& node, const std::string& message) {
  ErrorContext context;
  context.node = node.id;
  context.op = node.op_name();
  context.opset = node.version;
  return Error(ErrorCode::kInternal, message, std::move(context));
}

bool known(const ValueType& type) {
  return type.kind != ValueType::Kind::kTensor || (type.dtype != DType::kUndefined && type.shape.has_value());
}

/// `inner`, found in the body of the node `id`, as it is called around it.
std::string path(const std::string& id, const std::string& inner) { return inner.starts_with(id + "/") ? inner : id + "/" + inner; }

std::vector<ValueId> present(const std::vector<ValueId>& ids) {
  std::vector<ValueId> out;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(out), [](ValueId v) { return v != kNone; });
  return out;
}

/// Makes every output of the body a value that a node of it computes, and no other output is.
void own_outputs(Graph& body) {
  std::unordered_set<ValueId> computed;
  for (const Node& inner : body.nodes) computed.insert(inner.outputs.begin(), inner.outputs.end());
  for (std::size_t i = 0; i < body.outputs.size(); ++i) {
    if (computed.erase(body.outputs[i])) continue;
    Node copy;
    copy.id = "output_" + std::to_string(i);
    copy.op_type = "Identity";
    copy.version = copy.original_version = 1;
    copy.inputs = {body.outputs[i]};
    copy.outputs = {body.add_value(copy.id)};
    body.outputs[i] = copy.outputs[0];
    body.nodes.push_back(std::move(copy));
  }
}

/// Gives the body what is known of the node's inputs, infers the types inside and brings its nodes to their newest forms.
void prepare(Graph& body, const Graph& graph, const std::vector<ValueId>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    graph::Value& value = body.values[body.inputs[i]];
    value.type = graph.values[inputs[i]].type;
    const bool has_default = std::find(graph.inputs.begin(), graph.inputs.end(), inputs[i]) != graph.inputs.end();
    if (!has_default) value.constant = graph.values[inputs[i]].constant;
  }
  for (const graph::Capture& c : body.captures) body.values[c.inner].type = graph.values[c.outer].type;
  // An input that is a constant would be one with a default, which nothing may rely on; here it is certain.
  const std::vector<ValueId> formal = std::exchange(body.inputs, {});
  for (const Node& node : body.nodes) {
    const auto open = [&](ValueId v) { return v != kNone && !known(body.values[v].type); };
    if (std::none_of(node.outputs.begin(), node.outputs.end(), open)) continue;
    std::vector<ValueType> types = onnx::infer(body, node);
    for (std::size_t i = 0; i < node.outputs.size() && i < types.size(); ++i)
      if (open(node.outputs[i])) body.values[node.outputs[i]].type = std::move(types[i]);
  }
  ops::canonicalize(body);
  body.inputs = formal;
}

class Expansion {
 public:
  Expansion(Graph& graph, std::unordered_set<std::string>& names, const Node& node, Graph body)
      : graph_(graph), names_(names), node_(node), body_(std::move(body)) {}

  std::vector<Node> run() {
    const std::vector<ValueId> inputs = present(node_.inputs), outputs = present(node_.outputs);
    if (inputs.size() != body_.inputs.size() || outputs.size() != body_.outputs.size())
      throw contradiction(node_, "the function's body does not have the node's inputs and outputs");
    own_outputs(body_);
    prepare(body_, graph_, inputs);
    to_.assign(body_.values.size(), kNone);
    for (std::size_t i = 0; i < inputs.size(); ++i) to_[body_.inputs[i]] = inputs[i];
    for (const graph::Capture& c : body_.captures) to_[c.inner] = c.outer;
    bind_outputs(outputs);
    for (ValueId v = 0; v < body_.values.size(); ++v)
      if (to_[v] == kNone) to_[v] = add(body_.values[v]);
    for (Node& inner : body_.nodes) nodes_.push_back(move_in(std::move(inner)));
    return std::move(nodes_);
  }

 private:
  void bind_outputs(const std::vector<ValueId>& outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const ValueId v = body_.outputs[i];
      ValueType& type = graph_.values[outputs[i]].type;
      if (!known(type) && (type.dtype == DType::kUndefined || known(body_.values[v].type))) type = body_.values[v].type;
      to_[v] = outputs[i];
    }
  }
  ValueId add(graph::Value& inner) {
    const std::string name = path(node_.id, inner.name);
    std::string unique = name;
    for (int i = 1; !names_.insert(unique).second; ++i) unique = name + "_" + std::to_string(i);
    return graph_.add_value(std::move(unique), std::move(inner.type), std::move(inner.constant));
  }
  ValueId mapped(ValueId v) const { return v == kNone ? kNone : to_.at(v); }
  Node move_in(Node inner) const {
    inner.id = path(node_.id, inner.id);
    inner.origins = node_.origins;
    for (std::vector<ValueId>* ids : {&inner.inputs, &inner.outputs, &inner.captures})
      for (ValueId& v : *ids) v = mapped(v);
    // Two captures may have become one value.
    std::sort(inner.captures.begin(), inner.captures.end());
    inner.captures.erase(std::unique(inner.captures.begin(), inner.captures.end()), inner.captures.end());
    for (const auto& [name, body] : graph::bodies(inner)) inner.attributes[name] = rebind(*body, 0);
    return inner;
  }
  std::shared_ptr<Graph> rebind(const Graph& from, int depth) const {
    if (depth > graph::kMaxNesting)
      throw contradiction(node_, "graphs are nested more than " + std::to_string(graph::kMaxNesting) + " deep");
    auto body = std::make_shared<Graph>(from);
    if (depth == 0)
      for (graph::Capture& c : body->captures) c.outer = mapped(c.outer);
    for (Node& inner : body->nodes) {
      inner.id = path(node_.id, inner.id);
      inner.origins = node_.origins;
      for (const auto& [name, nested] : graph::bodies(inner)) inner.attributes[name] = rebind(*nested, depth + 1);
    }
    return body;
  }

  Graph& graph_;
  std::unordered_set<std::string>& names_;
  const Node& node_;
  Graph body_;
  std::vector<ValueId> to_;  ///< by the body's value: the graph's
  std::vector<Node> nodes_;
};

void legalize(Graph& graph, const Taken& taken, const Expanded& expanded_node, int nesting) {
  if (nesting > graph::kMaxNesting)
    throw Error(ErrorCode::kInvalidModel, "graphs are nested more than " + std::to_string(graph::kMaxNesting) + " deep");
  std::unordered_set<std::string> names;
  for (const graph::Value& v : graph.values) names.insert(v.name);
  std::vector<char> open(graph.nodes.size(), 1);
  for (int round = 0; round < kMaxExpansion && std::find(open.begin(), open.end(), 1) != open.end(); ++round) {
    std::vector<std::optional<Graph>> expanded(graph.nodes.size());
    for (graph::NodeIndex i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (!open[i] || (!ops::is_internal(node) && !onnx::has_function(node)) || ops::is_core_operator(graph, node) || taken(graph, i))
        continue;
      expanded[i] = ops::internal_body(graph, graph.nodes[i]);
      if (!expanded[i]) expanded[i] = onnx::function_body(graph, graph.nodes[i]);
    }
    std::vector<Node> nodes;
    std::vector<char> next;
    for (graph::NodeIndex i = 0; i < graph.nodes.size(); ++i) {
      std::vector<Node> made;
      if (expanded[i]) {
        made = Expansion(graph, names, graph.nodes[i], std::move(*expanded[i])).run();
        if (expanded_node) expanded_node(graph.nodes[i], made);
      } else {
        made.push_back(std::move(graph.nodes[i]));
      }
      next.insert(next.end(), made.size(), static_cast<char>(expanded[i].has_value()));
      std::move(made.begin(), made.end(), std::back_inserter(nodes));
    }
    graph.nodes = std::move(nodes);
    open = std::move(next);
  }
  for (Node& node : graph.nodes) {
    for (const auto& [name, body] : graph::bodies(node)) {
      auto copy = std::make_shared<Graph>(*body);
      legalize(*copy, taken, expanded_node, nesting + 1);
      node.attributes[name] = std::move(copy);
    }
  }
}

}  // namespace

void legalize(Graph& graph, const Taken& taken, const Expanded& expanded) { legalize(graph, taken, expanded, 0); }

}  // namespace ashlar::optimizer
