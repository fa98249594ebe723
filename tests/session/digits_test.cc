// SPDX-License-Identifier: Apache-2.0
// The embedded digit classifier, end to end.
#include <algorithm>
#include <numeric>
#include <thread>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/npy.h"

namespace ashlar {
namespace {

const std::filesystem::path kModels = std::filesystem::path(ASHLAR_SOURCE_DIR) / "tests/models";

std::vector<float> heldout_images() {
  const auto bytes = testing::read_npy<std::uint8_t>(kModels / "digits_heldout_images.npy");
  std::vector<float> out(bytes.size());
  std::transform(bytes.begin(), bytes.end(), out.begin(), [](std::uint8_t b) { return static_cast<float>(b) / 255.0f; });
  return out;
}

std::vector<float> probabilities(const Session& session, std::vector<float>& images, std::int64_t batch) {
  const NamedValues outputs = session.run({{"image", Tensor::view(images.data(), {batch, 1, 8, 8})}});
  const auto span = outputs.at("probabilities").tensor().span<float>();
  return {span.begin(), span.end()};
}

TEST(Digits, ClassifiesTheHeldOutImagesAsWellAsStated) {
  const Session session(Model::load(kModels / "digits.onnx"));
  std::vector<float> images = heldout_images();
  const auto labels = testing::read_npy<std::int64_t>(kModels / "digits_heldout_labels.npy");
  ASSERT_EQ(labels.size(), 360u);
  const std::vector<float> p = probabilities(session, images, 360);
  int right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = p.begin() + static_cast<std::ptrdiff_t>(i * 10);
    right += std::max_element(row, row + 10) - row == labels[i];
  }
  EXPECT_EQ(right, 357);
}

TEST(Digits, AgreesWithOnnxRuntime) {
  const Session session(Model::load(kModels / "digits.onnx"));
  std::vector<float> images = heldout_images();
  const auto expected = testing::read_npy<float>(kModels / "digits_expected.npy");
  ASSERT_EQ(expected.size(), 100u);
  const std::vector<float> p = probabilities(session, images, 10);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(p[i], expected[i], 1e-4) << "element " << i;
}

TEST(Digits, EveryBatchSizeGivesTheSameBitsOnTheReferenceProvider) {
  const Session session(Model::load(kModels / "digits.onnx"), {.providers = {"reference"}});
  std::vector<float> images = heldout_images();
  const std::vector<float> all = probabilities(session, images, 7);
  for (std::int64_t batch = 1; batch <= 7; ++batch) {
    const std::vector<float> p = probabilities(session, images, batch);
    EXPECT_TRUE(std::equal(p.begin(), p.end(), all.begin())) << "batch " << batch;
  }
}

TEST(Digits, EightThreadsOfOneSessionGetTheBitsOfOne) {
  const Session session(Model::load(kModels / "digits.onnx"));
  std::vector<float> images = heldout_images();
  std::vector<std::vector<float>> expected;
  for (int t = 0; t < 8; ++t) {
    std::vector<float> part(images.begin() + t * 5 * 64, images.begin() + (t + 1) * 5 * 64);
    expected.push_back(probabilities(session, part, 5));
  }
  std::vector<std::thread> threads;
  std::vector<int> differing(8, 0);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      std::vector<float> part(images.begin() + t * 5 * 64, images.begin() + (t + 1) * 5 * 64);
      for (int i = 0; i < 20; ++i)
        differing[static_cast<std::size_t>(t)] += probabilities(session, part, 5) != expected[static_cast<std::size_t>(t)];
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(differing, std::vector<int>(8, 0));
}

TEST(Digits, ABoundRunWritesIntoTheCallersMemory) {
  const Session session(Model::load(kModels / "digits.onnx"));
  std::vector<float> images = heldout_images(), out(20, -1.0f);
  auto run = session.prepare();
  run.bind_input("image", Tensor::view(images.data(), {1, 1, 8, 8}));
  run.bind_output("probabilities", Tensor::view(out, {20}));
  run();
  EXPECT_EQ(run.output(0).tensor().raw(), out.data());
  EXPECT_EQ(run.output(0).tensor().shape(), Shape({1, 10}));
  EXPECT_NEAR(std::accumulate(out.begin(), out.begin() + 10, 0.0f), 1.0f, 1e-5f);
  EXPECT_EQ(out[10], -1.0f);
}

TEST(Digits, ThePlacementHasEveryNodeAndItsVerdicts) {
  const Session session(Model::load(kModels / "digits.onnx"), {.providers = {"null", "reference"}});
  ASSERT_EQ(session.placement().nodes.size(), 10u);
  for (const NodePlacement& n : session.placement().nodes) {
    EXPECT_EQ(n.provider, "reference");
    ASSERT_EQ(n.verdicts.size(), 2u);
    EXPECT_FALSE(n.verdicts[0].accepted);
    EXPECT_EQ(n.verdicts[0].code, "no_kernel_op");
    EXPECT_FALSE(n.verdicts[0].reason.empty());
    EXPECT_TRUE(n.verdicts[1].accepted);
  }
}

TEST(Digits, TheTraceAddsUpToTheWallTime) {
  const Session session(Model::load(kModels / "digits.onnx"), {.providers = {"reference"}});
  std::vector<float> images = heldout_images();
  Trace trace;
  session.run({{"image", Tensor::view(images.data(), {16, 1, 8, 8})}}, {.trace = &trace});
  ASSERT_EQ(trace.events.size(), 11u);  // ten nodes, and binding them
  std::int64_t sum = trace.unaccounted_ns();
  std::int64_t end = 0;
  for (const TraceEvent& e : trace.events) {
    EXPECT_GE(e.start_ns, end) << e.node;
    EXPECT_GE(e.duration_ns, 0) << e.node;
    end = e.start_ns + e.duration_ns;
    sum += e.duration_ns;
  }
  EXPECT_EQ(sum, trace.wall_ns);
  EXPECT_LE(end, trace.wall_ns);
  EXPECT_GE(trace.unaccounted_ns(), 0);
  EXPECT_NE(trace.table(3).find("8 other nodes"), std::string::npos);
  EXPECT_NE(trace.table().find("unaccounted"), std::string::npos);
}

}  // namespace
}  // namespace ashlar
