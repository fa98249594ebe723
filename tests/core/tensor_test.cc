// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <ashlar/error.h>
#include <ashlar/value.h>
#include <gtest/gtest.h>

namespace ashlar {
namespace {

TEST(DType, EveryNameLeadsBack) {
  for (int i = 1; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_string(to_string(dtype)), dtype);
  }
  EXPECT_FALSE(dtype_from_string("float31"));
  EXPECT_EQ(to_string(static_cast<DType>(99)), "undefined");
}

TEST(DType, PackedElementsRoundUpToBytes) {
  EXPECT_EQ(byte_size(DType::kInt4, 3), 2u);
  EXPECT_EQ(byte_size(DType::kUint2, 5), 2u);
  EXPECT_EQ(byte_size(DType::kFloat32, 3), 12u);
  EXPECT_EQ(byte_size(DType::kComplex128, 2), 32u);
}

TEST(Tensor, OwnedStorageIsAlignedAndZero) {
  const Tensor t = Tensor::zeros(DType::kFloat32, {3, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.raw()) % 64, 0u);
  for (const float f : t.span<float>()) EXPECT_EQ(f, 0.0f);
  EXPECT_EQ(t.type_string(), "float32[3,5]");
}

TEST(Tensor, AScalarHasOneElementAndAnEmptyOneNone) {
  EXPECT_EQ(Tensor::scalar(2.5f).element_count(), 1);
  EXPECT_EQ(Tensor::zeros(DType::kInt64, {0, 7}).element_count(), 0);
  EXPECT_EQ(Tensor::zeros(DType::kString, {2}).span<std::string>()[1], "");
}

TEST(Tensor, AViewSharesMemoryAndAConstViewIsReadOnly) {
  std::vector<float> values = {1, 2};
  Tensor view = Tensor::view(values, {2});
  view.mutable_data<float>()[0] = 9;
  EXPECT_EQ(values[0], 9);
  const std::vector<float> fixed = {1, 2};
  Tensor read_only = Tensor::view(fixed, {2});
  EXPECT_THROW(read_only.mutable_data<float>(), Error);
  EXPECT_THROW(read_only.data<int>(), Error);
  EXPECT_NO_THROW(read_only.clone().mutable_data<float>());
}

TEST(Value, SaysWhatItIs) {
  EXPECT_EQ(Value(Tensor::scalar(1.0f)).type_string(), "float32[]");
  EXPECT_EQ(Value(Sequence{DType::kInt64, {}}).type_string(), "sequence(int64) of 0");
  EXPECT_THROW(Value(Sequence{}).tensor(), Error);
  EXPECT_FALSE(Value().defined());
}

TEST(Error, CarriesItsContextIntoTextAndJson) {
  const Error e = Error(ErrorCode::kRuntime, "index 7 is out of range", {.node = "Gather_3"})
                      .with({.node = "outer", .op = "Gather", .opset = 13, .file = "m.onnx"});
  EXPECT_STREQ(e.what(), "runtime: index 7 is out of range (node Gather_3, op Gather@13, file m.onnx)");
  EXPECT_EQ(
      e.to_json(),
      R"({"schema":1,"code":"runtime","message":"index 7 is out of range","node":"Gather_3","op":"Gather","opset":13,"file":"m.onnx"})");
}

}  // namespace
}  // namespace ashlar
