// SPDX-License-Identifier: Apache-2.0
// What checking a provider found.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ashlar::check {

using Json = nlohmann::ordered_json;

/// One fault, named for what it is.
struct Finding {
  std::string check;  ///< the check that it fails
  std::string sentence;
  std::string detail = {};  ///< lines that show the case; may be empty
};

struct CheckResult {
  enum State { kPassed, kFailed, kSkipped };
  std::string name;
  State state = kPassed;
  std::string found;              ///< what was looked at, or why it was skipped
  std::vector<Finding> findings;  ///< the first few; none unless it failed
  int more = 0;                   ///< findings left out
};

/// An operator of the table of coverage.
struct Coverage {
  std::set<std::string> claimed;       ///< dtypes of the first operand that was accepted
  std::map<std::string, int> refused;  ///< how often by code
  int compared = 0, both_fail = 0, failed = 0;
};

struct Report {
  std::string target, name, version, device;
  std::vector<CheckResult> checks;
  std::map<std::string, Coverage> coverage;  ///< by operator

  int count(CheckResult::State state) const;
};

/// One line for a check, and the findings under it.
std::string to_text(const CheckResult& check);
/// The table of coverage.
std::string coverage_text(const Report& report);
/// "12 passed, 1 failed, 3 skipped".
std::string summary(const Report& report);
/// {"schema": 1, "target", "name", "version", "device", "checks": [{"name", "state", "found", "findings": [{"sentence", "detail"}],
/// "more"}], "coverage": {OPERATOR: {"claimed", "refused", "compared", "both_fail", "failed"}}, "passed", "failed", "skipped"}.
Json to_json(const Report& report);

}  // namespace ashlar::check
