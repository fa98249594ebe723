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
  std::string model, providers, stage, node;
  PassWords passes;
  bool json = false;
};

const NodePlacement& find_node(const Placement& placement, const std::string& id) {
  std::vector<std::string> ids;
  for (const NodePlacement& n : placement.nodes) {
    if (n.node == id) return n;
    ids.push_back(n.node);
  }
  fail(ErrorCode::kNotFound, "the session has no node '{}'{}", id, suggestion(id, ids));
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
  const Session session(Model::load(args.model), {.providers = split_list(args.providers), .passes = args.passes.parse()});
  if (!args.stage.empty()) {
    const std::string text = session.stage_text(args.stage);
    if (args.json) print_json({{"schema", 1}, {"stage", args.stage}, {"text", text}});
    else fmt::print("{}", printable_lines(text));
    return kFine;
  }
  const Placement& placement = session.placement();
  if (!args.node.empty()) {
    const NodePlacement& node = find_node(placement, args.node);
    if (args.json) print_json(Json::parse(Placement{{node}}.to_json()));
    else print_node(node);
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
  command->add_option("--providers", args->providers, "Providers in order of preference, by name or path, such as cpu,reference");
  command->add_option("--stage", args->stage, "Print a stage's text form: graph, optimized, placement or plan");
  command->add_option("--node", args->node, "Print one node, by its id");
  add_pass_options(*command, args->passes);
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return explain(*args); };
}

}  // namespace ashlar::cli
