// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// "0.1.0".
ASHLAR_API const char* version() noexcept;

/// What this build and this machine are, as JSON: {"schema": 1, "version", "border": {"version", "layout", "features"}, "onnx": {"ir_version",
/// "opsets"}, "cpu": {"model", "isa", "max_isa", "processors", "affinity", "physical_cores", "quota", "threads", "threads_decided_by"},
/// "memory_bytes", "available_bytes", "providers", "compiler"}. "border" is the provider border of this core. "threads" is what a session
/// uses by default: the smallest of "affinity" (processors in the mask), "physical_cores" (among them) and "quota" (of the cgroup, rounded
/// up; null when unlimited), and "threads_decided_by" names which. `ashlar doctor` prints it.
///
/// "providers" are those asked for, written as in SessionOptions::providers; by default all of provider_names(). Each is made, described and
/// let go: {"name", "version", "origin", "border": {"version", "layout"}, "available": true, "device", "spaces": [{"name", "bytes",
/// "host_accessible", "staging"}], "queues", "upload_queue", "download_queue", "features", "required_features", "rates", "attributes"}. "origin" is "built in", "added
/// by the application", or the library's absolute path; "device" is a sentence; "bytes" is null where the provider does not know them;
/// "rates" are those it states for a placement by cost (AshlarRates), "attributes" what its verdicts go by;
/// "staging" marks the space that the host side of copies is put in; the copy queues are there where it has queues. A provider that a session
/// could not use has "available": false, the "code" and "reason" of that session's Error, and of "version", "origin" and "border" what was
/// seen before it failed.
///
/// Throws Error: kNotFound for a name (no path) that is no provider's, with the nearest; kInvalidArgument for one that cannot be read.
ASHLAR_API std::string environment_json(const std::vector<std::string>& providers = {});

}  // namespace ashlar::inline v0
