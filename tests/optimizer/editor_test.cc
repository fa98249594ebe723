// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ashlar/error.h>

#include "optimizer/editor.h"
#include "tests/optimizer/text_graph.h"

namespace ashlar::optimizer {
namespace {

using Names = std::vector<std::string>;

/// A graph with its editor.
struct Edited {
  graph::Graph graph;
  Model model;
  Editor editor;

  explicit Edited(const std::string& text, Takes takes = nullptr)
      : graph(testing::canonical_graph(text)), model{.takes = std::move(takes), .evaluate = nullptr, .pass = "a-pass"},
        editor(model, graph) {}

  ValueId value(const std::string& name) const { return of(graph, name); }
  static ValueId of(const graph::Graph& graph, const std::string& name) {
    for (ValueId v = 0; v < graph.values.size(); ++v)
      if (graph.values[v].name == name) return v;
    throw std::invalid_argument("no value " + name);
  }
  /// The node that writes the value.
  NodeIndex maker(const std::string& name) const { return editor.producer(value(name)); }
  std::string text() {
    editor.commit();
    graph::verify(graph);
    return graph::to_text(graph);
  }
  const Optimization::Rewrite& last() const { return model.report.rewrites.back(); }
};

Names names(const std::vector<Optimization::NodeRef>& nodes) {
  Names out;
  for (const auto& n : nodes) out.push_back(n.node);
  return out;
}

constexpr const char* kChain = "g (float[N,4] x) => (float[N,4] y) { a = Abs(x) b = Neg(a) y = Exp(b) }";

TEST(Editor, KnowsMakersAndReaders) {
  const Edited e("g (float[N] x) => (float[N] y, float[N] a) { a = Abs(x) b = Mul(a, a) y = Add(b, x) }");
  EXPECT_EQ(e.editor.producer(e.value("x")), kNone);
  EXPECT_EQ(e.editor.id(e.maker("b")), "Mul#1");
  EXPECT_EQ(e.editor.uses(e.value("a")).size(), 2u);
  EXPECT_FALSE(e.editor.single_use(e.value("a")));
  EXPECT_TRUE(e.editor.single_use(e.value("b")));
  EXPECT_TRUE(e.editor.is_input(e.value("x")));
  EXPECT_TRUE(e.editor.is_output(e.value("a")));
  EXPECT_FALSE(e.editor.single_use(e.value("y"))) << "an output";
  EXPECT_TRUE(e.editor.is(e.maker("b"), "Mul"));
  EXPECT_FALSE(e.editor.is(kNone, "Mul"));
}

TEST(Editor, AppliesAPatchAndRecordsIt) {
  Edited e(kChain);
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("b"));
  patch.remove(e.maker("y"));
  const ValueId made = patch.add_one("Sqrt", {e.value("a")});
  patch.add_writing("Neg", {made}, {e.value("y")});
  EXPECT_EQ(e.editor.node_count(), 3u) << "nothing changes before it is applied";
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N,4]) -> (y: float32[N,4])\n"
            "  Abs#0 = Abs@13(x) -> a: float32[N,4]\n"
            "  Exp#2/Sqrt = Sqrt@13(a) -> a-rule/Sqrt: float32[N,4]\n"
            "  Exp#2 = Neg@13(a-rule/Sqrt) -> y: float32[N,4]\n");
  ASSERT_EQ(e.model.report.rewrites.size(), 1u);
  EXPECT_EQ(e.last().pass, "a-pass");
  EXPECT_EQ(e.last().rule, "a-rule");
  EXPECT_EQ(names(e.last().before), (Names{"Neg#1", "Exp#2"}));
  EXPECT_EQ(names(e.last().after), (Names{"Exp#2/Sqrt", "Exp#2"}));
  EXPECT_EQ(e.last().after[0].origins, (Names{"Neg#1", "Exp#2"}));
  EXPECT_TRUE(e.last().tensors.empty());
}

TEST(Editor, OriginsCanBeNarrowed) {
  Edited e(kChain);
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("b"));
  patch.remove(e.maker("y"));
  patch.origins_of({e.maker("b")});
  patch.add_writing("Sqrt", {e.value("a")}, {e.value("y")});
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.last().after[0].origins, (Names{"Neg#1"}));
}

