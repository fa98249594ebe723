// SPDX-License-Identifier: Apache-2.0
// Makes a failing case smaller by editing its list of choices: shorter lists have fewer nodes and dimensions, smaller numbers shorter
// dimensions, default attributes and simpler elements.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace ashlar::comparison {

/// A list that `fails` still accepts, greedily made shorter and then smaller; `fails` is asked at most `attempts` times. `normal` gives the
/// list that a generator really takes of one (used-up zeros added, the rest cut off, numbers within bounds).
std::vector<std::uint32_t> shrink(std::vector<std::uint32_t> choices, int attempts,
                                  const std::function<bool(const std::vector<std::uint32_t>&)>& fails,
                                  const std::function<std::vector<std::uint32_t>(const std::vector<std::uint32_t>&)>& normal);

}  // namespace ashlar::comparison
