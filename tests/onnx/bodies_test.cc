// SPDX-License-Identifier: Apache-2.0
#include "model_text.h"

namespace ashlar::onnx {
namespace {

const graph::Graph& body(const graph::Node& node, const std::string& attribute) {
  const auto* found = node.find_as<std::shared_ptr<graph::Graph>>(attribute);
  if (!found) throw Error(ErrorCode::kInternal, "no body " + attribute);
  return **found;
}

constexpr const char* kIf = R"(
  g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    [before] k = Neg(x)
    [choose] y = If (c) <
      then_branch = t () => (float[2] r) { [sum] r = Add(k, w) },
      else_branch = e () => (float[2] s) { s = Relu(x) }
    >
  })";

TEST(Bodies, ListWhatTheyCapture) {
  const Imported m = import(standard(kIf));
  const graph::Node& node = m.graph.nodes[1];
  const graph::Graph& then = body(node, "then_branch");
  ASSERT_EQ(then.captures.size(), 1u);
  EXPECT_EQ(m.graph.values[then.captures[0].outer].name, "k");
  EXPECT_EQ(then.values[then.captures[0].inner].type.to_string(), "float32[2]");
  EXPECT_EQ(node.captures.size(), 2u);
}

TEST(Bodies, NameNodesByPath) {
  const Imported m = import(standard(kIf));
  EXPECT_EQ(ids(body(m.graph.nodes[1], "then_branch")), Ids{"choose/then/sum"});
  EXPECT_EQ(ids(body(m.graph.nodes[1], "else_branch")), Ids{"choose/else/Relu#0"});
}

TEST(Bodies, ShareConstantsFromAround) {
  const Imported m = import(standard(kIf));
  const Tensor& inner = value(body(m.graph.nodes[1], "then_branch"), "w").constant;
  EXPECT_EQ(inner.raw(), value(m.graph, "w").constant.raw());
  EXPECT_EQ(m.info.initializer_count, 1);
  EXPECT_TRUE(m.info.findings.empty());
}

TEST(Bodies, InferTheTypeOfTheNode) { EXPECT_EQ(value(import(standard(kIf)).graph, "y").type.to_string(), "float32[2]"); }

TEST(Bodies, CaptureThroughEveryLevel) {
  const Imported m = import(standard(R"(
    g (bool c, float[2] x) => (float[2] y) {
      [outer] y = If (c) <
        then_branch = t () => (float[2] r) {
          [inner] r = If (c) <
            then_branch = tt () => (float[2] p) { p = Neg(x) },
            else_branch = te () => (float[2] q) { q = Abs(x) }
          >
        },
        else_branch = e () => (float[2] s) { s = Relu(x) }
      >
    })"));
  const graph::Graph& then = body(m.graph.nodes[0], "then_branch");
  ASSERT_EQ(then.captures.size(), 2u);
  const graph::Graph& innermost = body(then.nodes[0], "then_branch");
  ASSERT_EQ(innermost.captures.size(), 1u);
  EXPECT_EQ(then.values[innermost.captures[0].outer].name, "x");
  EXPECT_EQ(innermost.nodes[0].id, "outer/then/inner/then/Neg#0");
}

TEST(Bodies, SortByWhatBodiesUse) {
  const Imported m = import(standard(R"(
    g (bool c, float[2] x) => (float[2] y) {
      [choose] y = If (c) <
        then_branch = t () => (float[2] r) { r = Neg(k) },
        else_branch = e () => (float[2] s) { s = Relu(x) }
      >
      [late] k = Abs(x)
    })"));
  EXPECT_EQ(ids(m.graph), (Ids{"late", "choose"}));
}

TEST(Bodies, ReadLoopsWithTheirTypes) {
  const Imported m = import(standard(R"(
    g (int64 n, float[2] x) => (float[2] y, float[k, 2] all) <bool go = {1}> {
      [loop] y, all = Loop (n, go, x) <
        body = b (int64 i, bool c, float[2] a) => (bool d, float[2] f, float[2] h) { d = Identity(c)  f = Neg(a)  h = Abs(a) }
      >
    })"));
  EXPECT_EQ(value(m.graph, "all").type.to_string(), "float32[k,2]");
  EXPECT_EQ(value(body(m.graph.nodes[0], "body"), "h").type.to_string(), "float32[2]");
}

TEST(Bodies, MayShadowByInputsButNotByOutputs) {
  const std::string head =
      "g (bool c, float[2] x) => (float[2] y) { [choose] y = If (c) <then_branch = t () => (float[2] x) { x = Neg(c) }, ";
  expect_refused(standard(head + "else_branch = e () => (float[2] s) { s = Relu(x) }> }"), ErrorCode::kInvalidModel, "is defined already");
}

TEST(Bodies, MayReturnAValueFromAround) {
  const Imported m = import(standard(R"(
    g (bool c, float[2] x) => (float[2] y) {
      y = If (c) < then_branch = t () => (float[2] x) { unused = Neg(x) }, else_branch = e () => (float[2] s) { s = Relu(x) } >
    })"));
  EXPECT_EQ(m.graph.nodes.size(), 1u);
}

TEST(Bodies, InferAgainWithOtherShapes) {
  Imported m = import(standard(kIf));
  m.graph.values[m.graph.nodes[1].inputs[0]].type.shape.emplace();
  for (graph::Value& v : m.graph.values)
    if (v.name == "k" || v.name == "x") v.type.shape->at(0) = Dim{5, ""};
  const std::vector<ValueType> types = infer(m.graph, m.graph.nodes[0]);
  EXPECT_EQ(types[0].to_string(), "float32[5]");
}

}  // namespace
}  // namespace ashlar::onnx
