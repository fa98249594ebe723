// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/environment.h>
#include <ashlar/session.h>

#include "command.h"
#include "explain_page.h"
#include "explain_report.h"
#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "pass_options.h"
#include "placement_options.h"
#include "print.h"
#include "suggest.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

const std::vector<std::string>& stages() {
  static const std::vector<std::string> names = {"graph", "optimized", "placement", "plan"};
  return names;
}

struct Arguments {
  std::string model, stage, node, page, devices;
  PlacementWords placement;
  PassWords passes;
  std::vector<std::string> shapes;
  std::optional<int> measured;
  bool plan_only = false, json = false;
  std::string before, after;  ///< of diff
};

const NodePlacement* find_node(const Placement& placement, const std::string& id) {
  for (const NodePlacement& n : placement.nodes)
    if (n.node == id) return &n;
  return nullptr;
}

/// The nodes that stand for that one: itself, or what the passes made of it.
std::vector<const NodePlacement*> find_nodes(const Session& session, const Placement& placement, const std::string& id) {
  if (const NodePlacement* node = find_node(placement, id)) return {node};
  std::vector<const NodePlacement*> out;
  if (!session.optimization().history(id).empty()) {
    for (const std::string& now : session.optimization().successors(id))
      if (const NodePlacement* node = find_node(placement, now)) out.push_back(node);
    return out;
  }
  std::vector<std::string> ids;
  for (const NodePlacement& n : placement.nodes) ids.push_back(n.node);
  for (const Optimization::Rewrite& r : session.optimization().rewrites)
    for (const Optimization::NodeRef& n : r.before) ids.push_back(n.node);
  fail(ErrorCode::kNotFound, "the session has no node '{}'{}", id, suggestion(id, ids));
}

bool concerns(const Optimization::NearMiss& miss, const std::string& id, const std::vector<const NodePlacement*>& nodes) {
  const auto is = [&](const std::string& node) {
    return node == id || std::any_of(nodes.begin(), nodes.end(), [&](const NodePlacement* n) { return n->node == node; });
  };
  return is(miss.anchor.node) || std::any_of(miss.anchor.origins.begin(), miss.anchor.origins.end(), is);
}

/// What the passes did to the node, and nearly did.
void print_history(const Optimization& o, const std::string& id, const std::vector<const NodePlacement*>& nodes) {
  std::string text;
  for (const std::size_t i : o.history(id)) {
    text += fmt::format("rewrite {}, {}\n", i + 1, rewrite_text(o.rewrites[i]));
  }
  for (const Optimization::NearMiss& m : o.near_misses)
    if (concerns(m, id, nodes)) text += fmt::format("near miss, {}: {} of {}: {}\n", m.rule, m.matched, m.total, m.reason);
  if (nodes.empty()) text += "nothing is left of it\n";
  fmt::print("{}", printable_lines(text));
}

Json history_json(const Optimization& o, const std::string& id, const std::vector<const NodePlacement*>& nodes) {
  const Json all = Json::parse(o.to_json());
  Json out = {{"rewrites", Json::array()}, {"near_misses", Json::array()}};
  for (const std::size_t i : o.history(id)) out["rewrites"].push_back(all["rewrites"][i]);
  for (std::size_t i = 0; i < o.near_misses.size(); ++i)
    if (concerns(o.near_misses[i], id, nodes)) out["near_misses"].push_back(all["near_misses"][i]);
  return out;
}

std::string cost_text(const Cost& cost) {
  return fmt::format("{} ({}{:.3g} operations, {})", time_text(cost.nanoseconds), cost.measured ? "measured; " : "estimated; ",
                     cost.operations, bytes_text(static_cast<std::uint64_t>(cost.bytes)));
}

