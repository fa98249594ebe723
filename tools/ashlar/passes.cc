// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/session.h>

#include "command.h"
#include "pass_options.h"
#include "print.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct Arguments {
  std::string model, providers;
  PassWords passes;
  bool json = false;
};

/// The passes there are, where no model is given.
int list(bool json) {
  if (json) {
    Json out = {{"schema", 1}, {"passes", Json::array()}};
    for (const PassInfo& p : passes()) out["passes"].push_back({{"pass", p.name}, {"summary", p.summary}, {"required", p.required}});
    print_json(out);
    return kFine;
  }
  std::vector<std::vector<std::string>> rows;
  for (const PassInfo& p : passes()) rows.push_back({p.name, p.summary + (p.required ? " (always)" : "")});
  fmt::print("{}", columns(rows));
  return kFine;
}

int show(const Arguments& args) {
  if (args.model.empty()) return list(args.json);
  const Session session(Model::load(args.model), {.providers = split_list(args.providers), .passes = args.passes.parse()});
  if (args.json) {
    print_json(Json::parse(session.optimization().to_json()));
    return kFine;
  }
  std::ostringstream text;
  text << session.optimization();
  fmt::print("{}", printable_lines(text.str()));
  return kFine;
}

}  // namespace

Action add_passes(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("passes", "What the optimizer rewrites in a model, and what it nearly does");
  command->add_option("MODEL", args->model, "The ONNX file; without one, the passes are listed");
  command->add_option("--providers", args->providers, "Providers in order of preference, by name or path, such as cpu,reference");
  add_pass_options(*command, args->passes);
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return show(*args); };
}

}  // namespace ashlar::cli
