// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ashlar/placement.h>

#include "partition/report.h"
#include "plan/plan.h"

namespace ashlar::plan {

/// Every copy between memory spaces that the plan and its bodies make, in the order of SlotInfo::copy, each with its readers and the verdict that
/// forced it.
std::vector<BoundaryCopy> ledger(const Plan& plan, const partition::PartitionedGraph& graph, const partition::Providers& providers,
                                 const partition::Request& request);

}  // namespace ashlar::plan
