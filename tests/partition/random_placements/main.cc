// SPDX-License-Identifier: Apache-2.0
// Random small models over two devices with random verdicts: every placement must be whole, cost no more than the plain ones, give the bits of the
// reference provider, and copy what its ledger says. Exit status: 0 all do, 1 some do not, or an error.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "core/thread_pool.h"
#include "optimizer/pass.h"
#include "partition/host.h"
#include "partition/placing.h"
#include "partition/report.h"
#include "session/model_impl.h"
#include "tests/optimizer/random_graphs/graph_writer.h"
#include "tests/optimizer/random_graphs/motifs.h"
#include "tests/support/device_providers.h"
#include "tests/support/text_model.h"

namespace {
using namespace ashlar::testing;
namespace partition = ashlar::partition;
using ashlar::NamedValues;
using ashlar::Tensor;

constexpr const char* kUsage = "ashlar_random_placements [--count N] [--seed S]\nTries the seeds from S on.";

template <class... Args> void expect(bool holds, fmt::format_string<Args...> what, Args&&... args) {
  if (!holds) throw std::runtime_error(fmt::format(what, std::forward<Args>(args)...));
}

/// The cost of the best of all assignments, where there are few.
partition::Ticks brute_force(const partition::SpaceProblem& problem) {
  partition::Spaces at(problem.nodes.size(), 0);
  partition::Ticks best = partition::kNever;
  while (true) {
    best = std::min(best, partition::total_cost(problem, at));
    std::size_t i = 0;
    while (i < at.size() && ++at[i] == problem.spaces) at[i++] = 0;
    if (i == at.size()) return best;
  }
}

struct Tally {
  std::size_t nodes = 0, copies = 0, small = 0, flipped = 0;
  std::uint64_t bytes = 0;
};

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : writer_(seed) {
    const std::int64_t nodes = writer_.chance(40) ? writer_.between(1, 8) : writer_.between(5, 30);
    while (writer_.nodes_written() < nodes) add_motif(writer_);
    text_ = writer_.finish();
    const auto queues = [&] { return std::to_string(1 + writer_.below(2)); };
    providers_ = {"lazy?host_operands=on&queues=" + queues() + "&verdicts=" + std::to_string(2 * seed + 1),
                  "async?host_operands=on&queues=" + queues() + "&verdicts=" + std::to_string(2 * seed + 2), "reference"};
    if (writer_.chance(30)) providers_.erase(providers_.begin() + 1);
  }
  const std::string& text() const { return text_; }

  void run(Tally& tally) {
    const ashlar::Model model = parse_bytes(model_bytes(text_.c_str()));
    const ashlar::PassOptions passes = ashlar::PassOptions::none();
    const NamedValues inputs = named_inputs();
    NamedValues expected;
    {
      const ashlar::Session session(model, {.providers = {"reference"}, .threads = 1, .passes = passes});
      try {
        expected = session.run(inputs);
      } catch (const ashlar::Error&) {
        return;  // a model that does not run anywhere is no case
      }
    }
    for (const bool by_cost : {false, true}) {
      ashlar::SessionOptions options{.providers = providers_, .threads = 1, .passes = passes};
      if (by_cost) options.policy = ashlar::SessionOptions::Policy::kCost;
      const std::uint64_t before = copied_bytes();
      const ashlar::Session session(model, options);
      const std::uint64_t once = copied_bytes() - before;
      ashlar::Placement placement = session.placement();
      check_whole(placement);
      check_run(session, placement, inputs, expected, once, tally);
      check_plan(model, options, session.placement());
      if (by_cost) check_cost(model, tally);
      else check_what_if(model, options, session, tally);
      tally.nodes += placement.nodes.size();
    }
  }

 private:
  NamedValues named_inputs() const {
    NamedValues out;
    for (const auto& [name, tensor] : writer_.inputs) out.add(name, tensor);
    return out;
  }

