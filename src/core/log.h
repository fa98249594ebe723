// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ashlar::core {

enum class LogLevel : int { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

/// Writes a line to Ashlar's logger, which is quiet unless the environment variable ASHLAR_LOG names a level (debug, info,
/// warning, error); then lines go to standard error. Thread-safe.
void log(LogLevel level, std::string_view message);

}  // namespace ashlar::core
