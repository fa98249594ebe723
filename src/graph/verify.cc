// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <unordered_set>

#include <ashlar/error.h>

#include "core/text.h"
#include "graph/graph.h"
#include "graph/nesting.h"

namespace ashlar::graph {
namespace {

class Verifier {
 public:
  void check(const Graph& graph, int depth) {
    if (depth > kMaxNesting) fail(nullptr, "graphs are nested more than " + std::to_string(kMaxNesting) + " deep");
    std::vector<char> defined(graph.values.size(), 0);
    for (std::size_t i = 0; i < graph.values.size(); ++i) defined[i] = graph.values[i].constant.defined();
    define_inputs(graph, defined);
    for (const Capture& c : graph.captures) define(graph, nullptr, c.inner, defined, "captured");
    for (const Node& node : graph.nodes) {
      if (!ids_.insert(node.id).second) fail(&node, "two nodes have the id '" + core::printable(node.id) + "'");
      for (const ValueId v : node.inputs)
        if (v != kNone) use(graph, node, v, defined);
      check_bodies(graph, node, defined, depth);
      for (const ValueId v : node.outputs)
        if (v != kNone) define(graph, &node, v, defined, "written");
    }
    for (const ValueId v : graph.outputs) {
      require_id(graph, nullptr, v);
      if (!defined[v]) fail(nullptr, "graph output '" + name(graph, v) + "' is not computed by any node");
    }
  }

 private:
  [[noreturn]] static void fail(const Node* node, const std::string& message) {
    ErrorContext context;
    if (node) {
      context.node = node->id;
      context.op = node->op_name();
      context.opset = node->version;
    }
    throw Error(ErrorCode::kInvalidModel, message, std::move(context));
  }
  static std::string name(const Graph& graph, ValueId v) { return core::printable(graph.values[v].name); }
  static void require_id(const Graph& graph, const Node* node, ValueId v) {
    if (v >= graph.values.size())
      fail(node, "value " + std::to_string(v) + " does not exist: the graph has " + std::to_string(graph.values.size()));
  }
  static void use(const Graph& graph, const Node& node, ValueId v, const std::vector<char>& defined) {
    require_id(graph, &node, v);
    if (!defined[v]) fail(&node, "value '" + name(graph, v) + "' is used before it is computed, or never is");
  }
  static void define(const Graph& graph, const Node* node, ValueId v, std::vector<char>& defined, const char* how) {
    require_id(graph, node, v);
    if (defined[v]) fail(node, "value '" + name(graph, v) + "' is " + how + " but has a definition already");
    defined[v] = 1;
  }
  /// An input may also be a constant (its default), but may stand in the list only once.
  static void define_inputs(const Graph& graph, std::vector<char>& defined) {
    std::unordered_set<ValueId> seen;
    for (const ValueId v : graph.inputs) {
      require_id(graph, nullptr, v);
      if (!seen.insert(v).second) fail(nullptr, "value '" + name(graph, v) + "' is an input twice");
      defined[v] = 1;
    }
  }
  void check_bodies(const Graph& graph, const Node& node, const std::vector<char>& defined, int depth) {
    std::set<ValueId> captured;
    for (const auto& [attribute, value] : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<Graph>>(&value);
      if (!body) continue;
      if (!*body) fail(&node, "the graph attribute '" + core::printable(attribute) + "' is empty");
      for (const Capture& c : (*body)->captures) {
        use(graph, node, c.outer, defined);
        captured.insert(c.outer);
      }
    }
    const std::set<ValueId> declared(node.captures.begin(), node.captures.end());
    if (declared != captured || declared.size() != node.captures.size())
      fail(&node, "the node's captured values are not those of its bodies");
    for (const auto& [attribute, body] : bodies(node)) check(*body, depth + 1);
  }

  std::unordered_set<std::string> ids_;
};

}  // namespace

void verify(const Graph& graph) { Verifier().check(graph, 0); }

}  // namespace ashlar::graph
