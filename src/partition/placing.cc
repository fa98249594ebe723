// SPDX-License-Identifier: Apache-2.0
#include "partition/placing.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "ops/host_evaluate.h"
#include "ops/host_values.h"

namespace ashlar::partition {

SpaceModel::SpaceModel(const PartitionedGraph& graph, const Providers& providers, const Costs& costs, const ExpectedShapes& shapes)
    : graph_(graph) {
  for (std::size_t p = 0; p < providers.size(); ++p) {
    space_of_provider_.push_back(has_device(*providers[p]) ? static_cast<std::uint32_t>(provider_of_space_.size()) : 0);
    if (space_of_provider_.back() != 0) provider_of_space_.push_back(p);
  }
  const graph::Graph& g = *graph.graph;
  problem_.spaces = provider_of_space_.size();
  for (graph::NodeIndex i = 0; i < g.nodes.size(); ++i) {
    const Assignment& a = graph.assignments[i];
    std::vector<Ticks>& node = problem_.nodes.emplace_back(problem_.spaces, kNever);
    std::vector<int>& cheapest = cheapest_.emplace_back(problem_.spaces, kCore);
    std::vector<Ticks>& by_provider = costs_of_.emplace_back(providers.size(), kNever);
    if (a.records.empty()) node[0] = 0;
    for (std::size_t p = 0; p < a.records.size(); ++p) {
      if (!a.records[p].accepted()) continue;
      by_provider[p] = to_ticks(costs.node(i, p, a.records[p].cost).nanoseconds);
      const std::uint32_t s = space_of_provider_[p];
      if (by_provider[p] >= node[s]) continue;
      node[s] = by_provider[p];
      cheapest[s] = static_cast<int>(p);
    }
  }
  if (problem_.spaces == 1) return;
  std::vector<std::uint32_t> producer(g.values.size(), SpaceProblem::kGiven);
  std::vector<std::vector<std::uint32_t>> consumers(g.values.size());
  std::vector<char> host_reads(g.values.size(), 0);
  for (graph::NodeIndex i = 0; i < g.nodes.size(); ++i) {
    const graph::Node& node = g.nodes[i];
    for (const graph::ValueId v : node.outputs)
      if (v != graph::kNone) producer[v] = i;
    const std::uint32_t shape_inputs = ops::shape_inputs(node);
    if (graph.assignments[i].provider == kHost && ops::reads_shape_only(node)) continue;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const graph::ValueId v = node.inputs[k];
      if (v == graph::kNone) continue;
      if (k < 32 && (shape_inputs >> k & 1) != 0) host_reads[v] = 1;
      else if (consumers[v].empty() || consumers[v].back() != i) consumers[v].push_back(i);
    }
    for (const graph::ValueId v : node.captures) host_reads[v] = 1;
  }
  for (const graph::ValueId v : g.outputs) host_reads[v] = 1;
  const std::set<graph::ValueId> inputs(g.inputs.begin(), g.inputs.end());
  for (graph::ValueId v = 0; v < g.values.size(); ++v) {
    if (g.values[v].constant.defined() && !inputs.contains(v)) continue;  // copied once, when the session is made
    if (consumers[v].empty() && !host_reads[v]) continue;
    SpaceProblem::Value value{
        .producer = producer[v], .consumers = std::move(consumers[v]), .host_reads = host_reads[v] != 0, .upload = {0}, .download = {0}};
    const std::uint64_t bytes = shapes.bytes_of(v);
    for (std::uint32_t s = 1; s < problem_.spaces; ++s) {
      value.upload.push_back(to_ticks(costs.upload_ns(provider_of_space_[s], bytes)));
      value.download.push_back(to_ticks(costs.download_ns(provider_of_space_[s], bytes)));
    }
    problem_.values.push_back(std::move(value));
    values_.push_back(v);
    bytes_.push_back(bytes);
  }
}

Spaces SpaceModel::spaces() const {
  Spaces out;
  for (const Assignment& a : graph_.assignments) out.push_back(space_of(a.provider));
  return out;
}

CopyTotals copy_totals(const SpaceModel& model, const Spaces& spaces) {
  CopyTotals out;
  const SpaceProblem& problem = model.problem();
  for (std::size_t i = 0; i < problem.values.size(); ++i) {
    const SpaceProblem::Value& value = problem.values[i];
    const ValueCopies copies = copies_of(problem, value, spaces);
    const std::size_t count = (copies.download ? 1 : 0) + copies.uploads.size();
    out.copies += static_cast<std::int64_t>(count);
    out.bytes += count * model.bytes(i);
    if (copies.download) out.cost += value.download[spaces[value.producer]];
    for (const std::uint32_t s : copies.uploads) out.cost += value.upload[s];
  }
  return out;
}

