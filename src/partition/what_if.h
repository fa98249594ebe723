// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ashlar/placement.h>

#include "partition/partition.h"

namespace ashlar::partition {

/// For every kernel that a provider lacks (an operator it refuses for one reason), what the placement would be with it: the graph is placed again
/// with those verdicts turned. Those come that take copies or time away, the most time first. `single`: each node by itself.
std::vector<WhatIf> what_if(const PartitionedGraph& graph, const Providers& providers, const Request& request, bool single = false);

}  // namespace ashlar::partition
