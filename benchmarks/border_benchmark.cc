// SPDX-License-Identifier: Apache-2.0
// What the provider border costs. Three ways to run a chain of kernels that add one to one number: calling the function, calling the C
// step of a provider table (AshlarStep::run), and running a plan of such steps through a bound Run. The argument is the number of
// steps; the difference between two lengths over the difference in steps is the cost of one.
#include <string>
#include <vector>

#include <ashlar/ashlar.h>
#include <ashlar/provider/table_provider.h>
#include <benchmark/benchmark.h>

#include "tests/support/text_model.h"

namespace {

using namespace ashlar::provider;

__attribute__((noinline)) void add_one(const float* x, float* y) { *y = *x + 1; }

class AddOne final : public Kernel {
 public:
  explicit AddOne(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override { add_one(context.input(0).data<float>(), context.output(0).mutable_data<float>()); }
};

constexpr KernelEntry kTable[] = {{"Relu", 1, kLatest, nullptr, &make<AddOne>}};
constexpr std::span<const KernelEntry> kTables[] = {kTable};

struct Tiny {
  static constexpr const char* name = "tiny";
  static constexpr const char* version = "1";
  static std::span<const std::span<const KernelEntry>> kernels() { return kTables; }
};

ashlar::Session chain(std::int64_t steps) {
  static const bool added = (ashlar::add_provider("tiny", &TableProvider<Tiny>::entry), true);
  static_cast<void>(added);
  std::string text = "<ir_version: 10, opset_import: [\"\" : 21]> chain (float[1] v0) => (float[1] v" + std::to_string(steps) + ") {";
  for (std::int64_t i = 0; i < steps; ++i) text += " v" + std::to_string(i + 1) + " = Relu(v" + std::to_string(i) + ")";
  // Without passes: they would make one step of the chain.
  return ashlar::Session(ashlar::testing::text_model((text + " }").c_str()),
                         {.providers = {"tiny"}, .threads = 1, .passes = ashlar::PassOptions::none()});
}

void BM_DirectCalls(benchmark::State& state) {
  std::vector<float> values(static_cast<std::size_t>(state.range(0)) + 1);
  for (auto _ : state)
    for (std::size_t i = 0; i + 1 < values.size(); ++i) add_one(&values[i], &values[i + 1]);
  benchmark::DoNotOptimize(values.data());
}
BENCHMARK(BM_DirectCalls)->Arg(1)->Arg(100)->Arg(1000);

/// The provider's own table, without the core.
void BM_BorderCalls(benchmark::State& state) {
  AshlarHost host{};
  host.struct_size = sizeof(host);
  host.abi_version = ASHLAR_ABI_VERSION;
  host.abi_layout = ASHLAR_ABI_LAYOUT;
  AshlarStatus status = new_status();
  const AshlarProvider* table = TableProvider<Tiny>::entry(&host, &status);
  void* instance = nullptr;
  table->create(&host, nullptr, 0, &instance, &status);
  const std::uint32_t input = 0, output = 1, nodes[] = {0};
  const std::int64_t dims[] = {1};
  AshlarNode node{};
  node.struct_size = sizeof(node);
  node.since_version = 14;
  node.id = "n";
  node.op_type = "Relu";
  node.domain = "";
  node.inputs = &input;
  node.outputs = &output;
  node.input_count = node.output_count = 1;
  AshlarValue values[2]{};
  for (AshlarValue& v : values) v = {sizeof(AshlarValue), 1, "v", 1, 1, dims, nullptr, nullptr};
  AshlarGraph graph{};
  graph.struct_size = sizeof(graph);
  graph.node_count = 1;
  graph.value_count = 2;
  graph.node_stride = sizeof(AshlarNode);
  graph.value_stride = sizeof(AshlarValue);
  graph.attribute_stride = sizeof(AshlarAttribute);
  graph.nodes = &node;
  graph.values = values;
  AshlarProgram program{};
  program.struct_size = sizeof(program);
  if (table->prepare(instance, &graph, nodes, 1, &program, &status)) return state.SkipWithError(status.message);
  const AshlarStep& step = *program.steps;
  std::vector<float> data(static_cast<std::size_t>(state.range(0)) + 1);
  AshlarTensor x{sizeof(AshlarTensor), 1, 1, 0, dims, nullptr, 1, 4, 0, 0}, y = x;
  const AshlarTensor* inputs[] = {&x};
  AshlarTensor* outputs[] = {&y};
  AshlarRunArgs args{};
  args.struct_size = sizeof(args);
  args.input_count = args.output_count = 1;
  args.inputs = inputs;
  args.outputs = outputs;
  for (auto _ : state)
    for (std::size_t i = 0; i + 1 < data.size(); ++i) {
      x.data = &data[i];
      y.data = &data[i + 1];
      if (step.run(step.context, &args, &status)) return state.SkipWithError(status.message);
    }
  table->release(instance, &program);
  table->destroy(instance);
}
BENCHMARK(BM_BorderCalls)->Arg(1)->Arg(100)->Arg(1000);

void BM_BoundRun(benchmark::State& state) {
  const ashlar::Session session = chain(state.range(0));
  float x = 0, y = 0;
  ashlar::Run run = session.prepare();
  run.bind_input(0, ashlar::Tensor::view(&x, {1}));
  run.bind_output(0, ashlar::Tensor::view(&y, {1}));
  for (auto _ : state) run();
}
BENCHMARK(BM_BoundRun)->Arg(1)->Arg(100)->Arg(1000);

}  // namespace
