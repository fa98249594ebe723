// SPDX-License-Identifier: Apache-2.0
// Constants that the optimizer computes: run once on the session's providers, and their place in the model's weight store.
#pragma once

#include <memory>
#include <unordered_set>
#include <vector>

#include "partition/partition.h"
#include "partition/weights.h"
#include "plan/topology.h"

namespace ashlar::session {

/// The addresses of a graph's constants, bodies included.
std::unordered_set<const void*> constant_addresses(const graph::Graph& graph);

/// Runs a graph that has no inputs and gives its outputs in memory of their own. What the store keeps of constants that are not in `lasting` is given
/// up again. Throws what preparing or running throws.
std::vector<Tensor> evaluate(const graph::Graph& graph, const partition::Providers& providers,
                             std::shared_ptr<const plan::Topology> topology, partition::WeightStore& weights,
                             const std::unordered_set<const void*>& lasting);

/// Gives up what the store keeps of the graph's constants that are not in `lasting`.
void forget_constants(const graph::Graph& graph, partition::WeightStore& weights, const std::unordered_set<const void*>& lasting);

}  // namespace ashlar::session
