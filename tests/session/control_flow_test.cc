// SPDX-License-Identifier: Apache-2.0
// What the core runs itself: If, Loop, Scan, sequences and optionals, and how runs end early.
#include <chrono>
#include <thread>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using testing::error_of;
using testing::text_model;

std::vector<float> floats(const Value& v) {
  const auto s = v.tensor().span<float>();
  return {s.begin(), s.end()};
}

const char* kIf = R"(<ir_version: 8, opset_import: ["": 17]>
  pick (bool c, float[N] x) => (float[N] y) {
    y = If (c) <then_branch = t () => (float[N] a) { a = Add(x, x) }, else_branch = e () => (float[N] b) { b = Neg(x) }>
  })";

TEST(If, RunsTheBranchThatTheConditionNames) {
  const Session session(text_model(kIf));
  const Tensor x = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(floats(session.run({{"c", Tensor::scalar(true)}, {"x", x}}).at("y")), (std::vector<float>{2, 4}));
  EXPECT_EQ(floats(session.run({{"c", Tensor::scalar(false)}, {"x", x}}).at("y")), (std::vector<float>{-1, -2}));
}

TEST(If, ThreadsMayMakeSessionsOfOneModelAtOnce) {
  const Model model = text_model(kIf);
  std::vector<std::thread> threads;
  std::vector<float> results(4);
  for (std::size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      const Session session(model);
      results[t] = session.run({{"c", Tensor::scalar(t % 2 == 0)}, {"x", Tensor::of<float>({1}, {3})}}).at("y").tensor().data<float>()[0];
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(results, (std::vector<float>{6, -3, 6, -3}));
}

TEST(If, ItsBodiesNodesAreInThePlacementAndTheTrace) {
  const Session session(text_model(kIf));
  ASSERT_EQ(session.placement().nodes.size(), 3u);
  EXPECT_EQ(session.placement().nodes[0].provider, "core");
  Trace trace;
  session.run({{"c", Tensor::scalar(true)}, {"x", Tensor::of<float>({1}, {1})}}, {.trace = &trace});
  ASSERT_EQ(trace.events.size(), 3u);  // the body binds to its shapes first
  EXPECT_EQ(trace.events[1].op, "(bind)");
  session.run({{"c", Tensor::scalar(true)}, {"x", Tensor::of<float>({1}, {1})}}, {.trace = &trace});
  ASSERT_EQ(trace.events.size(), 2u);
  EXPECT_EQ(trace.events[0].depth, 0);
  EXPECT_EQ(trace.events[1].depth, 1);
  EXPECT_EQ(trace.events[1].op, "Add");
  EXPECT_LE(trace.events[0].start_ns, trace.events[1].start_ns);
  EXPECT_GE(trace.unaccounted_ns(), 0);
}

// What a branch gives need not be made by a node of it.
TEST(If, BranchesMayGiveWhatTheyCaptureConstantsAndOneValueTwice) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
  pick (bool c, float[N] x) => (float[N] y, float[M] z, float[N] u, float[N] v) {
    n = Neg(x)
    y, z, u, v = If (c) <
      then_branch = t () => (float[N] a, float[2] k, float[N] d, float[N] e) <float[2] k = {5, 6}> { a = Identity(x) d = Identity(n) e = Identity(d) },
      else_branch = e () => (float[N] b, float[1] l, float[N] f, float[N] g) <float[1] l = {7}> { b = Identity(n) f = Abs(x) g = Identity(f) }>
  })"));
  EXPECT_EQ(session.stage_text("optimized").find("Identity"), std::string::npos);
  const Tensor x = Tensor::of<float>({2}, {1, -2});
  for (int repeat = 0; repeat < 2; ++repeat) {
    NamedValues out = session.run({{"c", Tensor::scalar(true)}, {"x", x}});
    EXPECT_EQ(floats(out.at("y")), (std::vector<float>{1, -2}));
    EXPECT_EQ(floats(out.at("z")), (std::vector<float>{5, 6}));
    EXPECT_EQ(floats(out.at("u")), (std::vector<float>{-1, 2}));
    EXPECT_EQ(floats(out.at("v")), (std::vector<float>{-1, 2}));
    out = session.run({{"c", Tensor::scalar(false)}, {"x", x}});
    EXPECT_EQ(floats(out.at("y")), (std::vector<float>{-1, 2}));
    EXPECT_EQ(floats(out.at("z")), (std::vector<float>{7}));
    EXPECT_EQ(floats(out.at("u")), (std::vector<float>{1, 2}));
    EXPECT_EQ(floats(out.at("v")), (std::vector<float>{1, 2}));
  }
}

