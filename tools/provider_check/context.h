// SPDX-License-Identifier: Apache-2.0
// What the checks of one provider share: what is checked, what is known of it so far, and their results.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "child.h"
#include "provider_check.h"
#include "rows.h"
#include "target.h"

namespace ashlar::check {

/// What a first child learns of a provider.
struct Described {
  std::string name, version, device;
  bool has_device = false;
  std::uint32_t features = 0, queues = 0;
};

/// A case of an operator that the provider runs whole, for the checks that need a model.
struct Sample {
  const comparison::Row* row;
  std::vector<std::uint32_t> choices;
};

class Context {
 public:
  explicit Context(const Options& given);

  const Options& options;
  const Target target;
  const std::vector<comparison::Row> rows;  ///< that Options::operators lets through
  Described described;
  std::vector<const comparison::Row*> claimed;  ///< of rows
  std::vector<Sample> samples;                  ///< one for each claimed operator where there is any
  Report report;

  bool wanted(const std::string& check) const { return options.only.empty() || options.only == check; }
  /// The result of a check, passed until something fails it.
  CheckResult& result(const std::string& check);
  void fail(const Finding& finding);
  void skip(const std::string& check, const std::string& why);

  /// Runs a check's work in a child. Lines {"check", "sentence", "detail"} become findings, {"found": text} what it found,
  /// {"skip": why} skips it; others go to `hear`. A crash, a hang or an exception is a finding too. `seconds` as for run_apart.
  Ended apart(const std::string& check, const std::function<void(const Tell&)>& work, const Hear& hear = {}, double seconds = 20);

  /// A check ended in a hang: what would hang too is left out.
  bool hung = false;
  /// Copies or events are wrong, so that no session's results can be trusted.
  bool unreliable = false;

 private:
  std::map<std::string, CheckResult> results_;
};

/// A finding as a line for the parent.
Json line_of(const Finding& finding);

// Each runs its checks, in the order of check_names().
void check_border(Context& context);       // version, options, describe
void check_memory(Context& context);       // limits
void check_queues(Context& context);       // events, copies, capture
void claim_operators(Context& context);    // fills claimed and samples; no check of its own
void check_operators(Context& context);    // conformance, shapes, steps, verdicts, bounds, inputs, aliasing, failures
void check_ordering(Context& context);     // ordering
void check_failures(Context& context);     // allocation-failure, copy-failure, device-lost, ownership
void check_concurrency(Context& context);  // concurrency
void check_reload(Context& context);       // reload
void check_leaks(Context& context);        // leaks

}  // namespace ashlar::check
