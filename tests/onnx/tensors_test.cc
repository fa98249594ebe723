// SPDX-License-Identifier: Apache-2.0
#include "onnx/tensors.h"

#include <cstring>

#include "model_text.h"

namespace ashlar::onnx {
namespace {

using proto::TensorProto;

TensorReader reader() { return TensorReader({}, ExternalData({})); }

TensorProto tensor(TensorProto::DataType dtype, std::initializer_list<std::int64_t> dims) {
  TensorProto t;
  t.set_name("t");
  t.set_data_type(dtype);
  for (const std::int64_t d : dims) t.add_dims(d);
  return t;
}

std::string bytes_of(const Tensor& t) { return {static_cast<const char*>(t.raw()), t.bytes()}; }

void expect_refused_tensor(const TensorProto& t, ErrorCode code, const std::string& part) {
  const Error e = error_of([&] { reader().read(t, "t"); });
  EXPECT_EQ(e.code(), code) << e.what();
  EXPECT_NE(e.message().find(part), std::string::npos) << e.what();
  EXPECT_EQ(e.context().tensor, "t");
}

struct Int32Case {
  TensorProto::DataType dtype;
  std::int64_t count;
  std::vector<std::int32_t> entries;
  std::string bytes;
};

TEST(Tensors, DecodeInt32Data) {
  const Int32Case cases[] = {
      {TensorProto::INT32, 1, {-2}, std::string("\xfe\xff\xff\xff", 4)},
      {TensorProto::INT16, 2, {-2, 3}, std::string("\xfe\xff\x03\x00", 4)},
      {TensorProto::UINT8, 2, {200, 1}, "\xc8\x01"},
      {TensorProto::BOOL, 2, {7, 0}, std::string("\x01\x00", 2)},
      {TensorProto::FLOAT16, 1, {0x3c00}, std::string("\x00\x3c", 2)},
      {TensorProto::BFLOAT16, 1, {0x3f80}, "\x80\x3f"},
      {TensorProto::FLOAT8E5M2, 1, {0x3c}, "\x3c"},
      {TensorProto::UINT4, 3, {0x21, 0x03}, "\x21\x03"},
      {TensorProto::INT2, 5, {0x1b, 0x02}, "\x1b\x02"},
      {TensorProto::FLOAT6E2M3, 2, {0x3f, 0x01}, "\x3f\x01"},
      {TensorProto::FLOAT4E2M1, 2, {0x75}, "\x75"},
  };
  for (const Int32Case& c : cases) {
    TensorProto t = tensor(c.dtype, {c.count});
    t.mutable_int32_data()->Add(c.entries.begin(), c.entries.end());
    EXPECT_EQ(bytes_of(reader().read(t, "t")), c.bytes) << "dtype " << c.dtype;
    t.add_int32_data(0);
    expect_refused_tensor(t, ErrorCode::kInvalidModel, "data entries");
  }
}

TEST(Tensors, DecodeTheOtherFields) {
  TensorProto c = tensor(TensorProto::COMPLEX64, {2});
  for (const float v : {1.f, 2.f, 3.f, 4.f}) c.add_float_data(v);
  EXPECT_EQ(reader().read(c, "t").span<std::complex<float>>()[1], std::complex<float>(3, 4));
  TensorProto d = tensor(TensorProto::COMPLEX128, {1});
  for (const double v : {1., 2.}) d.add_double_data(v);
  EXPECT_EQ(reader().read(d, "t").span<std::complex<double>>()[0], std::complex<double>(1, 2));
  TensorProto u = tensor(TensorProto::UINT32, {1});
  u.add_uint64_data(0xfffffffe);
  EXPECT_EQ(reader().read(u, "t").span<std::uint32_t>()[0], 0xfffffffe);
  TensorProto i = tensor(TensorProto::INT64, {});
  i.add_int64_data(-5);
  EXPECT_EQ(reader().read(i, "t").span<std::int64_t>()[0], -5);
  TensorProto s = tensor(TensorProto::STRING, {2});
  s.add_string_data("one");
  s.add_string_data("two");
  EXPECT_EQ(reader().read(s, "t").span<std::string>()[1], "two");
}

TEST(Tensors, UnpackSixBitRawData) {
  TensorProto t = tensor(TensorProto::FLOAT6E3M2, {5});
  t.set_raw_data(std::string("\x41\x20\x0c\x05", 4));  // 1, 1, 2, 3, then 5
  EXPECT_EQ(bytes_of(reader().read(t, "t")), std::string("\x01\x01\x02\x03\x05"));
  EXPECT_EQ(to_proto(reader().read(t, "t")).raw_data(), t.raw_data());
}

TEST(Tensors, MakeBoolsZeroAndOne) {
  TensorProto t = tensor(TensorProto::BOOL, {3});
  t.set_raw_data(std::string("\x00\x02\x01", 3));
  EXPECT_EQ(bytes_of(reader().read(t, "t")), std::string("\x00\x01\x01", 3));
}

TEST(Tensors, RefuseSizesBeforeAllocating) {
  TensorProto huge = tensor(TensorProto::FLOAT, {1'000'000'000, 1'000'000});
  huge.set_raw_data("abcd");
  expect_refused_tensor(huge, ErrorCode::kInvalidModel, "has 4 bytes of data");
  expect_refused_tensor(tensor(TensorProto::FLOAT, {1'000'000'000'000}), ErrorCode::kInvalidModel, "has 0 data entries");
  expect_refused_tensor(tensor(TensorProto::FLOAT, {INT64_MAX, INT64_MAX}), ErrorCode::kInvalidModel, "more elements than any memory");
  expect_refused_tensor(tensor(TensorProto::FLOAT, {0, INT64_MAX, INT64_MAX}), ErrorCode::kInvalidModel, "more elements than any memory");
  expect_refused_tensor(tensor(TensorProto::FLOAT, {-1}), ErrorCode::kInvalidModel, "has the dimension -1");
}

TEST(Tensors, RefuseWhatIsNoTensor) {
  expect_refused_tensor(tensor(TensorProto::UNDEFINED, {}), ErrorCode::kInvalidModel, "unknown data type 0");
  TensorProto unknown = tensor(TensorProto::FLOAT, {});
  unknown.set_data_type(77);
  expect_refused_tensor(unknown, ErrorCode::kInvalidModel, "unknown data type 77");
  TensorProto deep = tensor(TensorProto::FLOAT, {});
  for (int i = 0; i < 17; ++i) deep.add_dims(1);
  expect_refused_tensor(deep, ErrorCode::kUnsupported, "17 dimensions");
  TensorProto both = tensor(TensorProto::FLOAT, {1});
  both.add_float_data(1);
  both.set_raw_data("abcd");
  expect_refused_tensor(both, ErrorCode::kInvalidModel, "more than one field");
  TensorProto strings = tensor(TensorProto::STRING, {1});
  strings.set_raw_data("abcd");
  expect_refused_tensor(strings, ErrorCode::kInvalidModel, "strings as raw data");
  TensorProto six = tensor(TensorProto::FLOAT6E2M3, {1});
  six.add_int32_data(64);
  expect_refused_tensor(six, ErrorCode::kInvalidModel, "6-bit element");
}

proto::SparseTensorProto sparse(std::initializer_list<std::int64_t> indices, std::initializer_list<std::int64_t> index_dims,
                                std::initializer_list<std::int64_t> dims) {
  proto::SparseTensorProto out;
  const auto& shape = index_dims;
  *out.mutable_values() = tensor(TensorProto::FLOAT, {*shape.begin()});
  for (std::int64_t i = 0; i < *shape.begin(); ++i) out.mutable_values()->add_float_data(static_cast<float>(i + 1));
  *out.mutable_indices() = tensor(TensorProto::INT64, index_dims);
  for (const std::int64_t i : indices) out.mutable_indices()->add_int64_data(i);
  for (const std::int64_t d : dims) out.add_dims(d);
  return out;
}

TEST(SparseTensors, BecomeDense) {
  const auto linear = sparse({1, 5}, {2}, {2, 3});
  const Tensor a = reader().read(linear, "t");
  const std::vector<float> expected{0, 1, 0, 0, 0, 2};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), a.data<float>()));
  const auto tuples = sparse({0, 1, 1, 2}, {2, 2}, {2, 3});
  const Tensor b = reader().read(tuples, "t");
  EXPECT_EQ(bytes_of(a), bytes_of(b));
}

TEST(SparseTensors, AreRefusedWhenTheirIndicesAreWrong) {
  const auto refused = [](const proto::SparseTensorProto& s, ErrorCode code, const std::string& part) {
    const Error e = error_of([&] { reader().read(s, "t"); });
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(e.message().find(part), std::string::npos) << e.what();
  };
  refused(sparse({5, 1}, {2}, {2, 3}), ErrorCode::kInvalidModel, "do not ascend");
  refused(sparse({1, 1}, {2}, {2, 3}), ErrorCode::kInvalidModel, "do not ascend");
  refused(sparse({1, 6}, {2}, {2, 3}), ErrorCode::kInvalidModel, "index 6 outside");
  refused(sparse({-1, 1}, {2}, {2, 3}), ErrorCode::kInvalidModel, "index -1 outside");
  refused(sparse({0, 3, 1, 0}, {2, 2}, {2, 3}), ErrorCode::kInvalidModel, "index 3 outside");
  refused(sparse({0, 1, 2}, {1, 3}, {2, 3}), ErrorCode::kInvalidModel, "indices have the shape");
  refused(sparse({1}, {1}, {1'000'000'000, 1'000}), ErrorCode::kUnsupported, "larger than");
}

TEST(SparseTensors, MayBeInitializersAndConstants) {
  proto::ModelProto model = model_of(standard("g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }"));
  *model.mutable_graph()->add_sparse_initializer() = sparse({1, 5}, {2}, {2, 3});
  model.mutable_graph()->mutable_sparse_initializer(0)->mutable_values()->set_name("w");
  EXPECT_EQ(value(import(model).graph, "w").constant.span<float>()[5], 2.0f);
  proto::ModelProto constant = model_of(standard("g () => (float[2, 3] y) { y = Constant() }"));
  auto* a = constant.mutable_graph()->mutable_node(0)->add_attribute();
  a->set_name("sparse_value");
  a->set_type(proto::AttributeProto::SPARSE_TENSOR);
  *a->mutable_sparse_tensor() = sparse({1, 5}, {2}, {2, 3});
  EXPECT_EQ(value(import(constant).graph, "y").constant.span<float>()[1], 1.0f);
}

}  // namespace
}  // namespace ashlar::onnx
