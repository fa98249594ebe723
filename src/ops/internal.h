// SPDX-License-Identifier: Apache-2.0
// Operators of the domain "ashlar": what passes make of several ONNX operators, each with an exact expansion back. No file may contain them.
//
//   Linear(X, W, B?) {transB = 0}                       Y = X W + B, W of rank 2 ([N, K] with transB), B of rank 1
//   SkipLayerNormalization(X, Skip, Scale, Bias?) {epsilon}     Sum = X + Skip of one shape; Y = LayerNormalization(Sum) over the last axis -> Y, Sum
//   SkipRMSNormalization(X, Skip, Scale) {epsilon}      the same with RMSNormalization
//   ScaledMaskedSoftmax(X, Mask?) {scale = 1}           Softmax(X * scale + Mask) over the last axis, Mask broadcast to X's shape
#pragma once

#include <optional>
#include <string_view>

#include "graph/graph.h"

namespace ashlar::ops {

inline constexpr std::string_view kInternalDomain = "ashlar";
inline constexpr int kInternalVersion = 1;

/// Whether the operator is one of those.
bool is_internal(const graph::Node& node);

/// Fills in the attributes that have defaults.
void fill_internal_defaults(graph::Node& node);

/// The body of ONNX operators that the node is short for: inputs and outputs in the order of the node's, absent ones left out of both. Types inside
/// are not inferred. Nothing for another operator.
std::optional<graph::Graph> internal_body(const graph::Graph& graph, const graph::Node& node);

}  // namespace ashlar::ops
