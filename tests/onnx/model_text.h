// SPDX-License-Identifier: Apache-2.0
// Models for the importer's tests, written in ONNX's text syntax.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <ashlar/error.h>
#include <gtest/gtest.h>
#include <onnx/defs/parser.h>

#include "onnx/onnx.h"
#include "onnx/proto.h"

namespace ashlar::onnx {

inline proto::ModelProto model_of(const std::string& text) {
  proto::ModelProto model;
  proto::OnnxParser parser(text.c_str());
  const auto status = parser.Parse(model);
  EXPECT_TRUE(status.IsOK()) << status.ErrorMessage();
  return model;
}

inline Imported import_bytes(std::string bytes, const std::filesystem::path& directory = {}) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return parse(std::as_bytes(std::span(*owner)), owner, directory, "test.onnx");
}

inline Imported import(const proto::ModelProto& model, const std::filesystem::path& directory = {}) {
  return import_bytes(model.SerializeAsString(), directory);
}

inline Imported import(const std::string& text) { return import(model_of(text)); }

/// A graph in a model of IR version 8 and the given opset.
inline std::string standard(const std::string& graph, int opset = 18) {
  return "<ir_version: 8, opset_import: [\"\" : " + std::to_string(opset) + "]>\n" + graph;
}

/// The Error that `f` throws; fails the test when it throws none.
template <class F> Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::kInternal, "nothing was thrown");
}

inline void expect_refused(const proto::ModelProto& model, ErrorCode code, const std::string& part) {
  const Error e = error_of([&] { import(model); });
  EXPECT_EQ(e.code(), code) << e.what();
  EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  EXPECT_EQ(e.context().file, "test.onnx") << e.what();
}

inline void expect_refused(const std::string& text, ErrorCode code, const std::string& part) { expect_refused(model_of(text), code, part); }

inline const graph::Value& value(const graph::Graph& graph, const std::string& name) {
  for (const graph::Value& v : graph.values)
    if (v.name == name) return v;
  ADD_FAILURE() << "there is no value " << name;
  static const graph::Value none;
  return none;
}

inline std::vector<std::string> ids(const graph::Graph& graph) {
  std::vector<std::string> out;
  for (const graph::Node& n : graph.nodes) out.push_back(n.id);
  return out;
}

using Ids = std::vector<std::string>;

}  // namespace ashlar::onnx