void print_node(const NodePlacement& n, const Placement& placement) {
  std::vector<std::vector<std::string>> rows = {{"node", n.node},
                                                {"operator", fmt::format("{}, since opset {}", n.op, n.opset)},
                                                {"provider", n.provider},
                                                {"kernel", n.kernel},
                                                {"outputs", n.outputs}};
  if (n.measured_ns) rows.push_back({"measured", time_text(*n.measured_ns) + " a run"});
  for (const Verdict& v : n.verdicts) {
    std::string text = v.accepted ? "accepted" : fmt::format("{}: {} ({})", v.cost ? "not chosen" : "refused", v.reason, v.code);
    for (const std::string& guard : v.guards) text += (v.accepted ? ", while " : "; it was offered while ") + guard;
    if (v.cost) text += ": " + cost_text(*v.cost);
    rows.push_back({v.provider, text});
  }
  std::string text = columns(rows);
  Placement own;
  for (const BoundaryCopy& c : placement.copies)
    if (c.producer == n.node || std::find(c.consumers.begin(), c.consumers.end(), n.node) != c.consumers.end()) own.copies.push_back(c);
  if (!own.copies.empty()) {
    std::ostringstream copies;
    copies << own;
    const std::string all = copies.str();
    const std::size_t begin = all.find("copies of a run"), end = all.find("\n0 nodes");
    if (begin != all.npos) text += all.substr(begin, end + 1 - begin);
  }
  fmt::print("{}", printable_lines(text));
}

/// Runs the session so many times on made up inputs, and takes over what that measured.
void measure(const Session& session, Placement& placement, const Arguments& args) {
  NamedValues inputs;
  InputRequests requests;
  requests.shapes = args.shapes;
  for (const GivenInput& g : gather_inputs(session.inputs(), requests)) inputs.add(g.name, g.value);
  Run run = session.prepare();
  for (const auto& [name, value] : inputs) run.bind_input(name, value);
  run();  // binds and lays out
  for (int i = 0; i < *args.measured; ++i) {
    Trace trace;
    run({.trace = &trace});
    placement.add(trace);
  }
}

/// What the other policy would give, where copies are made.
std::string by_cost_text(const Model& model, SessionOptions options, const Placement& placement) {
  const bool copies = std::any_of(placement.copies.begin(), placement.copies.end(), [](const BoundaryCopy& c) { return !c.once; });
  if (placement.policy == "cost" || !copies) return "";
  options.policy = SessionOptions::Policy::kCost;
  options.plan_only = true;
  options.require.clear();
  const Placement cheapest = Session(model, options).placement();
  std::int64_t moved = 0;
  for (std::size_t i = 0; i < placement.nodes.size() && i < cheapest.nodes.size(); ++i)
    moved += placement.nodes[i].provider != cheapest.nodes[i].provider ? 1 : 0;
  return fmt::format("a run is estimated at {}; placed by cost (--policy cost) at {}: {} would move\n", time_text(placement.cost_ns),
                     time_text(cheapest.cost_ns), counted(moved, "node"));
}

Json read_report(const std::string& file) {
  try {
    Json report = Json::parse(read_text(file));
    if (report.contains("nodes") && report.contains("copies")) return report;
  } catch (const Json::exception&) {}
  throw Error(ErrorCode::kInvalidArgument, "it is not what `ashlar explain --json` writes", {.file = file});
}

int diff(const Arguments& args) {
  const Json before = read_report(args.before), after = read_report(args.after);
  PlacementDiff found;
  try {
    found = diff_placements(before, after);
  } catch (const Json::exception& e) {
    fail("'{}' or '{}' is not what `ashlar explain --json` writes: {}", args.before, args.after, e.what());
  }
  if (args.json) print_json(found.json);
  else fmt::print("{}", found.differs ? printable_lines(found.text) : "the same placement\n");
  return found.differs ? kCheckFailed : kFine;
}

/// An error of the device description names that file, not the model's.
Session session_of(const Model& model, const SessionOptions& options, const std::string& devices) {
  try {
    return Session(model, options);
  } catch (const Error& e) {
    if (devices.empty() || e.message().find("device description") == std::string::npos) throw;
    throw Error(e.code(), e.message(), {.file = devices});
  }
}

