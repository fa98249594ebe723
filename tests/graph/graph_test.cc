// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <functional>

#include <gtest/gtest.h>

#include <ashlar/error.h>

#include "graph/nesting.h"
#include "tests/graph/builder.h"

namespace ashlar::graph {
namespace {

using testing::Builder;
using testing::tensor_type;

const ValueType kVector = tensor_type(DType::kFloat32, {4});

Builder branching() {
  Builder b("main");
  b.input("cond", tensor_type(DType::kBool, {})).input("x", kVector).output("y", kVector);
  const ValueId x = b.value("x");
  b.node("If", 25, {"cond"}, {"y"},
         {{"then_branch", testing::forwarding_body("then", x, kVector)}, {"else_branch", testing::forwarding_body("else", x, kVector)}},
         "If_0");
  b.graph.nodes[0].captures = {x};
  return b;
}

void expect_invalid(const Graph& graph, const std::string& sentence) {
  try {
    verify(graph);
    ADD_FAILURE() << "verified:\n" << to_text(graph);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_NE(std::string(e.what()).find(sentence), std::string::npos) << e.what();
  }
}

TEST(DeepCopy, SharesConstantsButNoBody) {
  Builder b = branching();
  b.constant("w", Tensor::zeros(DType::kFloat32, {8}));
  const Graph copied = deep_copy(b.graph);
  EXPECT_EQ(to_text(copied), to_text(b.graph));
  EXPECT_EQ(copied.values[b.value("w")].constant.raw(), b.graph.values[b.value("w")].constant.raw());
  const auto before = bodies(b.graph.nodes[0]), after = bodies(copied.nodes[0]);
  ASSERT_EQ(after.size(), 2u);
  EXPECT_NE(after[0].second, before[0].second);
}

TEST(GraphText, SaysEverythingOfAGraph) {
  Builder b("main");
  b.input("image", tensor_type(DType::kFloat32, {-1, 8})).output("a name", kVector);
  b.constant("w", Tensor::zeros(DType::kFloat32, {16, 1, 3, 3}));
  b.constant("axes", Tensor::of<std::int64_t>({2}, {-1, 3}));
  b.constant("s", Tensor::scalar(0.1f));
  b.constant("names", Tensor::of<std::string>({2}, {"a\"b", "tab\t"}));
  b.node("Conv", 22, {"image", "", "w"}, {"c", "", "d"},
         {{"pads", std::vector<std::int64_t>{1, 1}}, {"alpha", 2.0f}, {"mode", std::string("a\\b\n")}}, "conv 1");
  b.node("com.microsoft::Gelu", 1, {"c"}, {"a name"}, {{"t", Tensor::of<std::int64_t>({1}, {7})}});
  b.graph.values[b.value("image")].type.shape->at(0).symbol = "batch";
  EXPECT_EQ(to_text(b.graph),
            R"(graph main (image: float32[batch,8]) -> ("a name": float32[4])
  const w: float32[16,1,3,3]
  const axes: int64[2] = [-1, 3]
  const s: float32[] = 0.1
  const names: string[2] = ["a\"b", "tab\t"]
  "conv 1" = Conv@22(image, _, w) {alpha=2.0, mode="a\\b\n", pads=[1,1]} -> c: )" +
                ValueType().to_string() + ", _, d: " + ValueType().to_string() + R"(
  n1 = com.microsoft::Gelu@1(c) {t=int64[1] = [7]} -> "a name": float32[4]
)");
}

TEST(GraphText, ShowsBodiesAndCaptures) {
  EXPECT_EQ(to_text(branching().graph), R"(graph main (cond: bool[], x: float32[4]) -> (y: float32[4])
  If_0 = If@25(cond) captures x {else_branch=graph, then_branch=graph} -> y: float32[4]
    else_branch: graph else () -> (out: float32[4]) captures captured=x
      else/forward = Neg@13(captured) -> out: float32[4]
    then_branch: graph then () -> (out: float32[4]) captures captured=x
      then/forward = Neg@13(captured) -> out: float32[4]
)");
}

TEST(GraphText, ShowsElementsOfEveryWidth) {
  const auto element = [](DType dtype, std::vector<std::uint8_t> bytes) {
    Builder b;
    Tensor t = Tensor::zeros(dtype, {1});
    std::copy(bytes.begin(), bytes.end(), static_cast<std::uint8_t*>(t.mutable_raw()));
    b.constant("c", t);
    const std::string text = to_text(b.graph);
    return text.substr(text.find('['));
  };
  EXPECT_EQ(element(DType::kFloat16, {0x00, 0xc2}), "[1] = [-3]\n");
  EXPECT_EQ(element(DType::kFloat16, {0x01, 0x00}), "[1] = [5.9604645e-08]\n");
  EXPECT_EQ(element(DType::kBFloat16, {0x80, 0x3f}), "[1] = [1]\n");
  EXPECT_EQ(element(DType::kInt4, {0x0f}), "[1] = [0xf]\n");
  EXPECT_EQ(element(DType::kFloat8E5M2, {0x3c}), "[1] = [0x3c]\n");
  EXPECT_EQ(element(DType::kUint8, {0xff}), "[1] = [255]\n");
  EXPECT_EQ(element(DType::kBool, {0x01}), "[1] = [true]\n");
}

TEST(GraphText, ReadsUnalignedConstants) {
  alignas(8) static std::byte bytes[9] = {};
  const std::int32_t two[2] = {5, -6};
  std::memcpy(bytes + 1, two, 8);
  Builder b;
  b.constant("c", Tensor::adopt(DType::kInt32, {2}, bytes + 1, nullptr, true));
  EXPECT_NE(to_text(b.graph).find("[5, -6]"), std::string::npos);
}

TEST(GraphVerify, TakesAValidGraph) {
  EXPECT_NO_THROW(verify(branching().graph));
  Builder b;
  b.input("x", kVector).constant("x", Tensor::zeros(DType::kFloat32, {4})).output("x", kVector);
  EXPECT_NO_THROW(verify(b.graph)) << "an input may have a default";
}

TEST(GraphVerify, RefusesWhatContradictsItself) {
  const auto broken = [](const std::string& sentence, const std::function<void(Builder&)>& breaks) {
    Builder b;
    b.input("x", kVector).node("Neg", 13, {"x"}, {"y"}).node("Neg", 13, {"y"}, {"z"}).output("z", kVector);
    verify(b.graph);
    breaks(b);
    expect_invalid(b.graph, sentence);
  };
  broken("value 99 does not exist", [](Builder& b) { b.graph.nodes[0].inputs[0] = 99; });
  broken("value 98 does not exist", [](Builder& b) { b.graph.nodes[0].outputs[0] = 98; });
  broken("value 97 does not exist", [](Builder& b) { b.graph.outputs[0] = 97; });
  broken("value 96 does not exist", [](Builder& b) { b.graph.inputs[0] = 96; });
  broken("'y' is used before it is computed", [](Builder& b) { std::swap(b.graph.nodes[0], b.graph.nodes[1]); });
  broken("'y' is written but has a definition", [](Builder& b) { b.graph.nodes[1].outputs[0] = b.value("y"); });
  broken("'y' is written but has a definition", [](Builder& b) { b.constant("y", Tensor::zeros(DType::kFloat32, {4})); });
  broken("'x' is written but has a definition", [](Builder& b) { b.graph.nodes[1].outputs[0] = b.value("x"); });
  broken("'x' is an input twice", [](Builder& b) { b.graph.inputs.push_back(b.value("x")); });
  broken("two nodes have the id 'n0'", [](Builder& b) { b.graph.nodes[1].id = "n0"; });
  broken("'lost' is not computed", [](Builder& b) { b.graph.outputs[0] = b.value("lost"); });
  broken("captured values are not those of its bodies", [](Builder& b) { b.graph.nodes[1].captures = {b.value("x")}; });
  broken("graph attribute 'body' is empty", [](Builder& b) { b.graph.nodes[1].attributes["body"] = std::shared_ptr<Graph>(); });
}

TEST(GraphVerify, RefusesBrokenBodies) {
  const auto then_of = [](Builder& b) { return std::get<std::shared_ptr<Graph>>(b.graph.nodes[0].attributes["then_branch"]); };
  Builder missing = branching();
  missing.graph.nodes[0].captures.clear();
  expect_invalid(missing.graph, "captured values are not those of its bodies");
  Builder repeated = branching();
  then_of(repeated)->nodes[0].id = "If_0";
  expect_invalid(repeated.graph, "two nodes have the id 'If_0'");
  Builder outside = branching();
  then_of(outside)->captures[0].inner = 50;
  expect_invalid(outside.graph, "value 50 does not exist");
  Builder undefined = branching();
  then_of(undefined)->captures[0].outer = undefined.value("y");
  expect_invalid(undefined.graph, "'y' is used before it is computed");
}

TEST(GraphVerify, RefusesEndlessNesting) {
  Builder b;
  std::shared_ptr<Graph> body = std::make_shared<Graph>();
  for (int i = 0; i < kMaxNesting + 2; ++i) {
    auto around = std::make_shared<Graph>();
    Node node;
    node.id = "if" + std::to_string(i);
    node.op_type = "If";
    node.attributes["then_branch"] = body;
    around->nodes.push_back(node);
    body = around;
  }
  expect_invalid(*body, "nested more than 64 deep");
  EXPECT_THROW(to_text(*body), Error);
  EXPECT_THROW(count_operators(*body), Error);
}

TEST(GraphCount, CountsBodiesToo) {
  Builder b = branching();
  b.node("com.microsoft::Gelu", 1, {"x"}, {"g"});
  const std::vector<std::pair<std::string, std::int64_t>> expected = {{"If", 1}, {"Neg", 2}, {"com.microsoft::Gelu", 1}};
  EXPECT_EQ(count_operators(b.graph), expected);
}

}  // namespace
}  // namespace ashlar::graph
