// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <ashlar/provider/table_provider.h>

#include "fusion.h"

namespace ashlar::cpu {

/// Steps by the last node they compute.
using OrderedSteps = std::vector<std::pair<std::uint32_t, provider::KernelStep>>;

/// Makes one step of element-wise steps that feed each other and nothing else, where all their results have one shape, and of a reduction of
/// rows behind them.
void merge_regions(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, OrderedSteps& steps);

}  // namespace ashlar::cpu
