// SPDX-License-Identifier: Apache-2.0
// Element-wise operators that the CPU provider runs as one step.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace ashlar::testing {
namespace {

class ElementwiseRegions : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto names = provider_names();
    for (const char* name : {"cpu", "reference"})
      if (std::find(names.begin(), names.end(), name) == names.end()) GTEST_SKIP() << "this build has no provider '" << name << "'";
  }
  /// Differences of what the two providers give, and the CPU's steps.
  static std::string compare(const Model& model, const NamedValues& inputs, std::size_t* steps, double tolerance = 2e-6) {
    const auto options = [](const char* provider) {
      return SessionOptions{.providers = {provider}, .threads = 2, .passes = PassOptions::none()};
    };
    Trace trace;
    const NamedValues found = Session(model, options("cpu")).run(inputs, {.trace = &trace});
    const NamedValues expected = Session(model, options("reference")).run(inputs);
    *steps = static_cast<std::size_t>(std::count_if(trace.events.begin(), trace.events.end(),
                                                    [](const TraceEvent& e) { return e.provider == "cpu" && e.kernel != "Reorder"; }));
    std::string out;
    for (const auto& [name, value] : expected) out += difference(found.at(name).tensor(), value.tensor(), tolerance);
    return out;
  }
};

Tensor numbers(const Shape& shape, std::uint32_t seed) {
  Tensor t = Tensor::zeros(DType::kFloat32, shape);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> between(-2, 2);
  for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = between(random);
  return t;
}

TEST_F(ElementwiseRegions, AreOneStep) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[B, 40, 70] x, float[70] row, float[40, 1] column, float s) => (float[B, 40, 70] y) <float low = {-0.5}, float high = {0.75}> {
      a = Mul(x, row)  b = Exp(a)  c = Add(b, column)  d = Sub(c, s)  e = Tanh(d)  f = Mul(e, a)  g = Clip(f, low, high)  h = Neg(g)  y = Div(h, b)
    })");
  for (const std::int64_t batch : {1, 3}) {
    std::size_t steps = 0;
    EXPECT_EQ(
        compare(model,
                {{"x", numbers({batch, 40, 70}, 1)}, {"row", numbers({70}, 2)}, {"column", numbers({40, 1}, 3)}, {"s", numbers({}, 4)}},
                &steps),
        "");
    EXPECT_EQ(steps, 1u);
  }
}

// What somebody else reads, or has another shape, ends a region.
TEST_F(ElementwiseRegions, EndWhereAValueIsWanted) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[6, 50] x, float[50] v) => (float[6, 50] y, float[6, 50] b, float[6, 50] z) {
      a = Exp(x)  b = Neg(a)  c = Sqrt(a)  y = Add(b, c)
      w = Exp(v)  u = Neg(w)  z = Mul(x, u)
    })");
  std::size_t steps = 0;
  EXPECT_EQ(compare(model, {{"x", numbers({6, 50}, 1)}, {"v", numbers({50}, 2)}}, &steps), "");
  // Exp; Neg; Sqrt+Add; Exp+Neg of the row; Mul.
  EXPECT_EQ(steps, 5u);
}

TEST_F(ElementwiseRegions, FollowALayout) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[2, 3, 9, 11] x, float[2, 4, 9, 11] skip, float[4, 1, 1] scale) => (float[2, 4, 9, 11] y, float[2, 4, 9, 11] t) <int64[4] dims = {4, 3, 1, 1}> {
      ones = ConstantOfShape <value = float[1] {0.5}> (dims)
      t = Conv(x, ones)
      a = Softplus(t)  b = Mul(a, scale)  c = Sub(skip, b)  y = Abs(c)
    })");
  std::size_t steps = 0;
  EXPECT_EQ(
      compare(model, {{"x", numbers({2, 3, 9, 11}, 1)}, {"skip", numbers({2, 4, 9, 11}, 2)}, {"scale", numbers({4, 1, 1}, 3)}}, &steps),
      "");
}

