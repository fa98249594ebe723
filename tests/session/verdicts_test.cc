// SPDX-License-Identifier: Apache-2.0
// A model for every code of a verdict, and events.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/session/placement_case.h"

namespace ashlar {
namespace {

using ::testing::AllOf;
using namespace ashlar::testing;
using ::testing::HasSubstr;

std::string code_of_narrow(const std::string& text, const std::string& op) {
  const Session session = session_of(graph(text).c_str(), {.providers = {"narrow", "reference"}});
  const Verdict& v = verdict_of(session, op, "narrow");
  EXPECT_FALSE(v.reason.empty());
  EXPECT_EQ(node_of(session, op).provider, "reference");
  return v.code;
}

TEST(Codes, OfAProvider) {
  EXPECT_EQ(code_of_narrow("(float[4] x) => (float[4] y) { y = Exp(x) }", "Exp"), "no_kernel_op");
  EXPECT_EQ(code_of_narrow("(double[4] x) => (double[4] y) { y = Relu(x) }", "Relu"), "no_kernel_dtype");
  EXPECT_EQ(code_of_narrow("(float[4] x) => (float[4] y) { y = Neg(x) }", "Neg"), "no_kernel_opset");
  EXPECT_EQ(code_of_narrow("(float[1,1,4] x) => (float[1,1,4] y) { y = Relu(x) }", "Relu"), "rank");
  EXPECT_EQ(code_of_narrow("(float[4,4] x) => (float[4,4] y) { y = Softmax<axis = 0>(x) }", "Softmax"), "attribute");
  EXPECT_EQ(code_of_narrow("(float[4,4] x, float[4,4] w) => (float[4,4] y) { y = MatMul(x, w) }", "MatMul"), "layout");
  EXPECT_EQ(code_of_narrow("(float[] x) => (float[] y) { y = Relu(x) }", "Relu"), "unknown_shape");
  EXPECT_EQ(code_of_narrow("(float[n,4] x) => (float[n,4] y) { y = Relu(x) }", "Relu"), "dynamic_shape");
  EXPECT_EQ(code_of_narrow("(float[4] x) => (int64[1,n] y) { y = NonZero(x) }", "NonZero"), "capture_incompatible");
}

TEST(Codes, OfPlacementByCost) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .policy = Policy::kCost});
  EXPECT_EQ(node_of(session, "MatMul").provider, "lazy");
  EXPECT_EQ(verdict_of(session, "MatMul", "reference").code, "cost_model");
  // 16 KiB: the kernel is faster on the device, by less than two copies take.
  EXPECT_EQ(node_of(session, "Relu").provider, "reference");
  const Verdict& v = verdict_of(session, "Relu", "lazy");
  EXPECT_EQ(v.code, "subgraph_too_small");
  EXPECT_THAT(v.reason, AllOf(HasSubstr("the node would take"), HasSubstr("us on lazy and"),
                              HasSubstr("us of copies (2 copies, 16.0 KiB a run); it takes"), HasSubstr("us on reference")));
  EXPECT_TRUE(v.cost.has_value());
  const Session tiny = session_of(graph("(float[4] x) => (float[4] y) { y = Relu(x) }").c_str(),
                                  {.providers = {"lazy", "reference"}, .policy = Policy::kCost});
  EXPECT_EQ(verdict_of(tiny, "Relu", "lazy").code, "cost_model");
}

TEST(Codes, OfAPin) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .pins = {{"op:MatM*", "reference"}}});
  EXPECT_EQ(node_of(session, "MatMul").provider, "reference");
  EXPECT_EQ(verdict_of(session, "MatMul", "lazy").code, "user_pin");
  EXPECT_THAT(verdict_of(session, "MatMul", "lazy").reason, HasSubstr("'op:MatM*' is pinned to reference"));
  EXPECT_EQ(node_of(session, "Relu").provider, "lazy");
}

std::string library(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "provider_libraries" / (name + ".so")).string();
}

