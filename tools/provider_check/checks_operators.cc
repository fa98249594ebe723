// SPDX-License-Identifier: Apache-2.0
// Every operator that a provider claims, on random cases against the reference provider.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "case.h"

namespace ashlar::check {
namespace {

using comparison::Choices;
using comparison::Outcome;
using comparison::Row;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kDrawsForClaims = 12, kDrawsForSamples = 40;
constexpr std::int64_t kLargestSample = 1 << 15;  ///< elements
constexpr std::size_t kBatch = 25;
constexpr int kMostCrashes = 3, kMostShown = 6;
constexpr double kSilence = 30;

std::int64_t elements(const NamedValues& inputs) {
  std::int64_t sum = 0;
  for (const auto& [name, value] : inputs) sum += value.tensor().element_count();
  return sum;
}

void merge(std::map<std::string, Claims>& to, const std::map<std::string, Claims>& from) {
  for (const auto& [op, claims] : from) {
    to[op].accepted.insert(claims.accepted.begin(), claims.accepted.end());
    for (const auto& [code, n] : claims.refused) to[op].refused[code] += n;
  }
}

bool has_no_kernel(const Claims& claims) {
  return claims.accepted.empty() && claims.refused.size() == 1 && claims.refused.contains("no_kernel_op");
}

/// Makes a session of some draws of the row; tells what was accepted, and the largest draw that runs on the provider whole.
Json ask_about(const Context& context, const Row& row) {
  Spy& spy = Spy::get();
  std::vector<std::string> providers = {context.target.spec(kSpyName), "reference"};
  std::optional<List> best;
  std::int64_t most = 0;
  bool any = false;
  CaseResult result;
  for (std::uint64_t i = 0; i < (any && !best ? kDrawsForSamples : kDrawsForClaims); ++i) {
    const List choices = taken(row, Choices(context.options.seed + i));
    try {
      const Drawn drawn = draw({&row, choices});
      if (elements(drawn.inputs) > kLargestSample) continue;
      const Session session(drawn.model, {.providers = providers, .threads = drawn.threads, .passes = PassOptions::none()});
      bool whole = true, touched = false;
      merge(result.claims, spy.take_claims());
      if (!is_chain(row) && has_no_kernel(result.claims[row.name])) break;  // no other draw changes that
      for (const NodePlacement& node : session.placement().nodes) {
        touched = touched || node.provider == kSpyName;
        whole = whole && node.provider == kSpyName;
      }
      any = any || touched;
      if (!(is_chain(row) ? touched : whole) || elements(drawn.inputs) <= most) continue;
      session.run(drawn.inputs);
      best = choices;
      most = elements(drawn.inputs);
    } catch (const Error& e) {  // else the draw is no valid model, its data is impossible, or the provider fails, as other checks show
      if (e.code() == ErrorCode::kUnavailable) spy.find("reload", fmt::format("an instance after others fails: {}", e.message()));
    }
  }
  merge(result.claims, spy.take_claims());
  result.findings = spy.take_findings();
  Json line = to_json(result);
  line["any"] = any;
  line["sample"] = best ? Json(*best) : Json();
  return line;
}

bool has_reference() {
  const auto names = provider_names();
  return std::find(names.begin(), names.end(), "reference") != names.end();
}

class Conformance {
 public:
  explicit Conformance(Context& context) : context_(context) {
    modes_ = {Mode::kApart, Mode::kShared};
    if ((context.described.features & ASHLAR_DEVICE_CAPTURE) != 0) modes_.push_back(Mode::kRecorded);
  }

  void run() {
    for (std::size_t i = 0; i < context_.options.cases && !done();) i = batch(i, std::min<std::size_t>(context_.options.cases, i + kBatch));
    for (const char* check : {"shapes", "steps", "verdicts", "bounds", "inputs", "aliasing"}) context_.result(check);
    const std::string cases = fmt::format("{} cases of {} operators{}", compared_, operators(), stopped_);
    context_.result("conformance").found = cases + fmt::format("; {} refused, {} fail on both sides", refused_, both_fail_);
  }

