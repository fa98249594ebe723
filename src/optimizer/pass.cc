// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pass.h"

#include <chrono>

#include <ashlar/error.h>

namespace ashlar::optimizer {
namespace {

std::int64_t count_nodes(const graph::Graph& graph) {
  std::int64_t count = 0;
  for (const auto& [name, nodes] : graph::count_operators(graph)) count += nodes;
  return count;
}

}  // namespace

std::vector<PassReport> run_passes(graph::Graph& graph, std::span<const Pass> passes) {
  std::vector<PassReport> reports;
  for (const Pass& pass : passes) {
    PassReport report{.name = pass.name, .nodes_before = count_nodes(graph)};
    const auto start = std::chrono::steady_clock::now();
    pass.run(graph);
    report.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    try {
      graph::verify(graph);
    } catch (const Error& e) {
      throw Error(ErrorCode::kInternal, "pass '" + pass.name + "' left a graph that does not verify: " + e.message(), e.context());
    }
    report.nodes_after = count_nodes(graph);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace ashlar::optimizer
