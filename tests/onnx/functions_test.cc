// SPDX-License-Identifier: Apache-2.0
#include "model_text.h"

namespace ashlar::onnx {
namespace {

constexpr const char* kHead = "<ir_version: 10, opset_import: [\"\" : 20, \"local\" : 1]>\n";

TEST(Functions, AreInlinedUnderTheCallersPath) {
  const Imported m = import(std::string(kHead) + R"(
    g (float[2] x) => (float[2] y) { [call] y = local.twice(x) }
    <domain: "local", opset_import: ["" : 20]>
    twice (a) => (b) { [one] t = Neg(a)  [two] b = Abs(t) })");
  EXPECT_EQ(ids(m.graph), (Ids{"call/one", "call/two"}));
  EXPECT_EQ(value(m.graph, "y").type.to_string(), "float32[2]");
  EXPECT_EQ(value(m.graph, "call/t").type.to_string(), "float32[2]");
}

TEST(Functions, BindAttributesAndDefaults) {
  const std::string text = std::string(kHead) + R"(
    g (float[2] x) => (float[2] y, float[2] z) { [p] y = local.leak <slope: float = 0.5> (x)  [q] z = local.leak(x) }
    <domain: "local", opset_import: ["" : 20]>
    leak <slope: float = 0.25> (a) => (b) { b = LeakyRelu <alpha: float = @slope> (a) })";
  const Imported m = import(text);
  EXPECT_EQ(*m.graph.nodes[0].find_as<float>("alpha"), 0.5f);
  EXPECT_EQ(*m.graph.nodes[1].find_as<float>("alpha"), 0.25f);
}

TEST(Functions, LeaveOutWhatTheCallerLeavesOut) {
  const Imported m = import(std::string(kHead) + R"(
    g (float[2] x, float hi) => (float[2] y) { [call] y = local.limit(x, , hi) }
    <domain: "local", opset_import: ["" : 20]>
    limit (a, low, high) => (b) { b = Clip(a, low, high) })");
  EXPECT_EQ(m.graph.nodes[0].inputs[1], graph::kNone);
}

TEST(Functions, MayPassAnInputThrough) {
  const Imported m = import(std::string(kHead) + R"(
    g (float[2] x) => (float[2] y, float[2] z) { [call] y, z = local.same(x) }
    <domain: "local", opset_import: ["" : 20]>
    same (a) => (a, c) { c = Neg(a) })");
  EXPECT_EQ(m.graph.values[m.graph.outputs[0]].name, "y");
  EXPECT_EQ(m.graph.nodes.back().op_type, "Identity");
}

TEST(Functions, KeepTheirNamesApartFromTheCallers) {
  const Imported m = import(std::string(kHead) + R"(
    g (float[2] x) => (float[2] y) { t = Relu(x)  [one] u = local.f(t)  [two] y = local.f(u) }
    <domain: "local", opset_import: ["" : 20]>
    f (x) => (y) { t = Neg(x)  y = Abs(t) })");
  EXPECT_EQ(ids(m.graph), (Ids{"Relu#0", "one/Neg#0", "one/Abs#1", "two/Neg#0", "two/Abs#1"}));
}

TEST(Functions, ShareTheirConstants) {
  proto::ModelProto model = model_of(std::string(kHead) + R"(
    g (float[300] x) => (float[300] y) { [one] u = local.f(x)  [two] y = local.f(u) }
    <domain: "local", opset_import: ["" : 20]>
    f (x) => (y) { w = Constant <value = float[1] {0}> ()  y = Add(x, w) })");
  auto* w = model.mutable_functions(0)->mutable_node(0)->mutable_attribute(0)->mutable_t();
  w->clear_float_data();
  w->set_dims(0, 300);
  w->set_raw_data(std::string(1200, '\0'));
  const Imported m = import(model);
  EXPECT_EQ(m.info.initializer_count, 1);
  EXPECT_EQ(m.info.mapped_bytes, 1200u);
}

TEST(Functions, MayNotCallThemselves) {
  expect_refused(std::string(kHead) + R"(
    g (float[2] x) => (float[2] y) { [call] y = local.f(x) }
    <domain: "local", opset_import: ["" : 20, "local" : 1]> f (a) => (b) { b = local.h(a) }
    <domain: "local", opset_import: ["" : 20, "local" : 1]> h (a) => (b) { b = local.f(a) })",
                 ErrorCode::kInvalidModel, "calls itself: f -> h -> f");
}

