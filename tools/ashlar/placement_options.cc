// SPDX-License-Identifier: Apache-2.0
#include "placement_options.h"

#include <CLI/CLI.hpp>

namespace ashlar::cli {

void add_placement_options(CLI::App& command, PlacementWords& words) {
  command.add_option("--providers", words.providers, "Providers in order of preference, by name or path, such as cpu,reference");
  command.add_option("--require", words.required,
                     "Providers, of those, that must run every node; else the nodes elsewhere are listed, with the reasons");
  command.add_option("--allow-cpu", words.allowed, "Operators that --require leaves out, such as Shape,Gather");
}

}  // namespace ashlar::cli
