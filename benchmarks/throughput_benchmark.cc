// SPDX-License-Identifier: Apache-2.0
// Whole models at several batches and lengths, and several sessions at once: what each achieves is the counter `flops`, by the operators'
// definitions. The models are read from the folder that ASHLAR_MODELS names; those that are not there are left out.
//   BM_Batch/MODEL/N        N pictures a run, all threads
//   BM_Length/MODEL/N       one sequence of N tokens, all threads
//   BM_Sessions/MODEL/N     N sessions of one model, each run by a thread of its own
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <ashlar/ashlar.h>
#include <benchmark/benchmark.h>

namespace {

using ashlar::DType;
using ashlar::Tensor;

std::filesystem::path file_of(const std::string& model) {
  const char* folder = std::getenv("ASHLAR_MODELS");
  return folder ? std::filesystem::path(folder) / (model + ".onnx") : std::filesystem::path();
}

/// A session and a run of it with inputs of these sizes: floats between -1 and 1, whole numbers between 1 and 200, masks of ones.
class Bound {
 public:
  Bound(const ashlar::Model& model, std::int64_t batch, std::int64_t length) : session_(model), run_(session_.prepare()) {
    for (std::size_t i = 0; i < session_.inputs().size(); ++i) {
      const ashlar::ValueInfo& info = session_.inputs()[i];
      std::vector<std::int64_t> dims;
      for (const ashlar::Dim& d : info.type.shape.value()) dims.push_back(d.fixed() ? d.value : dims.empty() ? batch : length);
      Tensor t = Tensor::zeros(info.type.dtype, ashlar::Shape(std::span<const std::int64_t>(dims)));
      const bool mask = info.name.find("mask") != std::string::npos;
      for (std::int64_t k = 0; k < t.element_count(); ++k) {
        if (t.dtype() == DType::kFloat32) t.mutable_data<float>()[k] = static_cast<float>(k * 37 % 101) / 50 - 1;
        else if (t.dtype() == DType::kInt64) t.mutable_data<std::int64_t>()[k] = mask ? 1 : 1 + k * 37 % 199;
      }
      run_.bind_input(i, t);
    }
    for (int warm = 0; warm < 2; ++warm) run_();
    ashlar::Trace trace;
    run_({.trace = &trace});
    for (const ashlar::TraceEvent& e : trace.events) operations_ += e.operations;
  }
  void operator()() { run_(); }
  double operations() const { return operations_; }

 private:
  ashlar::Session session_;
  ashlar::Run run_;
  double operations_ = 0;
};

void time_runs(benchmark::State& state, const std::string& model, std::int64_t batch, std::int64_t length) {
  Bound bound(ashlar::Model::load(file_of(model)), batch, length);
  for (auto _ : state) bound();
  state.counters["flops"] = benchmark::Counter(bound.operations() * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void time_sessions(benchmark::State& state, const std::string& model, std::int64_t length) {
  const ashlar::Model loaded = ashlar::Model::load(file_of(model));
  std::vector<Bound> sessions;
  for (std::int64_t i = 0; i < state.range(0); ++i) sessions.emplace_back(loaded, 1, length);
  constexpr int kRuns = 8;  ///< of each session between two readings of the clock
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (Bound& bound : sessions)
      threads.emplace_back([&bound] {
        for (int i = 0; i < kRuns; ++i) bound();
      });
    for (std::thread& t : threads) t.join();
  }
  state.counters["flops"] =
      benchmark::Counter(sessions[0].operations() * kRuns * static_cast<double>(sessions.size()) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const auto add = [](const std::string& name, auto body) {
    return benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  for (const std::string model : {"squeezenet1_1", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "resnet50", "vit_b_16"})
    if (std::filesystem::exists(file_of(model)))
      for (const int batch : {1, 8, 32})
        add("BM_Batch/" + model + "/" + std::to_string(batch), [=](benchmark::State& s) { time_runs(s, model, batch, 0); });
  for (const std::string model : {"minilm", "bert_base"})
    if (std::filesystem::exists(file_of(model)))
      for (const int length : {128, 512})
        add("BM_Length/" + model + "/" + std::to_string(length), [=](benchmark::State& s) { time_runs(s, model, 1, length); });
  for (const std::string model : {"squeezenet1_1", "mobilenet_v2", "efficientnet_b0", "resnet50", "minilm"})
    if (std::filesystem::exists(file_of(model)))
      add("BM_Sessions/" + model, [=](benchmark::State& s) { time_sessions(s, model, 128); })->Arg(1)->Arg(2)->Arg(4);
  benchmark::RunSpecifiedBenchmarks();
}
