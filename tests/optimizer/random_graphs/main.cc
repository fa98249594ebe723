// SPDX-License-Identifier: Apache-2.0
// Random small models, optimized and not: the outputs must agree. A model that disagrees is run again with fewer rewrites until the one is found that
// changes what it computes. Exit status: 0 all agree, 1 some do not, or an error.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ashlar/ashlar.h>

#include "tests/optimizer/random_graphs/graph_writer.h"
#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace {
using namespace ashlar::testing;
using ashlar::Tensor;

constexpr const char* kUsage =
    "ashlar_random_graphs [--count N] [--seed S] [--print]\n"
    "Tries the seeds from S on. --print writes each model to the standard output.";
constexpr double kTolerance = 1e-4, kNudge = 1e-6;

struct Arguments {
  std::uint64_t count = 1000, seed = 1;
  bool print = false;
};

template <class T> T number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(fmt::format("'{}' is no number", text));
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= argc) throw std::invalid_argument(fmt::format("{} needs a value", word));
      return argv[++i];
    };
    if (word == "--count") out.count = number<std::uint64_t>(value());
    else if (word == "--seed") out.seed = number<std::uint64_t>(value());
    else if (word == "--print") out.print = true;
    else throw std::invalid_argument(kUsage);
  }
  return out;
}

using Outputs = std::vector<Tensor>;

Outputs outputs_of(const ashlar::Session& session, const std::vector<std::pair<std::string, Tensor>>& inputs) {
  ashlar::Run run = session.prepare();
  for (const auto& [name, tensor] : inputs) run.bind_input(name, tensor);
  run();
  Outputs out;
  for (std::size_t i = 0; i < session.outputs().size(); ++i) out.push_back(run.output(i).tensor().clone());
  return out;
}

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : writer_(seed) {
    const std::int64_t nodes = writer_.between(5, 25);
    while (writer_.nodes_written() < nodes) add_motif(writer_);
    text_ = writer_.finish();
    // Passes must not rely on each other: now and then one is missing.
    const auto all = ashlar::passes();
    if (writer_.chance(30))
      if (const auto& pass = all[static_cast<std::size_t>(writer_.below(static_cast<std::int64_t>(all.size())))]; !pass.required)
        options_.passes.disable = {pass.name};
    const auto there = ashlar::provider_names();
    const bool cpu = std::find(there.begin(), there.end(), "cpu") != there.end();
    options_.providers = {"reference"};
    if (const auto order = writer_.below(4); cpu && order < 3)
      options_.providers.insert(order < 2 ? options_.providers.begin() : options_.providers.end(), "cpu");
    options_.threads = 1;
  }

  const std::string& text() const { return text_; }
  std::string setting() const {
    return fmt::format("providers {}{}", fmt::join(options_.providers, ","),
                       options_.passes.disable.empty() ? "" : ", without " + options_.passes.disable[0]);
  }

  /// Whether the model can be loaded and run as it is written.
  bool runs(std::string& why) {
    try {
      model_ = parse_bytes(model_bytes(text_.c_str()));
      const ashlar::Session plain(*model_, plain_options());
      expected_ = outputs_of(plain, writer_.inputs);
      auto nudged = writer_.inputs;
      for (auto& [name, tensor] : nudged) {
        tensor = tensor.clone();
        if (tensor.dtype() != ashlar::DType::kFloat32) continue;
        for (std::int64_t i = 0; i < tensor.element_count(); ++i)
          set_element(tensor, i, element(tensor, i) * (1 + (i % 2 ? kNudge : -kNudge)));
      }
      const Outputs moved = outputs_of(plain, nudged);
      for (std::size_t i = 0; i < expected_.size(); ++i) noise_.push_back(largest_gap(moved[i], expected_[i]));
      return true;
    } catch (const std::exception& e) {
      why = e.what();
      return false;
    }
  }

  /// What is wrong when at most so many rewrites are applied; empty when nothing is. `rewrites`: those that were.
  std::string wrong(std::optional<std::int64_t> stop_after, std::vector<ashlar::Optimization::Rewrite>* rewrites = nullptr,
                    const std::string& without = "") {
    ashlar::SessionOptions options = options_;
    options.passes.stop_after = stop_after;
    if (!without.empty()) options.passes.disable.push_back(without);
    try {
      const ashlar::Session session(*model_, options);
      if (rewrites)
        for (const auto& r : session.optimization().rewrites)
          if (r.pass != "canonicalize" && r.pass != "legalize" && r.pass != "restore") rewrites->push_back(r);
      const Outputs found = outputs_of(session, writer_.inputs);
      for (std::size_t i = 0; i < found.size(); ++i) {
        // Where a nudge of the inputs moves the output, so does rounding.
        const double tolerance = kTolerance + 30 * noise_[i];
        if (std::string gap = difference(found[i], expected_[i], tolerance); !gap.empty()) return session.outputs()[i].name + ": " + gap;
      }
      return "";
    } catch (const std::exception& e) {
      return e.what();
    }
  }

 private:
  static ashlar::SessionOptions plain_options() {
    ashlar::SessionOptions out{.providers = {"reference"}, .threads = 1};
    for (const auto& pass : ashlar::passes())
      if (!pass.required) out.passes.disable.push_back(pass.name);
    return out;
  }
  static double largest_gap(const Tensor& a, const Tensor& b) {
    double gap = 0;
    if (!is_real(a.dtype()) || a.shape() != b.shape()) return 0;
    for (std::int64_t i = 0; i < a.element_count(); ++i)
      if (const double d = std::abs(element(a, i) - element(b, i)) / (1 + std::abs(element(b, i))); std::isfinite(d))
        gap = std::max(gap, d);
    return gap;
  }

  GraphWriter writer_;
  std::string text_;
  ashlar::SessionOptions options_;
  std::optional<ashlar::Model> model_;
  Outputs expected_;
  std::vector<double> noise_;  ///< by output, relative
};

