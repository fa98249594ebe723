// SPDX-License-Identifier: Apache-2.0
// What text cases cannot say: weights that are large.
#include <gtest/gtest.h>

#include "optimizer/pass.h"
#include "tests/graph/builder.h"

namespace ashlar::optimizer {
namespace {

/// A Gemm with weights of so many rows of 1 KiB, and an operator with a constant behind it.
Optimization fold(std::int64_t rows, const char* op, std::initializer_list<const char*> inputs) {
  testing::Builder b;
  b.input("x", testing::tensor_type(DType::kFloat32, {2, rows}));
  b.constant("w", Tensor::zeros(DType::kFloat32, {rows, 256})).constant("c", Tensor::scalar(2.0f));
  b.node("Gemm", 13, {"x", "w"}, {"m"}).node(op, 14, inputs, {"y"}).output("y", testing::tensor_type(DType::kFloat32, {2, 256}));
  return optimize(b.graph, {.only = {"fold-scales"}}, nullptr, nullptr);
}

TEST(FoldScales, LeavesLargeWeightsWhereTheyAre) {
  EXPECT_EQ(fold(4096, "Mul", {"m", "c"}).rewrites.size(), 1u);
  const auto expect_left = [](const char* op, std::initializer_list<const char*> inputs) {
    const Optimization report = fold(5 * 1024, op, inputs);
    EXPECT_EQ(report.rewrites.size(), 0u) << op;
    ASSERT_EQ(report.near_misses.size(), 1u) << op;
    EXPECT_EQ(report.near_misses[0].reason, "the weights of n0 are 5 MiB");
  };
  expect_left("Mul", {"m", "c"});
  expect_left("Sub", {"c", "m"});
}

TEST(FoldScales, PutsSummandsIntoTheBiasBesideLargeWeights) {
  EXPECT_EQ(fold(5 * 1024, "Add", {"c", "m"}).rewrites.size(), 1u);
  EXPECT_EQ(fold(5 * 1024, "Sub", {"m", "c"}).rewrites.size(), 1u);
}

}  // namespace
}  // namespace ashlar::optimizer
