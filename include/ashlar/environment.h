// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// "0.1.0".
ASHLAR_API const char* version() noexcept;

/// What this build and this machine are, as JSON: {"schema": 1, "version", "onnx": {"ir_version", "opsets"}, "cpu": {"model",
/// "isa", "processors", "affinity", "quota", "threads"}, "memory_bytes", "providers": [{"name", "version", "available",
/// "reason"}], "libraries"}. `ashlar doctor` prints it.
ASHLAR_API std::string environment_json();

}  // namespace ashlar::inline v0
