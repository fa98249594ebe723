// SPDX-License-Identifier: Apache-2.0
// Outputs tied to inputs: caches that grow, in place or not, and states of a fixed shape.
#include <random>

#include <ashlar/ashlar.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::text_model;

// Two heads of keys and values of 8, four of queries; `keys` and `values` say how many places there are in a way that reads the shape alone.
const char* kDecoder = R"(<ir_version: 10, opset_import: ["": 24]>
  decoder (float[B, S, 32] q, float[B, S, 16] k, float[B, S, 16] v, float[B, 2, past, 8] past_k, float[B, 2, past, 8] past_v)
      => (float[B, S, 32] y, float[B, 2, total, 8] all_k, float[B, 2, total, 8] all_v, int64[4] shape) {
    y, all_k, all_v = Attention <q_num_heads = 4, kv_num_heads = 2, is_causal = 1> (q, k, v, , past_k, past_v)
    shape = Shape(past_k)
  })";

Tensor random(const Shape& shape, std::mt19937& numbers) {
  Tensor t = Tensor::zeros(DType::kFloat32, shape);
  std::uniform_real_distribution<float> between(-1, 1);
  for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = between(numbers);
  return t;
}

void expect_equal(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_TRUE(a.defined() && b.defined()) << what;
  ASSERT_EQ(a.type_string(), b.type_string()) << what;
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << what;
}

/// Runs with the past given as tensors, and what they gave.
struct Explicit {
  explicit Explicit(const Session& session, std::int64_t batch) : run(session.prepare()) {
    past_k = past_v = Tensor::zeros(DType::kFloat32, {batch, 2, 0, 8});
  }
  void operator()(const Tensor& q, const Tensor& k, const Tensor& v) {
    run.bind_input("q", q);
    run.bind_input("k", k);
    run.bind_input("v", v);
    run.bind_input("past_k", past_k);
    run.bind_input("past_v", past_v);
    run();
    y = run.output("y").tensor().clone();
    past_k = run.output("all_k").tensor().clone();
    past_v = run.output("all_v").tensor().clone();
  }
  ashlar::Run run;
  Tensor past_k, past_v, y;
};

class Growing : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  const std::string provider_ = std::get<0>(GetParam());
  const std::int64_t capacity_ = std::get<1>(GetParam());
  const Session session_{text_model(kDecoder), {.providers = {provider_}}};
};

TEST_P(Growing, GivesTheSameBitsAsAPastThatIsBound) {
  const std::int64_t batch = 2;
  std::mt19937 numbers(7);
  Explicit expected(session_, batch);
  ashlar::Run run = session_.prepare();
  run.state("past_k", "all_k", capacity_);
  run.state("past_v", "all_v", capacity_);
  std::int64_t places = 0;
  for (const std::int64_t fresh : {5, 1, 1, 1, 7, 1, 1, 30, 1, 1}) {
    const Tensor q = random({batch, fresh, 32}, numbers), k = random({batch, fresh, 16}, numbers), v = random({batch, fresh, 16}, numbers);
    expected(q, k, v);
    run.bind_input("q", q);
    run.bind_input("k", k);
    run.bind_input("v", v);
    run();
    EXPECT_EQ(run.output("shape").tensor().data<std::int64_t>()[2], places);
    places += fresh;
    const std::string at = std::to_string(places) + " places";
    expect_equal(run.output("y").tensor(), expected.y, "y at " + at);
    if (fresh == 1) continue;  // outputs that are states may be left alone
    expect_equal(run.output("all_k").tensor(), expected.past_k, "keys at " + at);
    expect_equal(run.output("all_v").tensor(), expected.past_v, "values at " + at);
  }
  for (const StateInfo& s : run.states()) {
    EXPECT_EQ(s.shape, (Shape{batch, 2, places, 8}));
    EXPECT_EQ(s.axis, 2);
    EXPECT_GE(s.capacity, std::max(places, s.in_place ? capacity_ : 0));
    EXPECT_EQ(s.in_place, provider_ == "cpu");
    EXPECT_EQ(s.reason.empty(), s.in_place) << s.reason;
  }
}