namespace {

std::string number(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}
std::string number(double value) { return number(value, value < 10 ? 2 : value < 100 ? 1 : 0); }

std::string counted(std::int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

/// The nodes that a device would take and does not get, where they hang together: it would get all of an island or none.
std::vector<std::vector<graph::NodeIndex>> islands(const PartitionedGraph& graph, const SpaceModel& model, std::uint32_t space,
                                                   const Spaces& spaces) {
  const std::size_t count = spaces.size();
  std::vector<graph::NodeIndex> parent(count);
  for (graph::NodeIndex i = 0; i < count; ++i) parent[i] = i;
  const auto find = [&](graph::NodeIndex i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  const auto would = [&](graph::NodeIndex i) { return spaces[i] != space && model.problem().nodes[i][space] < kNever; };
  for (const SpaceProblem::Value& value : model.problem().values) {
    graph::NodeIndex first = value.producer != SpaceProblem::kGiven && would(value.producer) ? value.producer : graph::kNone;
    for (const std::uint32_t c : value.consumers) {
      if (!would(c)) continue;
      if (first == graph::kNone) first = c;
      else parent[find(c)] = find(first);
    }
  }
  std::vector<std::vector<graph::NodeIndex>> out;
  std::vector<std::size_t> at(count, count);
  for (graph::NodeIndex i = 0; i < graph.assignments.size(); ++i) {
    if (!would(i)) continue;
    std::size_t& island = at[find(i)];
    if (island == count) island = out.size(), out.emplace_back();
    out[island].push_back(i);
  }
  return out;
}

/// Says why providers that would take nodes lost them.
class Losers {
 public:
  Losers(PartitionedGraph& graph, const Providers& providers, const SpaceModel& model, const Spaces& spaces, const std::string& profile)
      : graph_(graph), providers_(providers), model_(model), spaces_(spaces), by_(profile.empty() ? "" : " (by " + profile + ")") {}

  void explain() {
    for (std::uint32_t s = 1; s < model_.problem().spaces; ++s)
      for (const std::vector<graph::NodeIndex>& island : islands(graph_, model_, s, spaces_)) explain_island(island, s);
    for (graph::NodeIndex i = 0; i < graph_.assignments.size(); ++i) {
      Assignment& a = graph_.assignments[i];
      for (std::size_t p = 0; p < a.records.size(); ++p) {
        if (!a.records[p].accepted() || static_cast<int>(p) == a.provider) continue;
        const auto winner = static_cast<std::size_t>(a.provider);
        const Ticks there = model_.cost(i, p), here = model_.cost(i, winner);
        std::string reason = "it would take " + time_text(to_nanoseconds(there)) + " on " + providers_[p]->name() + "; it takes " +
                             time_text(to_nanoseconds(here)) + " on " + providers_[winner]->name();
        if (there < here) reason += ", and copies would take more than that saves";
        a.records[p].refuse(ASHLAR_COST_MODEL, std::make_shared<const std::string>(reason + by_));
      }
    }
  }

 private:
  /// What an island's kernels would save on the device, and what its copies would cost.
  void explain_island(const std::vector<graph::NodeIndex>& island, std::uint32_t space) {
    const std::size_t provider = model_.provider_of(space);
    Spaces moved = spaces_;
    Ticks here = 0, there = 0;
    std::set<int> winners;
    for (const graph::NodeIndex i : island) {
      moved[i] = space;
      here += model_.problem().nodes[i][spaces_[i]];
      there += model_.problem().nodes[i][space];
      winners.insert(graph_.assignments[i].provider);
    }
    const bool alone = island.size() == 1;
    std::string text = alone ? "the node" : "the " + std::to_string(island.size()) + " connected nodes it belongs to";
    text += " would take " + time_text(to_nanoseconds(there)) + " on " + providers_[provider]->name();
    const CopyTotals before = copy_totals(model_, spaces_), after = copy_totals(model_, moved);
    const std::int64_t copies = after.copies - before.copies;
    const auto bytes = static_cast<std::int64_t>(after.bytes) - static_cast<std::int64_t>(before.bytes);
    if (const Ticks more = after.cost - before.cost; more != 0)
      text += (more > 0 ? " and " : ", save ") + time_text(to_nanoseconds(std::abs(more))) + " of copies (" +
              counted(std::abs(copies), "copy", "copies") + ", " + size_text(static_cast<std::uint64_t>(std::abs(bytes))) + " a run)";
    text += (alone ? "; it takes " : "; they take ") + time_text(to_nanoseconds(here)) +
            (winners.size() == 1 ? " on " + providers_[static_cast<std::size_t>(*winners.begin())]->name() : " where they are");
    const auto sentence = std::make_shared<const std::string>(text + by_);
    for (const graph::NodeIndex i : island)
      graph_.assignments[i].records[provider].refuse(there < here ? ASHLAR_SUBGRAPH_TOO_SMALL : ASHLAR_COST_MODEL, sentence);
  }

  PartitionedGraph& graph_;
  const Providers& providers_;
  const SpaceModel& model_;
  const Spaces& spaces_;
  const std::string by_;
};

/// Bytes of the constants that nodes in the space read there.
std::uint64_t weights_in(const graph::Graph& g, const Spaces& spaces, std::uint32_t space) {
  std::set<graph::ValueId> seen;
  std::uint64_t out = 0;
  for (graph::NodeIndex i = 0; i < g.nodes.size(); ++i)
    for (const graph::ValueId v : g.nodes[i].inputs)
      if (spaces[i] == space && v != graph::kNone && g.values[v].constant.defined() && seen.insert(v).second)
        out += g.values[v].constant.bytes();
  return out;
}

/// Refuses nodes of a device whose weights do not fit, those first that gain least for a byte of weights; whether there were any.
bool heed_budget(PartitionedGraph& graph, const Providers& providers, const Request& request, const SpaceModel& model,
                 const Spaces& spaces) {
  bool refused = false;
  for (std::uint32_t s = 1; s < model.problem().spaces; ++s) {
    const std::size_t p = model.provider_of(s);
    const auto budget = request.budgets.find(providers[p]->name());
    if (budget == request.budgets.end()) continue;
    std::uint64_t used = weights_in(*graph.graph, spaces, s);
    if (used <= budget->second) continue;
    struct Node {
      graph::NodeIndex index;
      std::uint64_t bytes;
      double gain;  ///< ns for a byte
    };
    std::vector<Node> nodes;
    for (graph::NodeIndex i = 0; i < spaces.size(); ++i) {
      if (spaces[i] != s || model.problem().nodes[i][0] >= kNever) continue;
      std::uint64_t bytes = 0;
      for (const graph::ValueId v : graph.graph->nodes[i].inputs)
        if (v != graph::kNone && graph.graph->values[v].constant.defined()) bytes += graph.graph->values[v].constant.bytes();
      if (bytes == 0) continue;
      const Ticks gain = model.problem().nodes[i][0] - model.problem().nodes[i][s];
      nodes.push_back({i, bytes, to_nanoseconds(gain) / static_cast<double>(bytes)});
    }
    std::stable_sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) { return a.gain < b.gain; });
    const std::uint64_t wanted = used;
    for (const Node& node : nodes) {
      if (used <= budget->second) break;
      graph.assignments[node.index].records[p].refuse(
          ASHLAR_MEMORY_BUDGET,
          std::make_shared<const std::string>("its weights take " + size_text(node.bytes) + "; those of all nodes for the device " +
                                              size_text(wanted) + ", the limit is " + size_text(budget->second)));
      used -= std::min(used, node.bytes);
      refused = true;
    }
  }
  return refused;
}

}  // namespace

