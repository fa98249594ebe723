// SPDX-License-Identifier: Apache-2.0
// Models for tests, in ONNX's text syntax (onnx/defs/parser.h).
#pragma once

#include <stdexcept>
#include <string>

#include <ashlar/ashlar.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

namespace ashlar::testing {

/// The file's bytes of a model written as `<ir_version: 8, opset_import: ["": 17]> name (float[N] x) => (float[N] y) { y = Abs(x) }`.
inline std::string model_bytes(const char* text) {
  ::onnx::ModelProto proto;
  const auto status = ::onnx::OnnxParser::Parse(proto, text);
  if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  return proto.SerializeAsString();
}

inline Model parse_bytes(const std::string& bytes, const std::filesystem::path& directory = {}) {
  return Model::parse(std::as_bytes(std::span(bytes)), directory);
}

inline Model text_model(const char* text) { return parse_bytes(model_bytes(text)); }

/// The Error that `body` throws; fails the test when it throws none.
template <class Body> Error error_of(Body body) {
  try {
    body();
  } catch (const Error& e) {
    return e;
  }
  throw std::runtime_error("no Error was thrown");
}

}  // namespace ashlar::testing
