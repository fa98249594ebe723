// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace ashlar::ops {

/// The most elements of a constant, or of a result whose size is fixed, that host_nodes takes.
inline constexpr std::int64_t kHostValueLimit = 4096;

/// The inputs of a node whose elements give shapes, positions, trip counts or conditions and nothing else, one bit each; kernels read them in
/// host memory.
std::uint32_t shape_inputs(const graph::Node& node);

/// For each node of a canonical, verified graph with inferred types, 1 when the core evaluates it on the host (host_evaluate) while
/// it binds, so that no provider is asked. That is every Shape and Size, and every node for which both hold:
/// - host_evaluable() takes it, it has inputs, these are constants or results of such nodes, and its results have a known rank of
///   at most 1 and dtypes that host_evaluable() takes. An initializer that an input of the graph may replace is no constant.
/// - a result gives a shape, an axis, a trip count, a condition or the like: directly, through other such nodes, or to a body that
///   captures it. A captured result counts only when its size is fixed, so that no large value is made on the host unasked.
/// Results may feed ordinary inputs too. Bodies are graphs of their own; in them, what is captured is no constant.
std::vector<char> host_nodes(const graph::Graph& graph);

}  // namespace ashlar::ops
