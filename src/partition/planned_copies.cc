// SPDX-License-Identifier: Apache-2.0
// The copies of a placement that nobody prepared: what a plan would make of it.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "ops/host_values.h"
#include "partition/placing.h"
#include "partition/report.h"

namespace ashlar::partition {
namespace {

class PlannedCopies {
 public:
  PlannedCopies(const Providers& providers, const Request& request) : providers_(providers), request_(request) {}

  void add(const PartitionedGraph& graph, const std::string& path, const ExpectedShapes& shapes) {
    const Costs costs(*graph.graph, providers_, shapes, request_.profile);
    const SpaceModel model(graph, providers_, costs, shapes);
    const auto describe_all = [&](const std::vector<Crossing>& crossings) {
      for (const Crossing& c : crossings) out_.push_back(describe(graph, providers_, costs, path, c));
    };
    for (std::size_t i = 0; i < model.problem().values.size(); ++i) describe_all(copies_of_value(graph, model, i));
    for (std::uint32_t s = 1; s < model.problem().spaces; ++s)
      for (const Crossing& c : weights_into(graph, model, s)) {
        // Weights with the same bytes are copied once.
        const Tensor& weight = graph.graph->values[c.value].constant;
        const auto [at, is_new] = weights_.try_emplace({weight.raw(), weight.bytes(), s}, out_.size());
        if (is_new) {
          out_.push_back(describe(graph, providers_, costs, path, c));
          continue;
        }
        std::vector<std::string>& consumers = out_[at->second].consumers;
        for (const graph::NodeIndex n : c.consumers) consumers.push_back(graph.graph->nodes[n].id);
      }
  }
  std::vector<BoundaryCopy> take() { return std::move(out_); }

 private:
  Crossing crossing(const SpaceModel& model, graph::ValueId value, std::uint32_t from, std::uint32_t to,
                    std::vector<graph::NodeIndex> consumers) const {
    const auto provider = [&](std::uint32_t s) { return s == 0 ? kHostMemory : static_cast<int>(model.provider_of(s)); };
    const auto name = [&](std::uint32_t s) { return s == 0 ? "host" : providers_[model.provider_of(s)]->name(); };
    Crossing out;
    out.value = value;
    out.from = provider(from), out.to = provider(to);
    out.from_name = name(from), out.to_name = name(to);
    out.consumers = std::move(consumers);
    return out;
  }

  /// Whether the node takes the value in host memory, wherever it works.
  static bool reads_on_host(const graph::Node& node, graph::ValueId value) {
    const std::uint32_t in_host_memory = ops::shape_inputs(node);
    for (std::size_t i = 0; i < node.inputs.size() && i < 32; ++i)
      if (node.inputs[i] == value && (in_host_memory >> i & 1) != 0) return true;
    return std::find(node.captures.begin(), node.captures.end(), value) != node.captures.end();
  }

  /// To the host, and on to every device that reads it.
  std::vector<Crossing> copies_of_value(const PartitionedGraph& graph, const SpaceModel& model, std::size_t index) const {
    const graph::Graph& g = *graph.graph;
    const SpaceProblem::Value& value = model.problem().values[index];
    const graph::ValueId id = model.value(index);
    const Spaces spaces = model.spaces();
    const ValueCopies copies = copies_of(model.problem(), value, spaces);
    const std::uint32_t home = value.producer == SpaceProblem::kGiven ? 0 : spaces[value.producer];
    const auto readers = [&](auto takes) {
      std::vector<graph::NodeIndex> out;
      for (const std::uint32_t n : value.consumers)
        if (takes(spaces[n])) out.push_back(n);
      return out;
    };
    std::vector<Crossing> out;
    if (copies.download) {
      Crossing c = crossing(model, id, home, 0, readers([&](std::uint32_t s) { return s != home; }));
      c.output = std::find(g.outputs.begin(), g.outputs.end(), id) != g.outputs.end();
      for (graph::NodeIndex n = 0; n < g.nodes.size(); ++n)
        if (reads_on_host(g.nodes[n], id) && std::find(c.consumers.begin(), c.consumers.end(), n) == c.consumers.end())
          c.consumers.push_back(n);
      std::sort(c.consumers.begin(), c.consumers.end());
      out.push_back(std::move(c));
    }
    for (const std::uint32_t s : copies.uploads)
      out.push_back(crossing(model, id, 0, s, readers([&](std::uint32_t at) { return at == s; })));
    return out;
  }

  std::vector<Crossing> weights_into(const PartitionedGraph& graph, const SpaceModel& model, std::uint32_t space) const {
    std::map<graph::ValueId, std::vector<graph::NodeIndex>> readers;
    for (graph::NodeIndex n = 0; n < graph.assignments.size(); ++n) {
      if (model.space_of(graph.assignments[n].provider) != space) continue;
      const graph::Node& node = graph.graph->nodes[n];
      const std::uint32_t in_host_memory = ops::shape_inputs(node);
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const graph::ValueId v = node.inputs[i];
        if (v == graph::kNone || !graph.graph->values[v].constant.defined() || (i < 32 && (in_host_memory >> i & 1) != 0)) continue;
        readers[v].push_back(n);
      }
    }
    std::vector<Crossing> out;
    for (auto& [v, nodes] : readers) {
      out.push_back(crossing(model, v, 0, space, std::move(nodes)));
      out.back().once = true;
    }
    return out;
  }

  const Providers& providers_;
  const Request& request_;
  std::vector<BoundaryCopy> out_;
  std::map<std::tuple<const void*, std::size_t, std::uint32_t>, std::size_t> weights_;  ///< by address, bytes and space: index into out_
};

}  // namespace

std::vector<BoundaryCopy> planned_copies(const PartitionedGraph& graph, const Providers& providers, const Request& request) {
  PlannedCopies out(providers, request);
  each_with_shapes(graph, "", ExpectedShapes(*graph.graph, request.expected),
                   [&](const PartitionedGraph& g, const std::string& path, const ExpectedShapes& shapes) { out.add(g, path, shapes); });
  return out.take();
}

}  // namespace ashlar::partition