 private:
  bool done() const {
    return crashes_ >= kMostCrashes || context_.hung ||
           (context_.options.seconds > 0 && std::chrono::duration<double>(Clock::now() - start_).count() >= context_.options.seconds);
  }
  std::size_t operators() const {
    return static_cast<std::size_t>(
        std::count_if(context_.claimed.begin(), context_.claimed.end(), [](const Row* r) { return !is_chain(*r); }));
  }
  const Row& row(std::size_t i) const { return *context_.claimed[i % context_.claimed.size()]; }

  /// Runs cases in one child; gives the first that is still to be run.
  std::size_t batch(std::size_t first, std::size_t last) {
    std::size_t next = first;
    Mode mode = Mode::kApart;
    List choices;
    const Ended ended = run_apart(
        [&](const Tell& tell) {
          watch_target(context_.target);
          for (std::size_t i = first; i < last; ++i) {
            const List drawn = accepted_choices(context_, row(i), context_.options.seed + i);
            tell({{"choices", drawn}});
            bool fine = true;
            for (const Mode m : modes_) {
              if (!fine) continue;
              tell({{"begins", static_cast<int>(m)}});
              CaseResult result = run_case(context_, row(i), drawn, m);
              if (m != Mode::kApart && result.outcome.failed())  // else it is not the mode that does it
                if (CaseResult plain = run_case(context_, row(i), drawn, Mode::kPlain); plain.outcome.failed()) result = std::move(plain);
              fine = !result.outcome.failed() && result.outcome.kind != Outcome::kRefused;
              tell(to_json(result));
            }
            tell({{"next", i + 1}});
          }
        },
        [&](const Json& line) {
          if (line.contains("begins")) mode = static_cast<Mode>(line["begins"].get<int>());
          else if (line.contains("choices")) choices = line["choices"].get<List>();
          else if (line.contains("next")) next = line["next"];
          else heard_.push_back({next, mode, choices, case_result_of(line)});
          return !done();
        },
        kSilence);
    for (const Heard& h : std::exchange(heard_, {})) count(h);
    if (ended.how == Ended::kFinished) return done() ? last : next;
    CaseResult broken;
    broken.outcome.kind = ended.how == Ended::kHung ? Outcome::kHung : Outcome::kCrashed;
    broken.findings.push_back({"conformance", fmt::format("{}: {}", row(next).name, ended.sentence)});
    count({next, mode, choices, broken});
    ++crashes_;
    if (ended.how == Ended::kHung) context_.hung = true;
    if (done()) stopped_ = ", then stopped, since it does not end well";
    return next + 1;
  }

  struct Heard {
    std::size_t i;
    Mode mode;
    List choices;
    CaseResult result;
  };

  void count(const Heard& heard) {
    const Row& of = row(heard.i);
    add_claims(context_, heard.result.claims);
    Coverage* coverage = is_chain(of) ? nullptr : &context_.report.coverage[of.name];
    if (heard.mode == Mode::kApart && heard.result.steps > 0) {
      if (heard.result.outcome.kind == Outcome::kAgrees) {
        ++compared_;
        if (coverage) ++coverage->compared;
      } else if (heard.result.outcome.kind == Outcome::kBothFail) {
        ++both_fail_;
        if (coverage) ++coverage->both_fail;
      }
    }
    if (heard.mode == Mode::kApart && heard.result.outcome.kind == Outcome::kRefused) ++refused_;
    if (!heard.result.findings.empty() && coverage) ++coverage->failed;
    for (Finding f : heard.result.findings) {
      const bool shown = context_.result(f.check).findings.size() < 2 && shown_++ < kMostShown;
      const std::uint64_t seed = context_.options.seed + heard.i;
      if (shown) f.detail = show_case(context_, of, seed, heard.choices, heard.mode, f.check);
      context_.fail(f);
    }
  }