TEST(Functions, AreBoundedWhenTheyMultiply) {
  std::string text = std::string(kHead) + "g (float[2] x) => (float[2] y) { y = local.f0(x) }\n";
  for (int i = 0; i < 40; ++i)
    text += "<domain: \"local\", opset_import: [\"\" : 20, \"local\" : 1]> f" + std::to_string(i) + " (a) => (b) { t = local.f" +
            std::to_string(i + 1) + "(a)  b = local.f" + std::to_string(i + 1) + "(t) }\n";
  text += "<domain: \"local\", opset_import: [\"\" : 20]> f40 (a) => (b) { b = Neg(a) }\n";
  expect_refused(text, ErrorCode::kInvalidModel, "has more than 1000000 nodes once the functions it calls are inlined");
}

TEST(Functions, RefuseAnOutputNothingComputes) {
  expect_refused(std::string(kHead) + R"(
    g (float[2] x) => (float[2] y) { [call] y = local.f(x) }
    <domain: "local", opset_import: ["" : 20]> f (a) => (b) { c = Neg(a) })",
                 ErrorCode::kInvalidModel, "output 'b' of function 'f' is computed by no node");
}

TEST(FunctionBody, IsBuiltWithTypesAndIds) {
  const Imported m = import(standard("g (float[2, 3] x) => (float[2, 3] y) { [act] y = HardSwish(x) }"));
  const auto body = function_body(m.graph, m.graph.nodes[0]);
  ASSERT_TRUE(body);
  graph::verify(*body);
  EXPECT_EQ(body->inputs.size(), 1u);
  EXPECT_EQ(body->values[body->outputs[0]].type.to_string(), "float32[2,3]");
  for (const graph::Node& n : body->nodes) {
    EXPECT_TRUE(n.id.starts_with("act/")) << n.id;
    EXPECT_EQ(n.origins, Ids{"act"});
  }
}

TEST(FunctionBody, FillsInTheNodesAttributes) {
  const Imported m = import(standard("g (float[4] x) => (float[4] y) { y = ThresholdedRelu <alpha: float = 3.0> (x) }"));
  const auto body = function_body(m.graph, m.graph.nodes[0]);
  ASSERT_TRUE(body);
  bool found = false;
  for (const graph::Value& v : body->values)
    found = found || (v.constant.defined() && v.constant.dtype() == DType::kFloat32 && v.constant.span<float>()[0] == 3.0f);
  EXPECT_TRUE(found);
}

TEST(FunctionBody, LeavesOutWhatTheNodeLeavesOut) {
  const Imported m = import(standard("g (float[4] x, float hi) => (float[4] y) { y = Clip(x, , hi) }"));
  const auto body = function_body(m.graph, m.graph.nodes[0]);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->inputs.size(), 2u);
}

TEST(FunctionBody, KnowsTheNodesConstants) {
  const Imported m =
      import(standard("g (float[4, 5] x) => (float[4] y) <int64[1] axes = {1}> { y = ReduceL2 <keepdims: int = 0> (x, axes) }"));
  const auto body = function_body(m.graph, m.graph.nodes[0]);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->values[body->outputs[0]].type.to_string(), "float32[4]");
  for (const graph::ValueId v : body->inputs) EXPECT_FALSE(body->values[v].constant.defined());
}

TEST(FunctionBody, TakesBodiesAndTheirCapturesAlong) {
  const Imported m = import(standard(R"(
    g (seq(float[2]) s, float[2] x) => (seq(float[2]) r) <float[2] w = {1, 2}> {
      [map] r = SequenceMap (s) < body = b (float[2] e) => (float[2] o) { t = Add(e, x)  o = Mul(t, w) } >
    })"));
  const auto body = function_body(m.graph, m.graph.nodes[0]);
  ASSERT_TRUE(body);
  ASSERT_EQ(body->captures.size(), 1u);
  EXPECT_EQ(m.graph.values[body->captures[0].outer].name, "x");
  EXPECT_EQ(body->nodes.back().op_type, "Loop");
}

TEST(FunctionBody, IsNothingForOtherOperators) {
  const Imported m = import(standard("g (float[2] x) => (float[2] y) { y = Neg(x) }"));
  EXPECT_FALSE(function_body(m.graph, m.graph.nodes[0]));
}

}  // namespace
}  // namespace ashlar::onnx