// The caller keeps the outputs of one run while the next writes.
TEST(If, WhatABranchCapturesStaysTheCallers) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
  pick (bool c, float[N] x) => (float[N] y, float[N] z) {
    n = Neg(x)
    y = If (c) <then_branch = t () => (float[N] a) { a = Identity(n) }, else_branch = e () => (float[N] b) { b = Abs(x) }>
    z = Mul(n, y)
  })"));
  const NamedValues first = session.run({{"c", Tensor::scalar(true)}, {"x", Tensor::of<float>({2}, {1, -2})}});
  const NamedValues second = session.run({{"c", Tensor::scalar(true)}, {"x", Tensor::of<float>({2}, {3, 4})}});
  EXPECT_EQ(floats(first.at("y")), (std::vector<float>{-1, 2}));
  EXPECT_EQ(floats(first.at("z")), (std::vector<float>{1, 4}));
  EXPECT_EQ(floats(second.at("y")), (std::vector<float>{-3, -4}));
}

const char* kLoop = R"(<ir_version: 8, opset_import: ["": 17]>
  powers (int64 trips, float[N] x) => (float[N] last, float[T, N] all) {
    keep = Constant <value = bool {1}> ()
    last, all = Loop (trips, keep, x) <body = b (int64 i, bool c, float[N] s) => (bool go, float[N] twice, float[N] row) {
      go = Identity(c)
      twice = Add(s, s)
      row = Add(s, x)
    }>
  })";

TEST(Loop, CarriesStateAndStacksRows) {
  const Session session(text_model(kLoop));
  const NamedValues out = session.run({{"trips", Tensor::scalar<std::int64_t>(3)}, {"x", Tensor::of<float>({1}, {1})}});
  EXPECT_EQ(floats(out.at("last")), (std::vector<float>{8}));
  EXPECT_EQ(floats(out.at("all")), (std::vector<float>{2, 3, 5}));
  EXPECT_EQ(out.at("all").tensor().shape(), Shape({3, 1}));
}

TEST(Loop, TheBodyMayGiveOnWhatItCapturesAndExchangeItsStates) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
  swap (int64 trips, float[N] x, float[N] z) => (float[N] p, float[N] q, float[N] r, float[T, N] rows) {
    p, q, r, rows = Loop (trips, , x, z, x) <body = b (int64 i, bool c, float[N] s, float[N] t, float[N] u) => (bool go, float[N] v, float[N] w, float[N] k, float[N] row) {
      go = Identity(c)
      v = Identity(t)
      w = Identity(s)
      k = Identity(z)
      row = Identity(u)
    }>
  })"));
  EXPECT_EQ(session.stage_text("optimized").find("Identity"), std::string::npos);
  const auto run = [&](std::int64_t trips) {
    return session.run(
        {{"trips", Tensor::scalar<std::int64_t>(trips)}, {"x", Tensor::of<float>({2}, {1, 2})}, {"z", Tensor::of<float>({2}, {3, 4})}});
  };
  NamedValues out = run(3);
  EXPECT_EQ(floats(out.at("p")), (std::vector<float>{3, 4}));
  EXPECT_EQ(floats(out.at("q")), (std::vector<float>{1, 2}));
  EXPECT_EQ(floats(out.at("r")), (std::vector<float>{3, 4}));
  EXPECT_EQ(floats(out.at("rows")), (std::vector<float>{1, 2, 3, 4, 3, 4}));
  out = run(0);
  EXPECT_EQ(floats(out.at("p")), (std::vector<float>{1, 2}));
  EXPECT_EQ(floats(out.at("r")), (std::vector<float>{1, 2}));
}