  Context& context_;
  std::vector<Mode> modes_;
  std::vector<Heard> heard_;
  const Clock::time_point start_ = Clock::now();
  int compared_ = 0, refused_ = 0, both_fail_ = 0, crashes_ = 0, shown_ = 0;
  std::string stopped_;
};

/// Whether the oracle's run fails for what the data is.
bool impossible(const Row& row, const List& choices) {
  try {
    const Drawn drawn = draw({&row, choices});
    if (elements(drawn.inputs) > kLargestSample) return false;
    const Session session(drawn.model, {.providers = {"reference"}, .threads = 1, .passes = PassOptions::none()});
    try {
      session.run(drawn.inputs);
    } catch (const Error& e) {
      return e.code() == ErrorCode::kRuntime;
    }
  } catch (const Error&) {  // no valid model
  }
  return false;
}

/// Data that makes an operator impossible, as the oracle says: it must be an error here too.
void check_impossible(Context& context) {
  constexpr std::uint64_t kDraws = 200;
  constexpr int kEach = 2;
  constexpr std::chrono::seconds kTime{4};
  int met = 0;
  context.apart(
      "failures",
      [&](const Tell& tell) {
        watch_target(context.target);
        std::map<const Row*, int> each;
        const auto start = Clock::now();
        for (std::uint64_t i = 0; i < kDraws; ++i)
          for (const Row* row : context.claimed) {
            if (Clock::now() - start > kTime) return;
            if (is_chain(*row) || each[row] >= kEach) continue;
            const List choices = taken(*row, Choices(context.options.seed + i));
            if (!impossible(*row, choices)) continue;
            const CaseResult result = run_case(context, *row, choices, Mode::kPlain);
            if (result.steps == 0) continue;
            ++each[row];
            tell({{"met", 1}});
            for (const Finding& f : result.findings) tell(line_of({f.check == "conformance" ? "failures" : f.check, f.sentence}));
          }
      },
      [&](const Json&) { return ++met > 0; });
  if (met == 0) context.skip("failures", "nothing that was drawn is impossible by its data");
  else context.result("failures").found = fmt::format("{} cases whose data is impossible", met);
}

}  // namespace

void claim_operators(Context& context) {
  if (!has_reference()) return;
  int crashes = 0;
  for (std::size_t first = 0; first < context.rows.size() && crashes < kMostCrashes && !context.hung;) {
    std::size_t next = first;
    const Ended ended = run_apart(
        [&](const Tell& tell) {
          watch_target(context.target);
          Spy::get().set_mode(Mode::kPlain);
          for (std::size_t i = first; i < context.rows.size(); ++i) tell(ask_about(context, context.rows[i]));
        },
        [&](const Json& line) {
          const Row& row = context.rows[next++];
          const CaseResult result = case_result_of(line);
          add_claims(context, result.claims);
          for (const Finding& f : result.findings) context.fail(f);
          if (line["any"].get<bool>()) context.claimed.push_back(&row);
          if (!line["sample"].is_null()) context.samples.push_back({&row, line["sample"].get<List>()});
          return true;
        },
        kSilence);
    if (ended.how == Ended::kFinished) break;
    if (ended.how == Ended::kHung) context.hung = true;
    if (next < context.rows.size()) {
      context.fail({"conformance", fmt::format("{}: {}", context.rows[next].name, ended.sentence), ended.said});
      context.claimed.push_back(&context.rows[next]);
    }
    ++crashes;
    first = next + 1;
  }
  for (const Row& row : context.rows) {  // seen in chains
    const auto seen = context.report.coverage.find(row.name);
    if (seen == context.report.coverage.end() || seen->second.claimed.empty()) continue;
    if (std::find(context.claimed.begin(), context.claimed.end(), &row) == context.claimed.end()) context.claimed.push_back(&row);
  }
}

void check_operators(Context& context) {
  Conformance(context).run();
  if (!context.hung && context.wanted("failures")) check_impossible(context);
}

}  // namespace ashlar::check
