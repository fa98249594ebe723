// SPDX-License-Identifier: Apache-2.0
// Runs operator cases in the ONNX project's layout (CASE/model.onnx, CASE/tolerance.json, CASE/test_data_set_K/{input,output}_J.pb)
// through the public API and closes with "N passed, M failed, K skipped". Exit codes: 0, 1 for an error, 2 when a case failed.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fnmatch.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ashlar/ashlar.h>

#include "compare.h"
#include "data_set.h"

namespace {
namespace fs = std::filesystem;
namespace cli = ashlar::cli;

constexpr std::chrono::seconds kDeadline{60};
// What the ONNX project's own test runner allows bfloat16: two units in the last place (onnx/backend/test/runner).
constexpr double kBFloat16Rtol = 0x1p-6;

struct Options {
  fs::path cases;
  std::vector<std::string> providers;
  std::string filter;
  fs::path expected_failures;
  int threads = 0;
  bool verbose = false, by_operator = false;
  bool optimized = false;  ///< with the passes of a session; else every node as the case has it
};

/// A line `PATTERN: reason` of the expected failures, or `~PATTERN: reason` for cases that pass in one run and not in another.
struct Expectation {
  std::string pattern, reason;
  bool varies = false;
  bool matched = false;
};

struct Outcome {
  enum Kind { kPassed, kFailed, kSkipped };
  Kind kind = kFailed;
  std::string reason;
  std::vector<std::string> operators;
};

constexpr const char* kUsage =
    "ashlar_conformance --cases DIR [--providers a,b] [--filter REGEX] [--expected-failures FILE] [--threads N] [--optimized] "
    "[--by-operator] [-v]";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) throw std::invalid_argument(fmt::format("{} needs a value", name));
      return argv[++i];
    };
    if (name == "--cases") o.cases = value();
    else if (name == "--providers") o.providers = split(value(), ',');
    else if (name == "--filter") o.filter = value();
    else if (name == "--expected-failures") o.expected_failures = value();
    else if (name == "--threads") o.threads = std::stoi(value());
    else if (name == "--optimized") o.optimized = true;
    else if (name == "--by-operator") o.by_operator = true;
    else if (name == "-v") o.verbose = true;
    else throw std::invalid_argument(fmt::format("there is no option {}\n{}", name, kUsage));
  }
  if (o.cases.empty()) throw std::invalid_argument(kUsage);
  return o;
}

std::vector<Expectation> read_expectations(const fs::path& file) {
  std::vector<Expectation> list;
  if (file.empty()) return list;
  std::ifstream in(file);
  if (!in) throw std::runtime_error(fmt::format("{} cannot be read", file.string()));
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::size_t colon = line.find(':');
    const std::size_t reason = colon == std::string::npos ? colon : line.find_first_not_of(" \t\r", colon + 1);
    if (reason == std::string::npos || colon == first)
      throw std::runtime_error(fmt::format("{}:{}: not 'PATTERN: reason'", file.string(), number));
    const bool varies = line[first] == '~';
    const std::size_t pattern = first + (varies ? 1 : 0);
    list.push_back({line.substr(pattern, line.find_last_not_of(" \t", colon - 1) + 1 - pattern), line.substr(reason), varies});
  }
  return list;
}

std::vector<fs::path> find_cases(const fs::path& directory) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(directory))
    if (fs::exists(entry.path() / "model.onnx")) cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  return cases;
}

std::vector<fs::path> find_data_sets(const fs::path& folder) {
  constexpr std::string_view kPrefix = "test_data_set_";
  std::vector<fs::path> sets;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(kPrefix)) sets.push_back(entry.path());
  std::sort(sets.begin(), sets.end());
  return sets;
}

cli::Tolerance read_tolerance(const fs::path& file) {
  cli::Tolerance tolerance{.least_bfloat16_rtol = kBFloat16Rtol};
  if (!fs::exists(file)) return tolerance;
  std::ifstream in(file);
  const auto json = nlohmann::json::parse(in);
  tolerance.rtol = json.value("rtol", tolerance.rtol);
  tolerance.atol = json.value("atol", tolerance.atol);
  return tolerance;
}

