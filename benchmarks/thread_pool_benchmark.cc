// SPDX-License-Identifier: Apache-2.0
// What it costs to divide work: a loop of as many chunks as threads, which do nothing, while workers spin. Argument: threads.
#include <benchmark/benchmark.h>

#include "core/thread_pool.h"

namespace {

void BM_ForkJoin(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  for (auto _ : state)
    ashlar::core::ThreadPool::process().parallel_for(
        threads, threads, 1, [](void*, std::int64_t begin, std::int64_t) { benchmark::DoNotOptimize(begin); }, nullptr);
}
BENCHMARK(BM_ForkJoin)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
