// SPDX-License-Identifier: Apache-2.0
// Splits a model between two providers at random, one of which has a device and takes the nodes that its options claim and seed say, and
// compares every split with a session of other providers: bit for bit, or within a tolerance of an output's largest magnitude. Every split
// runs three times (the second binds, the third replays what the second recorded). Exit status: 0 all agree, 1 some do not, or an error.
#include <cmath>
#include <cstdio>
#include <optional>

#include "random_inputs.h"
#include "tests/support/device_providers.h"

namespace {
using namespace ashlar::testing;
using ashlar::DType;

constexpr const char* kUsage =
    "ashlar_placements MODEL [--device lazy|async|LIBRARY] [--others reference] [--against reference] [--splits N] [--first SEED] "
    "[--tolerance T]\n"
    "                  [SYMBOL=N | SYMBOL=LOW-HIGH]...";

struct Arguments {
  std::string model, device = "lazy";
  std::vector<std::string> others = {"reference"}, against = {"reference"};
  std::uint64_t splits = 50, first = 1;
  double tolerance = 0;
  std::map<std::string, Range> lengths;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= argc) throw std::invalid_argument(fmt::format("{} needs a value", word));
      return argv[++i];
    };
    const std::size_t equals = word.find('=');
    if (word == "--device") out.device = value();
    else if (word == "--others") out.others = split(value());
    else if (word == "--against") out.against = split(value());
    else if (word == "--splits") out.splits = number<std::uint64_t>(value());
    else if (word == "--first") out.first = number<std::uint64_t>(value());
    else if (word == "--tolerance") out.tolerance = std::stod(std::string(value()));
    else if (out.model.empty()) out.model = word;
    else if (equals != word.npos) out.lengths[std::string(word.substr(0, equals))] = parse_range(word.substr(equals + 1));
    else throw std::invalid_argument(fmt::format("'{}' is one argument too many\n{}", word, kUsage));
  }
  if (out.model.empty()) throw std::invalid_argument(kUsage);
  return out;
}

std::vector<ashlar::Tensor> clones(ashlar::Run& run, const ashlar::Session& session) {
  std::vector<ashlar::Tensor> out;
  for (std::size_t i = 0; i < session.outputs().size(); ++i) out.push_back(run.output(i).tensor().clone());
  return out;
}

/// The largest difference of two outputs over the largest magnitude of the second; infinite where they are of different types.
double difference(const ashlar::Tensor& a, const ashlar::Tensor& b) {
  if (same_bits(a, b)) return 0;
  if (a.dtype() != DType::kFloat32 || a.type_string() != b.type_string()) return INFINITY;
  double most = 1e-30, gap = 0;
  for (std::int64_t i = 0; i < a.element_count(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    most = std::max(most, std::fabs(y));
    gap = std::isnan(x) == std::isnan(y) ? std::max(gap, std::isnan(x) ? 0 : std::fabs(x - y)) : INFINITY;
  }
  return gap / most;
}

bool check(const Arguments& a) {
  const ashlar::Model model = ashlar::Model::load(a.model);
  // What a split takes decides what passes make; the same bits need the same operators.
  const ashlar::PassOptions passes = a.tolerance == 0 ? ashlar::PassOptions::none() : ashlar::PassOptions();
  const ashlar::Session oracle(model, {.providers = a.against, .threads = 1, .passes = passes});
  RandomInputs inputs(oracle, a.lengths);
  const std::vector<ashlar::NamedValues> sets = {inputs.next(), inputs.next()};
  std::vector<std::vector<ashlar::Tensor>> expected;
  ashlar::Run oracle_run = oracle.prepare();
  for (const auto& set : sets) {
    for (const auto& [name, value] : set) oracle_run.bind_input(name, value);
    oracle_run();
    expected.push_back(clones(oracle_run, oracle));
  }
  std::uint64_t wrong = 0, copies = 0, on_device = 0, nodes = 0;
  double worst = 0;
  for (std::uint64_t seed = a.first; seed < a.first + a.splits; ++seed) {
    const std::string device =
        fmt::format("{}{}claim=0.{}&seed={}", a.device, a.device.find('?') == a.device.npos ? '?' : '&', seed % 9 + 1, seed);
    ashlar::SessionOptions options{.providers = {device}, .threads = 1, .passes = passes};
    options.providers.insert(options.providers.end(), a.others.begin(), a.others.end());
    const ashlar::Session session(model, options);
    for (const auto& node : session.placement().nodes) {
      ++nodes;
      on_device += node.provider != "core" && std::find(a.others.begin(), a.others.end(), node.provider) == a.others.end() ? 1 : 0;
    }
    ashlar::Run run = session.prepare();
    ashlar::Trace trace;
    double most = 0;
    for (int round = 0; round < 4; ++round) {
      const std::size_t set = round == 0 ? 1 : 0;
      for (const auto& [name, value] : sets[set]) run.bind_input(name, value);
      run({.trace = round == 0 ? &trace : nullptr});
      const auto outputs = clones(run, session);
      for (std::size_t i = 0; i < outputs.size(); ++i) most = std::max(most, difference(outputs[i], expected[set][i]));
    }
    for (const auto& e : trace.events) copies += e.op == "(copy)" ? 1 : 0;
    worst = std::max(worst, most);
    if (most <= a.tolerance) continue;
    ++wrong;
    fmt::print("split by {} differs by {:.3g}\n", device, most);
  }
  fmt::print("{} of {} splits differ by more than {:g} (most {:.3g}); {} of {} nodes on {}, {} copies\n", wrong, a.splits, a.tolerance,
             worst, on_device, nodes, a.device, copies);
  return wrong == 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    ashlar::add_provider("lazy", &lazy_provider);
    ashlar::add_provider("async", &async_provider);
    return check(parse(argc, argv)) ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_placements: error: {}\n", e.what());
    return 1;
  }
}