// What was appended before a rewind, a restart or by a run that failed is not there any more.
TEST_P(Growing, RewindsRestartsAndTakesWhatIsBound) {
  std::mt19937 numbers(11);
  ashlar::Run run = session_.prepare();
  run.state("past_k", "all_k", capacity_);
  run.state("past_v", "all_v", capacity_);
  const auto step = [&](Explicit& expected, std::int64_t fresh) {
    const Tensor q = random({1, fresh, 32}, numbers), k = random({1, fresh, 16}, numbers), v = random({1, fresh, 16}, numbers);
    expected(q, k, v);
    run.bind_input("q", q);
    run.bind_input("k", k);
    run.bind_input("v", v);
    run();
    expect_equal(run.output("y").tensor(), expected.y, "y");
  };
  Explicit first(session_, 1);
  step(first, 4);
  const Tensor kept_k = first.past_k, kept_v = first.past_v;
  step(first, 3);
  run.rewind(4);
  first.past_k = kept_k, first.past_v = kept_v;
  step(first, 2);

  CancelToken cancel;
  cancel.cancel();
  EXPECT_EQ(error_of([&] { run({.cancel = &cancel}); }).code(), ErrorCode::kCancelled);
  EXPECT_FALSE(run.output("all_k").defined());
  step(first, 1);

  EXPECT_THAT(error_of([&] { run.rewind(8); }).message(), HasSubstr("has 7 places"));
  EXPECT_EQ(error_of([&] { run.rewind(-1); }).code(), ErrorCode::kInvalidArgument);
  run.restart();
  Explicit second(session_, 1);
  step(second, 2);

  Explicit third(session_, 1);
  third.past_k = random({1, 2, 40, 8}, numbers), third.past_v = random({1, 2, 40, 8}, numbers);
  Tensor scratch = third.past_k.clone();
  run.bind_input("past_k", scratch);
  run.bind_input("past_v", third.past_v);
  std::memset(scratch.mutable_raw(), 0, scratch.bytes());  // it was copied
  step(third, 1);
  step(third, 1);
}

std::string growing_name(const ::testing::TestParamInfo<std::tuple<const char*, int>>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::to_string(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Providers, Growing, ::testing::Combine(::testing::Values("cpu", "reference"), ::testing::Values(0, 8, 64)),
                         growing_name);

// One of the two grows where it lies, the other is given anew.
TEST(States, OneOfTwoMayBeTied) {
  const Session session(text_model(kDecoder), {.providers = {"cpu"}});
  std::mt19937 numbers(3);
  for (const bool keys : {true, false}) {
    Explicit expected(session, 1);
    ashlar::Run run = session.prepare();
    run.state(keys ? "past_k" : "past_v", keys ? "all_k" : "all_v", 16);
    for (int i = 0; i < 4; ++i) {
      const Tensor q = random({1, 2, 32}, numbers), k = random({1, 2, 16}, numbers), v = random({1, 2, 16}, numbers);
      run.bind_input(keys ? "past_v" : "past_k", keys ? expected.past_v : expected.past_k);
      expected(q, k, v);
      run.bind_input("q", q);
      run.bind_input("k", k);
      run.bind_input("v", v);
      run();
      expect_equal(run.output("y").tensor(), expected.y, "y");
      expect_equal(run.output("all_k").tensor(), expected.past_k, "keys");
      expect_equal(run.output("all_v").tensor(), expected.past_v, "values");
    }
  }
}

TEST(States, OfAFixedShapeBeginAsZeros) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    sum (float[N] x, float[N] s) => (float[N] t, float[N] y) { t = Add(x, s)  y = Neg(t) })"));
  ashlar::Run run = session.prepare();
  run.state("s", "t");
  const Tensor x = Tensor::of<float>({2}, {1, 10});
  run.bind_input("x", x);
  for (int i = 1; i <= 3; ++i) {
    run();
    EXPECT_EQ(run.output("y").tensor().data<float>()[1], -10.0f * static_cast<float>(i));
  }
  EXPECT_EQ(run.output("t").tensor().data<float>()[0], 3);
  EXPECT_EQ(run.states()[0].axis, -1);
  EXPECT_THAT(run.states()[0].reason, HasSubstr("does not extend the input in place"));
  run.bind_input("s", Tensor::of<float>({2}, {5, 5}));
  run();
  EXPECT_EQ(run.output("t").tensor().data<float>()[0], 6);
  run.restart();
  run();
  EXPECT_EQ(run.output("t").tensor().data<float>()[0], 1);
}

// The caller may change what it bound: a state that is an input passed through is a copy of it.
TEST(States, AnInputPassedThroughIsCopied) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    delay (float[N] x, float[N] s) => (float[N] y, float[N] t) { y = Neg(s)  t = Identity(x) })"));
  ashlar::Run run = session.prepare();
  run.state("s", "t");
  std::vector<float> x = {1};
  run.bind_input("x", Tensor::view(x, {1}));
  run();
  x = {2};
  run();
  EXPECT_EQ(run.output("y").tensor().data<float>()[0], -1);
}

// What a run gave is an output until the state is something else.
TEST(States, AnOutputEndsWhenTheStateIsChanged) {
  const Session session(text_model(kDecoder), {.providers = {"cpu"}});
  std::mt19937 numbers(5);
  ashlar::Run run = session.prepare();
  run.state("past_k", "all_k", 16);
  run.state("past_v", "all_v", 16);
  for (const char* name : {"q", "k", "v"}) run.bind_input(name, random({1, 3, name[0] == 'q' ? 32 : 16}, numbers));
  run();
  run.rewind(1);
  EXPECT_FALSE(run.output("all_k").defined());
  run();
  EXPECT_EQ(run.output("all_k").tensor().shape(), (Shape{1, 2, 4, 8}));
  run.bind_input("past_k", random({1, 2, 2, 8}, numbers));
  EXPECT_FALSE(run.output("all_k").defined());
  EXPECT_EQ(run.output("all_v").tensor().shape(), (Shape{1, 2, 4, 8}));
  run.restart();
  EXPECT_FALSE(run.output("all_v").defined());
}

