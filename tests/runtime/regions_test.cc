// SPDX-License-Identifier: Apache-2.0
// Plans bound to shapes: regions, layouts that are kept, storage that is shared.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

std::vector<float> numbers(std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i % 23) - 11;
  return out;
}

std::vector<float> run_once(ashlar::Run& run, const std::vector<float>& x, const Shape& shape, Trace* trace = nullptr) {
  run.bind_input(0, Tensor::view(x.data(), shape));
  run({.trace = trace});
  const auto y = run.output(0).tensor().span<float>();
  return {y.begin(), y.end()};
}

std::int64_t binds(const Trace& trace) {
  return std::count_if(trace.events.begin(), trace.events.end(), [](const TraceEvent& e) { return e.op == "(bind)"; });
}

const char* const kChain = R"(<ir_version: 8, opset_import: ["": 17]>
  chain (float[N, M] x) => (float[N, M] y) { a = Neg(x) b = Add(a, x) c = Mul(a, b) d = Sub(c, a) y = Abs(d) })";

TEST(Regions, BindOnceForAShapeThatStays) {
  const Session session(testing::text_model(kChain));
  auto run = session.prepare();
  const auto x = numbers(12);
  Trace trace;
  run_once(run, x, {3, 4}, &trace);
  EXPECT_EQ(binds(trace), 1);
  run_once(run, x, {3, 4}, &trace);
  EXPECT_EQ(binds(trace), 0);
}

TEST(Regions, KeepLayoutsOfShapesThatRepeat) {
  const Session session(testing::text_model(kChain));
  auto run = session.prepare();
  const auto x = numbers(64 * 64);
  std::vector<std::vector<float>> first;
  Trace trace;
  for (std::int64_t n = 1; n <= 20; ++n) first.push_back(run_once(run, x, {n, 7}, &trace));
  for (std::int64_t n = 1; n <= 20; ++n) run_once(run, x, {n, 7});
  for (std::int64_t n = 1; n <= 20; ++n) {
    EXPECT_EQ(run_once(run, x, {n, 7}, &trace), first[static_cast<std::size_t>(n - 1)]);
    EXPECT_EQ(binds(trace), 0) << n;
  }
}

TEST(Regions, AShapeThatComesOnceDoesNotDriveOutOneThatStays) {
  const Session session(testing::text_model(kChain));
  auto run = session.prepare();
  const auto x = numbers(2000);
  run_once(run, x, {3, 4});
  run_once(run, x, {3, 4});
  Trace trace;
  for (std::int64_t n = 1; n <= 500; ++n) {
    run_once(run, x, {n, 3});
    run_once(run, x, {3, 4}, &trace);
    ASSERT_EQ(binds(trace), 0) << n;
  }
}

TEST(Regions, EvaluateShapeArithmeticWhileBinding) {
  const Session session(testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    flatten (float[N, C, H] x) => (float[N, K] y)
      <int64[1] zero = {0}, int64[1] minus_one = {-1}, int64 first = {0}> {
      shape = Shape(x)
      n = Gather(shape, first)
      n1 = Unsqueeze(n, zero)
      target = Concat<axis = 0>(n1, minus_one)
      z = Neg(x)
      y = Reshape(z, target)
    })"));
  for (const NodePlacement& node : session.placement().nodes)
    EXPECT_EQ(node.provider == "core", node.op != "Neg" && node.op != "Reshape") << node.node;
  auto run = session.prepare();
  const auto x = numbers(60);
  for (const Shape& shape : {Shape({3, 4, 5}), Shape({5, 4, 3}), Shape({1, 1, 60})}) {
    const auto y = run_once(run, x, shape);
    EXPECT_EQ(run.output(0).tensor().shape(), Shape({shape[0], 60 / shape[0]}));
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], -x[i]);
  }
}

TEST(Regions, EndWhereAShapeDependsOnData) {
  const Session session(testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    positive (float[N] x) => (float[1, K] y, int64[2] size) {
      zero = Constant<value_float = 0.0>()
      mask = Greater(x, zero)
      kept = Compress<axis = 0>(x, mask)
      twice = Add(kept, kept)
      size_of = Shape(twice)
      one = Constant<value_ints = [1]>()
      size = Concat<axis = 0>(one, size_of)
      y = Reshape(twice, size)
    })"));
  auto run = session.prepare();
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> x(17), expected;
    for (float& v : x) v = static_cast<float>(static_cast<int>(random() % 11) - 5);
    for (const float v : x)
      if (v > 0) expected.push_back(2 * v);
    ASSERT_EQ(run_once(run, x, {17}), expected);
    ASSERT_EQ(run.output(0).tensor().shape(), Shape({1, static_cast<std::int64_t>(expected.size())}));
    ASSERT_EQ(run.output(1).tensor().data<std::int64_t>()[1], static_cast<std::int64_t>(expected.size()));
  }
}

