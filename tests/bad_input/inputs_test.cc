// SPDX-License-Identifier: Apache-2.0
// What a caller may get wrong when running a session: each gives its code, names the culprit, and leaves the session usable.
#include <cstring>

#include <ashlar/ashlar.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::text_model;

class BadInput : public ::testing::Test {
 protected:
  Session session_{text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    scaled (float[batch, 3] image, int64[2] axes) => (float[batch, 3] result) { f = Cast <to = 1> (axes) s = ReduceSum (f) result = Mul (image, s) })")};
  Tensor image_ = Tensor::of<float>({1, 3}, {1, 2, 3});
  Tensor axes_ = Tensor::of<std::int64_t>({2}, {1, 1});

  void expect(const Error& e, ErrorCode code, const char* tensor, std::initializer_list<const char*> words) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_EQ(e.context().tensor, tensor) << e.what();
    for (const char* word : words) EXPECT_THAT(e.what(), HasSubstr(word));
    EXPECT_THAT(e.to_json(), HasSubstr(to_string(code)));
    const NamedValues outputs = session_.run({{"image", image_}, {"axes", axes_}});
    EXPECT_EQ(outputs.at("result").tensor().span<float>()[2], 6.0f) << "the session is not usable any more";
  }
};

TEST_F(BadInput, AWrongNameGetsTheNearestRightOne) {
  expect(error_of([&] {
           session_.run({{"imgae", image_}, {"axes", axes_}});
         }),
         ErrorCode::kNotFound, "imgae", {"imgae", "did you mean 'image'"});
}

TEST_F(BadInput, AWrongRankStatesBothTypes) {
  expect(error_of([&] {
           session_.run({{"image", Tensor::of<float>({3}, {1, 2, 3})}, {"axes", axes_}});
         }),
         ErrorCode::kInvalidArgument, "image", {"float32[batch,3]", "float32[3]"});
}

TEST_F(BadInput, AWrongFixedDimensionStatesBothTypes) {
  expect(error_of([&] {
           session_.run({{"image", Tensor::of<float>({1, 2}, {1, 2})}, {"axes", axes_}});
         }),
         ErrorCode::kInvalidArgument, "image", {"float32[batch,3]", "float32[1,2]"});
}

TEST_F(BadInput, AWrongDtypeStatesBothTypes) {
  expect(error_of([&] {
           session_.run({{"image", image_}, {"axes", Tensor::of<float>({2}, {1, 1})}});
         }),
         ErrorCode::kInvalidArgument, "axes", {"int64[2]", "float32[2]"});
}

TEST_F(BadInput, AMissingInputIsNamed) {
  expect(error_of([&] { session_.run({{"image", image_}}); }), ErrorCode::kInvalidArgument, "axes", {"'axes'", "missing"});
}

TEST_F(BadInput, ASequenceForATensorIsRefused) {
  expect(error_of([&] { session_.run({{"image", Sequence{}}, {"axes", axes_}}); }), ErrorCode::kInvalidArgument, "image", {"sequence"});
}

TEST_F(BadInput, ATooSmallOutputBufferStatesBothSizesAndKeepsTheRunUsable) {
  std::vector<float> small(2), enough(3);
  auto run = session_.prepare();
  run.bind_input("image", image_);
  run.bind_input("axes", axes_);
  run.bind_output("result", Tensor::view(small, {2}));
  expect(error_of([&] { run(); }), ErrorCode::kInvalidArgument, "result", {"12 bytes", "has 8"});
  run.bind_output("result", Tensor::view(enough, {3}));
  run();
  EXPECT_EQ(enough, (std::vector<float>{2, 4, 6}));
}

TEST_F(BadInput, AnOutputBufferOfAnotherDtypeOrReadOnlyIsRefused) {
  auto run = session_.prepare();
  std::vector<double> doubles(3);
  const std::vector<float> constant(3);
  expect(error_of([&] { run.bind_output("result", Tensor::view(doubles, {3})); }), ErrorCode::kInvalidArgument, "result", {"float64[3]"});
  expect(error_of([&] { run.bind_output("result", Tensor::view(constant, {3})); }), ErrorCode::kInvalidArgument, "", {"read-only"});
  expect(error_of([&] { run.bind_output("reslut", Tensor::view(doubles, {3})); }), ErrorCode::kNotFound, "reslut",
         {"did you mean 'result'"});
  expect(error_of([&] { run.bind_output(7, Tensor::view(doubles, {3})); }), ErrorCode::kNotFound, "", {"output 7"});
}

TEST_F(BadInput, AViewThatIsNotAlignedForItsElementsIsReadAllTheSame) {
  std::vector<std::byte> bytes(13);
  const float values[3] = {1, 2, 3};
  std::memcpy(bytes.data() + 1, values, 12);
  const Tensor odd = Tensor::view_bytes(DType::kFloat32, {1, 3}, std::span<const std::byte>(bytes).subspan(1, 12));
  EXPECT_EQ(session_.run({{"image", odd}, {"axes", axes_}}).at("result").tensor().span<float>()[2], 6.0f);
}

