// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "ops/facts.h"
#include "tests/graph/builder.h"

namespace ashlar::ops {
namespace {

bool core(const std::string& op) {
  testing::Builder b;
  b.node(op, 1, {}, {});
  return is_core_operator(b.graph.nodes[0]);
}

TEST(Facts, TheCoreRunsControlFlowAndContainers) {
  for (const char* op : {"If", "Loop", "Scan", "SequenceAt", "SplitToSequence", "OptionalGetElement", "ai.onnx.ml::ZipMap"})
    EXPECT_TRUE(core(op)) << op;
  for (const char* op : {"Add", "Identity", "SequenceMap", "ZipMap", "ai.onnx.ml::If", "com.acme::Loop", "ai.onnx.ml::LabelEncoder"})
    EXPECT_FALSE(core(op)) << op;
}

TEST(Facts, IdentityIsTheCoresOnlyOnContainers) {
  testing::Builder b;
  ValueType sequence;
  sequence.kind = ValueType::Kind::kSequence;
  b.input("t", testing::tensor_type(DType::kFloat32, {1})).input("s", sequence);
  b.node("Identity", 25, {"t"}, {"a"}).node("Identity", 25, {"s"}, {"b"});
  EXPECT_FALSE(is_core_operator(b.graph, b.graph.nodes[0]));
  EXPECT_TRUE(is_core_operator(b.graph, b.graph.nodes[1]));
}

}  // namespace
}  // namespace ashlar::ops
