// SPDX-License-Identifier: Apache-2.0
// Sessions whose device is slow in places, and sessions in which a call of the border fails.
#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "case.h"
#include "same_bits.h"

namespace ashlar::check {
namespace {

using comparison::Choices;
using comparison::Row;

constexpr std::uint64_t kSlowedCases = 40;
constexpr std::size_t kSamples = 8;
constexpr int kFaultPlaces[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48};

/// Samples spread over all there are, chains first.
std::vector<Sample> some(const std::vector<Sample>& samples) {
  std::vector<Sample> all = samples, out;
  std::stable_partition(all.begin(), all.end(), [](const Sample& s) { return is_chain(*s.row); });
  const std::size_t n = std::min(kSamples, all.size());
  for (std::size_t i = 0; i < n; ++i) out.push_back(all[i * all.size() / n]);
  return out;
}

struct Planted {
  Fault fault;
  const char* check;
  const char* what;  ///< "a copy fails"
  ErrorCode code;
};

constexpr Planted kPlanted[] = {
    {Fault::kAllocate, "allocation-failure", "allocate fails", ErrorCode::kOutOfMemory},
    {Fault::kPacked, "allocation-failure", "the runtime has no memory for a packed constant", ErrorCode::kOutOfMemory},
    {Fault::kSetOutput, "allocation-failure", "the runtime has no memory for an output", ErrorCode::kOutOfMemory},
    {Fault::kQueue, "device-lost", "a queue cannot be made", ErrorCode::kDeviceError},
    {Fault::kEvent, "device-lost", "an event cannot be made", ErrorCode::kDeviceError},
    {Fault::kCopy, "copy-failure", "a copy fails", ErrorCode::kDeviceError},
    {Fault::kLost, "device-lost", "the device is lost", ErrorCode::kDeviceError},
};

/// Whether the planted fault met a call; says what is wrong with how the session took it.
bool plant(const Planted& planted, int place, const Drawn& drawn, const SessionOptions& options, const NamedValues& expected,
           const Row& row, const Tell& tell) {
  Spy& spy = Spy::get();
  const std::string when = fmt::format("{}, {} (call {})", row.name, planted.what, place);
  const auto say = [&](const std::string& sentence) { tell(line_of({planted.check, when + ": " + sentence})); };
  std::optional<Error> error;
  NamedValues outputs;
  spy.inject(planted.fault, place);
  try {
    outputs = Session(drawn.model, options).run(drawn.inputs);
  } catch (const Error& e) {
    error = e;
  }
  const bool met = spy.injected();
  spy.inject(Fault::kNone, 0);
  if (!met) return false;
  if (error && error->code() != planted.code)
    say(fmt::format("the error has the code {}, not {}: '{}'", to_string(error->code()), to_string(planted.code), error->what()));
  if (error && error->context().provider != kSpyName) say(fmt::format("the error does not name the provider: '{}'", error->what()));
  if (!error && !same_bits(outputs, expected)) say("the session goes on and gives other outputs");
  try {
    if (!same_bits(Session(drawn.model, options).run(drawn.inputs), expected)) say("a new session gives other outputs afterwards");
  } catch (const Error& e) {
    say(fmt::format("a new session fails afterwards: {}", e.what()));
  }
  for (const Finding& f : spy.take_findings()) tell(line_of(f));
  return true;
}

void plant_all(Context& context, const Sample& sample, const char* check, const Tell& tell) {
  const Drawn drawn = draw(sample);
  const SessionOptions options = {
      .providers = watched_providers(context, *sample.row), .threads = drawn.threads, .passes = PassOptions::none()};
  const NamedValues expected = Session(drawn.model, options).run(drawn.inputs);
  for (int i = 0; i < 3; ++i)
    if (!same_bits(Session(drawn.model, options).run(drawn.inputs), expected)) return;  // nothing can be said of what a failure changes
  for (const Planted& planted : kPlanted) {
    if (std::strcmp(planted.check, check) != 0) continue;
    for (const int place : kFaultPlaces) {
      if (!plant(planted, place, drawn, options, expected, *sample.row, tell)) break;
      tell({{"met", 1}});
    }
  }
}

}  // namespace

void check_ordering(Context& context) {
  std::vector<const Row*> rows = context.claimed;
  std::stable_partition(rows.begin(), rows.end(), [](const Row* row) { return is_chain(*row); });
  int cases = 0;
  context.apart(
      "ordering",
      [&](const Tell& tell) {
        watch_target(context.target);
        Spy& spy = Spy::get();
        for (std::uint64_t i = 0; i < std::max<std::uint64_t>(kSlowedCases, rows.size()); ++i) {
          const Row& row = *rows[i % rows.size()];
          const std::uint32_t queue = 1 + static_cast<std::uint32_t>(i / rows.size() + i) % context.described.queues;
          const List choices = accepted_choices(context, row, context.options.seed + i);
          spy.slow(queue);
          CaseResult result = run_case(context, row, choices, Mode::kPlain);
          spy.slow(0);
          if (result.outcome.failed() && !run_case(context, row, choices, Mode::kPlain).outcome.failed())
            for (Finding& f : result.findings)
              if (f.check == "conformance" || f.check == "shapes" || f.check == "failures")
                f = {"ordering", fmt::format("with queue {} slowed, {}", queue, f.sentence)};
          for (const Finding& f : result.findings) tell(line_of(f));
          tell({{"case", i}});
        }
      },
      [&](const Json&) { return ++cases > 0; });
  context.result("ordering").found = fmt::format("{} cases, each queue slowed in turn", cases);
}

void check_failures(Context& context) {
  const bool steady = context.result("ordering").state != CheckResult::kFailed;
  for (const char* check : {"allocation-failure", "copy-failure", "device-lost"}) {
    if (!context.wanted(check)) continue;
    if (!steady) {
      context.skip(check, "left out, since the order of work cannot be relied on");
      continue;
    }
    int met = 0;
    context.apart(
        check,
        [&](const Tell& tell) {
          watch_target(context.target);
          Spy::get().set_mode(Mode::kPlain);
          for (const Sample& sample : some(context.samples)) {
            set_doing(sample.row->name);
            plant_all(context, sample, check, tell);
          }
        },
        [&](const Json&) { return ++met > 0; });
    if (met == 0) context.skip(check, "no session makes a call that could fail so");
    else context.result(check).found = fmt::format("{} failures planted, and a new session after each", met);
  }
}

}  // namespace ashlar::check
