// SPDX-License-Identifier: Apache-2.0
#include "partition/report.h"

#include <algorithm>
#include <iterator>

namespace ashlar::partition {
namespace {

class Report {
 public:
  Report(const Providers& providers, const std::vector<Missing>& missing, const Request& request)
      : providers_(providers), missing_(missing), request_(request) {
    out_.policy = request.by_cost ? "cost" : "preference";
    if (request.profile) out_.profile = request.profile->source;
  }

  /// `known`: by value of the graph, the nodes that give what comes from around it.
  void add(const PartitionedGraph& g, const std::string& path, const ExpectedShapes& shapes, std::vector<std::vector<std::size_t>> known) {
    const Costs costs(*g.graph, providers_, shapes, request_.profile);
    for (graph::NodeIndex i = 0; i < g.graph->nodes.size(); ++i) {
      const graph::Node& node = g.graph->nodes[i];
      const Assignment& a = g.assignments[i];
      const std::size_t index = out_.nodes.size();
      NodePlacement& p = out_.nodes.emplace_back();
      p.node = node.id;
      p.op = node.op_name();
      p.opset = node.original_version;
      p.provider = a.provider < 0 ? "core" : providers_[static_cast<std::size_t>(a.provider)]->name();
      p.kernel = a.kernel;
      p.graph = path;
      for (const graph::ValueId id : node.outputs)
        if (id != graph::kNone) p.outputs += (p.outputs.empty() ? "" : ", ") + g.graph->values[id].type.to_string();
      for (const auto* reads : {&node.inputs, &node.captures})
        for (const graph::ValueId id : *reads)
          if (id != graph::kNone) p.sources.insert(p.sources.end(), known[id].begin(), known[id].end());
      std::sort(p.sources.begin(), p.sources.end());
      p.sources.erase(std::unique(p.sources.begin(), p.sources.end()), p.sources.end());
      add_verdicts(p, a, costs, i);
      if (a.provider >= 0) {
        p.cost = p.verdicts[position(static_cast<std::size_t>(a.provider))].cost;
        if (p.cost) out_.cost_ns += p.cost->nanoseconds;
      }
      for (const graph::ValueId id : node.outputs)
        if (id != graph::kNone) known[id] = {index};
      if (const auto bodies = g.bodies.find(i); bodies != g.bodies.end())
        for (const auto& [name, body] : bodies->second) {
          std::vector<std::vector<std::size_t>> inner(body.graph->values.size());
          for (const graph::Capture& c : body.graph->captures) inner[c.inner] = known[c.outer];
          add(body, node.id + "/" + name, ExpectedShapes(*body.graph, shapes), std::move(inner));
        }
    }
  }
  Placement take() { return std::move(out_); }

 private:
  /// Of a provider's verdict, among those that are missing.
  std::size_t position(std::size_t provider) const {
    return provider + static_cast<std::size_t>(
                          std::count_if(missing_.begin(), missing_.end(), [&](const Missing& m) { return m.position <= provider; }));
  }

  void add_verdicts(NodePlacement& to, const Assignment& a, const Costs& costs, graph::NodeIndex index) const {
    if (a.records.empty()) return;
    auto missing = missing_.begin();
    for (std::size_t p = 0; p <= a.records.size(); ++p) {
      for (; missing != missing_.end() && missing->position == p; ++missing)
        to.verdicts.push_back({.provider = missing->name, .code = verdict_code_name(missing->code), .reason = missing->reason});
      if (p == a.records.size()) break;
      const Record& record = a.records[p];
      Verdict& v = to.verdicts.emplace_back(Verdict{.provider = providers_[p]->name(), .accepted = record.accepted()});
      if (!v.accepted) {
        v.code = verdict_code_name(record.code);
        v.reason = *record.reason;
      }
      for (const AshlarGuard& guard : record.guards) v.guards.push_back(guard_text(guard));
      if (record.offered) v.cost = costs.node(index, p, record.cost);
    }
  }

  const Providers& providers_;
  const std::vector<Missing>& missing_;
  const Request& request_;
  Placement out_;
};

graph::NodeIndex producer_of(const graph::Graph& g, graph::ValueId value) {
  for (graph::NodeIndex i = 0; i < g.nodes.size(); ++i)
    if (std::find(g.nodes[i].outputs.begin(), g.nodes[i].outputs.end(), value) != g.nodes[i].outputs.end()) return i;
  return graph::kNone;
}

/// Finds the verdict that put a tensor's producer and its readers on two sides.
class Blame {
 public:
  using Cause = BoundaryCopy::Cause;
  Blame(const PartitionedGraph& g, const Providers& providers) : g_(g), providers_(providers) {}

