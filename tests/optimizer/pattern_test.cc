// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

#include <gtest/gtest.h>

#include "optimizer/pattern_text.h"
#include "tests/optimizer/text_graph.h"

namespace ashlar::optimizer {
namespace {

using Names = std::vector<std::string>;

struct Outcome {
  Names nodes;  ///< "y = Gelu(x)" of each, with what stands in its place for left-out inputs
  Names misses;
  Optimization report;
};

Outcome applied(const Pattern& pattern, const std::string& text, Takes takes = nullptr, const PassOptions& options = {}) {
  graph::Graph graph = testing::canonical_graph(text);
  const Pass passes[] = {pattern_pass("p", "", {pattern})};
  Outcome out;
  out.report = optimize(graph, options, std::move(takes), nullptr, passes);
  const auto name = [&](ValueId v) { return v == kNone ? "_" : graph.values[v].name; };
  for (const Node& node : graph.nodes) {
    std::string line;
    for (const ValueId v : node.outputs) line += (line.empty() ? "" : ", ") + name(v);
    line += " = " + node.op_type + "(";
    for (std::size_t i = 0; i < node.inputs.size(); ++i) line += (i ? ", " : "") + name(node.inputs[i]);
    out.nodes.push_back(line + ")");
  }
  for (const auto& m : out.report.near_misses)
    out.misses.push_back(m.rule + " at " + m.anchor.node + ": " + std::to_string(m.matched) + " of " + std::to_string(m.total) + ": " +
                         m.reason);
  return out;
}

Outcome applied(const char* pattern, const std::string& text) { return applied(Pattern{pattern}, text); }

/// x * sigmoid(x).
constexpr const char* kSwish = R"(
before
  ! s = Sigmoid(x)
  y = Mul(x, s)
after
  y = Swish(x)
)";

TEST(Pattern, OperandsOfProductsMatchInEitherOrder) {
  for (const char* product : {"Mul(x, s)", "Mul(s, x)"})
    EXPECT_EQ(applied(kSwish, "g (float[N] x) => (float[N] y) { s = Sigmoid(x) y = " + std::string(product) + " }").nodes,
              Names{"y = Swish(x)"});
}

TEST(Pattern, OperandsOfQuotientsMatchInOrder) {
  constexpr const char* kPattern = "before\n ! s = Sigmoid(x)\n y = Div(x, s)\nafter\n y = Swish(x)";
  EXPECT_EQ(applied(kPattern, "g (float[N] x) => (float[N] y) { s = Sigmoid(x) y = Div(x, s) }").nodes, Names{"y = Swish(x)"});
  const Outcome swapped = applied(kPattern, "g (float[N] x) => (float[N] y) { s = Sigmoid(x) y = Div(s, x) }");
  EXPECT_EQ(swapped.nodes.size(), 2u);
}

TEST(Pattern, ANameIsOneValue) {
  EXPECT_EQ(applied(kSwish, "g (float[N] x, float[N] w) => (float[N] y) { s = Sigmoid(x) y = Mul(w, s) }").nodes.size(), 2u);
}

TEST(Pattern, MatchesEveryPlace) {
  const Outcome twice = applied(kSwish, "g (float[N] x) => (float[N] y) { s = Sigmoid(x) a = Mul(x, s) t = Sigmoid(a) y = Mul(a, t) }");
  EXPECT_EQ(twice.nodes, (Names{"a = Swish(x)", "y = Swish(a)"}));
  EXPECT_EQ(twice.report.rewrites.size(), 2u);
  EXPECT_EQ(twice.report.rewrites[0].rule, "p");
}

TEST(Pattern, MatchesInBodies) {
  graph::Graph graph = testing::canonical_graph(
      "g (float[4] x, bool c) => (float[4] y) { y = If (c) < then_branch = t () => (float[4] u) { s = Sigmoid(x) u = Mul(x, s) }, "
      "else_branch = f () => (float[4] "
      "v) { v = Neg(x) } > }");
  const Pass passes[] = {pattern_pass("p", "", {{kSwish}})};
  const Optimization report = optimize(graph, {}, nullptr, nullptr, passes);
  ASSERT_EQ(report.rewrites.size(), 1u);
  EXPECT_EQ(report.rewrites[0].graph, "If#0/then_branch");
}

/// Three nodes whose middle one is the anchor.
constexpr const char* kThree = R"(
before
  a = Abs(x)
  ! b = Neg(a)
  y = Exp(b)
after
  y = Sqrt(x)
)";