TEST(Editor, IdsAreNeverGivenTwice) {
  Edited e(kChain);
  Names ids;
  for (int i = 0; i < 3; ++i) {
    Patch patch(e.editor, "a-rule");
    const NodeIndex last = e.maker("y");
    patch.remove(last);
    patch.add_writing("Neg", {patch.add_one("Sqrt", {e.editor.node(last).inputs[0]})}, {e.value("y")});
    ASSERT_TRUE(e.editor.apply(std::move(patch)));
    ids.push_back(e.last().after[0].node);
  }
  EXPECT_EQ(ids, (Names{"Exp#2/Sqrt", "Exp#2/Sqrt_1", "Exp#2/Sqrt_2"}));
  e.text();
}

TEST(Editor, ReplacesAValue) {
  Edited e(kChain);
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("b"));
  patch.replace(e.value("b"), e.value("a"));
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N,4]) -> (y: float32[N,4])\n"
            "  Abs#0 = Abs@13(x) -> a: float32[N,4]\n"
            "  Exp#2 = Exp@13(a) -> y: float32[N,4]\n");
  EXPECT_EQ(e.last().tensors, (std::vector<std::pair<std::string, std::string>>{{"b", "a"}}));
}

TEST(Editor, AnOutputKeepsItsName) {
  Edited e(kChain);
  ASSERT_TRUE(e.editor.can_replace(e.value("y"), e.value("b")));
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("y"));
  patch.replace(e.value("y"), e.value("b"));
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N,4]) -> (y: float32[N,4])\n"
            "  Abs#0 = Abs@13(x) -> a: float32[N,4]\n"
            "  Neg#1 = Neg@13(a) -> y: float32[N,4]\n");
  EXPECT_EQ(e.last().tensors, (std::vector<std::pair<std::string, std::string>>{{"b", "y"}}));
}

TEST(Editor, AnOutputThatTakesAnothersPlaceIsReadByItsReaders) {
  Edited e("g (float[N] x) => (float[N] y, float[N] z) { a = Abs(x) y = Identity(a) z = Neg(a) }");
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("y"));
  patch.replace(e.value("y"), e.value("a"));
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N]) -> (y: float32[N], z: float32[N])\n"
            "  Abs#0 = Abs@13(x) -> y: float32[N]\n"
            "  Neg#2 = Neg@13(y) -> z: float32[N]\n");
}

TEST(Editor, KnowsWhatCannotBeReplaced) {
  const Edited e(
      "g (float[4] x) => (float[4] y, float[4] z) <float[4] k = {1, 2, 3, 4}> { y = Identity(x) z = Identity(y) w = Identity(k) }");
  EXPECT_FALSE(e.editor.can_replace(e.value("y"), e.value("x"))) << "an input keeps its name too";
  EXPECT_FALSE(e.editor.can_replace(e.value("z"), e.value("y"))) << "both are outputs";
  EXPECT_FALSE(e.editor.can_replace(e.value("y"), e.value("k"))) << "a constant has no node to write the output";
  EXPECT_FALSE(e.editor.can_replace(e.value("y"), e.value("y")));
  EXPECT_FALSE(e.editor.can_replace(kNone, e.value("y")));
  EXPECT_TRUE(e.editor.can_replace(e.value("w"), e.value("k")));
}

TEST(Editor, RemovesWhatIsReadNoMore) {
  Edited e("g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) c = Sqrt(x) y = Add(b, c) }");
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("y"));
  patch.add_writing("Exp", {e.value("c")}, {e.value("y")});
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(names(e.last().before), (Names{"Add#3", "Neg#1", "Abs#0"}));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N]) -> (y: float32[N])\n"
            "  Sqrt#2 = Sqrt@13(x) -> c: float32[N]\n"
            "  Add#3 = Exp@13(c) -> y: float32[N]\n");
}

TEST(Editor, RemovesUnreadNodesAsOneRewrite) {
  Edited e("g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) c = Sqrt(x) y = Exp(x) }");
  EXPECT_EQ(e.editor.remove_unread("dead"), 3);
  EXPECT_EQ(names(e.last().before), (Names{"Abs#0", "Neg#1", "Sqrt#2"}));
  EXPECT_TRUE(e.last().after.empty());
  EXPECT_EQ(e.editor.remove_unread("dead"), 0);
  EXPECT_EQ(e.model.report.rewrites.size(), 1u);
}

/// Replaces the node that makes y by that operator.
bool turn(Edited& e, const std::string& op) {
  Patch patch(e.editor, "turn");
  const NodeIndex n = e.maker("y");
  patch.remove(n);
  patch.add_writing(op, {e.editor.node(n).inputs[0]}, {e.value("y")});
  return e.editor.apply(std::move(patch));
}

