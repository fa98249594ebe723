// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ashlar::cli {

/// What the options of placement were given as: lists with commas between.
struct PlacementWords {
  std::string providers, required, allowed;
};

/// Adds --providers, --require and --allow-cpu to a subcommand.
void add_placement_options(CLI::App& command, PlacementWords& words);

}  // namespace ashlar::cli
