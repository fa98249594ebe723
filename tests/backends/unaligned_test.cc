// SPDX-License-Identifier: Apache-2.0
// Constants lie in a model's file at any address.
#include <algorithm>
#include <cstring>

#include <ashlar/providers.h>
#include <gtest/gtest.h>

#include "tests/graph/builder.h"
#include "tests/support/graph_runner.h"

namespace ashlar::testing {
namespace {

/// A table behind Gather is read where it lies: a change there shows, which it would not in a copy.
TEST(Unaligned, ATableOfRowsIsNotCopied) {
  const auto names = provider_names();
  if (std::find(names.begin(), names.end(), "cpu") == names.end()) GTEST_SKIP() << "this build has no provider 'cpu'";
  constexpr std::int64_t kRows = 5, kColumns = 3;
  alignas(8) char memory[1 + kRows * kColumns * sizeof(float)];
  char* const table = memory + 1;
  const auto write = [&](float scale) {
    for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
      const float element = scale * static_cast<float>(i);
      std::memcpy(table + i * static_cast<std::int64_t>(sizeof(float)), &element, sizeof(float));
    }
  };
  write(1);
  Builder b;
  b.constant("table", Tensor::adopt(DType::kFloat32, {kRows, kColumns}, table, nullptr, true));
  b.graph.values[b.value("table")].type = tensor_type(DType::kFloat32, {kRows, kColumns});
  b.input("which", tensor_type(DType::kInt64, {2}));
  b.node("Gather", 13, {"table", "which"}, {"y"}, {{"axis", std::int64_t{0}}});
  b.output("y", tensor_type(DType::kFloat32, {2, kColumns}));
  GraphRunner runner(b.graph, {"cpu"});
  for (const float scale : {1.0f, 2.0f}) {
    write(scale);
    const Tensor y = runner.run({Tensor::of<std::int64_t>({2}, {4, 1})})[0];
    for (std::int64_t i = 0; i < kColumns; ++i) {
      EXPECT_EQ(y.data<float>()[i], scale * static_cast<float>(4 * kColumns + i));
      EXPECT_EQ(y.data<float>()[kColumns + i], scale * static_cast<float>(kColumns + i));
    }
  }
}

}  // namespace
}  // namespace ashlar::testing
