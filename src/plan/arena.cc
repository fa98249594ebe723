// SPDX-License-Identifier: Apache-2.0
#include "plan/arena.h"

#include <algorithm>
#include <numeric>

namespace ashlar::plan {
namespace {

struct Gap {
  std::uint64_t offset, bytes;
};

/// Free space below `end`, in order of offset, no two gaps touching.
class Gaps {
 public:
  std::uint64_t take(std::uint64_t bytes) {
    auto best = gaps_.end();
    for (auto g = gaps_.begin(); g != gaps_.end(); ++g)
      if (g->bytes >= bytes && (best == gaps_.end() || g->bytes < best->bytes)) best = g;
    if (best == gaps_.end()) {
      // The arena grows; a gap at its end is part of what is needed.
      std::uint64_t offset = end_;
      if (!gaps_.empty() && gaps_.back().offset + gaps_.back().bytes == end_) {
        offset = gaps_.back().offset;
        gaps_.pop_back();
      }
      end_ = offset + bytes;
      return offset;
    }
    const std::uint64_t offset = best->offset;
    best->offset += bytes;
    best->bytes -= bytes;
    if (best->bytes == 0) gaps_.erase(best);
    return offset;
  }

  void give(std::uint64_t offset, std::uint64_t bytes) {
    auto next = std::upper_bound(gaps_.begin(), gaps_.end(), offset, [](std::uint64_t o, const Gap& g) { return o < g.offset; });
    if (next != gaps_.begin() && (next - 1)->offset + (next - 1)->bytes == offset) {
      --next;
      next->bytes += bytes;
    } else {
      next = gaps_.insert(next, {offset, bytes});
    }
    if (next + 1 != gaps_.end() && next->offset + next->bytes == (next + 1)->offset) {
      next->bytes += (next + 1)->bytes;
      gaps_.erase(next + 1);
    }
  }

  std::uint64_t end() const { return end_; }

 private:
  std::vector<Gap> gaps_;
  std::uint64_t end_ = 0;
};

}  // namespace

std::uint64_t place(std::vector<Block>& blocks, std::uint64_t alignment) {
  const auto rounded = [&](std::uint64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  std::vector<std::uint32_t> by_first(blocks.size());
  std::iota(by_first.begin(), by_first.end(), 0u);
  std::vector<std::uint32_t> by_last = by_first;
  std::stable_sort(by_first.begin(), by_first.end(), [&](auto a, auto b) {
    return blocks[a].first != blocks[b].first ? blocks[a].first < blocks[b].first : blocks[a].bytes > blocks[b].bytes;
  });
  std::stable_sort(by_last.begin(), by_last.end(), [&](auto a, auto b) { return blocks[a].last < blocks[b].last; });
  Gaps gaps;
  auto ending = by_last.begin();
  for (const std::uint32_t i : by_first) {
    Block& block = blocks[i];
    for (; ending != by_last.end() && blocks[*ending].last < block.first; ++ending)
      if (blocks[*ending].bytes > 0) gaps.give(blocks[*ending].offset, rounded(blocks[*ending].bytes));
    block.offset = block.bytes > 0 ? gaps.take(rounded(block.bytes)) : 0;
  }
  return gaps.end();
}

}  // namespace ashlar::plan
