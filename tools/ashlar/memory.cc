// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/session.h>

#include "command.h"
#include "fail.h"
#include "memory_limits.h"
#include "pass_options.h"
#include "placement_options.h"
#include "print.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct Arguments {
  std::string model;
  PlacementWords placement;
  std::vector<std::string> shapes, limits;
  PassWords passes;
  bool json = false;
};

int memory(const Arguments& args) {
  require_model(args.model, "memory");
  SessionOptions options = args.placement.parse();
  options.memory_limits = parse_limits(args.limits);
  options.passes = args.passes.parse();
  const Session session(Model::load(args.model), options);
  const MemoryPlan plan = session.memory(parse_shapes(args.shapes));
  if (args.json) {
    print_json(Json::parse(plan.to_json()));
    return kFine;
  }
  for (const SpaceMemory& s : plan.spaces) {
    fmt::print("{}: {} ({} of constants, {} of arenas, {} of buffers)\n", printable(s.space), bytes_text(s.peak()), bytes_text(s.constants),
               bytes_text(s.arena), bytes_text(s.buffers));
    std::vector<std::vector<std::string>> rows;
    for (const SpaceMemory::Item& item : s.largest) rows.push_back({bytes_text(item.bytes), item.name, item.type});
    fmt::print("{}", printable_lines(columns(rows, "  ")));
  }
  if (!plan.known_up_to.empty())
    fmt::print("known up to {}: a shape behind it depends on data, or on a dimension that --shape does not give\n",
               printable(plan.known_up_to));
  return kFine;
}

}  // namespace

Action add_memory(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("memory", "What a session and a run take of every memory space, without running");
  command->add_option("MODEL", args->model, "The ONNX file (needed)");
  add_placement_options(*command, args->placement);
  command->add_option("--shape", args->shapes, "An input's shape, NAME=1x3x224x224; once for each");
  command->add_option("--memory-limit", args->limits, kLimitHelp);
  add_pass_options(*command, args->passes);
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return memory(*args); };
}

}  // namespace ashlar::cli
