// SPDX-License-Identifier: Apache-2.0
// What placement takes of a session's preparation, and what it keeps. The models are read from the folder that ASHLAR_MODELS names; those that are not
// there are left out.
//   BM_Load/MODEL            Model::load and the session
//   BM_Place/MODEL           of that, the placement by preference: verdicts of cpu and reference, assignment
//   BM_PlaceByCost/MODEL     the same by cost, with the operator's costs
//   BM_MinimumCut/N          the assignment of N nodes in a random graph to two memories
// The counter `record_bytes` is what is kept for a node and provider.
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include <ashlar/ashlar.h>
#include <benchmark/benchmark.h>

#include "core/thread_pool.h"
#include "optimizer/pass.h"
#include "partition/host.h"
#include "partition/partition.h"
#include "partition/space_problem.h"
#include "session/model_impl.h"

namespace {

namespace partition = ashlar::partition;

std::filesystem::path file_of(const std::string& model) {
  const char* folder = std::getenv("ASHLAR_MODELS");
  return folder ? std::filesystem::path(folder) / (model + ".onnx") : std::filesystem::path();
}

void load(benchmark::State& state, const std::string& model) {
  for (auto _ : state) {
    const ashlar::Session session(ashlar::Model::load(file_of(model)));
    benchmark::DoNotOptimize(&session);
  }
}

/// Bytes of the records and of the sentences they share, by record.
double record_bytes(const partition::PartitionedGraph& graph) {
  std::size_t records = 0, bytes = 0;
  std::set<const std::string*> texts;
  partition::each_graph(graph, [&](const partition::PartitionedGraph& g) {
    for (const partition::Assignment& a : g.assignments)
      for (const partition::Record& r : a.records) {
        ++records;
        bytes += sizeof(r) + r.guards.capacity() * sizeof(AshlarGuard);
        for (const auto& text : {r.reason, r.kernel})
          if (text && texts.insert(text.get()).second) bytes += 48 + text->capacity();  // with the block that counts its owners
      }
  });
  return static_cast<double>(bytes) / static_cast<double>(records);
}

void place(benchmark::State& state, const std::string& model, bool by_cost) {
  const ashlar::Model loaded = ashlar::Model::load(file_of(model));
  partition::Providers providers;
  for (const char* name : {"cpu", "reference"})
    providers.push_back(partition::Provider::create(name, std::make_shared<const partition::Host>(ashlar::core::Executor{})));
  ashlar::graph::Graph canonical = ashlar::graph::deep_copy(*loaded.impl().graph);
  ashlar::optimizer::optimize(
      canonical, ashlar::PassOptions::none(),
      [](const auto&, auto) {
        return ashlar::optimizer::Answer{0, ""};
      },
      [](const auto&) { return std::vector<ashlar::Tensor>(); });
  const auto graph = std::make_shared<const ashlar::graph::Graph>(std::move(canonical));
  partition::Request request;
  request.by_cost = by_cost;
  double bytes = 0;
  for (auto _ : state) {
    const partition::PartitionedGraph placed = partition::partition(graph, providers, request);
    bytes = record_bytes(placed);
  }
  state.counters["nodes"] = static_cast<double>(graph->nodes.size());
  state.counters["record_bytes"] = bytes;
}

void minimum_cut(benchmark::State& state) {
  std::mt19937 draw(7);
  partition::SpaceProblem problem{.spaces = 2, .nodes = {}, .values = {}};
  const auto nodes = static_cast<std::uint32_t>(state.range(0));
  const auto cost = [&] { return static_cast<partition::Ticks>(draw() % 1'000'000); };
  for (std::uint32_t i = 0; i < nodes; ++i) {
    problem.nodes.push_back({cost(), draw() % 3 == 0 ? partition::kNever : cost()});
    partition::SpaceProblem::Value value{
        .producer = i, .consumers = {}, .host_reads = i + 1 == nodes, .upload = {0, cost()}, .download = {0, cost()}};
    for (std::uint32_t k = 1; k <= 1 + draw() % 3; ++k)
      if (i + k < nodes) value.consumers.push_back(i + k);
    problem.values.push_back(std::move(value));
  }
  for (auto _ : state) benchmark::DoNotOptimize(partition::cheapest_spaces(problem));
}
BENCHMARK(minimum_cut)->Name("BM_MinimumCut")->Arg(100)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);

const bool registered = [] {
  for (const char* model : {"bert_base", "vit_b_16", "llama_kv", "ssdlite_legacy", "resnet50"}) {
    if (!std::filesystem::exists(file_of(model))) continue;
    const std::string name = model;
    benchmark::RegisterBenchmark(("BM_Load/" + name).c_str(), [name](benchmark::State& s) {
      load(s, name);
    })->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("BM_Place/" + name).c_str(), [name](benchmark::State& s) {
      place(s, name, false);
    })->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("BM_PlaceByCost/" + name).c_str(), [name](benchmark::State& s) {
      place(s, name, true);
    })->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
