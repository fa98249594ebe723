// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/profile.h>
#include <ashlar/tensor.h>

#include "graph/graph.h"
#include "partition/costs.h"
#include "partition/graph_view.h"
#include "partition/provider.h"

namespace ashlar::partition {

// An Assignment's provider where it is none of the session's.
inline constexpr int kCore = -1;  ///< the core runs the node itself
inline constexpr int kHost = -2;  ///< the core evaluates the node while it binds: shape arithmetic

/// A sentence or a name that many records share.
using SharedText = std::shared_ptr<const std::string>;

/// What a provider answered, and what the partitioner made of it. One for every node and provider: kept small.
struct Record {
  /// A refusal may be the partitioner's: cost_model, subgraph_too_small, user_pin, memory_budget, dynamic_shape.
  AshlarVerdictCode code = ASHLAR_ACCEPTED;
  bool offered = false;  ///< the provider itself accepts
  SharedText reason;     ///< of a refusal; null: of none
  SharedText kernel;     ///< of a provider that accepts
  AshlarCost cost{};
  std::vector<AshlarGuard> guards;

  bool accepted() const noexcept { return code == ASHLAR_ACCEPTED; }
  void refuse(AshlarVerdictCode why, SharedText sentence) {
    code = why;
    reason = std::move(sentence);
  }
  void accept() { refuse(ASHLAR_ACCEPTED, nullptr); }
};

/// Where one node runs and what every provider said of it.
struct Assignment {
  int provider = kCore;  ///< index into the session's providers
  std::string kernel;
  std::vector<Record> records;  ///< one a provider; none where no provider is asked
};

/// A graph whose every node has a place. Bodies are partitioned too. Immutable once made.
struct PartitionedGraph {
  std::shared_ptr<const graph::Graph> graph;
  std::shared_ptr<const GraphView> view;
  std::vector<Assignment> assignments;  ///< one a node
  /// Bodies of node i by attribute name.
  std::map<graph::NodeIndex, std::map<std::string, PartitionedGraph>> bodies;
};

/// Calls `visit` with the graph and every body in it.
template <class Graph, class Visit> void each_graph(Graph& graph, const Visit& visit) {
  visit(graph);
  for (auto& [node, bodies] : graph.bodies)
    for (auto& [name, body] : bodies) each_graph(body, visit);
}

/// "input 0, dimension 1 <= 1024".
std::string guard_text(const AshlarGuard& guard);

/// A provider that was asked for and cannot be had.
struct Missing {
  std::size_t position;  ///< in the order of preference, among the providers that can be had
  std::string name;
  AshlarVerdictCode code;  ///< device_missing or library_missing
  std::string reason;
};

/// How a graph is to be partitioned.
struct Request {
  bool by_cost = false;  ///< else each node runs on the first provider that accepts it
  /// A node's id in the session or the model, "op:Conv", or either with '*' and '?'; and the provider that must run what it matches. The first that
  /// matches counts.
  std::vector<std::pair<std::string, std::string>> pins = {};
  const Profile* profile = nullptr;
  std::map<std::string, Shape> expected = {};
  std::map<std::string, std::uint64_t> budgets = {};  ///< bytes of weights that a provider's memory holds; by cost alone
  bool heed_guards = true;                            ///< false: a node that is accepted under a guard is refused (dynamic_shape)
};

/// Gives each node to a provider, and control flow, containers and shape arithmetic to the core. Throws Error: kUnsupported naming the first
/// node that nobody takes, with every provider's reason, or listing the pinned nodes that their provider refuses; kNotFound for a pin that
/// matches nothing or names no provider.
PartitionedGraph partition(std::shared_ptr<const graph::Graph> graph, const Providers& providers, const Request& request = {});

/// Places the graph once more by the records' answers, which may have been turned.
void place_again(PartitionedGraph& graph, const Providers& providers, const Request& request);

/// Throws Error (kInternal) unless every node has one place and, where providers were asked, a verdict of each.
void verify(const PartitionedGraph& graph, const Providers& providers);

}  // namespace ashlar::partition