std::string time_text(double ns) {
  if (ns < 0) return "-" + time_text(-ns);
  if (ns < 1e3) return number(ns) + " ns";
  if (ns < 1e6) return number(ns / 1e3) + " us";
  if (ns < 1e9) return number(ns / 1e6) + " ms";
  return number(ns / 1e9) + " s";
}

std::string size_text(std::uint64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (b < 1024) return std::to_string(bytes) + " B";
  if (b < 1024.0 * 1024) return number(b / 1024) + " KiB";
  if (b < 1024.0 * 1024 * 1024) return number(b / (1024.0 * 1024)) + " MiB";
  return number(b / (1024.0 * 1024 * 1024)) + " GiB";
}

void place_by_cost(PartitionedGraph& graph, const Providers& providers, const Request& request, const Costs& costs,
                   const ExpectedShapes& shapes) {
  constexpr int kMostRounds = 64;  // a round refuses at least one node for lack of memory
  for (int round = 0;; ++round) {
    const SpaceModel model(graph, providers, costs, shapes);
    // The other start is the placement by preference.
    Spaces preferred;
    for (graph::NodeIndex i = 0; i < graph.assignments.size(); ++i) {
      const std::vector<Record>& records = graph.assignments[i].records;
      const auto first = std::find_if(records.begin(), records.end(), [](const Record& r) { return r.accepted(); });
      preferred.push_back(first == records.end() ? 0 : model.space_of(static_cast<int>(first - records.begin())));
    }
    const Spaces spaces = cheapest_spaces(model.problem(), {preferred});
    if (round < kMostRounds && heed_budget(graph, providers, request, model, spaces)) continue;
    for (graph::NodeIndex i = 0; i < graph.assignments.size(); ++i)
      if (!graph.assignments[i].records.empty()) graph.assignments[i].provider = model.cheapest(i, spaces[i]);
    Losers(graph, providers, model, spaces, request.profile ? request.profile->source : "").explain();
    return;
  }
}

}  // namespace ashlar::partition
