// SPDX-License-Identifier: Apache-2.0
// Checks a provider as a binary: through the border, and in sessions that watch what crosses it. docs/provider-check.md says what each
// check means.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "report.h"

namespace ashlar::check {

struct Options {
  std::string target = {};    ///< NAME_OR_PATH?option=value&option=value
  std::uint64_t cases = 600;  ///< drawn for the operators it claims
  std::uint64_t seed = 1;
  std::string only = {};       ///< one check; empty: all
  std::string operators = {};  ///< a regular expression that operators must match; empty: all
  double seconds = 0;          ///< after which no new case is drawn; 0: no limit
};

/// The names of all checks, in the order in which they are reported.
std::span<const char* const> check_names();

/// Runs the checks, each in processes of its own, and calls `done` with each result, again where a later check finds more. The calling
/// process must have one thread. Throws Error: what a session would throw where the provider cannot be had; kInvalidArgument for an option
/// that cannot be right, kNotFound for a check that does not exist.
Report check_provider(const Options& options, const std::function<void(const CheckResult&)>& done = {});

}  // namespace ashlar::check