std::string nodes_text(const std::vector<ashlar::Optimization::NodeRef>& nodes) {
  std::string out;
  for (const auto& n : nodes) out += (out.empty() ? "" : ", ") + n.node + " (" + n.op + ")";
  return out.empty() ? "nothing" : out;
}

/// Which passes it takes: those without which nothing is wrong.
std::string guilty(Trial& trial) {
  std::string out;
  for (const auto& pass : ashlar::passes())
    if (!pass.required && trial.wrong(std::nullopt, nullptr, pass.name).empty()) out += (out.empty() ? "" : ", ") + pass.name;
  return out.empty() ? "no single pass" : out;
}

/// Finds the first rewrite with which the trial goes wrong.
void report(Trial& trial, std::uint64_t seed, const std::string& wrong) {
  fmt::print("seed {}: {} ({})\n  cured by leaving out: {}\n", seed, wrong, trial.setting(), guilty(trial));
  if (const std::string already = trial.wrong(0); !already.empty()) {
    fmt::print("  before any rewrite: {}\n", already);
    return;
  }
  std::int64_t good = 0, bad = 1;
  while (trial.wrong(bad).empty()) {
    good = bad;
    bad *= 2;
    if (bad > 4096) return;
  }
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (trial.wrong(middle).empty() ? good : bad) = middle;
  }
  std::vector<ashlar::Optimization::Rewrite> rewrites;
  trial.wrong(bad, &rewrites);
  if (bad > static_cast<std::int64_t>(rewrites.size())) {
    fmt::print("  by rewrite {}, or by what comes after {} of them\n", bad, good);
    return;
  }
  const auto& r = rewrites[static_cast<std::size_t>(bad - 1)];
  fmt::print("  by rewrite {}: {} [{}]{}: {} -> {}\n", bad, r.pass, r.rule, r.graph.empty() ? "" : " in " + r.graph, nodes_text(r.before),
             nodes_text(r.after));
}

bool run(const Arguments& a) {
  std::uint64_t wrong = 0, invalid = 0;
  std::map<std::string, std::uint64_t> counts;  // rewrites by pass
  std::string reason;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t seed = a.seed; seed < a.seed + a.count; ++seed) {
    Trial trial(seed);
    if (a.print) fmt::print("{}\n", trial.text());
    if (std::string why; !trial.runs(why)) {
      if (invalid++ == 0) reason = fmt::format("seed {}: {}", seed, why);
      continue;
    }
    std::vector<ashlar::Optimization::Rewrite> rewrites;
    const std::string what = trial.wrong(std::nullopt, &rewrites);
    for (const auto& r : rewrites) ++counts[r.pass];
    if (!what.empty()) {
      ++wrong;
      report(trial, seed, what);
    }
    std::fflush(stdout);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{} of {} models disagree; {} cannot run{}; {:.1f} s\n", wrong, a.count, invalid, invalid ? " (" + reason + ")" : "", seconds);
  fmt::print("rewrites:");
  for (const auto& [pass, count] : counts) fmt::print(" {} {}", pass, count);
  fmt::print("\n");
  if (invalid * 50 > a.count) fmt::print("too many models cannot run\n");
  return wrong == 0 && invalid * 50 <= a.count;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv)) ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_random_graphs: error: {}\n", e.what());
    return 1;
  }
}
