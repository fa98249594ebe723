// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// "0.1.0".
ASHLAR_API const char* version() noexcept;

/// What this build and this machine are, as JSON: {"schema": 1, "version", "onnx": {"ir_version", "opsets"}, "cpu": {"model",
/// "isa", "max_isa", "processors", "affinity", "physical_cores", "quota", "threads", "threads_decided_by"}, "memory_bytes", "providers":
/// [{"name", "version", "available", "reason"}], "libraries"}. "threads" is what a session uses by default: the smallest of
/// "affinity" (processors in the mask), "physical_cores" (among them) and "quota" (of the cgroup, rounded up; null when unlimited), and
/// "threads_decided_by" names which. `ashlar doctor` prints it.
ASHLAR_API std::string environment_json();

}  // namespace ashlar::inline v0
