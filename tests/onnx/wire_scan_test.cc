// SPDX-License-Identifier: Apache-2.0
#include "onnx/wire_scan.h"

#include <random>

#include "model_text.h"

namespace ashlar::onnx {
namespace {

std::string scan(const std::string& bytes, Root root = Root::kModel) { return skeleton(std::as_bytes(std::span(bytes)), root); }

proto::ModelProto model_with_raw(std::size_t floats) {
  proto::ModelProto model =
      model_of(standard("g (float[" + std::to_string(floats) + "] x) => (float[" + std::to_string(floats) + "] y) { y = Add(x, w) }"));
  auto* w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(proto::TensorProto::FLOAT);
  w->add_dims(static_cast<std::int64_t>(floats));
  std::string raw(4 * floats, '\0');
  raw[0] = 'a';
  w->set_raw_data(raw);
  return model;
}

TEST(WireScan, TakesLargeRawDataOut) {
  const std::string bytes = model_with_raw(300).SerializeAsString();
  proto::ModelProto read;
  ASSERT_TRUE(read.ParseFromString(scan(bytes)));
  const auto& w = read.graph().initializer(0);
  EXPECT_FALSE(w.has_raw_data());
  ASSERT_EQ(w.external_data_size(), 1);
  const auto span = span_of(w.external_data(0).value());
  ASSERT_TRUE(span);
  EXPECT_EQ(span->length, 1200u);
  EXPECT_EQ(bytes[span->offset], 'a');
}

TEST(WireScan, LeavesSmallRawDataIn) {
  proto::ModelProto read;
  ASSERT_TRUE(read.ParseFromString(scan(model_with_raw(8).SerializeAsString())));
  EXPECT_EQ(read.graph().initializer(0).raw_data().size(), 32u);
}

TEST(WireScan, WeightsAreSpansOfTheFile) {
  const Imported m = import(model_with_raw(300));
  EXPECT_EQ(m.info.mapped_bytes, 1200u);
  EXPECT_TRUE(value(m.graph, "w").constant.read_only());
}

TEST(WireScan, EveryTruncationIsRefusedAndNamesTheByte) {
  const std::string bytes = model_with_raw(300).SerializeAsString();
  std::size_t imported = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    try {
      import_bytes(bytes.substr(0, size));
      ++imported;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidModel) << e.what();
    }
  }
  EXPECT_EQ(imported, 0u);
  const Error e = error_of([&] { import_bytes(bytes.substr(0, 900)); });
  EXPECT_NE(std::string(e.what()).find("truncated at byte 900"), std::string::npos) << e.what();
}

TEST(WireScan, RandomBytesAreRefused) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_THROW(import_bytes(bytes), Error);
  }
}

TEST(WireScan, FlippedBytesNeverDoWorseThanAnError) {
  const std::string bytes = model_with_raw(300).SerializeAsString();
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string flipped = bytes;
    for (int k = 0; k < 3; ++k) flipped[random() % 150] ^= static_cast<char>(1u << random() % 8);
    try {
      import_bytes(flipped);
    } catch (const Error&) {}
  }
}

TEST(WireScan, RefusesLocationsThatReadAsItsOwn) {
  proto::ModelProto model = model_with_raw(8);
  auto* w = model.mutable_graph()->mutable_initializer(0);
  w->clear_raw_data();
  w->set_data_location(proto::TensorProto::EXTERNAL);
  auto* entry = w->add_external_data();
  entry->set_key("location");
  entry->set_value(std::string(1, kSpanMark) + "0,32");
  expect_refused(model, ErrorCode::kInvalidModel, "control byte");
  entry->set_value(std::string(1, kTableMark) + "0");
  expect_refused(model, ErrorCode::kInvalidModel, "control byte");
}

TEST(WireScan, RefusesRawDataTwice) {
  proto::TensorProto tensor;
  tensor.set_raw_data(std::string(2000, 'x'));
  const std::string once = tensor.SerializeAsString();
  EXPECT_EQ(error_of([&] { scan(once + once, Root::kTensor); }).code(), ErrorCode::kInvalidModel);
}

TEST(WireScan, RefusesMessagesNestedTooDeep) {
  std::string bytes;
  for (int i = 0; i < 200; ++i) {
    std::string head;
    for (std::size_t n = bytes.size();; n >>= 7) {
      head += static_cast<char>(n >= 0x80 ? (n & 0x7f) | 0x80 : n);
      if (n < 0x80) break;
    }
    bytes = std::string(1, static_cast<char>(5 << 3 | 2)) + head + bytes;
  }
  const Error e = error_of([&] { scan(bytes, Root::kSequence); });
  EXPECT_NE(e.message().find("nested more than"), std::string::npos) << e.what();
}

TEST(WireScan, ReadsOnlyItsOwnSpans) {
  EXPECT_FALSE(span_of("weights.bin"));
  EXPECT_FALSE(span_of(std::string(1, kSpanMark) + "1"));
  EXPECT_FALSE(span_of(std::string(1, kSpanMark) + "1,2x"));
}

}  // namespace
}  // namespace ashlar::onnx