TEST(Pattern, WhatOthersReadStays) {
  const Outcome read = applied(kThree, "g (float[N] x) => (float[N] y, float[N] z) { a = Abs(x) b = Neg(a) y = Exp(b) z = Relu(a) }");
  EXPECT_EQ(read.nodes.size(), 4u);
  EXPECT_EQ(read.misses, Names{"p at Neg#1: 2 of 3: Abs#0 has 2 consumers (Relu#3)"});
  const Outcome output = applied(kThree, "g (float[N] x) => (float[N] y, float[N] b) { a = Abs(x) b = Neg(a) y = Exp(b) }");
  EXPECT_EQ(output.misses, Names{"p at Neg#1: 2 of 3: Neg#1 has 2 consumers (it is an output)"});
}

TEST(Pattern, TheLastValueMayBeReadByAnyone) {
  EXPECT_EQ(applied(kThree, "g (float[N] x) => (float[N] y, float[N] z) { a = Abs(x) b = Neg(a) y = Exp(b) z = Relu(y) }").nodes,
            (Names{"y = Sqrt(x)", "z = Relu(y)"}));
}

TEST(Pattern, SaysHowFarItCame) {
  EXPECT_EQ(applied(kThree, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Relu(b) }").misses,
            Names{"p at Neg#1: 2 of 3: no Exp reads Neg#1 (Neg)"});
  EXPECT_EQ(applied(kThree, "g (float[N] x) => (float[N] y) { a = Relu(x) b = Neg(a) y = Exp(b) }").misses, Names())
      << "the anchor alone says nothing";
}

TEST(Pattern, SharedLinesMayBeReadByOthersAndThenStay) {
  constexpr const char* kShared = R"(
before
  & a = Abs(x)
  ! b = Neg(a)
  y = Exp(b)
after
  y = Sqrt(x)
)";
  EXPECT_EQ(applied(kShared, "g (float[N] x) => (float[N] y, float[N] z) { a = Abs(x) b = Neg(a) y = Exp(b) z = Relu(a) }").nodes,
            (Names{"a = Abs(x)", "y = Sqrt(x)", "z = Relu(a)"}));
  EXPECT_EQ(applied(kShared, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Exp(b) }").nodes, Names{"y = Sqrt(x)"})
      << "nobody reads it any more";
}

