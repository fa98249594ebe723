// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "model_text.h"

namespace ashlar::onnx {
namespace {

namespace fs = std::filesystem;

/// A fresh directory for each test.
class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "ashlar_files_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    fs::create_directory(directory_ / "model");
    write("weights.bin", std::string(16, 'w'));
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(model_directory() / name, std::ios::binary) << bytes;
  }
  fs::path model_directory() const { return directory_ / "model"; }

  /// A model whose initializer 'w' lies at `location`.
  fs::path model(const std::string& location, const std::string& offset = "", const std::string& length = "") const {
    proto::ModelProto m = model_of(standard("g (float[4] x) => (float[4] y) { y = Add(x, w) }"));
    auto* w = m.mutable_graph()->add_initializer();
    w->set_name("w");
    w->set_data_type(proto::TensorProto::FLOAT);
    w->add_dims(4);
    w->set_data_location(proto::TensorProto::EXTERNAL);
    const auto put = [&](const std::string& key, const std::string& text) {
      if (text.empty()) return;
      auto* entry = w->add_external_data();
      entry->set_key(key);
      entry->set_value(text);
    };
    put("location", location);
    put("offset", offset);
    put("length", length);
    write("m.onnx", m.SerializeAsString());
    return model_directory() / "m.onnx";
  }
  void expect(const fs::path& file, ErrorCode code, const std::string& part) const {
    const Error e = error_of([&] { load(file); });
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    EXPECT_EQ(e.context().file, file.string()) << e.what();
  }

  fs::path directory_;
};

TEST_F(Files, MissingDirectoriesAndEmptyOnesAreToldApart) {
  expect(model_directory() / "none.onnx", ErrorCode::kNotFound, "no such file");
  expect(model_directory(), ErrorCode::kIo, "directory");
  write("empty.onnx", "");
  expect(model_directory() / "empty.onnx", ErrorCode::kInvalidModel, "is empty");
  write("text.onnx", "hello, this is no model\n");
  expect(model_directory() / "text.onnx", ErrorCode::kInvalidModel, "not an ONNX model");
  ASSERT_EQ(mkfifo((model_directory() / "pipe.onnx").c_str(), 0600), 0);
  expect(model_directory() / "pipe.onnx", ErrorCode::kIo, "not a regular file");
}

TEST_F(Files, ExternalDataIsMapped) {
  const Imported m = load(model("weights.bin", "0", "16"));
  EXPECT_EQ(m.info.mapped_bytes, 16u);
  EXPECT_EQ(static_cast<const char*>(value(m.graph, "w").constant.raw())[15], 'w');
}

TEST_F(Files, ExternalDataMayLieBelowAndAtAnOffset) {
  fs::create_directory(model_directory() / "sub");
  write("sub/w.bin", "__" + std::string(16, 'z'));
  EXPECT_EQ(static_cast<const char*>(value(load(model("sub/./w.bin", "2")).graph, "w").constant.raw())[0], 'z');
}

TEST_F(Files, TheModelItselfMayBeASymbolicLink) {
  const fs::path file = model("weights.bin");
  fs::create_symlink(file, directory_ / "link.onnx");
  fs::copy_file(model_directory() / "weights.bin", directory_ / "weights.bin");
  EXPECT_EQ(load(directory_ / "link.onnx").info.mapped_bytes, 16u);
}

TEST_F(Files, ExternalDataOutsideIsRefused) {
  write("../outside.bin", std::string(16, 'o'));
  fs::create_directory_symlink(directory_, model_directory() / "up");
  fs::create_symlink(directory_ / "outside.bin", model_directory() / "link.bin");
  fs::create_hard_link(directory_ / "outside.bin", model_directory() / "hard.bin");
  fs::create_symlink(model_directory() / "weights.bin", model_directory() / "inside_link.bin");
  ASSERT_EQ(mkfifo((model_directory() / "pipe").c_str(), 0600), 0);
  const auto refused = [&](const std::string& location, const std::string& part) {
    expect(model(location), ErrorCode::kInvalidModel, part);
  };
  refused("../outside.bin", "leaves the model's directory");
  refused("sub/../../outside.bin", "leaves the model's directory");
  refused((directory_ / "outside.bin").string(), "absolute path");
  refused("up/outside.bin", "symbolic link");
  refused("link.bin", "symbolic link");
  refused("inside_link.bin", "symbolic link");
  refused("hard.bin", "hard links");
  refused("pipe", "not a regular file");
  refused(".", "not a regular file");
  refused(std::string("weights.bin\0x", 13), "not a path");
}

