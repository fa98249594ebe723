// SPDX-License-Identifier: Apache-2.0
// The operators of domain "ashlar", which no file can hold, and Splits read in place: the CPU provider beside the reference provider.
#include <algorithm>
#include <cmath>
#include <random>

#include <ashlar/providers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/graph/builder.h"
#include "tests/support/graph_runner.h"

namespace ashlar {
namespace {

using testing::Builder;
using testing::GraphRunner;
using Dims = std::vector<std::int64_t>;

class Fused : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto names = provider_names();
    for (const char* name : {"cpu", "reference"})
      if (std::find(names.begin(), names.end(), name) == names.end()) GTEST_SKIP() << "this build has no provider '" << name << "'";
  }

  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n)); }
  bool flip() { return below(2) == 1; }
  std::int64_t length() {
    constexpr std::int64_t kLengths[] = {1, 2, 3, 5, 8, 16, 17, 31, 33, 64, 65, 100, 0};
    return kLengths[below(std::size(kLengths))];
  }
  Dims shape(std::int64_t last) {
    Dims dims;
    for (std::int64_t rank = below(3); rank > 0; --rank) dims.push_back(length() % 19);
    dims.push_back(last);
    return dims;
  }
  Tensor tensor(const Dims& dims, float low = -2, float high = 2) {
    Tensor t = Tensor::zeros(DType::kFloat32, Shape(std::span<const std::int64_t>(dims)));
    std::uniform_real_distribution<float> numbers(low, high);
    for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = numbers(random_);
    return t;
  }
  static ValueType type(const Dims& dims) {
    ValueType t;
    t.dtype = DType::kFloat32;
    t.shape.emplace();
    for (const std::int64_t d : dims) t.shape->push_back({d, ""});
    return t;
  }

  /// Makes it an input, whose data goes to inputs_, or a constant.
  void add(Builder& b, const std::string& name, const Dims& dims, bool constant = false) {
    const Tensor t = tensor(dims);
    if (constant) {
      b.constant(name, t);
      b.graph.values[b.value(name)].type = type(dims);
    } else {
      b.input(name, type(dims));
      inputs_.push_back(t);
    }
  }
  static void set_type(Builder& b, const std::string& name, const Dims& dims) { b.graph.values[b.value(name)].type = type(dims); }

  /// Runs it on both, twice; gives the CPU's plan.
  std::string compare(const Builder& b) {
    const int threads = flip() ? 3 : 1;
    GraphRunner subject(b.graph, {"cpu"}, threads), oracle(b.graph, {"reference"});
    const std::vector<Tensor> expected = oracle.run(inputs_);
    for (int run = 0; run < 2; ++run) {
      const std::vector<Tensor> got = subject.run(inputs_);
      EXPECT_EQ(got.size(), expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) near(got[i], expected[i]);
    }
    inputs_.clear();
    return subject.plan_text();
  }
  static void near(const Tensor& got, const Tensor& expected) {
    ASSERT_TRUE(got.shape() == expected.shape()) << got.type_string() << " for " << expected.type_string();
    float most = 0;
    for (const float v : expected.span<float>())
      if (std::isfinite(v)) most = std::max(most, std::fabs(v));
    for (std::int64_t i = 0; i < got.element_count(); ++i) {
      const float x = got.data<float>()[i], y = expected.data<float>()[i];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      ASSERT_NEAR(x, y, 2e-6f + 2e-5f * most) << "element " << i << " of " << got.type_string();
    }
  }

  std::mt19937_64 random_{7};
  std::vector<Tensor> inputs_;
};

TEST_F(Fused, LinearIsTheReferences) {
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    const std::int64_t depth = length(), columns = length();
    const bool transposed = flip(), bias = flip();
    const Dims x = shape(depth);
    Dims y = x;
    y.back() = columns;
    Builder b;
    add(b, "x", x);
    add(b, "w", transposed ? Dims{columns, depth} : Dims{depth, columns}, flip());
    if (bias) add(b, "b", {columns}, flip());
    std::map<std::string, graph::Attribute> attributes;
    if (transposed) attributes["transB"] = std::int64_t{1};
    b.node("ashlar::Linear", 1, {"x", "w", bias ? "b" : ""}, {"y"}, attributes);
    b.output("y", type(y));
    SCOPED_TRACE(graph::to_text(b.graph));
    compare(b);
  }
}

