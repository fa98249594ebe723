// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ashlar/error.h>

#include "canonicalize_cases.h"
#include "graph/nesting.h"
#include "ops/canonicalize.h"

namespace ashlar::ops {
namespace {

using testing::Attributes;
using testing::Builder;
using testing::Ints;
using testing::kF;
using testing::kImage;
using testing::one;
using testing::RewriteCase;
using testing::tensor_type;
using testing::unranked;

std::string body_of(const graph::Graph& graph) {
  const std::string text = graph::to_text(graph);
  return text.substr(text.find('\n') + 1);
}

const std::vector<RewriteCase>& cases() {
  static const std::vector<RewriteCase> all = testing::rewrite_cases();
  return all;
}

class Rewrite : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Rewrite, GivesTheNewestForm) {
  const RewriteCase& c = cases()[GetParam()];
  graph::Graph graph = c.before.graph;
  graph::verify(graph);
  const int version = graph.nodes[0].version;
  canonicalize(graph);
  graph::verify(graph);
  EXPECT_EQ("\n" + body_of(graph), c.after);
  for (const graph::Node& node : graph.nodes) {
    EXPECT_EQ(node.origins, std::vector<std::string>{"n0"});
    if (node.id == "n0") {
      EXPECT_EQ(node.original_version, version);
    }
  }
  const std::string once = graph::to_text(graph);
  canonicalize(graph);
  EXPECT_EQ(graph::to_text(graph), once) << "the newest form must stay as it is";
}

INSTANTIATE_TEST_SUITE_P(Canonicalize, Rewrite, ::testing::Range<std::size_t>(0, cases().size()),
                         [](const auto& c) { return std::string(cases()[c.param].name); });

TEST(Canonicalize, LeavesSharedBodiesAlone) {
  Builder b;
  b.input("c", tensor_type(DType::kBool, {})).input("x", kImage);
  auto body = testing::forwarding_body("then", b.value("x"), kImage);
  body->nodes[0].op_type = "Clip";
  body->nodes[0].version = body->nodes[0].original_version = 6;
  body->nodes[0].attributes = {{"min", 0.0f}};
  b.node("If", 1, {"c"}, {"y"}, {{"then_branch", body}, {"else_branch", testing::forwarding_body("else", b.value("x"), kImage)}})
      .output("y");
  b.graph.nodes[0].captures = {b.value("x")};
  const graph::Graph before = b.graph;
  const std::string text = graph::to_text(before);
  canonicalize(b.graph);
  graph::verify(b.graph);
  EXPECT_EQ(graph::to_text(before), text);
  const auto& then = *std::get<std::shared_ptr<graph::Graph>>(b.graph.nodes[0].attributes["then_branch"]);
  EXPECT_EQ(body_of(then), R"(  const then/forward/min: float32[] = 0
  then/forward = Clip@13(captured, then/forward/min) -> out: float32[2,3,4,5]
)");
}

TEST(Canonicalize, ReadsConstantsFromAroundABody) {
  Builder b;
  b.input("c", tensor_type(DType::kBool, {})).input("x", tensor_type(kF, {1, 4})).constant("scales", Tensor::of<float>({2}, {1, 0.5f}));
  auto body = testing::forwarding_body("then", b.value("x"), tensor_type(kF, {1, 4}));
  const graph::ValueId inner = body->add_value("inner_scales", tensor_type(kF, {2}));
  body->captures.push_back({b.value("scales"), inner});
  body->nodes[0].op_type = "Resize";
  body->nodes[0].version = 10;
  body->nodes[0].inputs.push_back(inner);
  b.node("If", 1, {"c"}, {"y"}, {{"then_branch", body}}).output("y");
  b.graph.nodes[0].captures = {b.value("x"), b.value("scales")};
  canonicalize(b.graph);
  const auto& then = *std::get<std::shared_ptr<graph::Graph>>(b.graph.nodes[0].attributes["then_branch"]);
  EXPECT_EQ(*then.nodes[0].find_as<std::string>("nearest_mode"), "ceil");
}

TEST(Canonicalize, NamesStayUnique) {
  Builder b = one("Reshape", 1, kImage, {{"shape", Ints{-1}}});
  b.input("n0/shape", kImage);
  canonicalize(b.graph);
  graph::verify(b.graph);
  EXPECT_EQ(b.graph.values.back().name, "n0/shape_1");
}

TEST(Canonicalize, LeavesWhatOnnxDoesNotKnow) {
  Builder b = one("com.acme::Add", 1, kImage, {{"broadcast", std::int64_t{1}}, {"axis", std::int64_t{1}}});
  b.node("NoSuchOperator", 3, {"x"}, {"z"});
  const std::string before = graph::to_text(b.graph);
  canonicalize(b.graph);
  EXPECT_EQ(graph::to_text(b.graph), before);
}

TEST(Canonicalize, RefusesAttributesOfTheWrongType) {
  Builder b = one("Pad", 2, kImage, {{"pads", 1.0f}});
  try {
    canonicalize(b.graph);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_EQ(e.context().node, "n0");
  }
}

TEST(Canonicalize, RefusesEndlessNesting) {
  auto body = std::make_shared<graph::Graph>();
  for (int i = 0; i < graph::kMaxNesting + 2; ++i) {
    auto around = std::make_shared<graph::Graph>();
    graph::Node node;
    node.op_type = "If";
    node.attributes["then_branch"] = body;
    around->nodes.push_back(node);
    body = around;
  }
  EXPECT_THROW(canonicalize(*body), Error);
}

}  // namespace
}  // namespace ashlar::ops
