// SPDX-License-Identifier: Apache-2.0
// Models split between providers, one of which has a device: results, copies, memory, traces, failures.
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/device_providers.h"
#include "tests/support/lazy_device.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using testing::last_lazy_device;

/// "lazy", which works as late as it may, and "async", which works on threads of its own in memory that the host cannot reach.
void add_devices() {
  static const bool added = (add_provider("lazy", &testing::lazy_provider), add_provider("async", &testing::async_provider), true);
  static_cast<void>(added);
}

NamedValues run(const Model& model, std::vector<std::string> providers, const NamedValues& inputs, Trace* trace = nullptr) {
  add_devices();
  const Session session(model, {.providers = std::move(providers)});
  return session.run(inputs, {.trace = trace});
}

void expect_same_bits(const NamedValues& a, const NamedValues& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &x = a[i].second.tensor(), &y = b[i].second.tensor();
    ASSERT_EQ(x.type_string(), y.type_string()) << what;
    EXPECT_TRUE(x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), x.bytes()) == 0) << what << ", output " << a[i].first;
  }
}

Tensor ramp(const Shape& shape, float step = 0.37f) {
  Tensor t = Tensor::zeros(DType::kFloat32, shape);
  for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = std::sin(step * static_cast<float>(i + 1));
  return t;
}

// Every construct at once: constants, branches, views, a Concat of values from two sides, shapes that depend on data, control flow.
constexpr const char* kMixed = R"(<ir_version: 10, opset_import: ["" : 21]>
mixed (float[n, 8] x, float[8] bias) => (float[n, 8] out, int64[m, 2] where, float[k] flat, float[n, 16] both)
<float[8, 8] w = {0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.2, 0.4, 0.6, 0.8, -0.1, -0.3, -0.5, -0.7, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, -0.4,
  0.5, -0.3, 0.6, -0.2, 0.7, -0.1, 0.8, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, -0.9, 0.8, -0.7, 0.6, -0.5, 0.4, -0.3, 0.2, 0.15, 0.25, 0.35, 0.45, 0.55,
  0.65, 0.75, 0.85, 0.05, -0.15, 0.25, -0.35, 0.45, -0.55, 0.65, -0.75},
  int64[1] minus_one = {-1}, int64 trips = {3}, bool yes = {1}> {
  a = MatMul(x, w)
  b = Add(a, bias)
  c = Relu(b)
  d = Tanh(x)
  both = Concat<axis = 1>(c, d)
  e = Mul(c, d)
  f = Sub(e, a)
  positive = Greater(f, d)
  found = NonZero(positive)
  where = Transpose(found)
  flat = Reshape(f, minus_one)
  g = Loop(trips, yes, f) <body = step (int64 i, bool go, float[n, 8] s) => (bool go_on, float[n, 8] t) {
    go_on = Identity(go)
    u = Mul(s, bias)
    v = Add(u, d)
    t = Sigmoid(v)
  }>
  big = ReduceSum<keepdims = 0>(g)
  zero = Constant<value_float = 4.0>()
  is_big = Greater(big, zero)
  out = If(is_big) <then_branch = yes_branch () => (float[n, 8] r) { r = Add(g, c) },
                    else_branch = no_branch () => (float[n, 8] q) { q = Sub(g, c) }>
})";

NamedValues mixed_inputs(std::int64_t n) { return {{"x", ramp({n, 8})}, {"bias", ramp({8}, 1.3f)}}; }

/// On a device that works as late as it may, and on one that works on threads of its own.
class AnyDevice : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Placements, AnyDevice, ::testing::Values("lazy", "async"), [](const auto& p) { return std::string(p.param); });

TEST_P(AnyDevice, EverythingOnItGivesTheSameBits) {
  const Model model = testing::text_model(kMixed);
  const NamedValues inputs = mixed_inputs(5);
  expect_same_bits(run(model, {GetParam(), "reference"}, inputs), run(model, {"reference"}, inputs), "all on the device");
}

