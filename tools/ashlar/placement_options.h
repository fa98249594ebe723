// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include <ashlar/session.h>

namespace CLI {
class App;
}

namespace ashlar::cli {

/// What the options of placement were given as: lists with commas between.
struct PlacementWords {
  std::string providers, required, allowed, policy, profile;
  std::vector<std::string> pins;
  bool allow_missing = false;

  /// Session options with these in place. Throws Error (kInvalidArgument) for a policy or a pin that is none, and what Profile::load throws.
  SessionOptions parse() const;
};

/// Adds --providers, --require, --allow-cpu, --policy, --profile, --pin and --allow-missing to a subcommand.
void add_placement_options(CLI::App& command, PlacementWords& words);

/// Shapes of words such as "x=1x3x224x224". Throws Error (kInvalidArgument) for another form.
std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& words);

}  // namespace ashlar::cli
