// SPDX-License-Identifier: Apache-2.0
// One random case of an operator, run with the spy between the session and the provider.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/value.h>

#include "context.h"
#include "judge.h"
#include "spy.h"

namespace ashlar::check {

using List = std::vector<std::uint32_t>;

/// Whether the row is a chain of several operators; the reference provider then runs what the provider refuses.
bool is_chain(const comparison::Row& row);
/// The decisions that the row's case takes of a seed, or of a list.
List taken(const comparison::Row& row, comparison::Choices choices);
/// The first of some draws that the provider accepts, at least in part, in this process; draws follow from the seed alone.
List accepted_choices(const Context& context, const comparison::Row& row, std::uint64_t seed);
/// The providers of a session that the spy watches.
std::vector<std::string> watched_providers(const Context& context, const comparison::Row& row);
/// The case's model, and its inputs.
struct Drawn {
  Model model;
  NamedValues inputs;
  int threads;
};
Drawn draw(const Sample& sample);

/// Loads the target and watches it; for a child, which keeps the library open.
void watch_target(const Target& target);

struct CaseResult {
  comparison::Outcome outcome;
  std::vector<Finding> findings;  ///< what failed, by check; empty when all is well
  std::map<std::string, Claims> claims;
  int steps = 0;  ///< that the provider ran
};
/// Judges the case against the reference provider in this mode, in this process.
CaseResult run_case(const Context& context, const comparison::Row& row, const List& choices, Mode mode);

/// The same in a child of its own; a crash and a hang are findings under "conformance".
CaseResult run_case_apart(Context& context, const comparison::Row& row, const List& choices, Mode mode);

Json to_json(const CaseResult& result);
CaseResult case_result_of(const Json& json);

/// Adds what verdicts said to the report.
void add_claims(Context& context, const std::map<std::string, Claims>& claims);

/// A smaller case that still fails the check, as text: its graph and inputs, and the command that draws the first one again.
std::string show_case(Context& context, const comparison::Row& row, std::uint64_t seed, const List& choices, Mode mode,
                      const std::string& check);

}  // namespace ashlar::check
