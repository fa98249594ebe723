// SPDX-License-Identifier: Apache-2.0
// What users see of a placement: include/ashlar/placement.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ashlar/placement.h>

#include "partition/partition.h"

namespace ashlar::partition {

/// Outer nodes first, each body after its node; without copies.
Placement report(const PartitionedGraph& graph, const Providers& providers, const std::vector<Missing>& missing, const Request& request);

inline constexpr int kHostMemory = -1;  ///< a Crossing's side that is no provider's memory

/// A copy between memory spaces, in terms of one graph.
struct Crossing {
  graph::ValueId value = 0;
  int from = kHostMemory, to = kHostMemory;  ///< the provider whose memory it is, by index
  std::string from_name, to_name;            ///< of the memory spaces
  std::vector<graph::NodeIndex> consumers;   ///< that read it there
  bool output = false;                       ///< of the graph
  bool once = false;
};
/// With the verdict that forced it. `path` is the graph's, empty for the main graph.
BoundaryCopy describe(const PartitionedGraph& graph, const Providers& providers, const Costs& costs, const std::string& path,
                      const Crossing& crossing);

/// The copies of a run as the partitioner reckons them, and of weights; where nothing is prepared.
std::vector<BoundaryCopy> planned_copies(const PartitionedGraph& graph, const Providers& providers, const Request& request);

/// Calls `visit(graph, path, shapes)` with the graph and every body in it.
template <class Visit>
void each_with_shapes(const PartitionedGraph& graph, const std::string& path, const ExpectedShapes& shapes, const Visit& visit) {
  visit(graph, path, shapes);
  for (const auto& [node, bodies] : graph.bodies)
    for (const auto& [name, body] : bodies)
      each_with_shapes(body, graph.graph->nodes[node].id + "/" + name, ExpectedShapes(*body.graph, shapes), visit);
}

}  // namespace ashlar::partition
