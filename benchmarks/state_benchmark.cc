// SPDX-License-Identifier: Apache-2.0
// A decoder's step over a cache of keys and values: the cache bound anew from the last step's outputs, and tied by Run::state.
// Argument: places in the cache.
#include <ashlar/ashlar.h>
#include <benchmark/benchmark.h>

#include "tests/support/text_model.h"

namespace {

using ashlar::DType;
using ashlar::Tensor;

// One layer: 8 heads of queries, 2 of keys and values, of 64 elements each, as llama_kv has them.
const char* kLayer = R"(<ir_version: 10, opset_import: ["": 24]>
  layer (float[1, 1, 512] q, float[1, 1, 128] k, float[1, 1, 128] v, float[1, 2, past, 64] past_k, float[1, 2, past, 64] past_v)
      => (float[1, 1, 512] y, float[1, 2, total, 64] all_k, float[1, 2, total, 64] all_v) {
    y, all_k, all_v = Attention <q_num_heads = 8, kv_num_heads = 2> (q, k, v, , past_k, past_v)
  })";
constexpr std::int64_t kSteps = 16;  ///< after which the cache is as it was

struct Layer {
  explicit Layer(std::int64_t places)
      : session(ashlar::testing::text_model(kLayer), {.providers = {"cpu"}, .threads = 1}), run(session.prepare()),
        cache(Tensor::zeros(DType::kFloat32, {1, 2, places, 64})) {
    run.bind_input("q", Tensor::zeros(DType::kFloat32, {1, 1, 512}));
    for (const char* name : {"k", "v"}) run.bind_input(name, Tensor::zeros(DType::kFloat32, {1, 1, 128}));
  }
  ashlar::Session session;
  ashlar::Run run;
  Tensor cache;
};

void BM_CacheBoundAnew(benchmark::State& state) {
  Layer layer(state.range(0));
  while (state.KeepRunningBatch(kSteps)) {
    ashlar::Value keys = layer.cache, values = layer.cache;
    for (std::int64_t i = 0; i < kSteps; ++i) {
      layer.run.bind_input("past_k", keys);
      layer.run.bind_input("past_v", values);
      layer.run();
      keys = layer.run.output("all_k");
      values = layer.run.output("all_v");
    }
  }
}
BENCHMARK(BM_CacheBoundAnew)->Arg(128)->Arg(1024)->Arg(8192)->Unit(benchmark::kMicrosecond);

void BM_CacheInPlace(benchmark::State& state) {
  Layer layer(state.range(0));
  layer.run.state("past_k", "all_k", state.range(0) + kSteps);
  layer.run.state("past_v", "all_v", state.range(0) + kSteps);
  layer.run.bind_input("past_k", layer.cache);
  layer.run.bind_input("past_v", layer.cache);
  while (state.KeepRunningBatch(kSteps)) {
    layer.run.rewind(state.range(0));
    for (std::int64_t i = 0; i < kSteps; ++i) layer.run();
  }
}
BENCHMARK(BM_CacheInPlace)->Arg(128)->Arg(1024)->Arg(8192)->Unit(benchmark::kMicrosecond);

}  // namespace
