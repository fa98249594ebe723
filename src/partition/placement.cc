// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <ashlar/placement.h>
#include <ashlar/trace.h>
#include <nlohmann/json.hpp>

#include "partition/placing.h"

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

Json cost_json(const std::optional<Cost>& cost) {
  if (!cost) return nullptr;
  return {{"ns", cost->nanoseconds},
          {"operations", cost->operations},
          {"bytes", cost->bytes},
          {"launch_ns", cost->launch_ns},
          {"source", cost->measured ? "profile" : "model"}};
}

Json node_json(const NodePlacement& n) {
  Json verdicts = Json::array();
  for (const Verdict& v : n.verdicts) {
    Json one = {{"provider", v.provider}, {"accepted", v.accepted}};
    if (!v.accepted) {
      one["code"] = v.code;
      one["reason"] = v.reason;
    }
    if (!v.guards.empty()) one["guards"] = v.guards;
    if (v.cost) one["cost"] = cost_json(v.cost);
    verdicts.push_back(std::move(one));
  }
  Json out = {
      {"node", n.node},       {"op", n.op},       {"opset", n.opset},     {"provider", n.provider},    {"kernel", n.kernel},
      {"outputs", n.outputs}, {"graph", n.graph}, {"sources", n.sources}, {"cost", cost_json(n.cost)}, {"verdicts", std::move(verdicts)}};
  if (n.measured_ns) out["time_ns"] = *n.measured_ns;
  return out;
}

Json cause_json(const BoundaryCopy::Cause& cause) {
  return {{"node", cause.node}, {"provider", cause.provider}, {"code", cause.code}, {"reason", cause.reason}};
}

Json copy_json(const BoundaryCopy& c) {
  Json out = {{"tensor", c.tensor},
              {"type", c.type},
              {"graph", c.graph},
              {"producer", c.producer},
              {"consumers", c.consumers},
              {"from", c.from},
              {"to", c.to},
              {"when", c.once ? "once" : "run"},
              {"bytes", c.bytes ? Json(*c.bytes) : Json(nullptr)},
              {"expected_bytes", c.expected_bytes},
              {"cause", cause_json(c.cause)},
              {"cost_ns", c.cost_ns}};
  for (const BoundaryCopy::Cause& cause : c.also) out["also"].push_back(cause_json(cause));
  if (c.runs > 0) out["measured"] = {{"runs", c.runs}, {"bytes", c.measured_bytes}, {"ns", c.measured_ns}};
  return out;
}

struct Totals {
  std::int64_t per_run = 0, once = 0, unknown = 0;
  std::uint64_t bytes_per_run = 0, bytes_once = 0;
};
Totals totals(const std::vector<BoundaryCopy>& copies) {
  Totals out;
  for (const BoundaryCopy& c : copies) {
    (c.once ? out.once : out.per_run) += 1;
    (c.once ? out.bytes_once : out.bytes_per_run) += c.expected_bytes;
    out.unknown += c.bytes ? 0 : 1;
  }
  return out;
}

/// Whether the session gave the verdict, and the provider itself would take the node.
bool is_choice(const std::string& code) {
  static const char* const kChoices[] = {"cost_model", "subgraph_too_small", "user_pin", "memory_budget"};
  return std::find(std::begin(kChoices), std::end(kChoices), code) != std::end(kChoices);
}

/// "example refused Exp_4 (no_kernel_op): example has no kernel for Exp".
std::string cause_text(const BoundaryCopy::Cause& cause) {
  if (cause.provider.empty() || cause.code == "host_operand" || cause.code == "preference")
    return (cause.node.empty() ? "" : cause.node + ": ") + cause.reason + " (" + cause.code + ")";
  return cause.provider + (is_choice(cause.code) ? " was not chosen for " : " refused ") + cause.node + " (" + cause.code +
         "): " + cause.reason;
}