TEST_P(AnyDevice, AnySplitGivesTheSameBits) {
  const Model model = testing::text_model(kMixed);
  const NamedValues small = mixed_inputs(1), large = mixed_inputs(33);
  const NamedValues small_expected = run(model, {"reference"}, small), large_expected = run(model, {"reference"}, large);
  add_devices();
  for (int seed = 0; seed < 200; ++seed) {
    const std::string what =
        "claim=0." + std::to_string(seed % 9 + 1) + "&seed=" + std::to_string(seed) + "&queues=" + std::to_string(seed % 2 + 1);
    const Session session(model, {.providers = {GetParam() + ("?" + what), "reference"}});
    ashlar::Run bound = session.prepare();
    // New shapes, shapes that come back, and segments that are recorded and replayed.
    for (int round = 0; round < 6; ++round) {
      const bool is_small = round % 2 == 0 && round < 4;
      const NamedValues& inputs = is_small ? small : large;
      for (const auto& [name, value] : inputs) bound.bind_input(name, value);
      bound();
      NamedValues outputs;
      for (const auto& info : session.outputs()) outputs.add(info.name, bound.output(info.name));
      expect_same_bits(outputs, is_small ? small_expected : large_expected, what + " round " + std::to_string(round));
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Placements, SegmentsAreRecordedAndReplayed) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  const Session session(model, {.providers = {"lazy", "reference"}});
  const NamedValues inputs = mixed_inputs(4), expected = run(model, {"reference"}, inputs);
  ashlar::Run bound = session.prepare();
  for (const auto& [name, value] : inputs) bound.bind_input(name, value);
  for (int i = 0; i < 6; ++i) bound();
  EXPECT_GT(last_lazy_device()->counts().recordings, 0);
  EXPECT_GT(last_lazy_device()->counts().replays, last_lazy_device()->counts().recordings);
  NamedValues outputs;
  for (const auto& info : session.outputs()) outputs.add(info.name, bound.output(info.name));
  expect_same_bits(outputs, expected, "replayed");
}

// x -> device a, b -> host c and output: what is copied, and no more.
constexpr const char* kBackAndForth = R"(<ir_version: 10, opset_import: ["" : 21]>
g (float[4, 4] x, float[4, 4] y) => (float[4, 4] p, float[4, 4] q) <float[4] one = {1, 1, 1, 1}> {
  a = Add(x, one)
  b = Mul(a, x)
  p = Exp(b)
  c = Neg(y)
  q = Add(c, b)
})";

std::map<std::string, int> copies(const Trace& trace) {
  std::map<std::string, int> count;
  for (const TraceEvent& e : trace.events)
    if (e.op == "(copy)") ++count[e.kernel];
  return count;
}

TEST(Placements, OnlyNecessaryCopiesAreMade) {
  const Model model = testing::text_model(kBackAndForth);
  const NamedValues inputs = {{"x", ramp({4, 4})}, {"y", ramp({4, 4}, 2)}};
  Trace trace;
  run(model, {"lazy", "reference"}, inputs, &trace);
  EXPECT_EQ(copies(trace), (std::map<std::string, int>{{"host -> lazy", 2}, {"lazy -> host", 2}}));
  run(model, {"reference"}, inputs, &trace);
  EXPECT_TRUE(copies(trace).empty());
}

TEST(Placements, ATraceAddsUpWithQueues) {
  const Model model = testing::text_model(kMixed);
  Trace trace;
  run(model, {"lazy?claim=0.5&seed=3", "reference"}, mixed_inputs(9), &trace);
  std::int64_t sum = 0;
  std::set<std::string> queues;
  for (const TraceEvent& e : trace.events) {
    if (e.depth == 0) sum += e.issue_ns;
    queues.insert(e.queue);
    EXPECT_GE(e.duration_ns, 0);
    EXPECT_GE(e.start_ns, 0) << e.node;
    EXPECT_LE(e.start_ns + e.duration_ns, trace.wall_ns) << e.node;
  }
  EXPECT_EQ(sum + trace.unaccounted_ns(), trace.wall_ns);
  EXPECT_GE(trace.unaccounted_ns(), 0);
  EXPECT_TRUE(queues.contains("lazy:1") && queues.contains("lazy:2") && queues.contains("lazy:3") && queues.contains(""));
}

TEST(Placements, TheDevicesPeakIsPredicted) {
  add_devices();
  const Model model = testing::text_model(kBackAndForth);
  const Session session(model, {.providers = {"lazy", "reference"}});
  const MemoryPlan plan = session.memory();
  EXPECT_EQ(plan.known_up_to, "");
  ASSERT_EQ(plan.spaces.size(), 3u);
  EXPECT_EQ(plan.spaces[1].space, "lazy");
  EXPECT_EQ(plan.spaces[1].constants, 16u);
  EXPECT_GT(plan.spaces[1].arena, 0u);
  session.run({{"x", ramp({4, 4})}, {"y", ramp({4, 4}, 2)}});
  EXPECT_EQ(last_lazy_device()->counts().peak, plan.spaces[1].peak());
}

