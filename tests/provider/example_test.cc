// SPDX-License-Identifier: Apache-2.0
// The library of docs/example_provider, loaded by path.
#include <cmath>
#include <filesystem>
#include <set>

#include <ashlar/ashlar.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::text_model;

/// As it is built, with these options.
std::string example(const std::string& options = "") {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  return (folder / "lib/libexample_provider.so").string() + (options.empty() ? "" : "?" + options);
}

Tensor wave(const Shape& shape, float step = 0.37f) {
  Tensor t = Tensor::zeros(DType::kFloat32, shape);
  for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = std::sin(step * static_cast<float>(i + 1)) + 0.01f;
  return t;
}

NamedValues run(const Model& model, std::vector<std::string> providers, const NamedValues& inputs) {
  return Session(model, {.providers = std::move(providers)}).run(inputs);
}

void expect_near(const NamedValues& a, const NamedValues& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &x = a[i].second.tensor(), &y = b[i].second.tensor();
    ASSERT_EQ(x.type_string(), y.type_string()) << what << ", " << a[i].first;
    for (std::int64_t k = 0; k < x.element_count(); ++k)
      ASSERT_NEAR(x.data<float>()[k], y.data<float>()[k], 1e-5f * (1 + std::fabs(y.data<float>()[k])))
          << what << ", " << a[i].first << " " << k;
  }
}

constexpr const char* kEveryOperator = R"(<ir_version: 10, opset_import: ["" : 21]>
every (float[n, 4, 7, 5] x, float[6, 2, 3, 3] w, float[6] b, float[5, 7] m, float[6, 5] g, int64[2, 3] at)
  => (float[n, 4, 14, 5] joined, float[n, 4, 7, 5] limited, float[n, 4, 7, 5] last, float[n, 6, 4, 2] convolved, float[n, 4, 7, 7] product,
      float[7, 6] general, float[n, 4, 6, 5] gathered, float[5, 7, n, 4] turned)
<int64[4] places = {0, 4, 6, 5}, float low = {-0.5}> {
  a = Relu(x)
  s = Sigmoid(x)
  t = Tanh(x)
  joined = Concat<axis = 2>(s, t)
  sum = Add(a, s)
  root = Sqrt(sum)
  ratio = Div(t, root)
  e = Erf(ratio)
  same = Identity(e)
  limited = Clip(same, low)
  soft = Softmax<axis = 2>(limited)
  scaled = Mul(soft, x)
  last = Sub(scaled, same)
  convolved = Conv<group = 2, pads = [1, 0, 2, 1], strides = [2, 1], dilations = [1, 2]>(x, w, b)
  product = MatMul(x, m)
  general = Gemm<alpha = 0.5, beta = 2.0, transA = 1, transB = 1>(m, g, b)
  rows = Gather<axis = 2>(x, at)
  gathered = Reshape(rows, places)
  turned = Transpose<perm = [3, 2, 0, 1]>(x)
})";

NamedValues every_input(std::int64_t n) {
  return {{"x", wave({n, 4, 7, 5})}, {"w", wave({6, 2, 3, 3}, 1.1f)}, {"b", wave({6}, 2)},
          {"m", wave({5, 7}, 0.7f)}, {"g", wave({6, 5}, 0.9f)},       {"at", Tensor::of<std::int64_t>({2, 3}, {0, -1, 3, 2, 6, -7})}};
}

TEST(ExampleProvider, EveryOperatorAgreesWithTheReference) {
  const Model model = text_model(kEveryOperator);
  const Session session(model, {.providers = {example()}, .passes = PassOptions::none()});
  std::set<std::string> operators;
  for (const auto& node : session.placement().nodes) {
    EXPECT_EQ(node.provider, "example") << node.node;
    operators.insert(node.op);
  }
  EXPECT_EQ(operators.size(), 19u);
  for (const std::int64_t n : {1, 3, 0})
    expect_near(session.run(every_input(n)), run(model, {"reference"}, every_input(n)), "n = " + std::to_string(n));
}

TEST(ExampleProvider, AnySplitWithTheCpuAgreesToo) {
  const Model model = text_model(kEveryOperator);
  const NamedValues expected = run(model, {"reference"}, every_input(2));
  for (int seed = 0; seed < 30; ++seed) {
    const std::string split =
        "claim=0." + std::to_string(seed % 9 + 1) + "&seed=" + std::to_string(seed) + (seed % 3 == 0 ? "&slow=50" : "");
    const Session session(model, {.providers = {example(split), "cpu", "reference"}});
    ashlar::Run bound = session.prepare();
    for (const auto& [name, value] : every_input(2)) bound.bind_input(name, value);
    for (int round = 0; round < 3; ++round) bound();
    NamedValues outputs;
    for (const auto& info : session.outputs()) outputs.add(info.name, bound.output(info.name));
    expect_near(outputs, expected, split);
  }
}