std::string counted(std::int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

/// "12.1 KiB"; "~12.1 KiB" where the shape is not known before a run.
std::string size_of(const BoundaryCopy& c) { return (c.bytes ? "" : "~") + partition::size_text(c.expected_bytes); }

/// Every copy of a run, with its readers and causes.
void print_copies(std::ostream& out, const Placement& placement) {
  std::unordered_map<std::string_view, std::string_view> operators;
  for (const NodePlacement& n : placement.nodes) operators.emplace(n.node, n.op);
  const auto named = [&](const std::string& id) {
    const auto op = operators.find(id);
    return op == operators.end() ? id : id + " (" + std::string(op->second) + ")";
  };
  bool any = false;
  for (const BoundaryCopy& c : placement.copies) {
    if (c.once) continue;
    if (!std::exchange(any, true)) out << "copies of a run, each with its cause:\n";
    out << "  " << c.from << " -> " << c.to << "  " << size_of(c) << "  " << c.tensor << " (" << c.type << ")"
        << (c.graph.empty() ? "" : " in " + c.graph) << ": "
        << (!c.producer.empty() ? named(c.producer)
            : c.graph.empty()   ? "(input)"
                                : "(from outside)")
        << " -> ";
    constexpr std::size_t kShown = 3;
    for (std::size_t i = 0; i < std::min(kShown, c.consumers.size()); ++i) out << (i ? ", " : "") << named(c.consumers[i]);
    if (c.consumers.size() > kShown) out << " and " << counted(static_cast<std::int64_t>(c.consumers.size() - kShown), "other", "others");
    if (c.runs > 0)
      out << "; measured " << counted(c.runs, "copy", "copies") << ", " << partition::size_text(c.measured_bytes) << ", "
          << partition::time_text(c.measured_ns);
    out << "\n      because " << cause_text(c.cause) << '\n';
    for (const BoundaryCopy::Cause& cause : c.also) out << "      and because " << cause_text(cause) << '\n';
  }
}

/// What forced copies, most of them first: "90 copies, 720 B: example has no kernel for NonZero (no_kernel_op)".
void print_causes(std::ostream& out, const std::vector<BoundaryCopy>& copies) {
  struct Group {
    std::string cause;
    std::int64_t copies = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<Group> groups;
  for (const BoundaryCopy& c : copies) {
    if (c.once) continue;
    const bool names_provider = c.cause.provider.empty() || c.cause.reason.find(c.cause.provider) != std::string::npos;
    const std::string cause = (names_provider ? "" : c.cause.provider + ": ") + c.cause.reason + " (" + c.cause.code + ")";
    auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.cause == cause; });
    if (at == groups.end()) at = groups.insert(at, {cause});
    ++at->copies;
    at->bytes += c.expected_bytes;
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.copies > b.copies; });
  for (const Group& g : groups)
    out << "  " << counted(g.copies, "copy", "copies") << ", " << partition::size_text(g.bytes) << ": " << g.cause << '\n';
}

void print_totals(std::ostream& out, const Placement& placement) {
  const Totals all = totals(placement.copies);
  if (placement.copies.empty()) {
    if (placement.policy == "cost") out << "no copies between memories\n";
    return;
  }
  out << "copies between memories: " << counted(all.per_run, "copy", "copies") << " a run, " << (all.unknown > 0 ? "~" : "")
      << partition::size_text(all.bytes_per_run) << ", by what forced them:\n";
  print_causes(out, placement.copies);
  if (all.once > 0)
    out << "  and once, when the session is made: " << counted(all.once, "weight", "weights") << ", "
        << partition::size_text(all.bytes_once) << ", to the memory of the nodes that read them\n";
  if (all.unknown > 0) out << "  ~: estimated; of the shape, a dimension is known only at a run: it counts as --shape says, else as 1\n";
}

}  // namespace

