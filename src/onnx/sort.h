// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "onnx/proto.h"

namespace ashlar::onnx {

using Nodes = google::protobuf::RepeatedPtrField<proto::NodeProto>;

/// An order in which every node stands behind those whose outputs it uses, itself or in its bodies; the file's own where that is
/// one. Throws Error (kInvalidModel) naming the nodes of a cycle.
std::vector<int> execution_order(const Nodes& nodes);

/// "node 'name'", or "node Op#index" for one without.
std::string label(const proto::NodeProto& node, int index);

}  // namespace ashlar::onnx