TEST(Pattern, OptionalLinesMayBeMissing) {
  constexpr const char* kUp = "before\n b = Abs?(x)\n ! n = Neg(b)\n y = Exp(n)\nafter\n y = Sqrt(x)";
  EXPECT_EQ(applied(kUp, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Exp(b) }").nodes, Names{"y = Sqrt(x)"});
  EXPECT_EQ(applied(kUp, "g (float[N] x) => (float[N] y) { b = Neg(x) y = Exp(b) }").nodes, Names{"y = Sqrt(x)"});
  constexpr const char* kDown = "before\n ! n = Neg(x)\n e = Abs?(n)\n y = Exp(e)\nafter\n y = Sqrt(x)";
  EXPECT_EQ(applied(kDown, "g (float[N] x) => (float[N] y) { n = Neg(x) e = Abs(n) y = Exp(e) }").nodes, Names{"y = Sqrt(x)"});
  EXPECT_EQ(applied(kDown, "g (float[N] x) => (float[N] y) { n = Neg(x) y = Exp(n) }").nodes, Names{"y = Sqrt(x)"});
  EXPECT_EQ(applied(kDown, "g (float[N] x) => (float[N] y) { n = Neg(x) e = Relu(n) y = Exp(e) }").nodes.size(), 3u);
}

TEST(Pattern, LiteralsAreConstantsOfOneElement) {
  constexpr const char* kHalf = "before\n ! e = Erf(x)\n y = Mul(e, 0.5)\nafter\n y = Exp(x)";
  const auto with = [&](const std::string& constant) {
    return applied(kHalf, "g (float[4] x) => (float[4] y) <" + constant + "> { e = Erf(x) y = Mul(e, k) }").nodes;
  };
  EXPECT_EQ(with("float k = {0.5}"), Names{"y = Exp(x)"});
  EXPECT_EQ(with("float[1] k = {0.5}"), Names{"y = Exp(x)"});
  EXPECT_EQ(with("float k = {0.500001}"), Names{"y = Exp(x)"}) << "within 1e-5 of it";
  EXPECT_EQ(with("float k = {0.5001}").size(), 2u);
  EXPECT_EQ(with("float[4] k = {0.5, 0.5, 0.5, 0.5}").size(), 2u);
  EXPECT_EQ(applied(kHalf, "g (float[4] x) => (float[1,4] y) <float[1,1] k = {0.5}> { e = Erf(x) y = Mul(e, k) }").nodes.size(), 2u)
      << "another rank";
  EXPECT_EQ(applied(kHalf, "g (float[4] x, float k) => (float[4] y) { e = Erf(x) y = Mul(e, k) }").nodes.size(), 2u) << "no constant";
}

TEST(Pattern, LiteralsAfterHaveTheDtypeOfTheFirstOperand) {
  const Outcome out = applied("before\n ! y = Sign(x)\nafter\n y = Mul(x, 2)", "g (double[4] x) => (double[4] y) { y = Sign(x) }");
  EXPECT_EQ(out.nodes, Names{"y = Mul(x, p/constant)"});
}

TEST(Pattern, UpperCaseNamesAreConstants) {
  constexpr const char* kPattern = "before\n ! e = Erf(x)\n y = Mul(e, W)\nafter\n y = Div(x, W)";
  EXPECT_EQ(applied(kPattern, "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { e = Erf(x) y = Mul(w, e) }").nodes,
            Names{"y = Div(x, w)"});
  EXPECT_EQ(applied(kPattern, "g (float[2] x, float[2] w) => (float[2] y) { e = Erf(x) y = Mul(e, w) }").nodes.size(), 2u);
}

TEST(Pattern, AttributesMustBeEqual) {
  constexpr const char* kPattern = "before\n ! t = Transpose(x) {perm=[1,0]}\n y = Softmax(t) {axis=-1}\nafter\n y = Identity(x)";
  const auto with = [&](const std::string& perm, const std::string& axis) {
    return applied(kPattern,
                   "g (float[2,2] x) => (float[2,2] y) { t = Transpose<perm = " + perm + ">(x) y = Softmax<axis = " + axis + ">(t) }");
  };
  EXPECT_EQ(with("[1, 0]", "-1").nodes, Names{"y = Identity(x)"});
  EXPECT_EQ(with("[0, 1]", "-1").nodes.size(), 2u);
  EXPECT_EQ(with("[1, 0]", "0").nodes.size(), 2u);
  EXPECT_EQ(applied("before\n a = Abs(x)\n ! t = Neg(a)\n y = Softmax(t) {axis=-1}\nafter\n y = Identity(x)",
                    "g (float[2,2] x) => (float[2,2] y) { a = Abs(x) t = Neg(a) y = Softmax<axis = 0>(t) }")
                .misses,
            Names{"p at Neg#1: 2 of 3: Softmax#2 (Softmax) has another axis"});
}

TEST(Pattern, BoundAttributesGoWhereAfterWantsThem) {
  graph::Graph graph = testing::canonical_graph("g (float[2,2] x) => (float[2,2] y) { t = Neg(x) y = LogSoftmax<axis = 0>(t) }");
  const Pass passes[] = {
      pattern_pass("p", "", {{"before\n ! t = Neg(x)\n y = LogSoftmax(t) {axis=$a}\nafter\n y = Softmax(x) {axis=$a}"}})};
  optimize(graph, {}, nullptr, nullptr, passes);
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(*graph.nodes[0].find_as<std::int64_t>("axis"), 0);
}

TEST(Pattern, LeftOutOperandsAreWritten) {
  constexpr const char* kPattern = "before\n ! c = Clip(x, _, hi)\n y = Neg(c)\nafter\n y = Min(x, hi)";
  EXPECT_EQ(applied(kPattern, "g (float[2] x) => (float[2] y) <float h = {1}> { c = Clip(x, , h) y = Neg(c) }").nodes,
            Names{"y = Min(x, h)"});
  EXPECT_EQ(applied(kPattern, "g (float[2] x) => (float[2] y) <float h = {1}> { c = Clip(x, h, h) y = Neg(c) }").nodes.size(), 2u);
}

TEST(Pattern, ANodeWithMoreInputsIsAnother) {
  EXPECT_EQ(applied("before\n ! c = Clip(x)\n y = Neg(c)\nafter\n y = Neg(x)",
                    "g (float[2] x) => (float[2] y) <float h = {1}> { c = Clip(x, h) y = Neg(c) }")
                .nodes.size(),
            2u);
}

TEST(Pattern, AnOutputMayTakeAnotherValuesPlace) {
  constexpr const char* kTwice = "before\n ! a = Neg(x)\n y = Neg(a)\nafter\n y = x";
  EXPECT_EQ(applied(kTwice, "g (float[2] x) => (float[2] z) { w = Abs(x) a = Neg(w) y = Neg(a) z = Exp(y) }").nodes,
            (Names{"w = Abs(x)", "z = Exp(w)"}));
  EXPECT_EQ(applied(kTwice, "g (float[2] x) => (float[2] y) { w = Abs(x) a = Neg(w) y = Neg(a) }").nodes, (Names{"y = Abs(x)"}));
  const Outcome input = applied(kTwice, "g (float[2] x) => (float[2] y) { a = Neg(x) y = Neg(a) }");
  EXPECT_EQ(input.nodes.size(), 2u);
  EXPECT_EQ(input.misses, Names{"p at Neg#0: 2 of 2: an output of the graph would lose its name"});
}

TEST(Pattern, AlternativesAndNestedNodes) {
  constexpr const char* kPattern = R"(
before
  y = Mul(x, ! Sigmoid(x)) | Div(x, Add(1, ! Exp(Neg(x))))
after
  y = Swish(x)
)";
  EXPECT_EQ(applied(kPattern, "g (float[2] x) => (float[2] y) { s = Sigmoid(x) y = Mul(s, x) }").nodes, Names{"y = Swish(x)"});
  EXPECT_EQ(applied(kPattern, "g (float[2] x) => (float[2] y) <float k = {1}> { n = Neg(x) e = Exp(n) d = Add(e, k) y = Div(x, d) }").nodes,
            Names{"y = Swish(x)"});
  EXPECT_EQ(
      applied(kPattern, "g (float[2] x) => (float[2] y) <float k = {2}> { n = Neg(x) e = Exp(n) d = Add(e, k) y = Div(x, d) }").misses,
      Names{"p at Exp#1: 2 of 4: an operand of Add#2 (Add) is 2, not 1"});
}