// A reduction of the last dimensions takes rows as they come: what it reduces is not written out.
TEST_F(ElementwiseRegions, EndWithAReduction) {
  for (const std::string op :
       {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSum"})
    for (const std::string axes : {"-1", "2", "1, 2", "0, 1, 2"})
      for (const std::string keepdims : {"0", "1"})
        for (const std::int64_t columns : {1, 7, 1024, 2500}) {
          const std::string width = std::to_string(columns), count = std::to_string(std::count(axes.begin(), axes.end(), ',') + 1);
          const std::string text = "<ir_version: 8, opset_import: [\"\": 18]> g (float[B, 3, " + width + "] x, float[" + width +
                                   "] row, float[3, 1] column) => (float y) <int64[" + count + "] axes = {" + axes +
                                   "}, float one = {1}> { a = Mul(x, row)  b = Abs(a)  c = Add(b, column)  d = Add(c, one)  y = " + op +
                                   " <keepdims = " + keepdims + "> (d, axes) }";
          // The declared rank of y is not what it is; types are inferred.
          std::string fixed = text;
          fixed.replace(fixed.find("(float y)"), 9,
                        "(float[" +
                            std::string(keepdims == "1"     ? "a0, a1, a2"
                                        : axes == "1, 2"    ? "a0"
                                        : axes == "0, 1, 2" ? ""
                                                            : "a0, a1") +
                            "] y)");
          if (const auto empty = fixed.find("float[] y"); empty != std::string::npos) fixed.replace(empty, 9, "float y");
          const NamedValues inputs = {{"x", numbers({2, 3, columns}, 1)},
                                      {"row", numbers({columns}, 2)},
                                      {"column", Tensor::of<float>({3, 1}, {0.1f, 0.2f, 0.3f})}};
          if (op == "ReduceProd" && columns > 7) continue;  // beyond floats
          std::size_t steps = 0;
          ASSERT_EQ(compare(text_model(fixed.c_str()), inputs, &steps, 2e-5), "") << fixed;
          EXPECT_EQ(steps, axes == "0, 1, 2" ? 2u : 1u) << fixed;  // one long row is cut among threads, by a step of its own
        }
}

TEST_F(ElementwiseRegions, AgreeAtRandom) {
  std::mt19937 random(20261129);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::vector<std::string> unary = {"Neg", "Abs",   "Tanh", "Sigmoid",   "Relu",       "Softsign",
                                          "Erf", "Floor", "Sign", "LeakyRelu", "HardSigmoid"};
  const std::vector<std::string> binary = {"Add", "Sub", "Mul"};
  std::size_t fused = 0, ops = 0;
  for (int round = 0; round < 150; ++round) {
    Shape shape;
    const std::vector<std::int64_t> extents = {1, 2, 3, 5, 17, 40, 1100};
    std::vector<std::int64_t> dims;
    for (std::size_t d = 1 + pick(4); d-- > 0;) dims.push_back(extents[pick(dims.empty() ? 7 : 6)]);
    std::reverse(dims.begin(), dims.end());
    shape = Shape(std::span<const std::int64_t>(dims));
    const auto text_of = [](const Shape& s) {
      std::string out;
      for (const std::int64_t d : s) out += (out.empty() ? "" : ", ") + std::to_string(d);
      return s.rank() == 0 ? std::string("float") : "float[" + out + "]";
    };
    NamedValues inputs;
    inputs.add("x0", numbers(shape, random()));
    std::string declared = text_of(shape) + " x0", body;
    std::vector<std::string> whole = {"x0"}, operands = {"x0"};
    for (std::size_t i = 1; i < 2 + pick(6); ++i) {
      std::vector<std::int64_t> own(dims.begin() + static_cast<std::ptrdiff_t>(pick(dims.size() + 1)), dims.end());
      for (std::int64_t& d : own)
        if (pick(3) == 0) d = 1;
      const Shape s{std::span<const std::int64_t>(own)};
      const std::string name = "x" + std::to_string(i);
      inputs.add(name, numbers(s, random()));
      declared += ", " + text_of(s) + " " + name;
      operands.push_back(name);
    }
    const std::size_t count = 2 + pick(12);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string to = i + 1 == count ? "y" : "t" + std::to_string(i);
      const std::string& a = whole[whole.size() - 1 - pick(std::min<std::size_t>(3, whole.size()))];
      if (pick(2) == 0) {
        body += to + " = " + unary[pick(unary.size())] + "(" + a + ") ";
      } else {
        const std::string& b = pick(2) == 0 ? whole[pick(whole.size())] : operands[pick(operands.size())];
        const std::string& op = binary[pick(binary.size())];
        body += to + " = " + op + (pick(2) == 0 ? "(" + a + ", " + b + ") " : "(" + b + ", " + a + ") ");
      }
      whole.push_back(to);
    }
    std::string outputs = text_of(shape) + " y";
    std::vector<std::int64_t> rows = dims;
    rows.back() = 1;
    if (pick(2) == 0) {
      body += "z = ReduceSum(y, last) ";
      outputs = text_of(Shape(std::span<const std::int64_t>(rows))) + " z";
    }
    const std::string text =
        "<ir_version: 8, opset_import: [\"\": 18]> g (" + declared + ") => (" + outputs + ") <int64[1] last = {-1}> {" + body + "}";
    std::size_t steps = 0;
    ASSERT_EQ(compare(text_model(text.c_str()), inputs, &steps, 1e-4), "") << text;
    ops += count;
    fused += steps < count;
  }
  EXPECT_GT(fused, 100u);
}

}  // namespace
}  // namespace ashlar::testing