/// Two providers, the first of which takes Exp and Sqrt, the second those and Neg and Abs.
Answer two_providers(const graph::Graph& graph, NodeIndex n) {
  const std::string& op = graph.nodes[n].op_type;
  if (op == "Exp" || op == "Sqrt") return {0, ""};
  if (op == "Neg" || op == "Abs") return {1, "first: no"};
  return {-1, "nobody has " + op};
}

TEST(Editor, LeavesWhatNoProviderWouldTake) {
  Edited e(kChain, two_providers);
  const std::string before = e.text();
  const std::int64_t version = e.editor.version();
  EXPECT_FALSE(turn(e, "Mish"));
  EXPECT_EQ(e.text(), before);
  EXPECT_EQ(e.editor.version(), version);
  EXPECT_TRUE(e.model.report.rewrites.empty());
  Patch patch(e.editor, "turn");
  patch.remove(e.maker("y"));
  patch.add_writing("Mish", {e.value("b")}, {e.value("y")});
  std::string refusal;
  EXPECT_FALSE(e.editor.taken(patch, &refusal));
  EXPECT_EQ(refusal, "no provider takes Mish: nobody has Mish");
}

TEST(Editor, LeavesWhatALessPreferredProviderWouldTake) {
  Edited e(kChain, two_providers);
  EXPECT_FALSE(turn(e, "Neg")) << "the first provider takes Exp";
  EXPECT_TRUE(turn(e, "Sqrt"));
  Edited other("g (float[N] x) => (float[N] y) { y = Abs(x) }", two_providers);
  EXPECT_TRUE(turn(other, "Neg")) << "as good as before";
  EXPECT_TRUE(turn(other, "Exp")) << "better";
}

TEST(Editor, StopsWhenTheRewritesAreUsedUp) {
  Edited e("g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(x) y = Exp(x) }");
  e.model.rewrites_left = 1;
  EXPECT_TRUE(turn(e, "Sqrt"));
  EXPECT_EQ(e.model.rewrites_left, 0);
  const std::string before = e.text();
  EXPECT_FALSE(turn(e, "Neg"));
  EXPECT_EQ(e.editor.remove_unread("dead"), 0);
  EXPECT_EQ(e.text(), before);
}

TEST(Editor, AValueThatNobodyDefinesIsAnErrorThatNamesThePass) {
  Edited e(kChain);
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("b"));
  try {
    e.editor.apply(std::move(patch));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_EQ(error.message(), "pass 'a-pass' (a-rule) leaves the value 'b' without a definition");
    EXPECT_EQ(error.context().node, "Neg#1");
  }
}

TEST(Editor, NodesThatWaitForEachOtherAreAnErrorThatNamesThePass) {
  Edited e(kChain);
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("a"));
  patch.add_writing("Sqrt", {e.value("b")}, {e.value("a")});
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  try {
    e.editor.commit();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "pass 'a-pass' makes nodes wait for each other");
  }
}

TEST(Editor, PutsNewNodesBeforeTheirReaders) {
  Edited e("g (float[N] x) => (float[N] y, float[N] z) { z = Neg(x) y = Exp(x) }");
  Patch patch(e.editor, "a-rule");
  const ValueId made = patch.add_one("Sqrt", {e.value("x")});
  patch.remove(e.maker("y"));
  patch.add_writing("Exp", {made}, {e.value("y")});
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  Patch another(e.editor, "a-rule");
  another.remove(e.maker("z"));
  another.add_writing("Neg", {made}, {e.value("z")});
  ASSERT_TRUE(e.editor.apply(std::move(another)));
  EXPECT_EQ(e.text(),
            "graph g (x: float32[N]) -> (y: float32[N], z: float32[N])\n"
            "  Exp#1/Sqrt = Sqrt@13(x) -> a-rule/Sqrt: float32[N]\n"
            "  Neg#0 = Neg@13(a-rule/Sqrt) -> z: float32[N]\n"
            "  Exp#1 = Exp@13(a-rule/Sqrt) -> y: float32[N]\n");
}

