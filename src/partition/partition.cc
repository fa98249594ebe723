// SPDX-License-Identifier: Apache-2.0
#include "partition/partition.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

#include "core/text.h"
#include "ops/facts.h"
#include "ops/host_values.h"
#include "partition/pins.h"
#include "partition/placing.h"

namespace ashlar::partition {
namespace {

[[noreturn]] void throw_unplaced(const GraphView& view, graph::NodeIndex index, const Assignment& assignment, const Providers& providers) {
  std::string message = "no provider runs " + view.graph().nodes[index].op_name();
  const char* separator = ": ";
  for (std::size_t p = 0; p < assignment.records.size(); ++p) {
    const Record& r = assignment.records[p];
    message += separator + providers[p]->name() + " (" + verdict_code_name(r.code) + "): " + *r.reason;
    separator = "; ";
  }
  throw Error(ErrorCode::kUnsupported, message, view.context(index, ""));
}

/// Guards on dimensions that are fixed hold or do not.
void settle_guards(const graph::Graph& g, const graph::Node& node, Answer& answer) {
  std::vector<AshlarGuard> open;
  for (const AshlarGuard& guard : answer.guards) {
    const ValueType& type = g.values[node.inputs[guard.input]].type;
    const bool known = type.shape && guard.axis < type.shape->size() && (*type.shape)[guard.axis].fixed();
    if (!known) {
      open.push_back(guard);
    } else if (const std::int64_t size = (*type.shape)[guard.axis].value; size > guard.most) {
      answer.code = ASHLAR_DYNAMIC_SHAPE;
      answer.reason = "dimension " + std::to_string(guard.axis) + " of its input " + std::to_string(guard.input) + " is " +
                      std::to_string(size) + ", it takes it up to " + std::to_string(guard.most);
    }
  }
  answer.guards = std::move(open);
}

/// Texts that are kept once.
class Texts {
 public:
  SharedText keep(std::string text) {
    const auto at = texts_.find(text);
    if (at != texts_.end()) return at->second;
    auto kept = std::make_shared<const std::string>(std::move(text));
    texts_.emplace(*kept, kept);
    return kept;
  }

