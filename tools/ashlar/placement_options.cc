// SPDX-License-Identifier: Apache-2.0
#include "placement_options.h"

#include <CLI/CLI.hpp>

#include "dims.h"
#include "fail.h"
#include "print.h"
#include "suggest.h"

namespace ashlar::cli {

SessionOptions PlacementWords::parse() const {
  SessionOptions options{.providers = split_list(providers), .require = split_list(required), .allow_cpu_for = split_list(allowed)};
  options.allow_missing = allow_missing;
  const std::vector<std::string> policies = {"preference", "cost"};
  if (!policy.empty() && policy != "preference" && policy != "cost")
    fail("--policy is preference or cost, got '{}'{}", policy, suggestion(policy, policies));
  if (policy == "preference" && !profile.empty()) fail("--profile places by cost: --policy preference excludes it");
  if (policy == "cost") options.policy = SessionOptions::Policy::kCost;
  if (!profile.empty()) options.profile = Profile::load(profile);
  for (const std::string& pin : pins) {
    const std::size_t equals = pin.rfind('=');
    if (equals == pin.npos || equals == 0 || equals + 1 == pin.size()) fail("--pin is NODE=PROVIDER or op:Conv=PROVIDER, got '{}'", pin);
    options.pins.emplace_back(pin.substr(0, equals), pin.substr(equals + 1));
  }
  return options;
}

void add_placement_options(CLI::App& command, PlacementWords& words) {
  command.add_option("--providers", words.providers, "Providers in order of preference, by name or path, such as cpu,reference");
  command.add_option("--require", words.required,
                     "Providers, of those, that must run every node; else the nodes elsewhere are listed, with the reasons");
  command.add_option("--allow-cpu", words.allowed, "Operators that --require leaves out, such as Shape,Gather");
  command.add_option("--policy", words.policy, "preference: the first provider that accepts; cost: where kernels and copies take least");
  command.add_option("--profile", words.profile, "Place by the times of this trace, as run --trace or run --json --top 0 writes it");
  command
      .add_option("--pin", words.pins,
                  "The provider of a node, by its id or op:OPERATOR, with * and ?, such as 'op:Soft*=cpu'; once for each")
      ->allow_extra_args(false)
      ->type_name("NODE=PROVIDER");
  command.add_flag("--allow-missing", words.allow_missing, "A provider that cannot be had refuses every node, in place of an error");
}

std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& words) {
  std::map<std::string, Shape> shapes;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos) fail("--shape is NAME=1x3x224x224, got '{}'", word);
    shapes.insert_or_assign(word.substr(0, equals), Shape(std::span<const std::int64_t>(parse_dims(word.substr(equals + 1)))));
  }
  return shapes;
}

}  // namespace ashlar::cli