TEST(Editor, KnowsWhatNewValuesAre) {
  Edited e("g (float[N,S,4] x) => (float[N,S,4] y) { y = Abs(x) }");
  Patch patch(e.editor, "a-rule");
  const ValueId shape = patch.add_one("Shape", {e.value("x")}, {{"start", std::int64_t{1}}});
  const ValueId moved = patch.add_one("Transpose", {e.value("x")}, {{"perm", std::vector<std::int64_t>{2, 0, 1}}});
  const ValueId axes = patch.constant("axes", {0, 3});
  const ValueId deep = patch.add_one("Unsqueeze", {e.value("x"), axes});
  EXPECT_EQ(e.editor.dtype(shape), DType::kInt64);
  ASSERT_TRUE(e.editor.facts(shape).elements);
  EXPECT_EQ(e.model.dims.to_string(e.editor.facts(shape).elements->at(0)), "S");
  EXPECT_FALSE(e.editor.numbers(shape)) << "S is not known";
  EXPECT_EQ(e.editor.numbers(axes), (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(e.graph.values[moved].type.to_string(), "float32[4,N,S]");
  EXPECT_EQ(e.graph.values[deep].type.to_string(), "float32[1,N,S,1,4]");
  EXPECT_EQ(e.editor.rank(deep), 5u);
  EXPECT_FALSE(e.editor.same_shape(moved, e.value("x")));
  EXPECT_TRUE(e.editor.same_shape(e.value("y"), e.value("x")));
}

TEST(Editor, ReadsConstants) {
  const Edited e(
      "g (float[4] x, float d) => (float[4] y) <float[1,1] a = {2.5}, int64 b = {-3}, float16 c = {15872}, bool t = {1}, float d = {1}, "
      "float[2] v = {1, 2}> "
      "{ y = Mul(x, d) }");
  EXPECT_EQ(e.editor.scalar(e.value("a")), 2.5);
  EXPECT_EQ(e.editor.scalar(e.value("b")), -3);
  EXPECT_EQ(e.editor.scalar(e.value("c")), 1.5);
  EXPECT_EQ(e.editor.scalar(e.value("d")), std::nullopt) << "a caller may give another";
  EXPECT_EQ(e.editor.scalar(e.value("v")), std::nullopt);
  EXPECT_EQ(e.editor.scalar(e.value("x")), std::nullopt);
  EXPECT_EQ(e.editor.numbers(e.value("t")), std::vector<std::int64_t>{1});
  EXPECT_EQ(e.editor.constant(e.value("d")), nullptr);
  EXPECT_NE(e.editor.constant(e.value("v")), nullptr);
}

TEST(Editor, DimensionsOfOneNameAreOneNumber) {
  const Edited e("g (float[N,4] x, float[N,4] w) => (float[N,4] y) { y = Add(x, w) }");
  EXPECT_TRUE(e.editor.same_shape(e.value("x"), e.value("w")));
}

TEST(Editor, NamesWhoElseReadsAValue) {
  const Edited e("g (float[N] x) => (float[N] y, float[N] a) { a = Abs(x) b = Neg(a) c = Exp(a) y = Add(b, c) }");
  EXPECT_EQ(e.editor.consumers(e.value("a"), {e.maker("b")}), "Abs#0 has 3 consumers (Exp#2, and it is an output)");
  EXPECT_EQ(e.editor.consumers(e.value("a"), {e.maker("b"), e.maker("c")}), "Abs#0 has 3 consumers (it is an output)");
  EXPECT_EQ(e.editor.consumers(e.value("x"), {}), "x has 1 consumers (Abs#0)");
}

constexpr const char* kBranches = R"(g (float[4] x, bool c) => (float[4] y) {
  a = Abs(x)
  b = Neg(x)
  y = If (c) <
    then_branch = then_graph () => (float[4] t) { t = Add(a, b) },
    else_branch = else_graph () => (float[4] e) { e = Exp(a) }
  >
})";

TEST(Editor, SeesWhatBodiesRead) {
  Edited e(kBranches);
  ASSERT_EQ(e.editor.uses(e.value("b")).size(), 1u);
  EXPECT_TRUE(e.editor.uses(e.value("b"))[0].captured());
  EXPECT_FALSE(e.editor.single_use(e.value("b")));
  const auto bodies = e.editor.bodies(e.maker("y"));
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_EQ(bodies[0].second->path(), "If#2/else_branch");
  EXPECT_EQ(bodies[1].first, "then_branch");
  EXPECT_TRUE(bodies[0].second->is_body());
  EXPECT_EQ(bodies[0].second->outer(), &e.editor);
  EXPECT_EQ(&e.editor.bodies(e.maker("y"))[0].second->graph(), &bodies[0].second->graph());
  const ValueId inner = Edited::of(bodies[0].second->graph(), "a");
  EXPECT_EQ(bodies[0].second->captured_from(inner), e.value("a"));
}

