// SPDX-License-Identifier: Apache-2.0
// Element-wise operators on the CPU provider, as one step where they feed each other, and operator by operator where each result is wanted.
// Arguments: threads, rows of 1,024 elements.
#include "benchmarks/bench.h"

namespace {

using ashlar::benchmarks::Bench;

/// x * sigmoid(1.702 x) + y, halved, by one number a row.
void chain(Bench& b, std::int64_t rows) {
  b.add_input("x", {rows, 1024});
  b.add_input("y", {rows, 1024});
  b.add_input("scale", {rows, 1});
  b.add_constant("factor", ashlar::Tensor::scalar(1.702f));
  b.add_constant("half", ashlar::Tensor::scalar(0.5f));
  b.then("Mul", 14, {"x", "factor"}, "a", {rows, 1024});
  b.then("Sigmoid", 13, {"a"}, "b", {rows, 1024});
  b.then("Mul", 14, {"x", "b"}, "c", {rows, 1024});
  b.then("Add", 14, {"c", "y"}, "d", {rows, 1024});
  b.then("Mul", 14, {"d", "half"}, "e", {rows, 1024});
  b.then("Mul", 14, {"e", "scale"}, "f", {rows, 1024});
}

void BM_Region(benchmark::State& state) {
  Bench b;
  chain(b, state.range(1));
  b.finish(state, "f");
}
BENCHMARK(BM_Region)->Args({1, 16})->Args({2, 16})->Args({2, 1024})->Args({2, 16384})->Unit(benchmark::kMicrosecond)->UseRealTime();

void BM_OperatorByOperator(benchmark::State& state) {
  Bench b;
  chain(b, state.range(1));
  for (const char* name : {"a", "b", "c", "d", "e"}) b.graph.outputs.push_back(b.value(name));
  b.finish(state, "f");
}
BENCHMARK(BM_OperatorByOperator)
    ->Args({1, 16})
    ->Args({2, 16})
    ->Args({2, 1024})
    ->Args({2, 16384})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

void BM_RegionAndReduction(benchmark::State& state) {
  Bench b;
  chain(b, state.range(1));
  b.add_constant("last", ashlar::Tensor::of<std::int64_t>({1}, {-1}));
  b.then("ReduceMean", 18, {"f", "last"}, "g", {state.range(1), 1}, {{"keepdims", std::int64_t{1}}});
  b.finish(state, "g");
}
BENCHMARK(BM_RegionAndReduction)
    ->Args({1, 16})
    ->Args({2, 16})
    ->Args({2, 1024})
    ->Args({2, 16384})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