TEST_F(Fused, LinearAppliesWhatFollows) {
  const std::pair<const char*, int> activations[] = {{"Gelu", 20}, {"Swish", 24}, {"Mish", 18}, {"Relu", 14}};
  for (int i = 0; i < 40 && !HasFailure(); ++i) {
    const Dims x = {below(5), 1 + below(9), 1 + below(40)}, y = {x[0], x[1], 1 + below(70)};
    const auto& [op, version] = activations[below(std::size(activations))];
    Builder b;
    add(b, "x", x);
    add(b, "w", {x[2], y[2]}, true);
    add(b, "b", {y[2]}, true);
    add(b, "residual", y);
    for (const char* name : {"t", "u"}) set_type(b, name, y);
    std::map<std::string, graph::Attribute> attributes;
    if (std::string(op) == "Swish") attributes["alpha"] = 1.702f;
    b.node("ashlar::Linear", 1, {"x", "w", "b"}, {"t"})
        .node(op, version, {"t"}, {"u"}, attributes)
        .node("Add", 14, {"residual", "u"}, {"y"});
    b.output("y", type(y));
    SCOPED_TRACE(graph::to_text(b.graph));
    EXPECT_THAT(compare(b), ::testing::HasSubstr("Linear+" + std::string(op) + "+Add"));
  }
}

/// A bias, a residual and a clip are done as sums are stored; of a single row a bias and a residual look the same.
TEST_F(Fused, LinearAddsAResidualAndClips) {
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    const Dims x = {1, flip() ? 1 : 1 + below(20), 1 + below(300)}, y = {1, x[1], 1 + below(150)};
    const bool bias = flip(), clips = flip();
    Builder b;
    add(b, "x", x);
    add(b, "w", {x[2], y[2]}, true);
    if (bias) add(b, "b", {y[2]}, true);
    add(b, "residual", y);
    for (const char* name : {"t", "u"}) set_type(b, name, y);
    b.node("ashlar::Linear", 1, {"x", "w", bias ? "b" : ""}, {"t"}).node("Add", 14, {"t", "residual"}, {clips ? "u" : "y"});
    if (clips) b.node("Relu", 14, {"u"}, {"y"});
    b.output("y", type(y));
    SCOPED_TRACE(graph::to_text(b.graph));
    EXPECT_THAT(compare(b), ::testing::HasSubstr(clips ? "Linear+Add+Relu" : "Linear+Add"));
  }
}

TEST_F(Fused, SkipNormalizationsAreTheReferences) {
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    const bool centered = flip(), bias = centered && flip(), sum = flip();
    const Dims x = shape(length());
    Builder b;
    add(b, "x", x);
    add(b, "skip", x);
    add(b, "scale", {x.back()}, flip());
    if (bias) add(b, "bias", {x.back()}, flip());
    b.node(centered ? "ashlar::SkipLayerNormalization" : "ashlar::SkipRMSNormalization", 1, {"x", "skip", "scale", bias ? "bias" : ""},
           {"y", sum ? "sum" : ""}, {{"epsilon", 1e-3f}});
    b.output("y", type(x));
    if (sum) b.output("sum", type(x));
    SCOPED_TRACE(graph::to_text(b.graph));
    compare(b);
  }
}

TEST_F(Fused, ScaledMaskedSoftmaxIsTheReferences) {
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    const bool masked = flip();
    Dims x = shape(length()), mask = x;
    for (std::int64_t& d : mask)
      if (flip()) d = 1;
    mask.erase(mask.begin(), mask.begin() + below(static_cast<std::int64_t>(mask.size()) + 1));
    Builder b;
    add(b, "x", x);
    if (masked) add(b, "mask", mask, flip());
    std::map<std::string, graph::Attribute> attributes;
    if (flip()) attributes["scale"] = 0.25f;
    b.node("ashlar::ScaledMaskedSoftmax", 1, {"x", masked ? "mask" : ""}, {"y"}, attributes);
    b.output("y", type(x));
    SCOPED_TRACE(graph::to_text(b.graph));
    compare(b);
  }
}