// Empty when every output of every data set agrees, else the reason.
std::string run_case(const fs::path& folder, const Options& options, std::vector<std::string>& operators) {
  const cli::Tolerance tolerance = read_tolerance(folder / "tolerance.json");
  const ashlar::Model model = ashlar::Model::load(folder / "model.onnx");
  for (const auto& [op, count] : model.info().operators) operators.push_back(op);
  const ashlar::Session session(model, {.providers = options.providers,
                                        .threads = options.threads,
                                        .passes = options.optimized ? ashlar::PassOptions() : ashlar::PassOptions::none()});
  const std::vector<fs::path> sets = find_data_sets(folder);
  std::size_t compared = 0;
  for (const fs::path& set : sets) {
    const auto expected = cli::read_data_set_outputs(set, model.outputs());
    const auto outputs = session.run(cli::read_data_set_inputs(set, model.inputs()), {.deadline = kDeadline});
    for (const cli::ExpectedOutput& e : expected) {
      ++compared;
      if (const auto difference = cli::compare(outputs.at(e.name), e.value, tolerance))
        return fmt::format("{}{}: {}", sets.size() > 1 ? set.filename().string() + " " : "", e.name, difference->to_string());
    }
  }
  return compared == 0 ? "holds no expected output" : "";
}

Outcome judge(const fs::path& folder, const Options& options, std::vector<Expectation>& expectations) {
  Outcome outcome;
  try {
    outcome.reason = run_case(folder, options, outcome.operators);
  } catch (const std::bad_alloc&) {
    outcome.reason = "out of memory";
  } catch (const std::exception& e) {
    outcome.reason = e.what();
  } catch (...) {
    outcome.reason = "an exception of an unknown type";
  }
  outcome.kind = outcome.reason.empty() ? Outcome::kPassed : Outcome::kFailed;
  const Expectation* expected = nullptr;
  for (Expectation& e : expectations) {
    if (fnmatch(e.pattern.c_str(), folder.filename().c_str(), 0) != 0) continue;
    e.matched = true;
    if (!expected) expected = &e;
  }
  if (expected && outcome.kind == Outcome::kPassed && !expected->varies) {
    outcome.kind = Outcome::kFailed;
    outcome.reason = fmt::format("passed, but '{}' expects a failure: {}", expected->pattern, expected->reason);
  } else if (expected) {
    outcome.kind = Outcome::kSkipped;
    outcome.reason = fmt::format("{} (now: {})", expected->reason, outcome.reason.empty() ? "passed" : outcome.reason);
  }
  return outcome;
}

using Counts = std::array<int, 3>;

// A case counts for every operator its model holds.
void print_by_operator(const std::map<std::string, Counts>& table) {
  std::size_t width = 8;
  for (const auto& [op, counts] : table) width = std::max(width, op.size());
  fmt::print("{:<{}}  passed  failed  skipped\n", "operator", width);
  for (const auto& [op, counts] : table) fmt::print("{:<{}}  {:>6}  {:>6}  {:>7}\n", op, width, counts[0], counts[1], counts[2]);
}

int run(const Options& options) {
  constexpr const char* kLabels[] = {"pass", "FAIL", "skip"};
  std::vector<Expectation> expectations = read_expectations(options.expected_failures);
  const std::regex filter(options.filter);
  Counts totals{};
  std::map<std::string, Counts> table;
  for (const fs::path& folder : find_cases(options.cases)) {
    const std::string name = folder.filename().string();
    if (!std::regex_search(name, filter)) continue;
    Outcome outcome = judge(folder, options, expectations);
    ++totals[outcome.kind];
    if (outcome.operators.empty()) outcome.operators.push_back("(not loaded)");
    for (const std::string& op : outcome.operators) ++table[op][outcome.kind];
    if (outcome.kind == Outcome::kFailed || options.verbose)
      fmt::print("{} {}{}{}\n", kLabels[outcome.kind], name, outcome.reason.empty() ? "" : ": ", outcome.reason);
    std::fflush(stdout);
  }
  if (options.by_operator) print_by_operator(table);
  if (options.filter.empty()) {
    for (const Expectation& e : expectations) {
      if (!e.matched) fmt::print("expected failure '{}' matches no case\n", e.pattern);
    }
  }
  const auto [passed, failed, skipped] = totals;
  fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  if (passed + failed + skipped == 0) {
    fmt::print(stderr, "ashlar_conformance: error: no case found in {}\n", options.cases.string());
    return 1;
  }
  return failed > 0 ? 2 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_conformance: error: {}\n", e.what());
    return 1;
  }
}
