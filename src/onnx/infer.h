// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "graph/graph.h"

namespace ashlar::onnx {

struct InferOptions {
  /// What contradicts a value's type is an error; otherwise the newly inferred shape replaces it (a dtype never).
  bool strict = false;
  /// Inputs that have a constant are taken to have that value, not only to default to it.
  bool inputs_are_constant = false;
};

/// infer() of onnx.h, under options.
std::vector<ValueType> infer(const graph::Graph& graph, const graph::Node& node, const InferOptions& options);

/// Infers every node in order, bodies included, and adds what is found to the values' types. Throws Error (kInvalidModel) naming
/// the node or value.
void infer_graph(graph::Graph& graph, const InferOptions& options);

/// Adds an inferred type to a value's.
void add_type(graph::Value& value, const ValueType& inferred, const InferOptions& options);

}  // namespace ashlar::onnx
