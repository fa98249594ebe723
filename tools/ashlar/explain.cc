// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/session.h>

#include "command.h"
#include "fail.h"
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
  std::string model, stage, node;
  PlacementWords placement;
  PassWords passes;
  bool json = false;
};

const NodePlacement* find_node(const Placement& placement, const std::string& id) {
  for (const NodePlacement& n : placement.nodes)
    if (n.node == id) return &n;
  return nullptr;
}

/// The nodes that stand for that one: itself, or what the passes made of it.
std::vector<const NodePlacement*> find_nodes(const Session& session, const std::string& id) {
  const Placement& placement = session.placement();
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

std::string list(const std::vector<Optimization::NodeRef>& nodes) {
  std::string out;
  for (const auto& n : nodes) out += (out.empty() ? "" : ", ") + fmt::format("{} ({})", n.node, n.op);
  return out.empty() ? "nothing" : out;
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
    const Optimization::Rewrite& r = o.rewrites[i];
    text += fmt::format("rewrite {}, {}{}: {} -> {}\n", i + 1, r.pass, r.rule == r.pass ? "" : " [" + r.rule + "]", list(r.before),
                        list(r.after));
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

void print_node(const NodePlacement& n) {
  std::vector<std::vector<std::string>> rows = {{"node", n.node},
                                                {"operator", fmt::format("{}, since opset {}", n.op, n.opset)},
                                                {"provider", n.provider},
                                                {"kernel", n.kernel},
                                                {"outputs", n.outputs}};
  for (const Verdict& v : n.verdicts)
    rows.push_back({v.provider, v.accepted ? "accepted" : fmt::format("refused: {} ({})", v.reason, v.code)});
  fmt::print("{}", printable_lines(columns(rows)));
}

int explain(const Arguments& args) {
  require_model(args.model, "explain");
  if (!args.stage.empty() && !args.node.empty()) fail("--stage and --node exclude each other");
  if (!args.stage.empty() && std::find(stages().begin(), stages().end(), args.stage) == stages().end())
    fail(ErrorCode::kNotFound, "there is no stage '{}'{}", args.stage, suggestion(args.stage, stages()));
  const Session session(Model::load(args.model), {.providers = split_list(args.placement.providers),
                                                  .require = split_list(args.placement.required),
                                                  .allow_cpu_for = split_list(args.placement.allowed),
                                                  .passes = args.passes.parse()});
  if (!args.stage.empty()) {
    const std::string text = session.stage_text(args.stage);
    if (args.json) print_json({{"schema", 1}, {"stage", args.stage}, {"text", text}});
    else fmt::print("{}", printable_lines(text));
    return kFine;
  }
  const Placement& placement = session.placement();
  if (!args.node.empty()) {
    const std::vector<const NodePlacement*> nodes = find_nodes(session, args.node);
    if (args.json) {
      Placement found;
      for (const NodePlacement* n : nodes) found.nodes.push_back(*n);
      Json out = Json::parse(found.to_json());
      out["history"] = history_json(session.optimization(), args.node, nodes);
      print_json(out);
      return kFine;
    }
    for (const NodePlacement* n : nodes) print_node(*n);
    print_history(session.optimization(), args.node, nodes);
  } else if (args.json) {
    print_json(Json::parse(placement.to_json()));
  } else {
    std::ostringstream table;
    table << placement;
    fmt::print("{}", printable_lines(table.str()));
  }
  return kFine;
}

}  // namespace

Action add_explain(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("explain", "Where every node of a model runs, and why not elsewhere");
  command->add_option("MODEL", args->model, "The ONNX file (needed)");
  add_placement_options(*command, args->placement);
  command->add_option("--stage", args->stage, "Print a stage's text form: graph, optimized, placement or plan");
  command->add_option("--node", args->node, "Print one node, by its id in the model or in the session, and what the passes did to it");
  add_pass_options(*command, args->passes);
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return explain(*args); };
}

}  // namespace ashlar::cli
