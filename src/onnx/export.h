// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <unordered_map>

#include "graph/graph.h"
#include "onnx/proto.h"
#include "onnx/tensors.h"

namespace ashlar::onnx {

/// The names that values of a graph have in messages.
using ValueNames = std::unordered_map<graph::ValueId, std::string>;

/// A body as a message, for the function bodies that ONNX builds around one. Tensors are references of `tensors`, a node's version
/// stands in its overload behind kTableMark, captured values have the names `outer` gives them, and all others names that are C
/// identifiers, as ONNX's builders need, and unique by `next_name`, which is counted up.
proto::GraphProto to_proto(const graph::Graph& body, const ValueNames& outer, int& next_name, TensorReader& tensors);

/// An attribute of a node in such a message, or of the node that holds one.
proto::AttributeProto to_proto(const std::string& name, const graph::Attribute& value, const ValueNames& outer, int& next_name,
                               TensorReader& tensors);

}  // namespace ashlar::onnx
