// SPDX-License-Identifier: Apache-2.0
#include "plan/batch.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/ashlar.h>

#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using ::testing::HasSubstr;
using testing::text_model;

/// The last line of the plan's text.
std::string rule_of(const std::string& body, const std::string& inputs = "float[B, 4] x", const std::string& outputs = "float[B, M] y") {
  const std::string text = "<ir_version: 8, opset_import: [\"\": 17]> g (" + inputs + ") => (" + outputs + ") {" + body + "}";
  const std::string plan = Session(text_model(text.c_str()), {.providers = {"cpu", "reference"}}).stage_text("plan");
  const auto end = plan.size() - 1;
  return plan.substr(plan.rfind('\n', end - 1) + 1, end - plan.rfind('\n', end - 1) - 1);
}
constexpr const char* kDivisible = "a batch may be run in parts";

TEST(BatchRule, LayersThatTreatEveryRowAlike) {
  EXPECT_EQ(
      rule_of("w = Constant <value = float[4, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> () h = MatMul(x, w) y = Softmax <axis = 1> (h)"),
      kDivisible);
  EXPECT_EQ(rule_of("a = Mul(x, x) b = Relu(a) y = Concat <axis = 1> (a, b)"), kDivisible);
  EXPECT_EQ(rule_of("s = Constant <value_ints = [0, 2, 2]> () h = Reshape(x, s) t = Transpose <perm = [0, 2, 1]> (h) y = Flatten(t)"),
            kDivisible);
  EXPECT_EQ(rule_of("axes = Constant <value_ints = [1]> () y = ReduceSum(x, axes)"), kDivisible);
}

// The target shape of a Reshape is computed from the batch's size; a part has its own.
TEST(BatchRule, ShapesFollowThePart) {
  EXPECT_EQ(
      rule_of(
          "d = Shape <end = 1> (x) r = Constant <value_ints = [2, 2]> () s = Concat <axis = 0> (d, r) h = Reshape(x, s) y = Flatten(h)"),
      kDivisible);
}

TEST(BatchRule, WhatMixesRows) {
  EXPECT_THAT(rule_of("y = Softmax <axis = 0> (x)"), HasSubstr("Softmax"));
  EXPECT_THAT(rule_of("axes = Constant <value_ints = [0]> () m = ReduceMean <axes = [0]> (x) y = Sub(x, m)"), HasSubstr("ReduceMean"));
  EXPECT_THAT(rule_of("y = Concat <axis = 0> (x, x)"), HasSubstr("Concat"));
  EXPECT_THAT(rule_of("t = Transpose <perm = [1, 0]> (x) y = Transpose <perm = [1, 0]> (t) ", "float[B, 4] x", "float[B, 4] y"),
              HasSubstr("parts"));  // both vanish
  EXPECT_THAT(rule_of("t = Transpose <perm = [1, 0]> (x) y = MatMul(x, t)"), HasSubstr("mixes"));
  EXPECT_THAT(rule_of("zero = Constant <value_int = 0> () f = Gather(x, zero) y = Add(x, f)"), HasSubstr("Gather"));
  EXPECT_THAT(rule_of("axis = Constant <value_int = 0> () y = CumSum(x, axis)"), HasSubstr("CumSum"));
  EXPECT_THAT(rule_of("s = Constant <value_ints = [-1, 2]> () y = Reshape(x, s)"), HasSubstr("Reshape"));
}

// The size of the batch as a number among the data: a part has another.
TEST(BatchRule, TheBatchsSizeAsData) {
  EXPECT_THAT(rule_of("d = Shape <end = 1> (x) n = Cast <to = 1> (d) y = Div(x, n)"), HasSubstr("a batch is run at once"));
}

// Another input may be square with the batch.
TEST(BatchRule, TheBatchInAnotherPlace) {
  EXPECT_THAT(rule_of("y = MatMul(w, x)", "float[B, 4] x, float[3, B] w"), HasSubstr("another place"));
  EXPECT_THAT(rule_of("y = Mul(x, w)", "float[B, 4] x, float[4] w", "float[B, 4] y"), HasSubstr("parts"));
}