TEST(Pattern, NewNodesBetweenGetNames) {
  EXPECT_EQ(applied("before\n ! y = Sign(x)\nafter\n a = Abs(x)\n y = Neg(a)", "g (float[2] x) => (float[2] y) { y = Sign(x) }").nodes,
            (Names{"p/a = Abs(x)", "y = Neg(p/a)"}));
}

TEST(Pattern, ConditionsMaySayWhyNot) {
  const Pattern pattern{kThree, [](Match& m) { return m.fail(m.name_of("b") + " will not do"); }};
  const Outcome out = applied(pattern, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Exp(b) }");
  EXPECT_EQ(out.nodes.size(), 3u);
  EXPECT_EQ(out.misses, Names{"p at Neg#1: 3 of 3: Neg#1 will not do"});
  const Pattern silent{kThree, [](Match&) { return false; }};
  EXPECT_EQ(applied(silent, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Exp(b) }").misses,
            Names{"p at Neg#1: 3 of 3: a condition fails"});
}

TEST(Pattern, MatchesSayWhatTheyFound) {
  const Pattern pattern{"before\n ! e = Erf(x)\n y = Mul(e, K)\nafter\n y = Exp(x)", [](Match& m) {
                          EXPECT_EQ(m.name_of("x"), "x");
                          EXPECT_EQ(m.name_of("e"), "Erf#0");
                          EXPECT_EQ(m.name_of("nothing"), "nothing");
                          EXPECT_EQ(m.scalar("K"), 4);
                          EXPECT_EQ(m.node("x"), kNone);
                          EXPECT_EQ(m.editor.id(m.node("y")), "Mul#1");
                          return true;
                        }};
  EXPECT_EQ(applied(pattern, "g (float[N] x) => (float[N] y) <float k = {4}> { e = Erf(x) y = Mul(e, k) }").nodes, Names{"y = Exp(x)"});
}

