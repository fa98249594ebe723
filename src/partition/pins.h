// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/partition.h"

namespace ashlar::partition {

/// Whether the text is the pattern, in which '*' stands for any characters and '?' for one.
bool matches(std::string_view pattern, std::string_view text) noexcept;

/// Turns every other provider's verdict on a pinned node into a refusal (user_pin). What the core does itself is pinned nowhere. Throws Error:
/// kNotFound for a pattern that matches no node and for a name that is no provider's; kUnsupported with the list of pinned nodes that
/// their provider refuses, its code and sentence.
void apply_pins(PartitionedGraph& graph, const Providers& providers, const std::vector<std::pair<std::string, std::string>>& pins);

}  // namespace ashlar::partition
