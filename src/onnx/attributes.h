// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "graph/graph.h"
#include "onnx/proto.h"
#include "onnx/tensors.h"

namespace ashlar::onnx {

/// The attribute's type; where it is not set, as in the earliest files, by the field that is.
proto::AttributeProto::AttributeType type_of(const proto::AttributeProto& attribute);

/// The attribute's value; sparse tensors become dense. Graphs are the importer's, not taken here. Throws Error: kInvalidModel for
/// an attribute without type, kUnsupported for lists of graphs, sparse tensors or types, and what TensorReader throws.
graph::Attribute to_attribute(const proto::AttributeProto& attribute, TensorReader& tensors);

/// What ONNX calls the type of our value.
proto::AttributeProto::AttributeType type_of(const graph::Attribute& value);

/// The inverse. A tensor's elements are left out when it has more than `most_elements`; a graph becomes its inputs and outputs.
proto::AttributeProto to_proto(const std::string& name, const graph::Attribute& value, std::int64_t most_elements);

}  // namespace ashlar::onnx
