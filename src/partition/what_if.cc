// SPDX-License-Identifier: Apache-2.0
#include "partition/what_if.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "partition/placing.h"
#include "partition/report.h"

namespace ashlar::partition {
namespace {

/// Refusals that a kernel more would turn.
bool lacks_kernel(AshlarVerdictCode code) { return code >= ASHLAR_NO_KERNEL_OP && code <= ASHLAR_DYNAMIC_SHAPE; }

struct Totals {
  CopyTotals copies;
  Ticks kernels = 0;
  std::vector<int> providers;  ///< of all nodes
};

Totals totals(const PartitionedGraph& graph, const Providers& providers, const Request& request) {
  Totals out;
  each_with_shapes(graph, "", ExpectedShapes(*graph.graph, request.expected),
                   [&](const PartitionedGraph& g, const std::string&, const ExpectedShapes& shapes) {
                     const Costs costs(*g.graph, providers, shapes, request.profile);
                     const SpaceModel model(g, providers, costs, shapes);
                     const CopyTotals copies = copy_totals(model, model.spaces());
                     out.copies.copies += copies.copies;
                     out.copies.bytes += copies.bytes;
                     out.copies.cost += copies.cost;
                     for (graph::NodeIndex i = 0; i < g.assignments.size(); ++i) {
                       const int p = g.assignments[i].provider;
                       out.providers.push_back(p);
                       if (p >= 0) out.kernels += model.cost(i, static_cast<std::size_t>(p));
                     }
                   });
  return out;
}

struct Refusal {
  Record* record;
  const graph::Node* node;
};
using Key = std::tuple<std::size_t, std::string, AshlarVerdictCode, std::string>;

}  // namespace

std::vector<WhatIf> what_if(const PartitionedGraph& graph, const Providers& providers, const Request& request, bool single) {
  PartitionedGraph now = graph;
  const Totals before = totals(now, providers, request);
  std::map<Key, std::vector<Refusal>> kernels;
  each_graph(now, [&](PartitionedGraph& g) {
    for (graph::NodeIndex i = 0; i < g.assignments.size(); ++i) {
      const graph::Node& node = g.graph->nodes[i];
      Assignment& a = g.assignments[i];
      for (std::size_t p = 0; p < a.records.size(); ++p)
        if (!a.records[p].offered && lacks_kernel(a.records[p].code))
          kernels[{p, node.op_name(), a.records[p].code, single ? node.id : ""}].push_back({&a.records[p], &node});
    }
  });
  std::vector<WhatIf> out;
  for (const auto& [key, refusals] : kernels) {
    const auto& [provider, op, code, id] = key;
    for (const Refusal& r : refusals) {
      r.record->code = ASHLAR_ACCEPTED;
      r.record->offered = true;
      r.record->kernel = std::make_shared<const std::string>();
    }
    place_again(now, providers, request);
    const Totals after = totals(now, providers, request);
    WhatIf w{.provider = providers[provider]->name(), .op = op, .code = verdict_code_name(code)};
    for (const Refusal& r : refusals) {
      w.nodes.push_back(r.node->id);
      r.record->code = code;
      r.record->offered = false;
    }
    w.copies = after.copies.copies - before.copies.copies;
    w.bytes = static_cast<std::int64_t>(after.copies.bytes) - static_cast<std::int64_t>(before.copies.bytes);
    w.nanoseconds = to_nanoseconds(after.copies.cost + after.kernels - before.copies.cost - before.kernels);
    for (std::size_t i = 0; i < before.providers.size(); ++i) w.moved += before.providers[i] != after.providers[i] ? 1 : 0;
    if (w.copies < 0 || w.nanoseconds < 0) out.push_back(std::move(w));
  }
  std::stable_sort(out.begin(), out.end(), [](const WhatIf& a, const WhatIf& b) { return a.nanoseconds < b.nanoseconds; });
  return out;
}

}  // namespace ashlar::partition
