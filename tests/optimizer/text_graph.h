// SPDX-License-Identifier: Apache-2.0
// Graphs for tests of passes, in ONNX's text syntax.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "onnx/onnx.h"
#include "ops/canonicalize.h"
#include "tests/support/text_model.h"

namespace ashlar::testing {

/// The model's graph as it is imported.
inline graph::Graph imported_graph(const std::string& model) {
  const auto bytes = std::make_shared<const std::string>(model_bytes(model.c_str()));
  return onnx::parse(std::as_bytes(std::span(*bytes)), bytes, {}, "test").graph;
}

/// A graph, "g (float[N] x) => (float[N] y) { y = Abs(x) }", in canonical form.
inline graph::Graph canonical_graph(const std::string& graph) {
  graph::Graph out = imported_graph("<ir_version: 13, opset_import: [\"\": 26]>\n" + graph);
  ops::canonicalize(out);
  return out;
}

}  // namespace ashlar::testing
