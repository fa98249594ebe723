// SPDX-License-Identifier: Apache-2.0
#include "partition/partition.h"

#include "ops/facts.h"
#include "ops/host_values.h"

namespace ashlar::partition {
namespace {

[[noreturn]] void throw_unplaced(const GraphView& view, graph::NodeIndex index, const Assignment& assignment) {
  std::string message = "no provider runs " + view.graph().nodes[index].op_name();
  const char* separator = ": ";
  for (const Verdict& v : assignment.verdicts) {
    message += separator + v.provider + " (" + v.code + "): " + v.reason;
    separator = "; ";
  }
  throw Error(ErrorCode::kUnsupported, message, view.context(index, ""));
}

Assignment assign(const GraphView& view, graph::NodeIndex index, const Providers& providers) {
  Assignment assignment;
  const graph::Node& node = view.graph().nodes[index];
  if (ops::is_core_operator(view.graph(), node)) {
    assignment.kernel = node.op_type;
    return assignment;
  }
  for (std::size_t p = 0; p < providers.size(); ++p) {
    Provider::Answer answer = providers[p]->verdict(view, index);
    if (answer.verdict.accepted && assignment.provider == kCore) {
      assignment.provider = static_cast<int>(p);
      assignment.kernel = std::move(answer.kernel);
    }
    assignment.verdicts.push_back(std::move(answer.verdict));
  }
  if (assignment.provider == kCore) throw_unplaced(view, index, assignment);
  return assignment;
}

void append(Placement& out, const PartitionedGraph& g, const Providers& providers) {
  for (graph::NodeIndex i = 0; i < g.graph->nodes.size(); ++i) {
    const graph::Node& node = g.graph->nodes[i];
    const Assignment& a = g.assignments[i];
    NodePlacement& p = out.nodes.emplace_back();
    p.node = node.id;
    p.op = node.op_name();
    p.opset = node.original_version;
    p.provider = a.provider < 0 ? "core" : providers[static_cast<std::size_t>(a.provider)]->name();
    p.kernel = a.kernel;
    for (const graph::ValueId id : node.outputs)
      if (id != graph::kNone) p.outputs += (p.outputs.empty() ? "" : ", ") + g.graph->values[id].type.to_string();
    p.verdicts = a.verdicts;
    if (const auto bodies = g.bodies.find(i); bodies != g.bodies.end())
      for (const auto& [name, body] : bodies->second) append(out, body, providers);
  }
}

}  // namespace

PartitionedGraph partition(std::shared_ptr<const graph::Graph> graph, const Providers& providers) {
  PartitionedGraph out;
  out.view = std::make_shared<const GraphView>(graph);
  out.graph = std::move(graph);
  out.assignments.reserve(out.graph->nodes.size());
  const std::vector<char> on_host = ops::host_nodes(*out.graph);
  for (graph::NodeIndex i = 0; i < out.graph->nodes.size(); ++i) {
    if (on_host[i]) {
      out.assignments.push_back({.provider = kHost, .kernel = "host", .verdicts = {}});
      continue;
    }
    out.assignments.push_back(assign(*out.view, i, providers));
    if (out.assignments.back().provider != kCore) continue;
    for (auto& [name, body] : graph::bodies(out.graph->nodes[i])) out.bodies[i].emplace(name, partition(body, providers));
  }
  return out;
}

void verify(const PartitionedGraph& g, const Providers& providers) {
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInternal, "the partitioned graph is wrong: " + what); };
  if (g.assignments.size() != g.graph->nodes.size()) fail("not one assignment a node");
  for (std::size_t i = 0; i < g.assignments.size(); ++i) {
    const Assignment& a = g.assignments[i];
    const std::string& id = g.graph->nodes[i].id;
    if (a.provider < 0) continue;
    if (static_cast<std::size_t>(a.provider) >= providers.size()) fail(id + " is on no provider");
    if (a.verdicts.size() != providers.size()) fail(id + " lacks a verdict");
    if (!a.verdicts[static_cast<std::size_t>(a.provider)].accepted) fail(id + " is where it was refused");
  }
  for (const auto& [node, bodies] : g.bodies)
    for (const auto& [name, body] : bodies) verify(body, providers);
}

Placement placement(const PartitionedGraph& graph, const Providers& providers) {
  Placement out;
  append(out, graph, providers);
  return out;
}

}  // namespace ashlar::partition
