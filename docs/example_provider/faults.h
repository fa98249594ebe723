// SPDX-License-Identifier: Apache-2.0
// Faults to plant by name (option fault=NAME), so that a checker of providers can be checked. A copy leaves this file and its uses out.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <ashlar/provider/failure.h>

namespace example {

inline constexpr const char* kFaults[] = {"accepts_unprepared", "any_version",  "breaks_on_reload", "copy_short",      "double_free",
                                          "drain_early",        "early_event",  "hides_failure",    "ignores_limit",   "leak",
                                          "leak_device",        "lost_event",   "missing_wait",     "not_thread_safe", "overrun",
                                          "reason_missing",     "replay_short", "unstable_verdict", "writes_input",    "wrong_result",
                                          "wrong_shape"};

/// That of the instance made last, for the whole process; before there is one, what EXAMPLE_PROVIDER_FAULT says.
inline std::atomic<const char*> planted{std::getenv("EXAMPLE_PROVIDER_FAULT") ? std::getenv("EXAMPLE_PROVIDER_FAULT") : ""};
inline bool fault(std::string_view name) { return name == planted.load(); }
inline void plant(std::string_view name) {
  planted = "";
  for (const char* known : kFaults)
    if (name == known) planted = known;
  if (!fault(name)) throw ashlar::provider::Failure(ASHLAR_INVALID_ARGUMENT, "there is no fault " + std::string(name));
}

using namespace std::chrono_literals;
inline std::atomic<float> kept;
inline void pause(std::chrono::microseconds time) { std::this_thread::sleep_for(time); }
[[gnu::noipa]] inline void free_early(void* memory) { ::operator delete(memory); }

}  // namespace example
