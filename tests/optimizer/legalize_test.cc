// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include <ashlar/error.h>

#include "ops/facts.h"
#include "optimizer/legalize.h"
#include "tests/graph/builder.h"

namespace ashlar::optimizer {
namespace {

using testing::Builder;
using testing::tensor_type;

const ValueType kVector = tensor_type(DType::kFloat32, {4});

/// Takes the operators that are named.
Taken takes(std::set<std::string> ops) {
  return [ops = std::move(ops)](const graph::Graph& graph, graph::NodeIndex i) { return ops.contains(graph.nodes[i].op_name()); };
}

std::set<std::string> operators(const graph::Graph& graph) {
  std::set<std::string> names;
  for (const auto& [name, count] : graph::count_operators(graph)) names.insert(name);
  return names;
}

TEST(Legalize, ReplacesANodeByItsBody) {
  Builder b("g");
  b.input("x", kVector).node("HardSwish", 22, {"x"}, {"y"}, {}, "act").output("y", kVector);
  legalize(b.graph, takes({"Mul", "HardSigmoid"}));
  graph::verify(b.graph);
  EXPECT_EQ(operators(b.graph), (std::set<std::string>{"HardSigmoid", "Mul"}));
  ASSERT_EQ(b.graph.nodes.size(), 2u);
  for (const graph::Node& node : b.graph.nodes) {
    EXPECT_EQ(node.id.rfind("act/", 0), 0u) << node.id;
    EXPECT_EQ(node.origins, std::vector<std::string>{"act"});
  }
  EXPECT_EQ(b.graph.nodes[1].outputs, b.graph.outputs);
  EXPECT_EQ(b.graph.values[b.graph.nodes[0].outputs[0]].type.to_string(), "float32[4]");
  EXPECT_EQ(b.graph.values[b.graph.nodes[0].outputs[0]].name.rfind("act/", 0), 0u);
}

TEST(Legalize, LeavesWhatIsTaken) {
  Builder b;
  b.input("x", kVector).node("HardSwish", 22, {"x"}, {"y"}).output("y", kVector);
  const std::string before = graph::to_text(b.graph);
  legalize(b.graph, takes({"HardSwish"}));
  EXPECT_EQ(graph::to_text(b.graph), before);
}

TEST(Legalize, LeavesWhatHasNoBody) {
  Builder b;
  b.input("x", kVector).node("Erf", 13, {"x"}, {"y"}).node("com.acme::Thing", 1, {"y"}, {"z"}).output("z", kVector);
  const std::string before = graph::to_text(b.graph);
  legalize(b.graph, takes({}));
  EXPECT_EQ(graph::to_text(b.graph), before);
}

TEST(Legalize, NeverAsksForTheCoresOperators) {
  Builder b;
  b.input("x", kVector).node("SequenceConstruct", 11, {"x"}, {"s"}).node("SequenceLength", 11, {"s"}, {"n"}).output("n");
  legalize(b.graph, [](const graph::Graph& graph, graph::NodeIndex i) {
    ADD_FAILURE() << "asked for " << graph.nodes[i].op_type;
    return false;
  });
}

TEST(Legalize, GoesOnToAFixedPoint) {
  Builder b;
  b.input("x", tensor_type(DType::kFloat32, {2, 3})).output("y", tensor_type(DType::kFloat32, {}));
  b.input("t", tensor_type(DType::kInt64, {2}));
  b.node("SoftmaxCrossEntropyLoss", 13, {"x", "t"}, {"y"}, {{"reduction", std::string("mean")}}, "loss");
  const std::set<std::string> gone = {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "LogSoftmax", "Softmax"};
  legalize(b.graph, [&](const graph::Graph& graph, graph::NodeIndex i) { return !gone.contains(graph.nodes[i].op_type); });
  graph::verify(b.graph);
  for (const std::string& op : operators(b.graph)) EXPECT_FALSE(gone.contains(op)) << op;
  for (const graph::Node& node : b.graph.nodes) {
    EXPECT_EQ(node.origins, std::vector<std::string>{"loss"});
    EXPECT_GE(node.version, 13) << node.id << " is not in its newest form";
  }
}

TEST(Legalize, ReachesIntoBodiesAndLeavesSharedOnesAlone) {
  Builder b;
  b.input("c", tensor_type(DType::kBool, {})).input("x", kVector);
  auto body = testing::forwarding_body("then", b.value("x"), kVector);
  body->nodes[0].op_type = "HardSwish";
  body->nodes[0].version = 22;
  b.node("If", 25, {"c"}, {"y"}, {{"then_branch", body}, {"else_branch", testing::forwarding_body("else", b.value("x"), kVector)}})
      .output("y");
  b.graph.nodes[0].captures = {b.value("x")};
  legalize(b.graph, takes({"Mul", "HardSigmoid", "Neg"}));
  graph::verify(b.graph);
  EXPECT_EQ(operators(b.graph), (std::set<std::string>{"HardSigmoid", "If", "Mul", "Neg"}));
  EXPECT_EQ(body->nodes[0].op_type, "HardSwish");
}

TEST(Legalize, BringsBodiesOfControlFlowAlong) {
  Builder b;
  const ValueType scalar = tensor_type(DType::kInt64, {});
  b.input("start", scalar).input("limit", scalar).input("delta", scalar);
  b.node("Range", 27, {"start", "limit", "delta"}, {"y"}, {{"stash_type", std::int64_t{1}}}, "range")
      .output("y", testing::unranked(DType::kInt64));
  legalize(b.graph, [](const graph::Graph& graph, graph::NodeIndex i) { return graph.nodes[i].op_type != "Range"; });
  graph::verify(b.graph);
  EXPECT_TRUE(operators(b.graph).contains("Loop"));
}

TEST(Legalize, TheSameFunctionTwiceKeepsNamesApart) {
  Builder b;
  b.input("x", kVector).node("HardSwish", 22, {"x"}, {"y"}).node("HardSwish", 22, {"y"}, {"z"}).output("z", kVector);
  b.input("n0/X", kVector);
  legalize(b.graph, takes({"Mul", "HardSigmoid"}));
  graph::verify(b.graph);
  std::set<std::string> names;
  for (const graph::Value& v : b.graph.values) EXPECT_TRUE(names.insert(v.name).second) << v.name;
}

}  // namespace
}  // namespace ashlar::optimizer
