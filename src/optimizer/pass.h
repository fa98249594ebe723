// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace ashlar::optimizer {

/// A named rewrite of a whole graph that keeps what the graph computes.
struct Pass {
  std::string name;
  std::function<void(graph::Graph& graph)> run;
};

/// What a pass did. Counts include bodies.
struct PassReport {
  std::string name;
  std::int64_t nodes_before = 0;
  std::int64_t nodes_after = 0;
  std::int64_t nanoseconds = 0;
};

/// Runs the passes in order and verifies the graph after each. Throws what a pass throws; Error (kInternal) naming the pass when
/// the graph it leaves does not verify.
std::vector<PassReport> run_passes(graph::Graph& graph, std::span<const Pass> passes);

}  // namespace ashlar::optimizer
