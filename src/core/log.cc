// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace ashlar::core {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log(LogLevel level, std::string_view message) {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("ashlar", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    const char* wanted = std::getenv("ASHLAR_LOG");
    made->set_level(wanted ? spdlog::level::from_str(wanted) : spdlog::level::off);
    return made;
  }();
  logger->log(level_of(level), "{}", message);
}

}  // namespace ashlar::core