/// Attention over the columns of one product, keys and queries turned first or not.
Builder attention_of_columns(const Dims& x, std::int64_t heads, std::int64_t groups, bool rotated) {
  const std::int64_t size = x[2] / (heads + 2 * groups), half = size / 2;
  const auto typed = [](const Dims& dims) {
    ValueType t;
    t.dtype = DType::kFloat32;
    t.shape.emplace();
    for (const std::int64_t d : dims) t.shape->push_back({d, ""});
    return t;
  };
  Builder b;
  b.input("x", typed(x));
  b.constant("sizes", Tensor::of<std::int64_t>({3}, {heads * size, groups * size, groups * size}));
  b.node("Split", 18, {"x", "sizes"}, {"q", "k", "v"}, {{"axis", std::int64_t{-1}}});
  b.graph.values[b.value("sizes")].type = testing::tensor_type(DType::kInt64, {3});
  for (const auto& [name, n] : {std::pair{"q", heads}, {"k", groups}, {"v", groups}, {"q2", heads}, {"k2", groups}})
    b.graph.values[b.value(name)].type = typed({x[0], x[1], n * size});
  if (rotated) {
    for (const char* cache : {"cos", "sin"}) b.input(cache, typed({x[0], x[1], half}));
    b.node("RotaryEmbedding", 23, {"q", "cos", "sin"}, {"q2"}, {{"num_heads", heads}});
    b.node("RotaryEmbedding", 23, {"k", "cos", "sin"}, {"k2"}, {{"num_heads", groups}});
  }
  b.node("Attention", 24, {rotated ? "q2" : "q", rotated ? "k2" : "k", "v"}, {"y"}, {{"q_num_heads", heads}, {"kv_num_heads", groups}});
  b.output("y", typed({x[0], x[1], heads * size}));
  return b;
}

TEST_F(Fused, SplitsAreReadInPlace) {
  for (const bool rotated : {false, true}) {
    for (const std::int64_t length : {1, 5, 40}) {
      const Dims x = {2, length, 8 * 16};
      const Builder b = attention_of_columns(x, 4, 2, rotated);
      inputs_ = {tensor(x), tensor({2, length, 8}), tensor({2, length, 8})};
      if (!rotated) inputs_.resize(1);
      SCOPED_TRACE(graph::to_text(b.graph));
      const std::string plan = compare(b);
      EXPECT_THAT(plan, ::testing::HasSubstr("Attention+Split"));
      EXPECT_THAT(plan, ::testing::Not(::testing::HasSubstr("cpu Split"))) << plan;
    }
  }
}

TEST_F(Fused, ASplitThatOthersReadStays) {
  const Dims x = {2, 9, 8 * 16};
  Builder b = attention_of_columns(x, 4, 2, false);
  b.node("Neg", 13, {"k"}, {"z"});
  b.output("z", type({2, 9, 32}));
  inputs_ = {tensor(x)};
  EXPECT_THAT(compare(b), ::testing::Not(::testing::HasSubstr("Attention+Split")));
}

TEST_F(Fused, OtherTypesAreTheReferencesToRun) {
  Builder b;
  b.input("x", testing::tensor_type(DType::kFloat64, {2, 3})).input("w", testing::tensor_type(DType::kFloat64, {3, 2}));
  b.node("ashlar::Linear", 1, {"x", "w"}, {"y"}).output("y", testing::tensor_type(DType::kFloat64, {2, 2}));
  GraphRunner runner(b.graph, {"cpu", "reference"});
  const auto y = runner.run({Tensor::of<double>({2, 3}, {1, 2, 3, 4, 5, 6}), Tensor::of<double>({3, 2}, {1, 0, 0, 1, 1, 1})});
  EXPECT_THAT(y[0].span<double>(), ::testing::ElementsAre(4, 5, 10, 11));
}

}  // namespace
}  // namespace ashlar