  void check_whole(const ashlar::Placement& placement) const {
    std::set<std::string> seen;
    for (const ashlar::NodePlacement& n : placement.nodes) {
      expect(seen.insert(n.node).second, "{} has two places", n.node);
      if (n.provider == "core") continue;
      expect(n.verdicts.size() == providers_.size(), "{} has {} verdicts of {}", n.node, n.verdicts.size(), providers_.size());
      bool taken = false;
      for (const ashlar::Verdict& v : n.verdicts) {
        expect(v.accepted == v.code.empty() && v.accepted == v.reason.empty(), "{} of {} is neither accepted nor refused", n.node,
               v.provider);
        taken = taken || (v.accepted && v.provider == n.provider);
      }
      expect(taken, "{} is on {}, which refused it", n.node, n.provider);
    }
  }

  void check_run(const ashlar::Session& session, ashlar::Placement& placement, const NamedValues& inputs, const NamedValues& expected,
                 std::uint64_t once, Tally& tally) const {
    ashlar::Trace trace;
    const std::uint64_t before = copied_bytes();
    const NamedValues outputs = session.run(inputs, {.trace = &trace});
    const std::uint64_t counted = copied_bytes() - before;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Tensor &x = outputs[i].second.tensor(), &y = expected[i].second.tensor();
      expect(x.type_string() == y.type_string(), "{} is {}, not {}", outputs[i].first, x.type_string(), y.type_string());
      expect(x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), x.bytes()) == 0, "{} has other bits", outputs[i].first);
    }
    std::uint64_t in_trace = 0, in_ledger = 0, in_ledger_once = 0;
    for (const ashlar::TraceEvent& e : trace.events)
      if (e.op == "(copy)") {
        expect(e.copy >= 0, "a copy for {} is not in the ledger", e.node);
        in_trace += e.bytes;
      }
    placement.add(trace);
    for (std::size_t i = 0; i < placement.copies.size(); ++i) {
      const ashlar::BoundaryCopy& c = placement.copies[i];
      expect(!c.cause.code.empty() && !c.cause.reason.empty(), "the copy of {} has no cause", c.tensor);
      expect(!c.consumers.empty(), "nobody reads the copy of {}", c.tensor);
      expect(c.from != c.to, "the copy of {} stays in {}", c.tensor, c.from);
      if (c.once) {
        in_ledger_once += c.bytes.value();
        continue;
      }
      in_ledger += c.measured_bytes;
      if (c.bytes && c.graph.empty())
        expect(c.measured_bytes == *c.bytes * static_cast<std::uint64_t>(c.runs), "the copy of {} took {} bytes, not {}", c.tensor,
               c.measured_bytes, *c.bytes);
    }
    expect(in_trace == counted, "the trace has {} bytes of copies, the devices {}", in_trace, counted);
    expect(in_ledger == counted, "the ledger has {} bytes of copies, the devices {}", in_ledger, counted);
    expect(in_ledger_once == once, "the ledger has {} bytes copied once, the devices {}", in_ledger_once, once);
    tally.copies += placement.copies.size();
    tally.bytes += counted;
  }

  /// Copies of a run, each as text.
  static std::multiset<std::string> run_copies(const ashlar::Placement& placement) {
    std::multiset<std::string> out;
    for (const ashlar::BoundaryCopy& c : placement.copies)
      if (!c.once) out.insert(fmt::format("{}/{} {} -> {}", c.graph, c.tensor, c.from, c.to));
    return out;
  }

  /// A session that only plans says what one that runs does.
  void check_plan(const ashlar::Model& model, ashlar::SessionOptions options, const ashlar::Placement& real) const {
    options.plan_only = true;
    const ashlar::Session session(model, options);
    const ashlar::Placement& planned = session.placement();
    for (std::size_t i = 0; i < real.nodes.size(); ++i)
      expect(planned.nodes[i].provider == real.nodes[i].provider, "{} is planned elsewhere", real.nodes[i].node);
    const std::multiset<std::string> a = run_copies(real), b = run_copies(planned);
    for (const std::string& c : a) expect(b.contains(c), "the copy {} is not planned", c);
    for (const std::string& c : b) expect(a.contains(c), "the copy {} is planned and not made", c);
  }

  /// What a kernel more would change is what it changes.
  void check_what_if(const ashlar::Model& model, ashlar::SessionOptions options, const ashlar::Session& session, Tally& tally) {
    const std::vector<ashlar::WhatIf> single = session.what_if(true);
    if (single.empty()) return;
    const ashlar::WhatIf& w = writer_.pick(single);
    for (std::string& spec : options.providers)
      if (spec.starts_with(w.provider + "?")) spec += "&accept=" + w.nodes.at(0);
    const ashlar::Session with(model, options);
    const auto before = static_cast<std::int64_t>(run_copies(session.placement()).size());
    const auto after = static_cast<std::int64_t>(run_copies(with.placement()).size());
    expect(after - before == w.copies, "with {} on {} there are {} copies for {}, not {} more", w.nodes[0], w.provider, after, before,
           w.copies);
    ++tally.flipped;
  }

  /// The main graph's problem once more, by the partitioner's own parts.
  void check_cost(const ashlar::Model& model, Tally& tally) const {
    partition::Providers providers;
    for (const std::string& spec : providers_)
      providers.push_back(partition::Provider::create(spec, std::make_shared<const partition::Host>(ashlar::core::Executor{})));
    ashlar::graph::Graph canonical = ashlar::graph::deep_copy(*model.impl().graph);
    ashlar::optimizer::optimize(
        canonical, ashlar::PassOptions::none(),
        [](const auto&, auto) {
          return ashlar::optimizer::Answer{0, ""};
        },
        [](const auto&) { return std::vector<Tensor>(); });
    const auto graph = std::make_shared<const ashlar::graph::Graph>(std::move(canonical));
    const partition::PartitionedGraph preferred = partition::partition(graph, providers);
    const partition::PartitionedGraph cheapest = partition::partition(graph, providers, {.by_cost = true});
    partition::verify(cheapest, providers);
    const partition::ExpectedShapes shapes(*graph, {});
    const partition::Costs costs(*graph, providers, shapes, nullptr);
    const partition::SpaceModel model_of_all(preferred, providers, costs, shapes);
    const partition::SpaceProblem& problem = model_of_all.problem();
    const auto spaces_of = [&](const partition::PartitionedGraph& g) {
      partition::Spaces out;
      for (const partition::Assignment& a : g.assignments) out.push_back(model_of_all.space_of(a.provider));
      return out;
    };
    const partition::Ticks found = partition::total_cost(problem, spaces_of(cheapest));
    partition::Spaces host;
    for (const auto& node : problem.nodes) host.push_back(node[0] < partition::kNever ? 0 : 1);  // the reference provider takes every node
    expect(found <= partition::total_cost(problem, host), "it costs more than all on the host");
    expect(found <= partition::total_cost(problem, spaces_of(preferred)), "it costs more than the placement by preference");
    if (problem.nodes.size() > 10) return;
    const partition::Ticks best = brute_force(problem);
    expect(found == best, "it costs {} ns, the best {} ns", partition::to_nanoseconds(found), partition::to_nanoseconds(best));
    ++tally.small;
  }

  GraphWriter writer_;
  std::string text_;
  std::vector<std::string> providers_;
};

std::uint64_t number(std::string_view text) {
  std::uint64_t value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(fmt::format("'{}' is no number", text));
  return value;
}

int test(int argc, char** argv) {
  std::uint64_t count = 1000, first = 1;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view word = argv[i];
    if (i + 1 >= argc || (word != "--count" && word != "--seed")) throw std::invalid_argument(kUsage);
    (word == "--count" ? count : first) = number(argv[i + 1]);
  }
  ashlar::add_provider("lazy", &lazy_provider);
  ashlar::add_provider("async", &async_provider);
  Tally tally;
  std::size_t wrong = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Trial trial(seed);
    try {
      trial.run(tally);
    } catch (const std::exception& e) {
      ++wrong;
      fmt::print("seed {}: {}\n{}\n", seed, e.what(), trial.text());
    }
  }
  fmt::print("{} graphs of {} nodes, {} copies ({} bytes), {} compared with every assignment, {} what-ifs tried: {} wrong\n", count,
             tally.nodes, tally.copies, tally.bytes, tally.small, tally.flipped, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return test(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_random_placements: error: {}\n", e.what());
    return 1;
  }
}
