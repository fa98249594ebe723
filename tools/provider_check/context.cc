// SPDX-License-Identifier: Apache-2.0
#include "context.h"

#include <algorithm>
#include <iterator>
#include <regex>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "spy.h"

namespace ashlar::check {
namespace {

constexpr std::size_t kShownFindings = 5;
constexpr const char* kNames[] = {
    "version",     "options",     "describe", "limits", "events",   "copies",   "capture",  "conformance",        "shapes",
    "steps",       "verdicts",    "bounds",   "inputs", "aliasing", "failures", "ordering", "allocation-failure", "copy-failure",
    "device-lost", "concurrency", "reload",   "leaks",  "ownership"};

std::vector<comparison::Row> chosen_rows(const std::string& pattern) {
  std::vector<comparison::Row> rows;
  try {
    const std::regex filter(pattern);
    for (const comparison::Row& row : comparison::all_rows())
      if (std::regex_search(row.name, filter)) rows.push_back(row);
  } catch (const std::regex_error&) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no regular expression", pattern));
  }
  if (rows.empty()) throw Error(ErrorCode::kNotFound, fmt::format("no operator matches '{}'", pattern));
  return rows;
}

std::string last_lines(const std::string& text) {
  constexpr std::size_t kMost = 600;
  return text.size() <= kMost ? text : "..." + text.substr(text.size() - kMost);
}

/// Makes a session that gives the provider no node.
void make_session(const Target& target) {
  comparison::Choices none(std::vector<std::uint32_t>{});
  comparison::Draw draw(none);
  draw.expose(draw.constant(Tensor::scalar<float>(0)));
  const std::string bytes = draw.finish().model.SerializeAsString();
  const Session session(Model::parse(std::as_bytes(std::span(bytes))), {.providers = {target.text}, .passes = PassOptions::none()});
}

void tell_description(const Target& target, const Tell& tell) {
  const Library library(target);
  const AshlarProvider& table = table_of(library);
  const Instance instance(table, target);
  const AshlarProviderInfo info = instance.info();
  tell({{"name", table.name ? table.name : ""},
        {"version", table.version ? table.version : ""},
        {"device", info.device ? info.device : ""},
        {"has_device", table.device != nullptr},
        {"features", info.features},
        {"queues", info.queue_count}});
}

/// Runs the work in a child, and throws the Error that it throws there, or what became of the child.
void need(const Target& target, const std::function<void(const Tell&)>& work, const Hear& hear) {
  std::optional<Error> error;
  const Ended ended = run_apart(
      [&](const Tell& tell) {
        try {
          work(tell);
        } catch (const Error& e) {
          tell({{"code", static_cast<int>(e.code())}, {"message", e.message()}, {"file", e.context().file}});
        }
      },
      [&](const Json& line) {
        if (!line.contains("code")) return hear(line);
        error.emplace(static_cast<ErrorCode>(line["code"].get<int>()), line["message"].get<std::string>(),
                      ErrorContext{.provider = target.name, .file = line["file"].get<std::string>()});
        return true;
      },
      30);
  if (error) throw *error;
  if (ended.how != Ended::kFinished)
    throw Error(ErrorCode::kUnavailable, "the provider cannot be loaded and made: " + ended.sentence, {.provider = target.name});
}

/// Throws what a session throws where the provider cannot be had. Each child makes one instance.
void describe_target(const Target& target, Described& to) {
  need(
      target, [&](const Tell&) { make_session(target); }, [](const Json&) { return true; });
  need(
      target, [&](const Tell& tell) { tell_description(target, tell); },
      [&](const Json& line) {
        to = {line["name"], line["version"], line["device"], line["has_device"], line["features"], line["queues"]};
        return true;
      });
}

}  // namespace

std::span<const char* const> check_names() { return kNames; }

Json line_of(const Finding& finding) { return {{"check", finding.check}, {"sentence", finding.sentence}, {"detail", finding.detail}}; }

