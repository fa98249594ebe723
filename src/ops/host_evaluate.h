// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ashlar/tensor.h>

#include "graph/graph.h"

namespace ashlar::ops {

/// The most elements that a result of host_evaluate, or an operand whose elements it walks, may have.
inline constexpr std::int64_t kHostEvaluateLimit = 65536;

/// Whether host_evaluate knows the operator in the form and version the node has.
bool host_evaluable(const graph::Node& node);
/// Whether it knows elements of this dtype: bool, uint8, int32, int64, float32 and float64.
bool host_evaluable(DType dtype);
/// Shape and Size, which do not read their input's elements.
bool reads_shape_only(const graph::Node& node);

/// The outputs of a node that host_evaluable() takes, as ONNX defines them: integers wrap, integer division truncates, floats round
/// to their dtype after each operator. `inputs` and `input_shapes` stand in the order of the node's inputs; an input that is left
/// out is null, and so may every input of Shape and Size be, which read `input_shapes` alone; all others read `inputs` alone.
/// Elements need not be aligned. Results own their storage.
///
/// Throws Error without the node, which the caller adds: kRuntime where the values make the operator impossible (a division of an
/// integer by zero, an index out of range, shapes that do not fit, more than kHostEvaluateLimit elements), kInvalidModel for an
/// input that is missing or of a dtype the operator does not take, kUnsupported for an operator or dtype that is not known.
std::vector<Tensor> host_evaluate(const graph::Node& node, std::span<const Tensor* const> inputs, std::span<const Shape> input_shapes);

}  // namespace ashlar::ops