TEST_F(Files, ExternalDataThatDoesNotFitIsRefused) {
  expect(model("none.bin"), ErrorCode::kNotFound, "tensor 'w' is stored in 'none.bin', which does not exist");
  expect(model("weights.bin", "4"), ErrorCode::kInvalidModel, "too short");
  expect(model("weights.bin", "18446744073709551615"), ErrorCode::kInvalidModel, "too short");
  expect(model("weights.bin", "18446744073709551616"), ErrorCode::kInvalidModel, "no number");
  expect(model("weights.bin", "-4"), ErrorCode::kInvalidModel, "no number");
  expect(model("weights.bin", "0", "12"), ErrorCode::kInvalidModel, "need 16");
  expect(model("weights.bin", "0", "16x"), ErrorCode::kInvalidModel, "no number");
  expect(model(""), ErrorCode::kInvalidModel, "not a path");
}

TEST_F(Files, ExternalDataNeedsADirectory) {
  proto::ModelProto m;
  std::ifstream in(model("weights.bin"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(error_of([&] { import_bytes(bytes); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(import_bytes(bytes, model_directory()).info.mapped_bytes, 16u);
}

ValueType tensor_type(DType dtype) {
  ValueType t;
  t.dtype = dtype;
  return t;
}

ValueType around(ValueType::Kind kind, ValueType element) {
  ValueType t;
  t.kind = kind;
  t.dtype = element.dtype;
  t.key = DType::kInt64;
  t.element = std::make_shared<ValueType>(std::move(element));
  return t;
}

class Values : public Files {
 protected:
  Value round_trip(const Value& value, const ValueType& type) const {
    write_value(directory_ / "value.pb", value, "v");
    return read_value(directory_ / "value.pb", type);
  }
};

TEST_F(Values, TensorsOfEveryDtypeSurvive) {
  for (int i = 1; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    Tensor t = Tensor::zeros(dtype, {5});
    if (dtype == DType::kString) t.mutable_data<std::string>()[4] = "last";
    else static_cast<char*>(t.mutable_raw())[0] = 1;
    const Value back = round_trip(t, tensor_type(dtype));
    EXPECT_EQ(back.tensor().type_string(), t.type_string());
    if (dtype == DType::kString) EXPECT_EQ(back.tensor().data<std::string>()[4], "last");
    else
      EXPECT_EQ(std::string(static_cast<const char*>(back.tensor().raw()), t.bytes()),
                std::string(static_cast<const char*>(t.raw()), t.bytes()));
  }
}

TEST_F(Values, LargeTensorsAreOwned) {
  Tensor t = Tensor::zeros(DType::kFloat32, {1000});
  t.mutable_data<float>()[999] = 4;
  const Value back = round_trip(t, tensor_type(DType::kFloat32));
  EXPECT_FALSE(back.tensor().read_only());
  EXPECT_EQ(back.tensor().data<float>()[999], 4.0f);
}

TEST_F(Values, ContainersSurvive) {
  const ValueType element = tensor_type(DType::kFloat32);
  const Tensor t = Tensor::of<float>({2}, {1, 2});
  const Value sequence = round_trip(Sequence{DType::kFloat32, {t, t}}, around(ValueType::Kind::kSequence, element));
  EXPECT_EQ(sequence.sequence().elements.at(1).tensor().data<float>()[1], 2.0f);
  const Value empty = round_trip(Sequence{DType::kFloat32, {}}, around(ValueType::Kind::kSequence, element));
  EXPECT_EQ(empty.sequence().element_dtype, DType::kFloat32);
  const Value absent = round_trip(Optional{}, around(ValueType::Kind::kOptional, element));
  EXPECT_EQ(absent.optional().value, nullptr);
  const Value present = round_trip(Optional{std::make_shared<Value>(t)}, around(ValueType::Kind::kOptional, element));
  EXPECT_EQ(present.optional().value->tensor().data<float>()[0], 1.0f);
  const Value map = round_trip(Map{Tensor::of<std::int64_t>({2}, {7, 8}), {t, t}}, around(ValueType::Kind::kMap, element));
  EXPECT_EQ(map.map().keys.data<std::int64_t>()[1], 8);
  EXPECT_EQ(map.map().values.size(), 2u);
}

TEST_F(Values, WhatIsNoneIsRefused) {
  const auto code = [&](const fs::path& file) { return error_of([&] { read_value(file, tensor_type(DType::kFloat32)); }).code(); };
  EXPECT_EQ(code(directory_ / "none.pb"), ErrorCode::kNotFound);
  write("bad.pb", "not a tensor at all");
  EXPECT_EQ(code(model_directory() / "bad.pb"), ErrorCode::kInvalidArgument);
  write("empty.pb", "");
  EXPECT_EQ(code(model_directory() / "empty.pb"), ErrorCode::kInvalidArgument);
  write_value(directory_ / "int.pb", Tensor::scalar<std::int32_t>(1), "v");
  EXPECT_EQ(code(directory_ / "int.pb"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { write_value(directory_ / "no" / "such.pb", Tensor::scalar(1.f), "v"); }).code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace ashlar::onnx