int explain(const Arguments& args) {
  require_model(args.model, "explain");
  if (!args.stage.empty() && !args.node.empty()) fail("--stage and --node exclude each other");
  if (!args.stage.empty() && std::find(stages().begin(), stages().end(), args.stage) == stages().end())
    fail(ErrorCode::kNotFound, "there is no stage '{}'{}", args.stage, suggestion(args.stage, stages()));
  if (args.measured && (*args.measured < 1 || *args.measured > 1'000'000)) fail("--measure {} is no number of runs", *args.measured);
  if (args.plan_only && args.measured) fail("--plan-only runs nothing: --measure excludes it");
  if (!args.devices.empty() && !args.plan_only) fail("--device is for --plan-only");
  SessionOptions options = args.placement.parse();
  options.passes = args.passes.parse();
  options.expected_shapes = parse_shapes(args.shapes);
  options.plan_only = args.plan_only;
  if (!args.devices.empty()) options.devices = read_text(args.devices);
  const Model model = args.plan_only ? Model::plan(args.model) : Model::load(args.model);
  const Session session = session_of(model, options, args.devices);
  if (!args.stage.empty()) {
    const std::string text = session.stage_text(args.stage);
    if (args.json) print_json({{"schema", 1}, {"stage", args.stage}, {"text", text}});
    else fmt::print("{}", printable_lines(text));
    return kFine;
  }
  Placement placement = session.placement();
  if (args.measured) measure(session, placement, args);
  const auto report = [&] {
    const std::string about = args.devices.empty() ? environment_json(options.providers) : options.devices;
    return explain_json(session, placement, args.model, about);
  };
  if (!args.page.empty()) {
    write_page(args.page, explain_page_json(report(), session.optimization()));
    if (args.node.empty() && !args.json) return kFine;
  }
  if (!args.node.empty()) {
    const std::vector<const NodePlacement*> nodes = find_nodes(session, placement, args.node);
    if (args.json) {
      Placement found;
      for (const NodePlacement* n : nodes) found.nodes.push_back(*n);
      Json out = Json::parse(found.to_json());
      out["history"] = history_json(session.optimization(), args.node, nodes);
      print_json(out);
      return kFine;
    }
    for (const NodePlacement* n : nodes) print_node(*n, placement);
    print_history(session.optimization(), args.node, nodes);
  } else if (args.json) {
    print_json(report());
  } else {
    constexpr std::size_t kKernels = 10;
    std::ostringstream table;
    table << placement << by_cost_text(model, options, placement) << what_if_text(session.what_if(), kKernels)
          << events_text(session.events());
    fmt::print("{}", printable_lines(table.str()));
  }
  return kFine;
}

}  // namespace

Action add_explain(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("explain", "Where every node of a model runs, why not elsewhere, and what is copied between");
  command->add_option("MODEL", args->model, "The ONNX file (needed)");
  add_placement_options(*command, args->placement);
  command
      ->add_option("--shape", args->shapes, "The shape of an input that the model leaves open, NAME=1x3x224x224, for costs and --measure")
      ->allow_extra_args(false);
  command->add_option("--stage", args->stage, "Print a stage's text form: graph, optimized, placement or plan");
  command->add_option("--node", args->node, "Print one node, by its id in the model or in the session, and what the passes did to it");
  command->add_option("--html", args->page, "Write all of it as one page for a browser, which needs no network");
  command->add_option("--measure", args->measured, "Run it so many times on made up inputs, and show what nodes and copies took");
  command->add_flag("--plan-only", args->plan_only, "Prepare nothing: neither weights nor, with --device, a device need be there");
  command->add_option("--device", args->devices, "The devices to plan for, as doctor --device-json wrote them elsewhere");
  add_pass_options(*command, args->passes);
  command->add_flag("--json", args->json, "Print JSON");
  CLI::App* differences =
      command->add_subcommand("diff", "What changed between two outputs of explain --json; exit code 2 where anything did");
  differences->add_option("OLD", args->before, "A file")->required();
  differences->add_option("NEW", args->after, "A file")->required();
  differences->add_flag("--json", args->json, "Print JSON");
  return [args, differences] { return differences->parsed() ? diff(*args) : explain(*args); };
}

}  // namespace ashlar::cli
