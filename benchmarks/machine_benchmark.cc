// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most: float32 multiply-adds in registers, and reading memory that no cache holds. Argument: threads.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

constexpr int kChains = 12;  ///< independent sums, enough to hide the latency of a multiply-add
constexpr std::int64_t kRounds = 1 << 18;

// Each gives the operations it did; `sink` keeps the sums alive.
__attribute__((target("avx512f"), noinline)) double multiply_add_512(float* sink) {
  __m512 sums[kChains], factor = _mm512_set1_ps(0.5f);
  for (__m512& s : sums) s = factor;
  for (std::int64_t i = 0; i < kRounds; ++i)
    for (__m512& s : sums) s = _mm512_fmadd_ps(s, factor, factor);
  for (const __m512& s : sums) {
    float elements[16];
    _mm512_storeu_ps(elements, s);
    *sink += elements[0];
  }
  return 2.0 * 16 * kChains * kRounds;
}

__attribute__((target("avx2,fma"), noinline)) double multiply_add_256(float* sink) {
  __m256 sums[kChains], factor = _mm256_set1_ps(0.5f);
  for (__m256& s : sums) s = factor;
  for (std::int64_t i = 0; i < kRounds; ++i)
    for (__m256& s : sums) s = _mm256_fmadd_ps(s, factor, factor);
  for (const __m256& s : sums) *sink += _mm256_cvtss_f32(s);
  return 2.0 * 8 * kChains * kRounds;
}

__attribute__((noinline)) double multiply_add_128(float* sink) {
  __m128 sums[kChains], factor = _mm_set1_ps(0.5f);
  for (__m128& s : sums) s = factor;
  for (std::int64_t i = 0; i < kRounds; ++i)
    for (__m128& s : sums) s = _mm_add_ps(_mm_mul_ps(s, factor), factor);
  for (const __m128& s : sums) *sink += _mm_cvtss_f32(s);
  return 2.0 * 4 * kChains * kRounds;
}

double multiply_add(float* sink) {
  if (__builtin_cpu_supports("avx512f")) return multiply_add_512(sink);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_add_256(sink);
  return multiply_add_128(sink);
}

template <class Body> void on_threads(std::int64_t count, Body body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 1; t < count; ++t) threads.emplace_back([&, t] { body(t); });
  body(0);
  for (std::thread& t : threads) t.join();
}

void BM_MultiplyAdds(benchmark::State& state) {
  std::vector<float> sinks(static_cast<std::size_t>(state.range(0)) * 64);
  double operations = 0;
  for (auto _ : state) {
    double of_one = 0;
    on_threads(state.range(0), [&](std::int64_t t) {
      const double n = multiply_add(&sinks[static_cast<std::size_t>(t) * 64]);
      if (t == 0) of_one = n;
    });
    operations += of_one * static_cast<double>(state.range(0));
  }
  benchmark::DoNotOptimize(sinks);
  state.counters["flops"] = benchmark::Counter(operations, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_MultiplyAdds)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ReadMemory(benchmark::State& state) {
  static const std::vector<std::uint64_t> memory(std::size_t{1} << 26, 1);  // 512 MB
  const auto threads = static_cast<std::size_t>(state.range(0));
  std::vector<std::uint64_t> sums(threads * 64);
  for (auto _ : state)
    on_threads(state.range(0), [&](std::int64_t t) {
      const std::uint64_t *from = memory.data() + memory.size() / threads * static_cast<std::size_t>(t),
                          *to = from + memory.size() / threads;
      std::uint64_t a = 0, b = 0, c = 0, d = 0;
      for (; from < to; from += 4) a += from[0], b += from[1], c += from[2], d += from[3];
      sums[static_cast<std::size_t>(t) * 64] += a + b + c + d;
    });
  benchmark::DoNotOptimize(sums);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(memory.size() * sizeof(std::uint64_t)));
}
BENCHMARK(BM_ReadMemory)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
