// SPDX-License-Identifier: Apache-2.0
// What the stages above need to know of operators without knowing any operator.
#pragma once

#include "graph/graph.h"

namespace ashlar::ops {

/// Whether the core runs the operator itself, so that no provider is asked: control flow, and what makes or takes apart
/// sequences, optionals and maps.
bool is_core_operator(const graph::Node& node);

/// The same, and also for an operator that is the core's only on values that are no tensors (Identity).
bool is_core_operator(const graph::Graph& graph, const graph::Node& node);

}  // namespace ashlar::ops