// Big enough for parts: images of 2 MB with windows between them.
const char* kImages = R"(<ir_version: 8, opset_import: ["": 17]>
  g (float[B, 8, 256, 256] x, float[8, 1, 1] scale) => (float[B, 8, 256, 256] y, float[B, 8] z) {
    a = Mul(x, scale)  b = Sigmoid(a)  c = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b)  d = Sub(c, a)
    y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (d)
    z = ReduceMean <axes = [2, 3], keepdims = 0> (y)
  })";

Tensor images(std::int64_t batch) {
  Tensor x = Tensor::zeros(DType::kFloat32, {batch, 8, 256, 256});
  for (std::int64_t i = 0; i < x.element_count(); ++i) x.mutable_data<float>()[i] = static_cast<float>(i * 31 % 1009) / 500 - 1;
  return x;
}
Tensor scales() { return Tensor::of<float>({8, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8}); }
std::int64_t pools(const Trace& trace) {
  return std::count_if(trace.events.begin(), trace.events.end(), [](const TraceEvent& e) { return e.kernel.starts_with("MaxPool"); });
}

// The same numbers as a whole batch, into a buffer of the caller's or not.
TEST(Parts, GiveWhatTheWholeGives) {
  const Model model = text_model(kImages);
  const Tensor x = images(17);
  const Session divided(model, {.providers = {"cpu"}, .threads = 2}),
      whole(model, {.providers = {"cpu"}, .threads = 2, .divide_batches = false});
  EXPECT_THAT(divided.stage_text("plan"), HasSubstr(kDivisible));
  EXPECT_LT(divided.memory({{"x", x.shape()}}).spaces[0].arena, whole.memory({{"x", x.shape()}}).spaces[0].arena / 2);

  ashlar::Run run = divided.prepare(), reference = whole.prepare();
  std::vector<float> buffer(static_cast<std::size_t>(x.element_count()));
  run.bind_output("y", Tensor::view(buffer, x.shape()));
  Trace trace;
  for (ashlar::Run* r : {&run, &reference}) {
    r->bind_input("x", x);
    r->bind_input("scale", scales());
    (*r)({.trace = &trace});
    EXPECT_EQ(pools(trace) > 1, r == &run);
  }
  for (const char* name : {"y", "z"}) {
    const Tensor &a = run.output(name).tensor(), &b = reference.output(name).tensor();
    ASSERT_EQ(a.type_string(), b.type_string());
    for (std::int64_t i = 0; i < a.element_count(); ++i) ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-5) << name << " at " << i;
  }
  EXPECT_EQ(run.output("y").tensor().raw(), buffer.data());

  // A batch of another size, and of one, afterwards.
  for (const std::int64_t n : {1, 18, 17}) {
    run.bind_output("y", Tensor());
    run.bind_input("x", images(n));
    run();
    EXPECT_EQ(run.output("y").tensor().shape(), (Shape{n, 8, 256, 256}));
    EXPECT_NEAR(run.output("y").tensor().data<float>()[12345], reference.output("y").tensor().data<float>()[12345], 1e-5);
  }
}

// A run that ends before a part, or between two, leaves neither memory of theirs nor its inputs behind.
TEST(Parts, ARunThatEndsEarlyLeavesTheRunUsable) {
  const Session session(text_model(kImages), {.providers = {"cpu"}});
  ashlar::Run run = session.prepare();
  run.bind_input("x", images(17));
  run.bind_input("scale", scales());
  CancelToken cancel;
  cancel.cancel();
  EXPECT_THROW(run({.cancel = &cancel}), Error);
  Trace trace;
  run({.trace = &trace});
  ASSERT_GT(pools(trace), 1);
  const Tensor expected = run.output("y").tensor().clone();
  for (int eighths = 1; eighths < 8; ++eighths) {
    try {
      run({.deadline = std::chrono::nanoseconds(trace.wall_ns * eighths / 8)});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kDeadlineExceeded);
    }
  }
  run();
  EXPECT_EQ(std::memcmp(run.output("y").tensor().raw(), expected.raw(), expected.bytes()), 0);
}

}  // namespace
}  // namespace ashlar
