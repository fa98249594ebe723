// SPDX-License-Identifier: Apache-2.0
#include "case.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "shrink.h"

namespace ashlar::check {
namespace {

using comparison::Choices;
using comparison::Outcome;
using comparison::Row;

constexpr double kCaseSeconds = 30;
constexpr int kShrinkAttempts = 120;
constexpr std::chrono::seconds kShrinkTime{4};
constexpr std::uint64_t kRedraws = 8, kStride = 1'000'003;

const char* check_of(Outcome::Kind kind, Mode mode) {
  if (kind == Outcome::kShape) return "shapes";
  if (kind == Outcome::kHidesError) return "failures";
  return mode == Mode::kShared ? "aliasing" : mode == Mode::kRecorded ? "capture" : "conformance";
}

const char* condition_of(Mode mode) {
  return mode == Mode::kShared ? ", with storage shared where it allows that" : mode == Mode::kRecorded ? ", recorded and replayed" : "";
}

/// Whether a finding explains outputs that are wrong.
bool explains(const Finding& finding, Outcome::Kind kind) {
  return kind == Outcome::kFailsAlone || (finding.check != "verdicts" && finding.check != "ownership");
}

}  // namespace

bool is_chain(const Row& row) { return std::string_view(row.name).ends_with("_chain"); }

List taken(const Row& row, Choices choices) {
  try {
    comparison::draw_case(row, choices);
  } catch (const std::exception&) {  // judge() says so
  }
  return choices.taken();
}

std::vector<std::string> watched_providers(const Context& context, const Row& row) {
  std::vector<std::string> providers = {context.target.spec(kSpyName)};
  if (is_chain(row)) providers.push_back("reference");
  return providers;
}

Drawn draw(const Sample& sample) {
  Choices replay(sample.choices);
  comparison::Case drawn = comparison::draw_case(*sample.row, replay);
  const std::string bytes = drawn.model.SerializeAsString();
  return {Model::parse(std::as_bytes(std::span(bytes))), std::move(drawn.inputs), drawn.threads};
}

List accepted_choices(const Context& context, const Row& row, std::uint64_t seed) {
  Spy::get().set_mode(Mode::kPlain);
  for (std::uint64_t k = 0; k < kRedraws; ++k) {
    const List choices = taken(row, Choices(seed + k * kStride));
    try {
      const Drawn drawn = draw({&row, choices});
      const Session session(drawn.model,
                            {.providers = watched_providers(context, row), .threads = drawn.threads, .passes = PassOptions::none()});
      for (const NodePlacement& node : session.placement().nodes)
        if (node.provider == kSpyName) return choices;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kUnsupported) return choices;
    }
  }
  return taken(row, Choices(seed));
}

void watch_target(const Target& target) {
  static std::unique_ptr<Library> open;
  open = std::make_unique<Library>(target);
  Spy::get().watch(open->entry());
}

CaseResult run_case(const Context& context, const Row& row, const List& choices, Mode mode) {
  Spy& spy = Spy::get();
  spy.set_mode(mode);
  spy.take_findings();
  spy.take_doubts();
  spy.take_claims();
  spy.take_steps();
  CaseResult result;
  result.outcome = comparison::judge(row, choices, {.subject = watched_providers(context, row), .oracle = {"reference"}});
  result.findings = spy.take_findings();
  result.claims = spy.take_claims();
  result.steps = spy.take_steps();
  const std::vector<Finding> doubts = spy.take_doubts();
  if (!result.outcome.failed()) return result;
  result.findings.insert(result.findings.end(), doubts.begin(), doubts.end());
  const Outcome::Kind kind = result.outcome.kind;
  if (std::none_of(result.findings.begin(), result.findings.end(), [&](const Finding& f) { return explains(f, kind); }))
    result.findings.push_back({check_of(kind, mode), fmt::format("{}{}: {}", row.name, condition_of(mode), result.outcome.detail)});
  return result;
}

CaseResult run_case_apart(Context& context, const Row& row, const List& choices, Mode mode) {
  CaseResult result;
  const Ended ended = run_apart(
      [&](const Tell& tell) {
        watch_target(context.target);
        tell(to_json(run_case(context, row, choices, mode)));
      },
      [&](const Json& line) {
        result = case_result_of(line);
        return true;
      },
      kCaseSeconds);
  if (ended.how != Ended::kFinished) result.findings.push_back({"conformance", fmt::format("{}: {}", row.name, ended.sentence)});
  return result;
}

Json to_json(const CaseResult& result) {
  Json findings = Json::array(), claims = Json::object();
  for (const Finding& f : result.findings) findings.push_back(line_of(f));
  for (const auto& [op, claim] : result.claims) claims[op] = {{"accepted", claim.accepted}, {"refused", claim.refused}};
  return {{"kind", static_cast<int>(result.outcome.kind)},
          {"faults", std::move(findings)},
          {"claims", std::move(claims)},
          {"steps", result.steps}};
}

CaseResult case_result_of(const Json& json) {
  CaseResult result;
  result.outcome.kind = static_cast<Outcome::Kind>(json["kind"].get<int>());
  for (const Json& f : json["faults"]) result.findings.push_back({f["check"], f["sentence"], f["detail"]});
  for (const auto& [op, claim] : json["claims"].items())
    result.claims[op] = {claim["accepted"].get<std::set<std::string>>(), claim["refused"].get<std::map<std::string, int>>()};
  result.steps = json["steps"];
  return result;
}

void add_claims(Context& context, const std::map<std::string, Claims>& claims) {
  for (const auto& [op, claim] : claims) {
    Coverage& row = context.report.coverage[op];
    row.claimed.insert(claim.accepted.begin(), claim.accepted.end());
    for (const auto& [code, n] : claim.refused) row.refused[code] += n;
  }
}

std::string show_case(Context& context, const Row& row, std::uint64_t seed, const List& choices, Mode mode, const std::string& check) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::string sentence;
  const auto fails = [&](const List& list) {
    if (Clock::now() - start > kShrinkTime || context.hung) return false;
    for (const Finding& f : run_case_apart(context, row, list, mode).findings)
      if (f.check == check) {
        sentence = f.sentence;
        return true;
      }
    return false;
  };
  const auto normal = [&](const List& list) { return taken(row, Choices(list)); };
  const bool again = fails(choices);
  const List small = again ? comparison::shrink(choices, kShrinkAttempts, fails, normal) : choices;
  std::string text = fmt::format("again: ashlar provider-check '{}' --operator '^{}$' --seed {} --cases 1{}\n", context.target.text,
                                 row.name, seed, again ? "" : " (alone it does not fail)");
  if (again) text += fmt::format("smaller: {}\n", sentence);
  run_apart(
      [&](const Tell& tell) {
        tell({{"text", comparison::describe(row, small)}});
      },
      [&](const Json& line) {
        text += line["text"].get<std::string>();
        return true;
      },
      kCaseSeconds);
  return text;
}

}  // namespace ashlar::check
