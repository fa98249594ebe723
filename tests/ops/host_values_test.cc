// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <gtest/gtest.h>

#include "ops/host_values.h"
#include "tests/graph/builder.h"

namespace ashlar::ops {
namespace {

using testing::Builder;
using testing::forwarding_body;
using testing::tensor_type;

const ValueType kImage = tensor_type(DType::kFloat32, {-1, 3, -1, -1});
Tensor one(std::int64_t element) { return Tensor::of<std::int64_t>({1}, {element}); }
ValueType numbers(std::int64_t count, DType dtype = DType::kInt64) { return tensor_type(dtype, {count}); }

/// Builds graphs whose intermediate values have types.
struct Graphs : Builder {
  using Names = std::initializer_list<const char*>;
  Graphs& node(const std::string& op, int version, Names inputs, Names outputs, std::map<std::string, graph::Attribute> attributes,
               const std::string& id) {
    Builder::node(op, version, inputs, outputs, std::move(attributes), id);
    return *this;
  }
  Graphs& with(const std::string& name, ValueType type) {
    graph.values[value(name)].type = std::move(type);
    return *this;
  }
  /// The ids of the marked nodes.
  std::vector<std::string> marked() const {
    graph::verify(graph);
    const std::vector<char> marks = host_nodes(graph);
    EXPECT_EQ(marks.size(), graph.nodes.size());
    std::vector<std::string> out;
    for (std::size_t i = 0; i < marks.size(); ++i)
      if (marks[i]) out.push_back(graph.nodes[i].id);
    return out;
  }
};
using Ids = std::vector<std::string>;

/// x, its shape s (of 4), and the constants zero and two.
Graphs shaped() {
  Graphs g;
  g.input("x", kImage).constant("zero", one(0)).constant("two", one(2));
  g.node("Shape", 21, {"x"}, {"s"}, {}, "shape").with("s", numbers(4));
  return g;
}

TEST(HostValues, MarksTheArithmeticOfAShape) {
  Graphs g = shaped();
  g.node("Gather", 13, {"s", "zero"}, {"batch"}, {}, "gather").with("batch", numbers(1));
  g.node("Mul", 14, {"batch", "two"}, {"twice"}, {}, "mul").with("twice", numbers(1));
  g.node("Concat", 13, {"twice", "two"}, {"target"}, {}, "concat").with("target", numbers(2));
  g.node("Abs", 13, {"x"}, {"a"}, {}, "abs").with("a", kImage);
  g.node("Reshape", 21, {"a", "target"}, {"y"}, {}, "reshape").output("y");
  EXPECT_EQ(g.marked(), (Ids{"shape", "gather", "mul", "concat"}));
}

TEST(HostValues, ALengthThatIsNotKnownIsFine) {
  Graphs g;
  g.input("x", testing::unranked(DType::kFloat32)).constant("zero", one(0)).constant("two", one(2));
  g.node("Shape", 21, {"x"}, {"s"}, {}, "shape");
  g.node("Slice", 13, {"s", "zero", "two"}, {"part"}, {}, "slice").with("part", numbers(-1));
  g.node("Expand", 13, {"x", "part"}, {"y"}, {}, "expand").output("y");
  EXPECT_EQ(g.marked(), (Ids{"shape", "slice"}));
}

TEST(HostValues, LeavesWhatNobodyNeedsAsAShape) {
  Graphs g = shaped();
  g.node("Mul", 14, {"s", "two"}, {"twice"}, {}, "mul").with("twice", numbers(4));
  g.node("Cast", 21, {"twice"}, {"y"}, {{"to", std::int64_t{1}}}, "cast").output("y", numbers(4, DType::kFloat32));
  EXPECT_EQ(g.marked(), Ids{"shape"});
}

TEST(HostValues, MarksWhatIsAlsoData) {
  Graphs g = shaped();
  g.node("Mul", 14, {"s", "two"}, {"twice"}, {}, "mul").output("twice", numbers(4));
  g.node("Expand", 13, {"x", "twice"}, {"y"}, {}, "expand").output("y");
  EXPECT_EQ(g.marked(), (Ids{"shape", "mul"}));
}

TEST(HostValues, DataIsNoShape) {
  Graphs g = shaped();
  g.input("sizes", numbers(4));
  g.node("Mul", 14, {"s", "sizes"}, {"mixed"}, {}, "mul").with("mixed", numbers(4));
  g.node("Expand", 13, {"x", "mixed"}, {"y"}, {}, "expand").output("y");
  EXPECT_EQ(g.marked(), Ids{"shape"});
}

TEST(HostValues, AnInputWithADefaultIsNoConstant) {
  Graphs g = shaped();
  g.input("two", numbers(1));
  g.node("Mul", 14, {"s", "two"}, {"twice"}, {}, "mul").with("twice", numbers(4));
  g.node("Expand", 13, {"x", "twice"}, {"y"}, {}, "expand").output("y");
  EXPECT_EQ(g.marked(), Ids{"shape"});
}

TEST(HostValues, MarksByTypeAndForm) {
  struct Row {
    const char* why;
    const char* op;
    int version;
    ValueType type;
    bool marked;
  };
  ValueType sequence = numbers(1);
  sequence.kind = ValueType::Kind::kSequence;
  const Row rows[] = {
      {"a list", "Add", 14, numbers(4), true},
      {"a scalar", "Add", 14, tensor_type(DType::kInt32, {}), true},
      {"reals", "Add", 14, numbers(4, DType::kFloat32), true},
      {"the longest", "Add", 14, numbers(kHostValueLimit), true},
      {"too long", "Add", 14, numbers(kHostValueLimit + 1), false},
      {"rank 2", "Add", 14, tensor_type(DType::kInt64, {1, 4}), false},
      {"no rank", "Add", 14, testing::unranked(DType::kInt64), false},
      {"no dtype", "Add", 14, numbers(4, DType::kUndefined), false},
      {"half precision", "Add", 14, numbers(4, DType::kFloat16), false},
      {"a sequence", "Add", 14, sequence, false},
      {"an old form", "Add", 6, numbers(4), false},
      {"an operator that is not evaluated", "Sin", 7, numbers(4), false},
      {"another domain", "com.acme::Add", 14, numbers(4), false},
  };
  for (const Row& row : rows) {
    Graphs g = shaped();
    g.node(row.op, row.version, {"s", "two"}, {"sum"}, {}, "node").with("sum", row.type);
    g.node("Expand", 13, {"x", "sum"}, {"y"}, {}, "expand").output("y");
    EXPECT_EQ(g.marked(), row.marked ? (Ids{"shape", "node"}) : Ids{"shape"}) << row.why;
  }
}

TEST(HostValues, LargeOrForeignConstantsStayWithProviders) {
  for (const Tensor& table : {Tensor::zeros(DType::kInt64, {kHostValueLimit + 1}), Tensor::zeros(DType::kFloat16, {4})}) {
    Graphs g = shaped();
    g.constant("table", table);
    g.node("Gather", 13, {"table", "s"}, {"sizes"}, {}, "gather").with("sizes", numbers(4));
    g.node("Expand", 13, {"x", "sizes"}, {"y"}, {}, "expand").output("y");
    EXPECT_EQ(g.marked(), Ids{"shape"}) << table.type_string();
  }
}

TEST(HostValues, InputsThatGiveShapesOrControl) {
  const std::pair<const char*, std::vector<int>> operators[] = {
      {"Reshape", {1}},     {"Expand", {1}},       {"Tile", {1}},       {"ConstantOfShape", {0}}, {"Slice", {1, 2, 3, 4}},
      {"Pad", {1, 3}},      {"Resize", {1, 2, 3}}, {"Unsqueeze", {1}},  {"Squeeze", {1}},         {"Split", {1}},
      {"Range", {0, 1, 2}}, {"TopK", {1}},         {"ReduceMean", {1}}, {"OneHot", {1}},          {"Trilu", {1}},
      {"CumSum", {1}},      {"MaxUnpool", {2}},    {"Col2Im", {1, 2}},  {"SequenceAt", {1}},      {"SequenceInsert", {2}},
      {"Loop", {0, 1}},     {"If", {0}},           {"Add", {}},         {"Gather", {}},           {"com.acme::Reshape", {}},
  };
  for (const auto& [op, expected] : operators)
    for (int at = 0; at < 5; ++at) {
      Graphs g = shaped();
      g.node("Neg", 13, {"s"}, {"n"}, {}, "neg").with("n", numbers(4));
      const auto in = [at](int i) { return i == at ? "n" : "x"; };
      g.node(op, 25, {in(0), in(1), in(2), in(3), in(4)}, {"y"}, {}, "user").output("y");
      const bool needed = std::find(expected.begin(), expected.end(), at) != expected.end();
      EXPECT_EQ(host_nodes(g.graph), (std::vector<char>{1, static_cast<char>(needed), 0})) << op << " " << at;
    }
}

TEST(HostValues, ABodyNeedsWhatItCapturesOfFixedSize) {
  for (const std::int64_t count : {4, -1}) {
    Graphs g = shaped();
    g.input("c", tensor_type(DType::kBool, {}));
    g.node("Neg", 13, {"s"}, {"n"}, {}, "neg").with("n", numbers(count));
    auto body = forwarding_body("then", g.value("n"), numbers(count));
    g.node("If", 21, {"c"}, {"y"}, {{"then_branch", body}}, "if").output("y");
    g.graph.nodes.back().captures = {g.value("n")};
    EXPECT_EQ(g.marked(), count == 4 ? (Ids{"shape", "neg"}) : Ids{"shape"});
    graph::Node user;
    user.op_type = "Reshape";
    user.inputs = {0, body->outputs[0]};
    body->nodes.push_back(user);
    EXPECT_EQ(host_nodes(*body), (std::vector<char>{0, 0})) << "what a body captures is no constant in it";
  }
}

TEST(HostValues, AConditionOfShapesIsDecidedOnTheHost) {
  Graphs g = shaped();
  g.node("Gather", 13, {"s", "zero"}, {"batch"}, {}, "gather").with("batch", numbers(1));
  g.node("Equal", 19, {"batch", "two"}, {"same"}, {}, "equal").with("same", numbers(1, DType::kBool));
  g.node("If", 21, {"same"}, {"y"}, {{"then_branch", forwarding_body("then", g.value("x"), kImage)}}, "if").output("y");
  g.graph.nodes.back().captures = {g.value("x")};
  EXPECT_EQ(g.marked(), (Ids{"shape", "gather", "equal"}));
}

TEST(HostValues, NodesWithoutInputsOrWithLeftOutOnes) {
  Graphs g = shaped();
  g.node("Slice", 13, {"s", "zero", "two", "", "two"}, {"part"}, {}, "slice").with("part", numbers(1));
  g.node("Concat", 13, {}, {"none"}, {}, "empty").with("none", numbers(1));
  g.node("Expand", 13, {"x", "part"}, {"y"}, {}, "expand").output("y");
  g.node("Expand", 13, {"x", "none"}, {"z"}, {}, "expand_none").output("z");
  EXPECT_EQ(g.marked(), (Ids{"shape", "slice"}));
}

}  // namespace
}  // namespace ashlar::ops