void Placement::add(const Trace& trace) {
  std::unordered_map<std::string, double> times;
  for (const TraceEvent& e : trace.events) {
    const auto ns = static_cast<double>(!e.queue.empty() && e.duration_ns > 0 ? e.duration_ns : e.issue_ns);
    if (e.copy >= 0 && static_cast<std::size_t>(e.copy) < copies.size()) {
      BoundaryCopy& c = copies[static_cast<std::size_t>(e.copy)];
      ++c.runs;
      c.measured_bytes += e.bytes;
      c.measured_ns += ns;
    } else if (!e.op.starts_with('(')) {
      times[e.node] += ns;
    }
  }
  for (NodePlacement& n : nodes) {
    const auto time = times.find(n.node);
    if (time != times.end()) n.measured_ns = (n.measured_ns.value_or(0) * traced_runs + time->second) / (traced_runs + 1);
  }
  ++traced_runs;
}

std::string Placement::to_json() const {
  const Totals all = totals(copies);
  Json j = {
      {"schema", 1},
      {"policy", policy},
      {"profile", profile},
      {"cost_ns", cost_ns},
      {"nodes", Json::array()},
      {"copies", Json::array()},
      {"totals",
       {{"copies_per_run", all.per_run}, {"bytes_per_run", all.bytes_per_run}, {"copies_once", all.once}, {"bytes_once", all.bytes_once}}}};
  for (const NodePlacement& n : nodes) j["nodes"].push_back(node_json(n));
  for (const BoundaryCopy& c : copies) j["copies"].push_back(copy_json(c));
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::ostream& operator<<(std::ostream& out, const Placement& placement) {
  std::size_t node = 4, op = 8, provider = 8, kernel = 6;
  std::map<std::string, std::size_t> counts;
  for (const NodePlacement& n : placement.nodes) {
    node = std::max(node, n.node.size());
    op = std::max(op, n.op.size() + 1 + std::to_string(n.opset).size());
    provider = std::max(provider, n.provider.size());
    kernel = std::max(kernel, n.kernel.size());
    ++counts[n.provider];
  }
  const auto cell = [&](const std::string& text, std::size_t width) {
    out << text << std::string(width + 2 - std::min(width, text.size()), ' ');
  };
  const bool estimated = placement.policy == "cost", measured = placement.traced_runs > 0;
  constexpr std::size_t kTime = 9;
  cell("node", node), cell("operator", op), cell("provider", provider), cell("kernel", kernel);
  if (estimated) cell("estimated", kTime);
  if (measured) cell("measured", kTime);
  out << "outputs\n";
  for (const NodePlacement& n : placement.nodes) {
    cell(n.node, node), cell(n.op + "@" + std::to_string(n.opset), op), cell(n.provider, provider), cell(n.kernel, kernel);
    if (estimated) cell(n.cost ? partition::time_text(n.cost->nanoseconds) : "", kTime);
    if (measured) cell(n.measured_ns ? partition::time_text(*n.measured_ns) : "", kTime);
    out << n.outputs << '\n';
    for (const Verdict& v : n.verdicts) {
      if (!v.accepted)
        out << "    " << v.provider << (is_choice(v.code) && v.cost ? " was not chosen (" : " refused (") << v.code << "): " << v.reason
            << '\n';
      for (const std::string& guard : v.guards)
        if (v.accepted) out << "    " << v.provider << " takes it while " << guard << '\n';
    }
  }
  print_copies(out, placement);
  out << placement.nodes.size() << " nodes";
  const char* separator = ": ";
  for (const auto& [name, count] : counts) {
    out << separator << count << " on " << name;
    separator = ", ";
  }
  if (placement.policy == "cost")
    out << "; by cost" << (placement.profile.empty() ? "" : ", measured by " + placement.profile) << ": "
        << partition::time_text(placement.cost_ns) << " a run";
  out << '\n';
  print_totals(out, placement);
  return out;
}

}  // namespace ashlar::inline v0