TEST(Codes, OfWhatCannotBeHad) {
  if (!std::filesystem::exists(library("unavailable"))) GTEST_SKIP() << "the provider libraries of tests/provider are not built";
  const std::string text = graph("(float[4] x) => (float[4] y) { y = Relu(x) }");
  SessionOptions options{.providers = {library("unavailable"), library("needs_gone"), "reference"}, .allow_missing = true};
  const Session session = session_of(text.c_str(), options);
  const std::vector<Verdict>& verdicts = node_of(session, "Relu").verdicts;
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].code, "device_missing");
  EXPECT_THAT(verdicts[0].reason, HasSubstr("found driver 11.8"));
  EXPECT_EQ(verdicts[1].code, "library_missing");
  EXPECT_TRUE(verdicts[2].accepted);
  options.allow_missing = false;
  EXPECT_EQ(error_of([&] { session_of(text.c_str(), options); }).code(), ErrorCode::kUnavailable);
}

TEST(Codes, OfAMemoryBudget) {
  std::string weights;
  for (int i = 0; i < 64 * 64; ++i) weights += (i ? "," : "") + std::to_string(i % 7);
  const std::string text = graph("(float[512, 64] x) => (float[512, 64] y) <float[64, 64] w = {" + weights + "}> { y = MatMul(x, w) }");
  SessionOptions options{.providers = {"lazy", "reference"}, .policy = Policy::kCost};
  EXPECT_EQ(node_of(session_of(text.c_str(), options), "MatMul").provider, "lazy");
  options.memory_limits = {{"lazy", 10 * 1024}};
  const Session less = session_of(text.c_str(), options);
  EXPECT_EQ(node_of(less, "MatMul").provider, "reference");
  EXPECT_EQ(verdict_of(less, "MatMul", "lazy").code, "memory_budget");
  EXPECT_THAT(verdict_of(less, "MatMul", "lazy").reason, AllOf(HasSubstr("its weights take 16.0 KiB"), HasSubstr("the limit is 10.0 KiB")));
}

TEST(Codes, OfMemoryThatIsMissingAtBindAreEvents) {
  const Session session = session_of(graph("(float[n, 8] x) => (float[n, 8] y) { a = Exp(x) y = Neg(a) }").c_str(),
                                     {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", 10'000}}});
  EXPECT_THROW(session.run({{"x", Tensor::zeros(DType::kFloat32, {5000, 8})}}), Error);
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "memory_budget");
  EXPECT_EQ(session.events()[0].provider, "lazy");
  EXPECT_FALSE(session.events()[0].node.empty());
}

TEST(Codes, OfADeviceThatDoesNotRecordAreEvents) {
  const Session session = session_of(graph("(float[8] x) => (float[8] y) { a = Exp(x) b = Neg(a) y = Abs(b) }").c_str(),
                                     {.providers = {"lazy?captures=off", "reference"}});
  ashlar::Run run = session.prepare();
  run.bind_input("x", Tensor::zeros(DType::kFloat32, {8}));
  for (int i = 0; i < 6; ++i) run();
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "capture_incompatible");
  EXPECT_THAT(session.events()[0].reason, HasSubstr("no room for recordings"));
}

TEST(Codes, OfKernelsThatCannotBeRecordedAreEvents) {
  const Session session =
      session_of(graph("(float[8] x) => (int64[1, n] y) { y = NonZero(x) }").c_str(), {.providers = {"lazy", "reference"}});
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "capture_incompatible");
  EXPECT_THAT(session.events()[0].reason, HasSubstr("its kernel NonZero cannot be recorded"));
}

TEST(Codes, OfEveryProviderAreSaidOfANodeThatNobodyTakes) {
  for (const Policy policy : {Policy::kPreference, Policy::kCost}) {
    const Error e = error_of(
        [&] { session_of(graph("(float[4] x) => (float[4] y) { y = Exp(x) }").c_str(), {.providers = {"narrow"}, .policy = policy}); });
    EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(e.message(), HasSubstr("no provider runs Exp: narrow (no_kernel_op): "));
  }
}

}  // namespace
}  // namespace ashlar
