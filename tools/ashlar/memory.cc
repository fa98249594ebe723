// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/session.h>

#include "command.h"
#include "dims.h"
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

std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& words) {
  std::map<std::string, Shape> shapes;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos) fail("--shape is NAME=1x3x224x224, got '{}'", word);
    shapes.insert_or_assign(word.substr(0, equals), Shape(std::span<const std::int64_t>(parse_dims(word.substr(equals + 1)))));
  }
  return shapes;
}

int memory(const Arguments& args) {
  require_model(args.model, "memory");
  const Session session(Model::load(args.model), {.providers = split_list(args.placement.providers),
                                                  .require = split_list(args.placement.required),
                                                  .allow_cpu_for = split_list(args.placement.allowed),
                                                  .memory_limits = parse_limits(args.limits),
                                                  .passes = args.passes.parse()});
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