 private:
  std::unordered_map<std::string_view, SharedText> texts_;
};

/// Asks every provider about every node that is not the core's own.
PartitionedGraph ask(std::shared_ptr<const graph::Graph> graph, const Providers& providers, Texts& texts) {
  PartitionedGraph out;
  out.view = std::make_shared<const GraphView>(graph);
  out.graph = std::move(graph);
  out.assignments.reserve(out.graph->nodes.size());
  const std::vector<char> on_host = ops::host_nodes(*out.graph);
  for (graph::NodeIndex i = 0; i < out.graph->nodes.size(); ++i) {
    const graph::Node& node = out.graph->nodes[i];
    Assignment& assignment = out.assignments.emplace_back();
    if (on_host[i]) {
      assignment.provider = kHost;
      assignment.kernel = "host";
    } else if (ops::is_core_operator(*out.graph, node)) {
      assignment.kernel = node.op_type;
      for (auto& [name, body] : graph::bodies(node)) out.bodies[i].emplace(name, ask(body, providers, texts));
    } else {
      assignment.records.reserve(providers.size());
      for (const auto& provider : providers) {
        Answer answer = provider->verdict(*out.view, i);
        settle_guards(*out.graph, node, answer);
        Record& record = assignment.records.emplace_back();
        record.code = answer.code;
        record.offered = answer.accepted();
        if (record.offered) record.kernel = texts.keep(std::move(answer.kernel));
        else record.reason = texts.keep(std::move(answer.reason));
        record.cost = answer.cost;
        record.guards = std::move(answer.guards);
      }
    }
  }
  return out;
}

void refuse_guarded(PartitionedGraph& graph) {
  for (Assignment& a : graph.assignments)
    for (Record& r : a.records) {
      if (r.accepted() && !r.guards.empty())
        r.refuse(ASHLAR_DYNAMIC_SHAPE,
                 std::make_shared<const std::string>("it takes the node while " + guard_text(r.guards.front()) + " alone"));
    }
}

/// Whether the profile has a step of one of the graph's nodes on one of the providers.
bool knows(const Profile& profile, const PartitionedGraph& graph, const Providers& providers) {
  std::set<std::string_view> ids, names;
  each_graph(graph, [&](const PartitionedGraph& g) {
    for (const graph::Node& node : g.graph->nodes) ids.insert(node.id);
  });
  for (const auto& p : providers) names.insert(p->name());
  return std::any_of(profile.steps.begin(), profile.steps.end(), [&](const Profile::Step& step) {
    return names.contains(step.provider) &&
           std::any_of(step.nodes.begin(), step.nodes.end(), [&](const std::string& id) { return ids.contains(id); });
  });
}

void place(PartitionedGraph& graph, const Providers& providers, const Request& request, const ExpectedShapes* around) {
  for (graph::NodeIndex i = 0; i < graph.assignments.size(); ++i) {
    const Assignment& a = graph.assignments[i];
    if (!a.records.empty() && std::none_of(a.records.begin(), a.records.end(), [](const Record& r) { return r.accepted(); }))
      throw_unplaced(*graph.view, i, a, providers);
  }
  std::optional<ExpectedShapes> shapes;
  if (request.by_cost) {
    if (around) shapes.emplace(*graph.graph, *around);
    else shapes.emplace(*graph.graph, request.expected);
    const Costs costs(*graph.graph, providers, *shapes, request.profile);
    place_by_cost(graph, providers, request, costs, *shapes);
  }
  for (graph::NodeIndex i = 0; i < graph.assignments.size(); ++i) {
    Assignment& a = graph.assignments[i];
    if (a.records.empty()) continue;
    if (!request.by_cost) {
      const auto first = std::find_if(a.records.begin(), a.records.end(), [](const Record& r) { return r.accepted(); });
      a.provider = static_cast<int>(first - a.records.begin());
    }
    a.kernel = *a.records[static_cast<std::size_t>(a.provider)].kernel;
  }
  for (auto& [node, bodies] : graph.bodies)
    for (auto& [name, body] : bodies) place(body, providers, request, shapes ? &*shapes : nullptr);
}

}  // namespace

PartitionedGraph partition(std::shared_ptr<const graph::Graph> graph, const Providers& providers, const Request& request) {
  Texts texts;
  PartitionedGraph out = ask(std::move(graph), providers, texts);
  if (!request.heed_guards) each_graph(out, refuse_guarded);
  if (!request.pins.empty()) apply_pins(out, providers, request.pins);
  if (request.profile && !knows(*request.profile, out, providers))
    throw Error(ErrorCode::kInvalidArgument, "the profile '" + core::printable(request.profile->source) +
                                                 "' has no step of this session's nodes on its providers: it is of another model, of other "
                                                 "passes or of other providers");
  place(out, providers, request, nullptr);
  return out;
}

void place_again(PartitionedGraph& graph, const Providers& providers, const Request& request) {
  each_graph(graph, [](PartitionedGraph& g) {
    for (Assignment& a : g.assignments)
      for (Record& r : a.records) {
        a.provider = kCore;
        if (r.offered && (r.code == ASHLAR_COST_MODEL || r.code == ASHLAR_SUBGRAPH_TOO_SMALL || r.code == ASHLAR_MEMORY_BUDGET)) r.accept();
      }
  });
  place(graph, providers, request, nullptr);
}

std::string guard_text(const AshlarGuard& guard) {
  return "input " + std::to_string(guard.input) + ", dimension " + std::to_string(guard.axis) + " <= " + std::to_string(guard.most);
}

void verify(const PartitionedGraph& g, const Providers& providers) {
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInternal, "the partitioned graph is wrong: " + what); };
  if (g.assignments.size() != g.graph->nodes.size()) fail("not one assignment a node");
  for (std::size_t i = 0; i < g.assignments.size(); ++i) {
    const Assignment& a = g.assignments[i];
    const std::string& id = g.graph->nodes[i].id;
    if (a.provider < 0) continue;
    if (static_cast<std::size_t>(a.provider) >= providers.size()) fail(id + " is on no provider");
    if (a.records.size() != providers.size()) fail(id + " lacks a verdict");
    if (!a.records[static_cast<std::size_t>(a.provider)].accepted()) fail(id + " is where it was refused");
  }
  for (const auto& [node, bodies] : g.bodies)
    for (const auto& [name, body] : bodies) verify(body, providers);
}

}  // namespace ashlar::partition