TEST(Editor, BodiesFollowWhatTakesAValuesPlace) {
  Edited e(kBranches);
  e.editor.bodies(e.maker("y"));
  Patch patch(e.editor, "a-rule");
  patch.remove(e.maker("b"));
  patch.replace(e.value("b"), e.value("a"));
  ASSERT_TRUE(e.editor.apply(std::move(patch)));
  EXPECT_EQ(e.editor.uses(e.value("a")).size(), 1u);
  EXPECT_NE(e.text().find("then_branch: graph then_graph () -> (t: float32[4]) captures a, b=a\n"), std::string::npos) << e.text();
}

TEST(Editor, ABodyGivesUpWhatItNoLongerReads) {
  Edited e(kBranches);
  Editor& then = *e.editor.bodies(e.maker("y"))[1].second;
  Patch patch(then, "a-rule");
  patch.remove(then.producer(then.graph().outputs[0]));
  patch.add_writing("Sqrt", {Edited::of(then.graph(), "a")}, {then.graph().outputs[0]});
  ASSERT_TRUE(then.apply(std::move(patch)));
  EXPECT_EQ(e.last().graph, "If#2/then_branch");
  EXPECT_EQ(names(e.last().after), Names{"If#2/then/Add#0"});
  then.commit();
  EXPECT_TRUE(e.editor.uses(e.value("b")).empty());
  EXPECT_EQ(e.editor.remove_unread("dead"), 1);
  EXPECT_EQ(e.text().find("Neg"), std::string::npos) << e.text();
}

TEST(Editor, ABodyTakesAValueFromAround) {
  Edited e(kBranches);
  Editor& otherwise = *e.editor.bodies(e.maker("y"))[0].second;
  const ValueId b = otherwise.capture(e.value("b"));
  EXPECT_EQ(otherwise.capture(e.value("b")), b) << "once";
  EXPECT_TRUE(otherwise.same_shape(b, Edited::of(otherwise.graph(), "a")));
  Patch patch(otherwise, "a-rule");
  patch.remove(otherwise.producer(otherwise.graph().outputs[0]));
  patch.add_writing("Sqrt", {b}, {otherwise.graph().outputs[0]});
  ASSERT_TRUE(otherwise.apply(std::move(patch)));
  otherwise.commit();
  EXPECT_NE(e.text().find("else_branch: graph else_graph () -> (e: float32[4]) captures b\n"), std::string::npos) << e.text();
}

TEST(Editor, ABodysOutputMayBecomeAnyValue) {
  Edited e(
      "g (float[4] x, bool c) => (float[4] y) { y = If (c) < then_branch = t () => (float[4] u) { u = Identity(x) }, else_branch = f () => "
      "(float[4] v) { "
      "v = Neg(x) } > }");
  Editor& then = *e.editor.bodies(e.maker("y"))[1].second;
  const ValueId output = then.graph().outputs[0], x = Edited::of(then.graph(), "x");
  ASSERT_TRUE(then.can_replace(output, x));
  Patch patch(then, "a-rule");
  patch.remove(then.producer(output));
  patch.replace(output, x);
  ASSERT_TRUE(then.apply(std::move(patch)));
  then.commit();
  EXPECT_NE(e.text().find("then_branch: graph t () -> (x: float32[4]) captures x\n"), std::string::npos) << e.text();
}

TEST(Editor, ConstantsOfTheGraphAroundAreKnownInBodies) {
  Edited e(
      "g (float[4] x, bool c) => (float[4] y) <float k = {3}> { y = If (c) < then_branch = t () => (float[4] u) { u = Mul(x, k) }, "
      "else_branch = f () => "
      "(float[4] v) { v = Neg(x) } > }");
  const Editor& then = *e.editor.bodies(e.maker("y"))[1].second;
  EXPECT_EQ(then.scalar(Edited::of(then.graph(), "k")), 3);
}

TEST(Editor, WritesWhatItKnowsOfShapes) {
  Edited e(
      "g (float[N,4] x) => (y) <int64[1] two = {2}> { s = Shape<start = 0, end = 1>(x) t = Concat<axis = 0>(s, two, two) y = Reshape(x, t) "
      "}");
  EXPECT_TRUE(e.editor.write_shapes());
  EXPECT_FALSE(e.editor.write_shapes());
  EXPECT_EQ(e.graph.values[e.value("y")].type.to_string(), "float32[N,2,2]");
}

TEST(Editor, UniqueNamesAreUnique) {
  Edited e(kChain);
  EXPECT_EQ(e.editor.unique_name("new"), "new");
  EXPECT_EQ(e.editor.unique_name("new"), "new_1");
  EXPECT_EQ(e.editor.unique_name("a"), "a_1");
}

}  // namespace
}  // namespace ashlar::optimizer
