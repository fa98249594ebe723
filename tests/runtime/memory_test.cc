// SPDX-License-Identifier: Apache-2.0
// A run's memory over many runs of changing shapes.
#include <optional>
#include <random>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

TEST(Memory, StaysBoundedOverAThousandRandomShapes) {
  const Session session(testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    chain (float[N, M] x) => (float[N, M] y) { a = Neg(x) b = Add(a, x) c = Mul(b, b) d = Sub(c, a) y = Abs(d) })"));
  std::mt19937 random(7);
  auto run = session.prepare();
  std::vector<float> data(128 * 128, 1.0f);
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t n = 1 + static_cast<std::int64_t>(random() % 128), m = 1 + static_cast<std::int64_t>(random() % 128);
    run.bind_input(0, Tensor::view(data.data(), {n, m}));
    run();
    ASSERT_EQ(run.output(0).tensor().shape(), Shape({n, m}));
    ASSERT_EQ(run.output(0).tensor().data<float>()[n * m - 1], 1.0f);
  }
}

TEST(Session, OutlivesTheModelItWasMadeOfAndLeavesNoCycle) {
  std::optional<Session> session;
  {
    const Model model = testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Neg(x) })");
    session.emplace(model);
  }
  EXPECT_EQ(session->run({{"x", Tensor::of<float>({1}, {2})}}).at("y").tensor().data<float>()[0], -2.0f);
  auto run = session->prepare();
  session.reset();
  run.bind_input(0, Tensor::of<float>({1}, {3}));
  run();
  EXPECT_EQ(run.output(0).tensor().data<float>()[0], -3.0f);
}

}  // namespace
}  // namespace ashlar
