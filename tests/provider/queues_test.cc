// SPDX-License-Identifier: Apache-2.0
// Programs on several queues: orders that operands show, and orders that only events do.
#include <cstring>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/lazy_device.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using namespace provider;
using testing::LazyDevice;

/// What steps share behind the core's back, as a library's handle or a device's global would be.
float hidden = 0;

/// Relu stores its input's first element in `hidden`; Neg gives what is stored there.
class OnQueue final : public Kernel {
 public:
  explicit OnQueue(const NodeView& node) : stores_(node.op_type() == "Relu") {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    const float* x = context.input(0).data<float>();
    float* y = context.output(0).mutable_data<float>();
    LazyDevice::last.load()->enqueue(context.queue(), "", [stores = stores_, x, y] {
      if (stores) hidden = *x;
      *y = stores ? *x : hidden;
    });
  }

 private:
  bool stores_;
};

/// Relu on queue 1 and Neg on queue 2, which reads another value; kEvents: ordered by an event of the program.
template <bool kEvents> struct TwoQueues {
  static constexpr const char* name = kEvents ? "ordered" : "unordered";
  static constexpr const char* version = "1";
  static std::span<const std::span<const KernelEntry>> kernels() {
    static constexpr KernelEntry table[] = {{"Relu", 6, kLatest, nullptr, &make<OnQueue>}, {"Neg", 6, kLatest, nullptr, &make<OnQueue>}};
    static constexpr std::span<const KernelEntry> tables[] = {table};
    return tables;
  }
  static std::unique_ptr<Device> open(const AshlarHost*, const Options& options) { return std::make_unique<LazyDevice>(options); }
  static KernelProgram lower(const KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
                             std::span<const std::uint32_t> nodes, const Options&) {
    KernelProgram program;
    program.events = kEvents ? 1 : 0;
    for (const std::uint32_t node : nodes) {
      program.steps.push_back(tables.step(NodeView(graph, node, host)));
      KernelStep& step = program.steps.back();
      const bool stores = NodeView(graph, node, host).op_type() == "Relu";
      if (!stores) step.queue = 2;
      if (kEvents) (stores ? step.signals : step.waits) = {0};
    }
    return program;
  }
};

template <bool kEvents> float stored(const char* provider) {
  add_provider(provider, &TableProvider<TwoQueues<kEvents>>::entry);
  hidden = -1;
  const Session session(testing::text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
    g (float[1] x, float[1] z) => (float[1] y, float[1] s) { r = Relu(x) y = Neg(z) s = Relu(r) })"),
                        {.providers = {provider}, .passes = PassOptions::none()});
  // Nothing but the event makes y wait for r: what is copied back first is y.
  return session.run({{"x", Tensor::of<float>({1}, {7})}, {"z", Tensor::of<float>({1}, {0})}}).at("y").tensor().data<float>()[0];
}

TEST(Queues, AnEventOfTheProgramOrdersWhatOperandsDoNot) {
  EXPECT_EQ(stored<true>("ordered"), 7);
  EXPECT_EQ(stored<false>("unordered"), -1) << "this test could not fail";
}

struct Deaf : TwoQueues<false> {
  static constexpr const char* name = "deaf";
  static KernelProgram lower(const KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
                             std::span<const std::uint32_t> nodes, const Options& options) {
    KernelProgram program = TwoQueues<false>::lower(tables, host, graph, nodes, options);
    program.events = 1;
    program.steps[0].waits = {0};
    return program;
  }
};

TEST(Queues, AWaitForAnEventThatNobodySignalsIsRefused) {
  add_provider("deaf", &TableProvider<Deaf>::entry);
  const Model model = testing::text_model(R"(<ir_version: 10, opset_import: ["" : 21]> g (float[1] x) => (float[1] y) { y = Neg(x) })");
  const Error e = testing::error_of([&] { Session(model, {.providers = {"deaf"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kInternal);
  EXPECT_EQ(e.context().provider, "deaf");
  EXPECT_NE(e.message().find("event 0"), std::string::npos) << e.what();
}

}  // namespace
}  // namespace ashlar