TEST(BadShapes, DimensionsOfOneNameMustBeOneNumber) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    add (float[N, 2] x, float[N, M] y, float[M] z) => (float[N, M] s) { a = Add(x, y) s = Add(a, z) })"));
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(DType::kFloat32, shape); };
  const Error e = error_of([&] { session.run({{"x", zeros({3, 2})}, {"y", zeros({1, 2})}, {"z", zeros({2})}}); });
  EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(e.context().tensor, "y");
  EXPECT_THAT(e.what(), HasSubstr("dimension 'N' is 3 in input 'x' and 1 in input 'y'"));
  EXPECT_NO_THROW(session.run({{"x", zeros({3, 2})}, {"y", zeros({3, 1})}, {"z", zeros({1})}}));
  const Session open(
      text_model(R"(<ir_version: 8, opset_import: ["": 17]> add (float[?] x, float[?] y) => (float[?] s) { s = Add(x, y) })"));
  EXPECT_NO_THROW(open.run({{"x", zeros({3})}, {"y", zeros({1})}}));
}

TEST(BadSequence, ElementsThatTheModelDoesNotDeclareAreRefused) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    first (seq(float[2]) s) => (float[2] y) { zero = Constant <value = int64 {0}> () e = SequenceAt(s, zero) y = Neg(e) })"));
  const auto run = [&](Value element) { return session.run({{"s", Sequence{DType::kUndefined, {std::move(element)}}}}); };
  const Error dtype = error_of([&] { run(Tensor::of<std::int8_t>({2}, {1, 2})); });
  EXPECT_EQ(dtype.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(dtype.context().tensor, "s");
  EXPECT_EQ(error_of([&] { run(Tensor::of<float>({2, 1}, {1, 2})); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { run(Sequence{}); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(run(Tensor::of<float>({2}, {1, 2})).at("y").tensor().span<float>()[1], -2.0f);
}

TEST(BadData, ASplitIntoMorePiecesThanAnyMemoryHoldsIsAnError) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    split (float[N, M] x) => (int64 n) { s = SplitToSequence <axis = 0> (x) n = SequenceLength(s) })"));
  const Tensor long_and_empty = Tensor::zeros(DType::kFloat32, {std::int64_t{1} << 40, 0});
  EXPECT_EQ(error_of([&] { session.run({{"x", long_and_empty}}); }).code(), ErrorCode::kRuntime);
}

TEST(BadTensor, ImpossibleShapesAreRefused) {
  EXPECT_EQ(error_of([] { Tensor::zeros(DType::kFloat32, {-1, 2}); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] {
              Tensor::zeros(DType::kFloat32, {std::int64_t{1} << 40, std::int64_t{1} << 40});
            }).code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Tensor::zeros(DType::kFloat32, {std::int64_t{1} << 50}); }).code(), ErrorCode::kOutOfMemory);
  const std::vector<std::int64_t> dims(17, 1);
  EXPECT_EQ(error_of([&] { Shape(std::span<const std::int64_t>(dims)); }).code(), ErrorCode::kInvalidArgument);
  std::vector<float> three(3);
  EXPECT_THAT(error_of([&] { Tensor::view(three, {2, 2}); }).what(), HasSubstr("needs 4 elements, got 3"));
}

TEST(BadOptions, UnknownProvidersAndStagesGetASuggestion) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Neg(x) })");
  const Error e = error_of([&] { Session(model, {.providers = {"referense"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kNotFound);
  EXPECT_THAT(e.what(), HasSubstr("did you mean 'reference'"));
  EXPECT_EQ(error_of([&] { Session(model, {.providers = {"reference", "reference"}}); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of([&] { Session(model).stage_text("plna"); }).what(), HasSubstr("did you mean 'plan'"));
}

TEST(BadOptions, ANodeThatNobodyTakesIsNamedWithEveryReason) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Neg(x) })");
  const Error e = error_of([&] { Session(model, {.providers = {"null"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(e.context().node, "Neg#0");
  EXPECT_EQ(e.context().op, "Neg");
  EXPECT_THAT(e.what(), HasSubstr("no_kernel_op"));
}

TEST(BadData, AKernelsErrorNamesTheNodeItsInputsAndTheProvider) {
  const Session session(
      text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (float[N] x, int64[M] i) => (float[M] y) { y = Gather(x, i) })"),
      {.providers = {"reference"}});
  const Error e = error_of([&] { session.run({{"x", Tensor::of<float>({2}, {1, 2})}, {"i", Tensor::of<std::int64_t>({1}, {2})}}); });
  EXPECT_EQ(e.code(), ErrorCode::kRuntime);
  EXPECT_EQ(e.context().node, "Gather#0");
  EXPECT_EQ(e.context().provider, "reference");
  EXPECT_THAT(e.context().inputs, HasSubstr("int64[1]"));
  EXPECT_EQ(
      session.run({{"x", Tensor::of<float>({2}, {1, 2})}, {"i", Tensor::of<std::int64_t>({1}, {1})}}).at("y").tensor().span<float>()[0],
      2.0f);
}

TEST(BadData, AnOutputTooLargeForTheMachineIsAnErrorNotACrash) {
  const Session session(text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (int64[1] n) => (float[N] y) { y = ConstantOfShape(n) })"));
  const Error huge = error_of([&] { session.run({{"n", Tensor::of<std::int64_t>({1}, {std::int64_t{1} << 45})}}); });
  EXPECT_EQ(huge.code(), ErrorCode::kOutOfMemory);
  EXPECT_EQ(huge.context().op, "ConstantOfShape");
  EXPECT_EQ(error_of([&] { session.run({{"n", Tensor::of<std::int64_t>({1}, {-1})}}); }).code(), ErrorCode::kRuntime);
}

}  // namespace
}  // namespace ashlar
