// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression of so many boxes that they lie in strips.
#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace ashlar::testing {
namespace {

/// Boxes of several classes beside each other, in one image, or all alike; some as wide as the image, some upside down, some of corners that are
/// no numbers.
Tensor boxes(std::int64_t count, int kind, std::mt19937& random) {
  Tensor t = Tensor::zeros(DType::kFloat32, {1, count, 4});
  std::uniform_real_distribution<float> place(0, 320), size(1, 60);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (std::int64_t i = 0; i < count; ++i) {
    const float beside = kind == 0 ? 321.0f * static_cast<float>(pick(20)) : 0;
    float x = place(random) + beside, y = place(random), w = size(random), h = size(random);
    if (kind == 2) x = 5, w = 10;
    if (pick(40) == 0) x = 0, w = 6000;
    if (pick(200) == 0) x = NAN;
    if (pick(200) == 0) w = INFINITY;
    float* b = t.mutable_data<float>() + 4 * i;
    b[0] = y, b[1] = x, b[2] = y + h, b[3] = x + w;
    if (pick(10) == 0) std::swap(b[1], b[3]);
  }
  return t;
}

TEST(Detection, ManyBoxesAreKeptAsTheReferenceKeepsThem) {
  const auto names = provider_names();
  for (const char* name : {"cpu", "reference"})
    if (std::find(names.begin(), names.end(), name) == names.end()) GTEST_SKIP() << "this build has no provider '" << name << "'";
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    g (float[1, N, 4] boxes, float[1, C, N] scores, int64 most, float limit) => (int64[K, 3] kept) {
      kept = NonMaxSuppression(boxes, scores, most, limit)
    })");
  std::mt19937 random(11);
  for (const std::int64_t count : {100, 129, 1500})
    for (int kind = 0; kind < 3; ++kind)
      for (const float limit : {0.0f, 0.3f, 0.9f}) {
        Tensor scores = Tensor::zeros(DType::kFloat32, {1, 2, count});
        for (std::int64_t i = 0; i < 2 * count; ++i) scores.mutable_data<float>()[i] = static_cast<float>(random() % 100000) / 100000;
        const NamedValues inputs = {{"boxes", boxes(count, kind, random)},
                                    {"scores", scores},
                                    {"most", Tensor::scalar<std::int64_t>(count)},
                                    {"limit", Tensor::scalar(limit)}};
        const NamedValues found = Session(model, {.providers = {"cpu"}}).run(inputs),
                          expected = Session(model, {.providers = {"reference"}}).run(inputs);
        EXPECT_EQ(difference(found.at("kept").tensor(), expected.at("kept").tensor(), 0), "")
            << count << " boxes of kind " << kind << ", " << limit;
      }
}

}  // namespace
}  // namespace ashlar::testing
