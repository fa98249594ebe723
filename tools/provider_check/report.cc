// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ashlar::check {
namespace {

constexpr std::size_t kLineWidth = 120;
constexpr const char* kStates[] = {"passed", "FAILED", "skipped"};

std::string indented(const std::string& text, const char* by) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += by + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

}  // namespace

int Report::count(CheckResult::State state) const {
  return static_cast<int>(std::count_if(checks.begin(), checks.end(), [&](const CheckResult& c) { return c.state == state; }));
}

std::string to_text(const CheckResult& check) {
  std::string out = fmt::format("{:<18}  {:<7}", check.name, kStates[check.state]);
  out += check.found.empty() ? "\n" : fmt::format("  {}\n", check.found);
  for (const Finding& f : check.findings) out += fmt::format("  {}\n{}", f.sentence, indented(f.detail, "    "));
  if (check.more > 0) out += fmt::format("  and {} more\n", check.more);
  return out;
}

std::string coverage_text(const Report& report) {
  std::size_t width = 8;
  for (const auto& [op, row] : report.coverage) width = std::max(width, op.size());
  std::string out = fmt::format("{:<{}}  compared  both fail  refused  failed  claimed\n", "operator", width);
  std::string unclaimed = "not claimed:";
  std::size_t column = unclaimed.size();
  for (const auto& [op, row] : report.coverage) {
    if (row.claimed.empty() && row.failed == 0) {
      const bool breaks = column + op.size() > kLineWidth;
      unclaimed += (breaks ? "\n  " : " ") + op;
      column = (breaks ? 2 : column + 1) + op.size();
      continue;
    }
    int refused = 0;
    std::string codes;
    for (const auto& [code, n] : row.refused) {
      refused += n;
      codes += (codes.empty() ? "; refuses by " : ", ") + code;
    }
    out += fmt::format("{:<{}}  {:>8}  {:>9}  {:>7}  {:>6}  {}{}\n", op, width, row.compared, row.both_fail, refused, row.failed,
                       fmt::join(row.claimed, " "), codes);
  }
  return unclaimed.ends_with(":") ? out : out + unclaimed + "\n";
}

std::string summary(const Report& report) {
  return fmt::format("{} passed, {} failed, {} skipped", report.count(CheckResult::kPassed), report.count(CheckResult::kFailed),
                     report.count(CheckResult::kSkipped));
}

Json to_json(const Report& report) {
  Json checks = Json::array(), coverage = Json::object();
  for (const CheckResult& c : report.checks) {
    Json findings = Json::array();
    for (const Finding& f : c.findings) findings.push_back({{"sentence", f.sentence}, {"detail", f.detail}});
    checks.push_back({{"name", c.name},
                      {"state", c.state == CheckResult::kFailed ? "failed" : kStates[c.state]},
                      {"found", c.found},
                      {"findings", std::move(findings)},
                      {"more", c.more}});
  }
  for (const auto& [op, row] : report.coverage)
    coverage[op] = {{"claimed", row.claimed},
                    {"refused", row.refused},
                    {"compared", row.compared},
                    {"both_fail", row.both_fail},
                    {"failed", row.failed}};
  return {{"schema", 1},
          {"target", report.target},
          {"name", report.name},
          {"version", report.version},
          {"device", report.device},
          {"checks", std::move(checks)},
          {"coverage", std::move(coverage)},
          {"passed", report.count(CheckResult::kPassed)},
          {"failed", report.count(CheckResult::kFailed)},
          {"skipped", report.count(CheckResult::kSkipped)}};
}

}  // namespace ashlar::check