TEST(Pattern, PreparedValuesAreNamedInAfter) {
  const Pattern pattern{"before\n ! y = Sign(x)\nafter\n y = Mul(x, Four)", nullptr,
                        [](Match& m, Patch& patch) { m.set("Four", patch.scalar("four", DType::kFloat32, 4)); }};
  EXPECT_EQ(applied(pattern, "g (float[2] x) => (float[2] y) { y = Sign(x) }").nodes, Names{"y = Mul(x, p/four)"});
}

TEST(Pattern, WhatNoProviderTakesIsANearMiss) {
  const auto takes = [](const graph::Graph& graph, NodeIndex n) {
    return graph.nodes[n].op_type == "Sqrt" ? Answer{-1, "the one provider lacks it"} : Answer{0, ""};
  };
  const Outcome out = applied(Pattern{kThree}, "g (float[N] x) => (float[N] y) { a = Abs(x) b = Neg(a) y = Exp(b) }", takes);
  EXPECT_EQ(out.nodes.size(), 3u);
  EXPECT_EQ(out.misses, Names{"p at Neg#1: 3 of 3: no provider takes Sqrt: the one provider lacks it"});
}

TEST(Pattern, StopAfterStopsBetweenMatches) {
  const std::string two = "g (float[N] x) => (float[N] y) { s = Sigmoid(x) a = Mul(x, s) t = Sigmoid(a) y = Mul(a, t) }";
  EXPECT_EQ(applied(Pattern{kSwish}, two, nullptr, {.stop_after = 0}).nodes.size(), 4u);
  EXPECT_EQ(applied(Pattern{kSwish}, two, nullptr, {.stop_after = 1}).nodes.size(), 3u);
  EXPECT_EQ(applied(Pattern{kSwish}, two, nullptr, {.stop_after = 2}).nodes.size(), 2u);
}

std::string refused(const std::string& text) {
  try {
    read_pattern(text);
  } catch (const std::logic_error& e) {
    return e.what();
  }
  return "nothing was refused";
}

TEST(PatternText, SaysWhatCannotBeRead) {
  EXPECT_EQ(refused(""), "a pattern needs 'before' and 'after'");
  EXPECT_EQ(refused("before\n ! y = Abs(x)"), "a pattern needs 'before' and 'after'");
  EXPECT_EQ(refused("! y = Abs(x)\nafter\n y = x"), "a pattern does not begin with 'before': ! y = Abs(x)");
  EXPECT_EQ(refused("before\n y = Abs(x)\nafter\n y = x"), "a pattern has 0 anchors");
  EXPECT_EQ(refused("before\n ! a = Abs(x)\n ! y = Abs(a)\nafter\n y = x"), "a pattern has 2 anchors");
  EXPECT_EQ(refused("before\n ! y = Abs(x)\n b = Neg(c)\nafter\n y = x"), "a pattern has lines that nothing joins to the anchor");
  for (const char* line : {"! y = Abs(x", "! y = Abs(x))", "! y Abs(x)", "! = (x)", "! y = Abs(x) {axis}", "! y = Abs(x) {axis=[1}",
                           "! y = Abs(&x)", "! y = Abs(x) {a=\"b}"})
    EXPECT_NE(refused("before\n " + std::string(line) + "\nafter\n y = x").find("cannot be read"), std::string::npos)
        << line << ": " << refused("before\n " + std::string(line) + "\nafter\n y = x");
}

TEST(PatternText, AlternativesMultiply) {
  EXPECT_EQ(
      read_pattern("before\n a = Abs(x) | Neg(x)\n ! b = Exp(a)\n y = Sin(b) | Cos(b) | Tan(b)\nbefore\n ! y = Sinh(x)\nafter\n y = x")
          .size(),
      7u);
}

}  // namespace
}  // namespace ashlar::optimizer