TEST(Placements, ALimitBelowThePeakFailsWhenTheSessionIsMade) {
  add_devices();
  const Model model = testing::text_model(kBackAndForth);
  const std::uint64_t peak = Session(model, {.providers = {"lazy", "reference"}}).memory().spaces[1].peak();
  EXPECT_NO_THROW(Session(model, {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", peak}}})
                      .run({{"x", ramp({4, 4})}, {"y", ramp({4, 4})}}));
  const Error e = testing::error_of([&] { Session(model, {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", peak - 1}}}); });
  EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(e.message().find("the largest: "), std::string::npos) << e.what();
  EXPECT_NE(e.message().find("(float32[4,4], 64 bytes)"), std::string::npos) << e.what();
  EXPECT_EQ(e.context().provider, "lazy");
  const Error unknown = testing::error_of([&] { Session(model, {.providers = {"lazy"}, .memory_limits = {{"lazi", 1}}}); });
  EXPECT_EQ(unknown.code(), ErrorCode::kNotFound);
  const Error constants = testing::error_of([&] { Session(model, {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", 15}}}); });
  EXPECT_EQ(constants.code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(constants.message().find("one (float32[4], 16 bytes)"), std::string::npos) << constants.what();
}

TEST(Placements, ALimitHoldsForShapesThatARunBrings) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  const Session session(model, {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", 100'000}}});
  EXPECT_NO_THROW(session.run(mixed_inputs(3)));
  const Error e = testing::error_of([&] { session.run(mixed_inputs(5000)); });
  EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(e.message().find("the largest of this run: "), std::string::npos) << e.what();
  EXPECT_NE(e.message().find("[5000,8]"), std::string::npos) << e.what();
  EXPECT_NO_THROW(session.run(mixed_inputs(3))) << "a run that fails leaves the session usable";
}

TEST(Placements, ALostDeviceIsAnErrorOfThisAndEveryLaterRun) {
  add_devices();
  const Model model = testing::text_model(kBackAndForth);
  const Session session(model, {.providers = {"lazy", "reference"}});
  const NamedValues inputs = {{"x", ramp({4, 4})}, {"y", ramp({4, 4})}};
  session.run(inputs);
  last_lazy_device()->lose("it fell off the bus");
  for (int i = 0; i < 2; ++i) {
    const Error e = testing::error_of([&] { session.run(inputs); });
    EXPECT_EQ(e.code(), ErrorCode::kDeviceError);
    EXPECT_EQ(e.message(), "it fell off the bus");
    EXPECT_EQ(e.context().provider, "lazy");
  }
  EXPECT_NO_THROW(Session(model, {.providers = {"lazy", "reference"}}).run(inputs)) << "a new session has a new device";
}

TEST(Placements, AFailureOnTheDeviceNamesItsStep) {
  // The index is known to be wrong only when the kernel runs, on the queue.
  const Model model = testing::text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
    g (float[4] x, int64[2] i) => (float[2] y) { a = Abs(x) y = Gather(a, i) })");
  add_devices();
  const Session session(model, {.providers = {"lazy", "reference"}});
  const Error e = testing::error_of([&] { session.run({{"x", ramp({4})}, {"i", Tensor::of<std::int64_t>({2}, {0, 9})}}); });
  EXPECT_EQ(e.code(), ErrorCode::kDeviceError);
  EXPECT_NE(e.message().find("9"), std::string::npos) << e.what();
  EXPECT_EQ(e.context().provider, "lazy");
  EXPECT_FALSE(e.context().node.empty());
}

TEST(Placements, ACancelledRunLeavesNothingAtWork) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  const Session session(model, {.providers = {"lazy?claim=0.5", "reference"}});
  CancelToken cancel;
  cancel.cancel();
  ashlar::Run bound = session.prepare();
  for (const auto& [name, value] : mixed_inputs(3)) bound.bind_input(name, value);
  EXPECT_EQ(testing::error_of([&] { bound({.cancel = &cancel}); }).code(), ErrorCode::kCancelled);
  EXPECT_EQ(testing::error_of([&] { bound({.deadline = std::chrono::nanoseconds(1)}); }).code(), ErrorCode::kDeadlineExceeded);
  bound();
  expect_same_bits({{"out", bound.output("out")}}, {{"out", run(model, {"reference"}, mixed_inputs(3)).at("out")}}, "after it");
}

TEST(Placements, ManyCallersOfOneDeviceGetTheSameBits) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  for (const char* device : {"async?claim=0.6&seed=4", "lazy?claim=0.6&seed=4"}) {
    const Session session(model, {.providers = {device, "reference"}});
    std::vector<std::thread> callers;
    std::vector<std::string> wrong(8);
    for (std::size_t c = 0; c < wrong.size(); ++c)
      callers.emplace_back([&, c] {
        try {
          const NamedValues inputs = mixed_inputs(static_cast<std::int64_t>(c) + 1);
          const NamedValues expected = Session(model, {.providers = {"reference"}}).run(inputs);
          for (int round = 0; round < 5; ++round) {
            const NamedValues outputs = session.run(inputs);
            for (std::size_t i = 0; i < outputs.size(); ++i) {
              const Tensor &x = outputs[i].second.tensor(), &y = expected[i].second.tensor();
              if (x.bytes() != y.bytes() || (x.bytes() > 0 && std::memcmp(x.raw(), y.raw(), x.bytes()) != 0))
                wrong[c] = outputs[i].first + " differs";
            }
          }
        } catch (const std::exception& e) {
          wrong[c] = e.what();
        }
      });
    for (std::thread& t : callers) t.join();
    for (const std::string& w : wrong) EXPECT_EQ(w, "") << device;
  }
}

/// The times in which two events ran both.
std::int64_t overlap_ns(const TraceEvent& a, const TraceEvent& b) {
  return std::min(a.start_ns + a.duration_ns, b.start_ns + b.duration_ns) - std::max(a.start_ns, b.start_ns);
}

TEST(Placements, CopiesAndDeviceStepsRunBesideStepsThatDoNotNeedThem) {
  add_devices();
  // Tanh (on the device: the claim is by node id) and its copies beside the other provider's long chain.
  std::string text =
      R"(<ir_version: 10, opset_import: ["" : 21]> g (float[256, 1024] x, float[256, 1024] y) => (float[256, 1024] p, float[256, 1024] q) {
    p = Tanh(x) s0 = Exp(y))";
  for (int i = 0; i < 30; ++i) text += " s" + std::to_string(i + 1) + " = Sigmoid(s" + std::to_string(i) + ")";
  const Model model = testing::text_model((text + " q = Neg(s30) }").c_str());
  const NamedValues inputs = {{"x", ramp({256, 1024})}, {"y", ramp({256, 1024}, 0.01f)}};
  // A seed by which the device takes Tanh and nothing else.
  for (int seed = 0; seed < 3000; ++seed) {
    const Session session(model, {.providers = {"async?claim=0.1&seed=" + std::to_string(seed), "reference"}});
    bool only_tanh = true;
    for (const NodePlacement& n : session.placement().nodes) only_tanh = only_tanh && (n.provider == "async") == (n.op == "Tanh");
    if (!only_tanh) continue;
    Trace trace;
    session.run(inputs, {.trace = &trace});
    std::int64_t copy = 0, kernel = 0;
    for (const TraceEvent& queued : trace.events) {
      if (queued.queue.empty()) continue;
      for (const TraceEvent& host : trace.events)
        if (host.queue.empty() && host.op != "(wait)" && host.op != "(bind)")
          (queued.op == "(copy)" ? copy : kernel) += std::max<std::int64_t>(0, overlap_ns(queued, host));
    }
    EXPECT_GT(copy, 0);
    EXPECT_GT(kernel, 0);
    return;
  }
  FAIL() << "no seed places Tanh alone";
}

TEST(Placements, ARunIsCancelledWhileTheDeviceIsAtWork) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  const Session session(model, {.providers = {"async?slow=20000", "reference"}});
  CancelToken cancel;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    cancel.cancel();
  });
  const Error e = testing::error_of([&] { session.run(mixed_inputs(3), {.cancel = &cancel}); });
  canceller.join();
  EXPECT_EQ(e.code(), ErrorCode::kCancelled);
  EXPECT_FALSE(e.context().node.empty());
  expect_same_bits(session.run(mixed_inputs(3)), run(model, {"reference"}, mixed_inputs(3)), "after it");
}

TEST(Placements, DeviceMemoryIsGivenBack) {
  add_devices();
  const Model model = testing::text_model(kMixed);
  std::optional<Session> session(std::in_place, model, SessionOptions{.providers = {"lazy", "reference"}});
  NamedValues outputs = session->run(mixed_inputs(3));
  const testing::LazyDevice::Counts before = last_lazy_device()->counts();
  for (int i = 0; i < 5; ++i) session->run(mixed_inputs(3));
  EXPECT_EQ(last_lazy_device()->counts().bytes, before.bytes);
  session.reset();
  EXPECT_NE(last_lazy_device(), nullptr) << "the outputs lie in its pinned memory";
  outputs = {};
  EXPECT_EQ(last_lazy_device(), nullptr) << "with the last of them the instance goes";
}

}  // namespace
}  // namespace ashlar
