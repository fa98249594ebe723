// SPDX-License-Identifier: Apache-2.0
// What ops/symbolic.h claims of operators, against runs of random models on the reference provider.
#include <gtest/gtest.h>

#include "ops/canonicalize.h"
#include "ops/internal.h"
#include "ops/symbolic_rules.h"
#include "tests/graph/builder.h"
#include "tests/optimizer/claims.h"
#include "tests/optimizer/operator_samples.h"
#include "tests/optimizer/text_graph.h"

namespace ashlar::ops {
namespace {

constexpr int kSamples = 120, kFewest = 25;  // models an operator, and how many of them must run

class Operators : public ::testing::TestWithParam<std::string> {};

TEST_P(Operators, ClaimsHold) {
  const testing::Oracle oracle;
  std::mt19937 rng(5 + static_cast<unsigned>(GTEST_FLAG_GET(random_seed)));
  int ran = 0;
  std::string refused;
  for (int i = 0; i < kSamples; ++i) {
    testing::SampleWriter writer(rng);
    testing::operator_samples().at(GetParam())(writer, GetParam());
    const testing::OperatorSample sample = writer.finish();
    std::string wrong;
    try {
      graph::Graph graph = testing::imported_graph(sample.text);
      canonicalize(graph);
      wrong = testing::wrong_claims(graph, sample.symbols, sample.inputs, oracle);
    } catch (const Error& e) {  // the model contradicts itself
      refused = sample.text + e.what();
      continue;
    }
    ++ran;
    std::string symbols;
    for (const auto& [name, value] : sample.symbols) symbols += " " + name + "=" + std::to_string(value);
    ASSERT_EQ(wrong, "") << sample.text << symbols;
  }
  EXPECT_GE(ran, kFewest) << refused;
}

std::vector<std::string> sampled() {
  std::vector<std::string> out;
  for (const auto& [op, write] : testing::operator_samples()) out.push_back(op);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Symbolic, Operators, ::testing::ValuesIn(sampled()), [](const auto& p) { return p.param; });

constexpr auto kInternal =
    std::to_array<std::string_view>({"Linear", "ScaledMaskedSoftmax", "SkipLayerNormalization", "SkipRMSNormalization"});

TEST(Symbolic, EveryRuleIsTried) {
  for (const auto rows : {moving_rules(), computing_rules()})
    for (const FactsRow& row : rows)
      EXPECT_TRUE(testing::operator_samples().contains(std::string(row.op)) ||
                  std::find(kInternal.begin(), kInternal.end(), row.op) != kInternal.end())
          << row.op;
}

ValueType symbolic(std::initializer_list<Dim> dims) {
  ValueType type = testing::tensor_type(DType::kFloat32, {});
  type.shape = dims;
  return type;
}

void expect_claims(testing::Builder& b, const std::vector<Tensor>& inputs) {
  for (graph::Node& node : b.graph.nodes) fill_internal_defaults(node);
  for (graph::Value& v : b.graph.values) v.type.dtype = DType::kFloat32;
  EXPECT_EQ(testing::wrong_claims(b.graph, {{"N", 2}, {"S", 3}}, inputs, testing::Oracle()), "");
}

TEST(Symbolic, InternalOperators) {
  std::mt19937 rng(1);
  const auto random = [&](const Shape& shape) { return testing::random_tensor(rng, DType::kFloat32, shape, -1, 1); };
  const Dim n{-1, "N"}, s{-1, "S"}, four{4, ""}, five{5, ""};
  for (const std::int64_t transposed : {0, 1}) {
    testing::Builder b;
    b.input("x", symbolic({n, s, four}))
        .input("w", transposed ? symbolic({five, four}) : symbolic({four, five}))
        .input("b", symbolic({five}));
    b.node("ashlar::Linear", kInternalVersion, {"x", "w", "b"}, {"y"}, {{"transB", transposed}}).output("y");
    expect_claims(b, {random({2, 3, 4}), transposed ? random({5, 4}) : random({4, 5}), random({5})});
  }
  for (const char* op : {"ashlar::SkipLayerNormalization", "ashlar::SkipRMSNormalization"}) {
    testing::Builder b;
    b.input("x", symbolic({n, s, four})).input("skip", symbolic({n, s, four})).input("scale", symbolic({four}));
    b.node(op, kInternalVersion, {"x", "skip", "scale"}, {"y", "sum"}).output("y");
    expect_claims(b, {random({2, 3, 4}), random({2, 3, 4}), random({4})});
  }
  testing::Builder b;
  b.input("x", symbolic({n, n, s, s})).input("mask", symbolic({n, {1, ""}, s, s}));
  b.node("ashlar::ScaledMaskedSoftmax", kInternalVersion, {"x", "mask"}, {"y"}).output("y");
  expect_claims(b, {random({2, 2, 3, 3}), random({2, 1, 3, 3})});
}

}  // namespace
}  // namespace ashlar::ops
