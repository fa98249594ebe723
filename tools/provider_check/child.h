// SPDX-License-Identifier: Apache-2.0
// Work in a child process that tells what it finds line by line, so that a crash or a hang of a provider is a finding like others.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace ashlar::check {

using Json = nlohmann::ordered_json;

/// How a child came to its end.
struct Ended {
  enum How { kFinished, kFailed, kCrashed, kHung };
  How how = kFinished;
  /// What happened, for people: the exception that ended the work, the signal and what it means, or how long nothing was heard; empty when
  /// it finished.
  std::string sentence;
  std::string said;  ///< the last of what it wrote on its standard output and error
};

/// Passes a line to the parent. Only for the child's first thread.
using Tell = std::function<void(const Json&)>;
/// A line of the child's; false ends the child.
using Hear = std::function<bool(const Json&)>;

/// Runs `work` in a forked child. Silence of more than `seconds` is a hang, and the child is killed. The calling process must have one
/// thread.
Ended run_apart(const std::function<void(const Tell&)>& work, const Hear& hear, double seconds);

/// Notes what this child does next, for the sentence about a crash or a hang. Thread-safe; nothing outside a child.
void set_doing(std::string_view what);

}  // namespace ashlar::check
