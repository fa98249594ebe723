// SPDX-License-Identifier: Apache-2.0
// Compares providers on random cases: operators and chains of them, their attributes, shapes, dtypes and elements drawn from a seed. Case N
// of a run is case 0 of the run with seed + N. A failing case is made smaller and printed, and written where asked for. Exit codes: 0, 1
// for an error, 2 when a case failed, 77 when this build lacks a provider that is asked for.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "apart.h"
#include "shrink.h"

namespace {
namespace fs = std::filesystem;
using namespace ashlar::comparison;
using List = std::vector<std::uint32_t>;
using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "ashlar_kernel_comparison [--seed S] [--cases N] [--operator REGEX] [--providers cpu] [--against reference] [--time SECONDS]\n"
    "                         [--write-failures DIR] [-v]";
constexpr int kShrinkAttempts = 400;
constexpr std::chrono::seconds kShrinkTime{20};
constexpr int kShrunkPerRow = 2;
constexpr int kMissing = 77;

struct Options {
  std::uint64_t seed = 1, cases = 1000;
  std::string filter;
  Sides sides = {.subject = {"cpu"}, .oracle = {"reference"}};
  double seconds = 0;
  fs::path failures;
  bool verbose = false;
};

template <class T> T number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(fmt::format("'{}' is not a number", text));
  return value;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    parts.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= argc) throw std::invalid_argument(fmt::format("{} needs a value", name));
      return argv[++i];
    };
    if (name == "--seed") o.seed = number<std::uint64_t>(value());
    else if (name == "--cases") o.cases = number<std::uint64_t>(value());
    else if (name == "--operator") o.filter = value();
    else if (name == "--providers") o.sides.subject = split(value());
    else if (name == "--against") o.sides.oracle = split(value());
    else if (name == "--time") o.seconds = number<double>(value());
    else if (name == "--write-failures") o.failures = value();
    else if (name == "-v") o.verbose = true;
    else throw std::invalid_argument(fmt::format("there is no option {}\n{}", name, kUsage));
  }
  return o;
}

/// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators"): neighbouring seeds give unlike rows.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

List taken(const Row& row, Choices choices) {
  try {
    draw_case(row, choices);
  } catch (const std::exception&) {  // judge() says so
  }
  return choices.taken();
}

struct Tally {
  int compared = 0, both_fail = 0, refused = 0, failed = 0;
  std::string reason;
};

class Comparison {
 public:
  explicit Comparison(const Options& options) : options_(options) {
    const std::regex filter(options.filter);
    for (const Row& row : all_rows())
      if (std::regex_search(row.name, filter)) rows_.insert(rows_.end(), static_cast<std::size_t>(row.weight), row);
    if (rows_.empty()) throw std::invalid_argument(fmt::format("no operator matches '{}'", options.filter));
  }

  int run() {
    const auto start = Clock::now();
    judge_apart(
        options_.cases, [&](std::size_t i) { return judge(row(i), taken(row(i), Choices(options_.seed + i)), options_.sides); },
        [&](std::size_t i, const Outcome& outcome) {
          count(i, outcome);
          return options_.seconds <= 0 || std::chrono::duration<double>(Clock::now() - start).count() < options_.seconds;
        });
    print_table();
    for (const auto& [name, tally] : tallies_) {
      totals_.compared += tally.compared + tally.both_fail;
      totals_.refused += tally.refused;
      totals_.failed += tally.failed;
    }
    fmt::print("{} passed, {} failed, {} skipped\n", totals_.compared, totals_.failed, totals_.refused);
    return totals_.failed > 0 ? 2 : 0;
  }

 private:
  const Row& row(std::size_t i) const { return rows_[mixed(options_.seed + i) % rows_.size()]; }

  void count(std::size_t i, const Outcome& outcome) {
    constexpr const char* kLabels[] = {"pass", "pass", "skip", "FAIL", "FAIL", "FAIL", "FAIL", "FAIL", "FAIL"};
    const Row& of = row(i);
    Tally& tally = tallies_[of.name];
    if (options_.verbose || outcome.failed())
      fmt::print("{} {} seed {}{}{}\n", kLabels[outcome.kind], of.name, options_.seed + i, outcome.detail.empty() ? "" : ": ",
                 outcome.detail);
    if (outcome.kind == Outcome::kAgrees) ++tally.compared;
    else if (outcome.kind == Outcome::kBothFail) ++tally.both_fail;
    else if (outcome.kind == Outcome::kRefused) ++tally.refused, tally.reason = outcome.detail;
    else if (++tally.failed <= kShrunkPerRow) make_smaller(of, options_.seed + i, outcome);
    std::fflush(stdout);
  }

  void make_smaller(const Row& of, std::uint64_t seed, const Outcome& outcome) {
    Outcome last = outcome;
    const auto normal = [&](const List& list) { return taken(of, Choices(list)); };
    const auto start = Clock::now();
    const auto fails = [&](const List& list) {
      if (Clock::now() - start > kShrinkTime) return false;
      const Outcome now = judge_apart([&] { return judge(of, list, options_.sides); });
      if (now.kind != outcome.kind) return false;
      last = now;
      return true;
    };
    const bool again = fails(normal(taken(of, Choices(seed))));
    const List small = again ? shrink(taken(of, Choices(seed)), outcome.kind == Outcome::kHung ? 0 : kShrinkAttempts, fails, normal)
                             : taken(of, Choices(seed));
    fmt::print("  again: --operator '^{}$' --seed {} --cases 1 --providers {} --against {}{}\n", of.name, seed,
               fmt::join(options_.sides.subject, ","), fmt::join(options_.sides.oracle, ","), again ? "" : " (alone it does not fail)");
    const Outcome told = judge_apart([&] { return Outcome{Outcome::kAgrees, describe(of, small)}; });
    fmt::print("  smaller: {}\n{}", last.detail, told.detail);
    if (options_.failures.empty()) return;
    const std::string name = fmt::format("case-{}-{}", of.name, seed);
    const Outcome written = judge_apart([&] {
      write_case(of, small, options_.sides, options_.failures / name);
      return Outcome{};
    });
    if (written.failed()) fmt::print("  not written: {}\n", written.detail);
    else
      fmt::print("  written: ashlar_conformance --cases {} --filter '^{}$' --providers {}\n", options_.failures.string(), name,
                 fmt::join(options_.sides.subject, ","));
  }

  void print_table() const {
    std::size_t width = 8;
    for (const auto& [name, tally] : tallies_) width = std::max(width, name.size());
    fmt::print("{:<{}}  compared  both fail  refused  failed\n", "operator", width);
    for (const auto& [name, tally] : tallies_)
      fmt::print("{:<{}}  {:>8}  {:>9}  {:>7}  {:>6}{}{}\n", name, width, tally.compared, tally.both_fail, tally.refused, tally.failed,
                 tally.reason.empty() ? "" : "  ", tally.reason.substr(0, 160));
  }

  const Options& options_;
  std::vector<Row> rows_;
  std::map<std::string, Tally> tallies_;
  Tally totals_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    const auto built_in = ashlar::provider_names();
    for (const auto* side : {&options.sides.subject, &options.sides.oracle})
      for (const std::string& name : *side)
        if (std::find(built_in.begin(), built_in.end(), name) == built_in.end()) {
          fmt::print("skipped: this build has no provider '{}'\n", name);
          return kMissing;
        }
    return Comparison(options).run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_kernel_comparison: error: {}\n", e.what());
    return 1;
  }
}
