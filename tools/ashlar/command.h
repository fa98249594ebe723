// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace ashlar::cli {

enum ExitCode { kFine = 0, kFailed = 1, kCheckFailed = 2 };

/// What a subcommand does once its options are read; gives the exit code.
using Action = std::function<int()>;

/// Each adds its subcommand to the application.
Action add_run(CLI::App& app);
Action add_inspect(CLI::App& app);
Action add_explain(CLI::App& app);
Action add_passes(CLI::App& app);
Action add_memory(CLI::App& app);
Action add_doctor(CLI::App& app);
Action add_provider_check(CLI::App& app);

/// Throws Error (kInvalidArgument) when the positional argument MODEL was left out.
void require_model(const std::string& model, const char* command);

}  // namespace ashlar::cli
