// SPDX-License-Identifier: Apache-2.0
// What loading, preparing and running cost on the embedded digit classifier: everything but the kernels is the same for any model.
#include <filesystem>
#include <vector>

#include <ashlar/ashlar.h>
#include <benchmark/benchmark.h>

namespace {

const std::filesystem::path kModel = std::filesystem::path(ASHLAR_SOURCE_DIR) / "tests/models/digits.onnx";

void BM_Load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ashlar::Model::load(kModel));
}
BENCHMARK(BM_Load)->Unit(benchmark::kMicrosecond);

void BM_Prepare(benchmark::State& state) {
  const ashlar::Model model = ashlar::Model::load(kModel);
  for (auto _ : state) benchmark::DoNotOptimize(ashlar::Session(model));
}
BENCHMARK(BM_Prepare)->Unit(benchmark::kMicrosecond);

/// Argument: the batch. A bound Run, its output in the caller's memory.
void BM_BoundRun(benchmark::State& state) {
  const ashlar::Session session(ashlar::Model::load(kModel));
  const std::int64_t batch = state.range(0);
  std::vector<float> image(static_cast<std::size_t>(batch) * 64, 0.5f), probabilities(static_cast<std::size_t>(batch) * 10);
  ashlar::Run run = session.prepare();
  run.bind_input(0, ashlar::Tensor::view(image, {batch, 1, 8, 8}));
  run.bind_output(0, ashlar::Tensor::view(probabilities, {batch, 10}));
  for (auto _ : state) run();
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(BM_BoundRun)->Arg(1)->Arg(32)->Unit(benchmark::kMicrosecond);

void BM_SessionRun(benchmark::State& state) {
  const ashlar::Session session(ashlar::Model::load(kModel));
  std::vector<float> image(64, 0.5f);
  for (auto _ : state) benchmark::DoNotOptimize(session.run({{"image", ashlar::Tensor::view(image, {1, 1, 8, 8})}}));
}
BENCHMARK(BM_SessionRun)->Unit(benchmark::kMicrosecond);

void BM_TracedRun(benchmark::State& state) {
  const ashlar::Session session(ashlar::Model::load(kModel));
  std::vector<float> image(64, 0.5f);
  ashlar::Run run = session.prepare();
  run.bind_input(0, ashlar::Tensor::view(image, {1, 1, 8, 8}));
  ashlar::Trace trace;
  for (auto _ : state) run({.trace = &trace});
}
BENCHMARK(BM_TracedRun)->Unit(benchmark::kMicrosecond);

/// A batch of another size in every run, so that each binds and lays out anew.
void BM_NewShapeEachRun(benchmark::State& state) {
  const ashlar::Session session(ashlar::Model::load(kModel));
  std::vector<float> images(4096 * 64, 0.5f);
  ashlar::Run run = session.prepare();
  std::int64_t batch = 0;
  for (auto _ : state) {
    batch = batch % 4096 + 1;
    run.bind_input(0, ashlar::Tensor::view(images.data(), {batch, 1, 8, 8}));
    run();
  }
}
BENCHMARK(BM_NewShapeEachRun)->Unit(benchmark::kMicrosecond)->Iterations(512);

}  // namespace