// Memory that cannot be had names the state; the run before it stays what it was.
TEST(States, WithoutMemoryNameTheState) {
  const Session session(text_model(kDecoder), {.providers = {"cpu"}});
  std::mt19937 numbers(5);
  ashlar::Run run = session.prepare();
  run.state("past_k", "all_k", std::int64_t{1} << 50);
  for (const char* name : {"q", "k", "v"}) run.bind_input(name, random({1, 3, name[0] == 'q' ? 32 : 16}, numbers));
  run.bind_input("past_v", Tensor::zeros(DType::kFloat32, {1, 2, 0, 8}));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(error_of([&] { run(); }).context().tensor, "past_k");
  EXPECT_EQ(run.states()[0].capacity, 0);
}

TEST(States, SayWhoElseReadsThem) {
  const Session session(text_model(R"(<ir_version: 10, opset_import: ["": 24]>
  decoder (float[B, S, 16] q, float[B, 2, past, 8] past_k, float[B, 2, past, 8] past_v)
      => (float[B, S, 16] y, float[B, 2, total, 8] all_k, float[B, 2, total, 8] all_v, float[B, 2, past, 8] z) {
    y, all_k, all_v = Attention <q_num_heads = 2, kv_num_heads = 2> (q, q, q, , past_k, past_v)
    z = Neg(past_k)
  })"),
                        {.providers = {"cpu"}});
  ashlar::Run run = session.prepare();
  run.state("past_k", "all_k");
  run.state("past_v", "all_v");
  EXPECT_FALSE(run.states()[0].in_place);
  EXPECT_THAT(run.states()[0].reason, HasSubstr("reads the input, too"));
  EXPECT_TRUE(run.states()[1].in_place);
}

TEST(States, RefuseWhatCannotBeTied) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    odd (float[N] x, float[M] s, int64[M] i) => (float[N] y, float[M] t, float[M, M] u) { y = Neg(x)  t = Abs(s)  u = MatMul(a, b)
      c = Constant <value_ints = [1, 0]> ()  b = Unsqueeze(s, zero)  a = Unsqueeze(s, one) zero = Constant <value_ints = [0]> () one = Constant <value_ints = [1]> () })"));
  ashlar::Run run = session.prepare();
  const auto message = [&](const char* past, const char* present, std::int64_t capacity = 0) {
    return error_of([&] { run.state(past, present, capacity); }).message();
  };
  EXPECT_THAT(message("q", "t"), HasSubstr("no input is named 'q'"));
  EXPECT_THAT(message("s", "q"), HasSubstr("no output is named 'q'"));
  EXPECT_THAT(message("i", "t"), HasSubstr("not of one dtype and rank"));
  EXPECT_THAT(message("s", "u"), HasSubstr("not of one dtype and rank"));
  EXPECT_THAT(message("s", "t", -1), HasSubstr("capacity of -1"));
  std::vector<float> memory(4);
  run.bind_output("t", Tensor::view(memory, {4}));
  EXPECT_THAT(message("s", "t"), HasSubstr("has a bound buffer"));
  run.bind_output("t", Tensor());
  run.state("s", "t");
  EXPECT_THAT(message("s", "y"), HasSubstr("tied already"));
  EXPECT_THAT(error_of([&] { run.bind_output("t", Tensor::view(memory, {4})); }).message(), HasSubstr("is a state"));
  run.bind_input("x", Tensor::of<float>({1}, {1}));
  run.bind_input("i", Tensor::of<std::int64_t>({1}, {1}));
  run.restart();
  run();  // M is what `i` has
  EXPECT_EQ(run.states()[0].shape, Shape{1});
}

TEST(States, AskForABeginningWhoseShapeIsNotKnown) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    more (float[N] x, float[M] s) => (float[K] t) { t = Concat <axis = 0> (s, x) })"));
  ashlar::Run run = session.prepare();
  run.state("s", "t");
  run.bind_input("x", Tensor::of<float>({1}, {1}));
  run();  // the types differ in one axis: there are none at first
  EXPECT_EQ(run.output("t").tensor().element_count(), 1);

  const Session fixed(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    keep (float[N] x, float[M] s) => (float[N] y, float[M] t) { y = Neg(x)  t = Abs(s) })"));
  ashlar::Run other = fixed.prepare();
  other.state("s", "t");
  other.bind_input("x", Tensor::of<float>({1}, {1}));
  const Error e = error_of([&] { other(); });
  EXPECT_THAT(e.message(), HasSubstr("dimension 'M' of state 's'"));
  other.bind_input("s", Tensor::of<float>({1}, {-3}));
  other();
  EXPECT_EQ(other.output("t").tensor().data<float>()[0], 3);
}

}  // namespace
}  // namespace ashlar
