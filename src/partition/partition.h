// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ashlar/placement.h>

#include "graph/graph.h"
#include "partition/graph_view.h"
#include "partition/provider.h"

namespace ashlar::partition {

// An Assignment's provider where it is none of the session's.
inline constexpr int kCore = -1;  ///< the core runs the node itself
inline constexpr int kHost = -2;  ///< the core evaluates the node while it binds: shape arithmetic

/// Where one node runs and what every provider said of it.
struct Assignment {
  int provider = kCore;  ///< index into the session's providers
  std::string kernel;
  std::vector<Verdict> verdicts;
};

/// A graph whose every node has a place. Bodies are partitioned too. Immutable once made.
struct PartitionedGraph {
  std::shared_ptr<const graph::Graph> graph;
  std::shared_ptr<const GraphView> view;
  std::vector<Assignment> assignments;  ///< one a node
  /// Bodies of node i by attribute name.
  std::map<graph::NodeIndex, std::map<std::string, PartitionedGraph>> bodies;
};

using Providers = std::vector<std::shared_ptr<const Provider>>;

/// Gives each node to the first provider that accepts it, and control flow, containers and shape arithmetic to the core. Throws Error
/// (kUnsupported) naming the first node that nobody takes, with every provider's reason.
PartitionedGraph partition(std::shared_ptr<const graph::Graph> graph, const Providers& providers);

/// Throws Error (kInternal) unless every node has one place and, where providers were asked, a verdict of each.
void verify(const PartitionedGraph& graph, const Providers& providers);

/// The report for users: outer nodes first, each body after its node.
Placement placement(const PartitionedGraph& graph, const Providers& providers);

}  // namespace ashlar::partition