Context::Context(const Options& given) : options(given), target(parse_target(given.target)), rows(chosen_rows(given.operators)) {
  if (!options.only.empty() && std::find(std::begin(kNames), std::end(kNames), options.only) == std::end(kNames))
    throw Error(ErrorCode::kNotFound, fmt::format("there is no check '{}'; there are: {}", options.only, fmt::join(kNames, ", ")));
  describe_target(target, described);
  report.target = target.text;
  report.name = described.name;
  report.version = described.version;
  report.device = described.device;
}

CheckResult& Context::result(const std::string& check) {
  CheckResult& r = results_[check];
  r.name = check;
  return r;
}

void Context::fail(const Finding& finding) {
  CheckResult& r = result(finding.check);
  r.state = CheckResult::kFailed;
  for (const Finding& known : r.findings)
    if (known.sentence == finding.sentence) return;
  if (r.findings.size() < kShownFindings) r.findings.push_back(finding);
  else ++r.more;
}

void Context::skip(const std::string& check, const std::string& why) {
  CheckResult& r = result(check);
  if (r.state == CheckResult::kFailed) return;
  r.state = CheckResult::kSkipped;
  r.found = why;
}

Ended Context::apart(const std::string& check, const std::function<void(const Tell&)>& work, const Hear& hear, double seconds) {
  result(check);
  Ended ended = run_apart(
      work,
      [&](const Json& line) {
        if (line.contains("sentence")) fail({line.value("check", check), line["sentence"], line.value("detail", "")});
        else if (line.contains("skip")) skip(check, line["skip"]);
        else if (line.contains("found")) result(check).found = line["found"];
        else if (hear) return hear(line);
        return true;
      },
      seconds);
  if (ended.how == Ended::kHung) hung = true;
  if (ended.how != Ended::kFinished) fail({check, ended.sentence, last_lines(ended.said)});
  return ended;
}

Report check_provider(const Options& options, const std::function<void(const CheckResult&)>& done) {
  Context context(options);
  struct Group {
    std::vector<std::string> checks;
    void (*run)(Context&);
    bool needs_device, needs_claims;
  };
  const Group groups[] = {
      {{"version", "options", "describe"}, &check_border, false, false},
      {{"limits"}, &check_memory, true, false},
      {{"events", "copies", "capture"}, &check_queues, true, false},
      {{"conformance", "shapes", "steps", "verdicts", "bounds", "inputs", "aliasing", "failures"}, &check_operators, false, true},
      {{"ordering"}, &check_ordering, true, true},
      {{"allocation-failure", "copy-failure", "device-lost"}, &check_failures, false, true},
      {{"concurrency"}, &check_concurrency, false, true},
      {{"reload"}, &check_reload, false, false},
      {{"leaks"}, &check_leaks, false, true},
      {{"ownership"}, [](Context& c) { c.result("ownership"); }, false, false},
  };
  bool claims_known = false;
  for (const Group& group : groups) {
    if (std::none_of(group.checks.begin(), group.checks.end(), [&](const std::string& c) { return context.wanted(c); })) continue;
    const auto skip_all = [&](const char* why) {
      for (const std::string& check : group.checks) context.skip(check, why);
    };
    if (group.needs_device && !context.described.has_device) skip_all("the provider has no device");
    else if (context.hung && group.needs_claims) skip_all("left out, since an earlier check did not end");
    else if (context.unreliable && group.needs_claims) skip_all("left out, since copies or events cannot be relied on");
    else {
      if (group.needs_claims && !std::exchange(claims_known, true)) claim_operators(context);
      if (group.needs_claims && context.claimed.empty()) skip_all("it claims no operator that is drawn");
      else group.run(context);
    }
    for (const std::string& check : group.checks)
      if (context.wanted(check)) {
        context.report.checks.push_back(context.result(check));
        if (done) done(context.report.checks.back());
      }
  }
  // What a later check found of an earlier one.
  for (CheckResult& check : context.report.checks)
    if (const CheckResult& now = context.result(check.name); now.state != check.state || now.findings.size() != check.findings.size()) {
      check = now;
      if (done) done(check);
    }
  return context.report;
}

}  // namespace ashlar::check