/// Views, values moved into a Concat, and operators in place, on values that are read again later.
TEST(Regions, ShareStorageOnlyWhereNothingIsLost) {
  const char* const text = R"(<ir_version: 8, opset_import: ["": 17]>
    sharing (float[N, 8] x) => (float[M, 4] y, float[K] z, float[N, 8] w)
      <int64[2] rows = {-1, 4}, int64[1] flat = {-1}> {
      a = Relu(x)
      b = Reshape(a, rows)
      c = Neg(b)
      top, bottom = Split<axis = 1>(x)
      d = Exp(top)
      e = Neg(bottom)
      f = Add(d, e)
      g = Concat<axis = 0>(c, f, d, d)
      h = Neg(g)
      i = Abs(h)
      y = Add(i, g)
      j = Reshape(a, flat)
      z = Neg(j)
      w = Sub(a, x)
    })";
  for (const std::string provider : {"reference", "cpu"}) {
    const auto names = provider_names();
    if (std::find(names.begin(), names.end(), provider) == names.end()) continue;
    const Session session(testing::text_model(text), {.providers = {provider}});
    auto run = session.prepare();
    for (const std::int64_t n : {1, 3, 2, 3, 1, 5}) {
      const auto x = numbers(n * 8);
      const auto y = run_once(run, x, {n, 8});
      const auto relu = [](float v) { return std::max(v, 0.0f); };
      std::vector<float> g;
      for (const float v : x) g.push_back(-relu(v));
      const auto at = [&](std::int64_t r, std::int64_t c) { return x[static_cast<std::size_t>(r * 8 + c)]; };
      std::vector<float> d, f;
      for (std::int64_t r = 0; r < n; ++r)
        for (std::int64_t c = 0; c < 4; ++c) {
          d.push_back(std::exp(at(r, c)));
          f.push_back(d.back() - at(r, c + 4));
        }
      g.insert(g.end(), f.begin(), f.end());
      g.insert(g.end(), d.begin(), d.end());
      g.insert(g.end(), d.begin(), d.end());
      ASSERT_EQ(y.size(), g.size());
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(y[i], std::abs(g[i]) + g[i], 1e-4 * (1 + std::abs(g[i]))) << provider << " " << i;
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(run.output(1).tensor().data<float>()[i], -relu(x[i])) << provider;
        ASSERT_EQ(run.output(2).tensor().data<float>()[i], relu(x[i]) - x[i]) << provider;
      }
    }
  }
}

TEST(Regions, OutputsOfOneRunOutliveTheNext) {
  const Session session(testing::text_model(kChain));
  auto run = session.prepare();
  const auto x = numbers(12), other = std::vector<float>(12, 3.0f);
  const auto expected = run_once(run, x, {3, 4});
  const Tensor kept = run.output(0).tensor();
  run_once(run, other, {3, 4});
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), kept.data<float>()));
}

TEST(Regions, BoundOutputsAreWrittenWhereTheCallerSays) {
  const Session session(testing::text_model(kChain));
  auto run = session.prepare();
  const auto x = numbers(12);
  const auto expected = run_once(run, x, {3, 4});
  std::vector<float> buffer(12, -1.0f);
  run.bind_output(0, Tensor::view(buffer.data(), {12}));
  run_once(run, x, {3, 4});
  EXPECT_EQ(buffer, expected);
  EXPECT_EQ(run.output(0).tensor().raw(), buffer.data());
  std::vector<float> small(4);
  run.bind_output(0, Tensor::view(small.data(), {4}));
  EXPECT_THROW(run_once(run, x, {3, 4}), Error);
  run.bind_output(0, {});
  EXPECT_EQ(run_once(run, x, {3, 4}), expected);
}

TEST(Session, RunsOnTheCallersThreads) {
  const Session own(testing::text_model(kChain), {.threads = 3});
  std::atomic<int> calls{0};
  const Session given(testing::text_model(kChain), {.threads = 3, .parallel_for = [&](int n, const std::function<void(int)>& task) {
                                                      ++calls;
                                                      std::vector<std::thread> threads;
                                                      for (int i = 0; i < n; ++i) threads.emplace_back(task, i);
                                                      for (std::thread& t : threads) t.join();
                                                    }});
  const auto x = numbers(512 * 512);
  auto a = own.prepare();
  auto b = given.prepare();
  EXPECT_EQ(run_once(a, x, {512, 512}), run_once(b, x, {512, 512}));
  EXPECT_THROW(Session(testing::text_model(kChain), {.threads = -1}), Error);
  EXPECT_THROW(Session(testing::text_model(kChain), {.threads = 100000}), Error);
}

}  // namespace
}  // namespace ashlar
