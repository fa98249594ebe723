// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <ashlar/passes.h>

namespace CLI {
class App;
}

namespace ashlar::cli {

/// What the options of passes were given as.
struct PassWords {
  std::string only, disable, stop_after;
  /// Throws Error (kInvalidArgument) for a stop_after that is no number.
  PassOptions parse() const;
};

/// Adds --only-passes, --disable-passes and --stop-after to a subcommand.
void add_pass_options(CLI::App& command, PassWords& words);

}  // namespace ashlar::cli