  /// Why what `node` gives or reads is not on the device: the device's verdict on it; where the device would take it, that of the node's own provider
  /// on `other`, which the device has.
  Cause of(graph::NodeIndex node, std::size_t device, graph::NodeIndex other) const {
    const Assignment& a = g_.assignments[node];
    const std::string& id = g_.graph->nodes[node].id;
    if (a.provider < 0) return {id, "", "core", g_.graph->nodes[node].op_name() + " is done by the runtime itself, in host memory"};
    if (!a.records[device].accepted()) return verdict(node, device);
    if (other != graph::kNone && g_.assignments[other].provider >= 0 &&
        !g_.assignments[other].records[static_cast<std::size_t>(a.provider)].accepted())
      return verdict(other, static_cast<std::size_t>(a.provider));
    return {id, providers_[static_cast<std::size_t>(a.provider)]->name(), "preference",
            "it comes before " + providers_[device]->name() + ", which would take the node too"};
  }

 private:
  Cause verdict(graph::NodeIndex node, std::size_t provider) const {
    const Record& r = g_.assignments[node].records[provider];
    return {g_.graph->nodes[node].id, providers_[provider]->name(), verdict_code_name(r.code), *r.reason};
  }
  const PartitionedGraph& g_;
  const Providers& providers_;
};

}  // namespace

Placement report(const PartitionedGraph& graph, const Providers& providers, const std::vector<Missing>& missing, const Request& request) {
  Report out(providers, missing, request);
  out.add(graph, "", ExpectedShapes(*graph.graph, request.expected), std::vector<std::vector<std::size_t>>(graph.graph->values.size()));
  return out.take();
}

BoundaryCopy describe(const PartitionedGraph& graph, const Providers& providers, const Costs& costs, const std::string& path,
                      const Crossing& c) {
  const graph::Graph& g = *graph.graph;
  const graph::Value& value = g.values[c.value];
  BoundaryCopy out{
      .tensor = value.name, .type = value.type.to_string(), .graph = path, .from = c.from_name, .to = c.to_name, .once = c.once};
  const graph::NodeIndex producer = producer_of(g, c.value);
  if (producer != graph::kNone) out.producer = g.nodes[producer].id;
  for (const graph::NodeIndex i : c.consumers) out.consumers.push_back(g.nodes[i].id);
  if (c.output) out.consumers.emplace_back("(output)");
  const ValueType& type = value.type;
  if (value.constant.defined() && c.once) out.bytes = value.constant.bytes();
  else if (type.kind == ValueType::Kind::kTensor && type.shape &&
           std::all_of(type.shape->begin(), type.shape->end(), [](const Dim& d) { return d.fixed(); })) {
    std::size_t count = 1;
    for (const Dim& d : *type.shape) count *= static_cast<std::size_t>(d.value);
    out.bytes = byte_size(type.dtype, count);
  }
  out.expected_bytes = out.bytes.value_or(costs.bytes_of(c.value));
  const std::size_t device = static_cast<std::size_t>(c.to != kHostMemory ? c.to : c.from);
  out.cost_ns = c.to != kHostMemory ? costs.upload_ns(device, out.expected_bytes) : costs.download_ns(device, out.expected_bytes);

  const Blame blame(graph, providers);
  const bool body = !path.empty();
  const graph::NodeIndex first = c.consumers.empty() ? graph::kNone : c.consumers.front();
  std::vector<BoundaryCopy::Cause> causes;
  if (c.once) {
    causes.push_back(
        {first == graph::kNone ? "" : g.nodes[first].id, "", "weight", "a weight is copied to the memory of the node that reads it"});
  } else if (c.to != kHostMemory && producer == graph::kNone) {
    causes.push_back({"", "", body ? "body_input" : "graph_input",
                      body ? "what a body of control flow takes from outside is in host memory" : "the caller gives it in host memory"});
  } else if (c.to != kHostMemory) {
    causes.push_back(blame.of(producer, device, first));
  } else {
    if (c.output)
      causes.push_back({"", "", body ? "body_output" : "graph_output",
                        body ? "what a body of control flow gives is taken in host memory" : "the caller reads it in host memory"});
    for (const graph::NodeIndex i : c.consumers) {
      BoundaryCopy::Cause cause =
          graph.assignments[i].provider != c.from
              ? blame.of(i, device, producer)
              : BoundaryCopy::Cause{g.nodes[i].id, providers[device]->name(), "host_operand", "its kernel reads the tensor in host memory"};
      const auto same = [&](const BoundaryCopy::Cause& k) { return k.code == cause.code && k.reason == cause.reason; };
      if (std::none_of(causes.begin(), causes.end(), same)) causes.push_back(std::move(cause));
    }
  }
  if (!causes.empty()) {
    out.cause = std::move(causes.front());
    out.also.assign(std::make_move_iterator(causes.begin() + 1), std::make_move_iterator(causes.end()));
  }
  return out;
}

}  // namespace ashlar::partition
