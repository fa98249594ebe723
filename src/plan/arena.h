// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace ashlar::plan {

/// A piece of an arena, needed during the steps [first, last].
struct Block {
  std::uint64_t bytes = 0;
  std::uint32_t first = 0, last = 0;
  std::uint64_t offset = 0;  ///< the answer, a multiple of the alignment
};

/// Places blocks so that those needed during the same step do not overlap, each in the tightest gap that is free when it is first
/// needed. Returns the arena's bytes. Deterministic.
std::uint64_t place(std::vector<Block>& blocks, std::uint64_t alignment = 64);

}  // namespace ashlar::plan
