// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <ashlar/error.h>

#include "graph/nesting.h"

namespace ashlar::graph {
namespace {

void count(const Graph& graph, int depth, std::map<std::string, std::int64_t>& counts) {
  if (depth > kMaxNesting) throw Error(ErrorCode::kInvalidModel, "graphs are nested more than " + std::to_string(kMaxNesting) + " deep");
  for (const Node& node : graph.nodes) {
    ++counts[node.op_name()];
    for (const auto& [name, body] : bodies(node)) count(*body, depth + 1, counts);
  }
}

Graph copy(const Graph& graph, int depth) {
  if (depth > kMaxNesting) throw Error(ErrorCode::kInvalidModel, "graphs are nested more than " + std::to_string(kMaxNesting) + " deep");
  Graph out = graph;
  for (Node& node : out.nodes)
    for (auto& [name, attribute] : node.attributes)
      if (auto* body = std::get_if<std::shared_ptr<Graph>>(&attribute); body && *body)
        *body = std::make_shared<Graph>(copy(**body, depth + 1));
  return out;
}

}  // namespace

Graph deep_copy(const Graph& graph) { return copy(graph, 0); }

std::vector<std::pair<std::string, std::shared_ptr<Graph>>> bodies(const Node& node) {
  std::vector<std::pair<std::string, std::shared_ptr<Graph>>> out;
  for (const auto& [name, attribute] : node.attributes)
    if (const auto* body = std::get_if<std::shared_ptr<Graph>>(&attribute); body && *body) out.emplace_back(name, *body);
  return out;
}

std::vector<std::pair<std::string, std::int64_t>> count_operators(const Graph& graph) {
  std::map<std::string, std::int64_t> counts;
  count(graph, 0, counts);
  return {counts.begin(), counts.end()};
}

}  // namespace ashlar::graph