/// The verdict of the example provider on the model's only node.
Verdict verdict_of(const char* text, const std::string& options = "") {
  const Session session(text_model(text), {.providers = {example(options), "reference"}});
  return session.placement().nodes.at(0).verdicts.at(0);
}

TEST(ExampleProvider, RefusalsSayWhy) {
  const Verdict dtype = verdict_of(R"(<ir_version: 10, opset_import: ["" : 21]> g (double[2] x) => (double[2] y) { y = Relu(x) })");
  EXPECT_EQ(dtype.code, "no_kernel_dtype");
  EXPECT_EQ(dtype.reason, "Relu has no kernel for input 0 of float64");
  const Verdict rank = verdict_of(
      R"(<ir_version: 10, opset_import: ["" : 21]> g (float[1, 2, 9] x, float[3, 2, 2] w) => (float[1, 3, 8] y) { y = Conv(x, w) })");
  EXPECT_EQ(rank.code, "rank");
  EXPECT_EQ(rank.reason, "Conv has no kernel for input 0 of rank 3");
  const char* relu = R"(<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) { y = Relu(x) })";
  EXPECT_TRUE(verdict_of(relu).accepted);
  const Verdict left = verdict_of(relu, "claim=0");
  EXPECT_EQ(left.code, "user_pin");
  EXPECT_EQ(left.reason, "left to others by the option claim");
}

TEST(ExampleProvider, OptionsAreChecked) {
  const Model model = text_model(R"(<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) { y = Relu(x) })");
  for (const auto& [options, sentence] : {std::pair("speed=9", "there is no option 'speed'"), std::pair("slow=yes", "option slow is 'yes'"),
                                          std::pair("fault=hiccup", "there is no fault hiccup")}) {
    const Error e = error_of([&, o = options] { Session(model, {.providers = {example(o)}}); });
    EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(e.message(), HasSubstr(sentence));
  }
}

TEST(ExampleProvider, AKernelThatFailsOnTheQueueIsNamed) {
  const Model model = text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
    g (float[4] x, int64[2] i) => (float[2] y) { a = Relu(x) y = Gather(a, i) })");
  const Session session(model, {.providers = {example()}});
  const NamedValues wrong = {{"x", wave({4})}, {"i", Tensor::of<std::int64_t>({2}, {0, 9})}};
  const NamedValues right = {{"x", wave({4})}, {"i", Tensor::of<std::int64_t>({2}, {3, -4})}};
  const Error e = error_of([&] { session.run(wrong); });
  EXPECT_EQ(e.code(), ErrorCode::kDeviceError);
  EXPECT_THAT(e.message(), HasSubstr("index 9 is outside [-4, 4)"));
  EXPECT_EQ(e.context().provider, "example");
  expect_near(session.run(right), run(model, {"reference"}, right), "a run after it");
}

TEST(ExampleProvider, ALostDeviceIsAnErrorOfTheRun) {
  const Model model = text_model(kEveryOperator);
  const Session session(model, {.providers = {example("lose_after=20"), "reference"}});
  for (int i = 0; i < 2; ++i) {
    const Error e = error_of([&] { session.run(every_input(1)); });
    EXPECT_EQ(e.code(), ErrorCode::kDeviceError);
    EXPECT_THAT(e.message(), HasSubstr("the device was lost after 20 pieces of work"));
  }
}

TEST(ExampleProvider, TheDevicesMemoryIsALimit) {
  const Model model = text_model(kEveryOperator);
  const Error e = error_of([&] { Session(model, {.providers = {example("memory=2000"), "reference"}}).run(every_input(1)); });
  EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
  EXPECT_EQ(e.context().provider, "example");
}

TEST(ExampleProvider, ACopyOverlapsWithStepsThatDoNotNeedIt) {
  const Model model = text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
    g (float[64, 64] x) => (float[64, 64] y, float[64, 64] z) { a = Relu(x) b = Tanh(a) y = Sigmoid(b) z = Cos(x) })");
  const NamedValues inputs = {{"x", wave({64, 64})}};
  const Session session(model, {.providers = {example("slow=30000"), "reference"}});
  Trace trace;
  session.run(inputs);
  session.run(inputs, {.trace = &trace});
  std::int64_t begin = INT64_MAX, end = 0, host = -1;
  for (const TraceEvent& e : trace.events) {
    if (e.provider == "example" && e.op != "(copy)") begin = std::min(begin, e.start_ns), end = std::max(end, e.start_ns + e.duration_ns);
    if (e.op == "Cos") host = e.start_ns;
  }
  EXPECT_LT(begin, end);
  EXPECT_LT(host, end) << "the host went on while the device worked";
}

}  // namespace
}  // namespace ashlar
