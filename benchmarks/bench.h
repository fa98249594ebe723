// SPDX-License-Identifier: Apache-2.0
// Graphs of a few nodes, timed on the CPU provider.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "tests/graph/builder.h"
#include "tests/support/graph_runner.h"

namespace ashlar::benchmarks {

using Dims = std::vector<std::int64_t>;

/// A builder whose values are typed, and the data of its inputs.
struct Bench : testing::Builder {
  std::vector<Tensor> data;

  static Tensor random(const Dims& dims) {
    Tensor t = Tensor::zeros(DType::kFloat32, Shape(std::span<const std::int64_t>(dims)));
    std::mt19937 numbers(1);
    std::uniform_real_distribution<float> between(-1, 1);
    for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = between(numbers);
    return t;
  }
  void set_type(const std::string& name, const Dims& dims, DType dtype = DType::kFloat32) {
    ValueType type;
    type.dtype = dtype;
    type.shape.emplace();
    for (const std::int64_t d : dims) type.shape->push_back({d, ""});
    graph.values[value(name)].type = type;
  }
  void add_input(const std::string& name, const Dims& dims) {
    input(name, {});
    set_type(name, dims);
    data.push_back(random(dims));
  }
  void add_constant(const std::string& name, const Tensor& tensor) {
    constant(name, tensor);
    set_type(name, Dims(tensor.shape().begin(), tensor.shape().end()), tensor.dtype());
  }
  Bench& then(const std::string& op, int version, std::initializer_list<const char*> inputs, const char* to, const Dims& dims,
              std::map<std::string, graph::Attribute> attributes = {}) {
    node(op, version, inputs, {to}, std::move(attributes));
    set_type(to, dims);
    return *this;
  }
  /// Times runs that give `result`, on as many threads as the first argument says.
  void finish(benchmark::State& state, const char* result, const std::string& provider = "cpu") {
    graph.outputs.push_back(value(result));
    testing::GraphRunner runner(graph, {provider}, static_cast<int>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(runner.run(data));
  }
  /// The same by the time of the steps of one operator, for UseManualTime().
  void finish_by_trace(benchmark::State& state, const char* result, const std::string& op, const std::string& provider) {
    graph.outputs.push_back(value(result));
    testing::GraphRunner runner(graph, {provider}, static_cast<int>(state.range(0)));
    Trace trace;
    for (auto _ : state) {
      trace = {};
      benchmark::DoNotOptimize(runner.run(data, {.trace = &trace}));
      std::int64_t nanoseconds = 0;
      for (const TraceEvent& event : trace.events)
        if (event.op == op && event.kernel != "Reorder") nanoseconds += event.duration_ns;
      state.SetIterationTime(static_cast<double>(nanoseconds) * 1e-9);
    }
  }
};

}  // namespace ashlar::benchmarks