TEST(Loop, OfNoTripsGivesTheInitialStateAndNoRows) {
  const Session session(text_model(kLoop));
  const NamedValues out = session.run({{"trips", Tensor::scalar<std::int64_t>(0)}, {"x", Tensor::of<float>({1}, {5})}});
  EXPECT_EQ(floats(out.at("last")), (std::vector<float>{5}));
  EXPECT_EQ(out.at("all").tensor().shape()[0], 0);
}

const char* kForever = R"(<ir_version: 8, opset_import: ["": 17]>
  forever (float[N] x) => (float[N] y) {
    keep = Constant <value = bool {1}> ()
    y = Loop ("", keep, x) <body = b (int64 i, bool c, float[N] s) => (bool c, float[N] t) { t = Neg(s) }>
  })";

TEST(Deadline, EndsARunBetweenStepsAndLeavesTheSessionUsable) {
  const Session endless(text_model(kForever));
  const Error e = error_of([&] { endless.run({{"x", Tensor::of<float>({1}, {1})}}, {.deadline = std::chrono::milliseconds(20)}); });
  EXPECT_EQ(e.code(), ErrorCode::kDeadlineExceeded);
  EXPECT_FALSE(e.context().node.empty());
  const Session session(text_model(kIf));
  auto run = session.prepare();
  run.bind_input("c", Tensor::scalar(true));
  run.bind_input("x", Tensor::of<float>({1}, {1}));
  EXPECT_EQ(error_of([&] { run({.deadline = std::chrono::nanoseconds(0)}); }).code(), ErrorCode::kDeadlineExceeded);
  run();
  EXPECT_EQ(floats(run.output(0)), (std::vector<float>{2}));
}

TEST(Cancel, EndsARunFromAnotherThread) {
  const Session session(text_model(kForever));
  CancelToken token;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    token.cancel();
  });
  const Error e = error_of([&] { session.run({{"x", Tensor::of<float>({1}, {1})}}, {.cancel = &token}); });
  canceller.join();
  EXPECT_EQ(e.code(), ErrorCode::kCancelled);
}

TEST(Scan, GoesBackwardsAndAlongAnotherAxis) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    sums (float[N] start, float[N, T] x) => (float[N] total, float[N, T] partial) {
      total, partial = Scan (start, x) <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [1], scan_output_directions = [1],
        body = b (float[N] s, float[N] e) => (float[N] n, float[N] o) { n = Add(s, e) o = Identity(n) }>
    })"));
  const NamedValues out = session.run({{"start", Tensor::of<float>({2}, {0, 100})}, {"x", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})}});
  EXPECT_EQ(floats(out.at("total")), (std::vector<float>{6, 115}));
  EXPECT_EQ(floats(out.at("partial")), (std::vector<float>{6, 5, 3, 115, 111, 106}));
}

TEST(Sequence, SplitsAndJoins) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    rejoin (float[N, 2] x, int64 at) => (float[M, 2] y, float[K, 2] part, int64 n) {
      s = SplitToSequence <axis = 0> (x)
      part = SequenceAt(s, at)
      t = SequenceErase(s, at)
      u = SequenceInsert(t, part)
      n = SequenceLength(u)
      y = ConcatFromSequence <axis = 0> (u)
    })"));
  const NamedValues out = session.run({{"x", Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6})}, {"at", Tensor::scalar<std::int64_t>(-3)}});
  EXPECT_EQ(floats(out.at("y")), (std::vector<float>{3, 4, 5, 6, 1, 2}));
  EXPECT_EQ(floats(out.at("part")), (std::vector<float>{1, 2}));
  EXPECT_EQ(*out.at("n").tensor().data<std::int64_t>(), 3);
  const Error e = error_of([&] { session.run({{"x", Tensor::of<float>({1, 2}, {1, 2})}, {"at", Tensor::scalar<std::int64_t>(1)}}); });
  EXPECT_EQ(e.code(), ErrorCode::kRuntime);
  EXPECT_EQ(e.context().op, "SequenceAt");
}

}  // namespace
}  // namespace ashlar
