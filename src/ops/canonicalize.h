// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "graph/graph.h"

namespace ashlar::ops {

/// Brings every node, bodies included, to the newest form of its operator that ONNX has, with the same meaning: what was an
/// attribute and is an input now becomes a constant; an operator that was replaced becomes its successor; where one node is not
/// enough, others are put around it (their ids are `id/suffix`, their origins the node's). Attributes that the newest form has
/// defaults for are filled in. `version` follows the form, `original_version` stays.
///
/// A node keeps its form and version where no exact rewrite exists (Scan of version 8; Softmax, LogSoftmax and Hardmax below 13
/// over more than the last axis), where a rank or dtype that the rewrite needs is unknown, and where ONNX does not know it.
/// Bodies that change are copied first, so graphs that share them with this one are not touched.
/// Throws Error (kInvalidModel) naming the node for attributes that no version of the operator could have.
void canonicalize(graph::Graph& graph);

/// Whether an operator of this version needs more than a new version number and default attributes.
bool has_rewrite(const std::string& op, const std::string& domain, int version);

}  // namespace ashlar::ops
