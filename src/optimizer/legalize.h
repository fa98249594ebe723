// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "graph/graph.h"

namespace ashlar::optimizer {

/// Whether some provider takes the node as it is.
using Taken = std::function<bool(const graph::Graph& graph, graph::NodeIndex node)>;

/// Told of each node that became its body: the node, and the nodes in its place.
using Expanded = std::function<void(const graph::Node& gone, std::span<const graph::Node> made)>;

/// How often a body's nodes are themselves replaced by bodies.
inline constexpr int kMaxExpansion = 16;

/// Replaces every node that the core does not run itself, that `taken` refuses and that ONNX defines as a function by the
/// function's body, in its newest form and with types inferred; then the same for the nodes that came of it, and in the bodies
/// of control flow. Values and nodes of a body are called `id/inner`; their origins are the replaced node's. A node without a
/// body stays, for placement to refuse. Bodies that change are copied first.
/// Throws Error (kInvalidModel) naming the node when its inputs contradict the body.
void legalize(graph::Graph& graph, const Taken& taken, const Expanded& expanded = nullptr);

}  // namespace ashlar::optimizer
