// SPDX-License-Identifier: Apache-2.0
#include "plan/arena.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace ashlar::plan {
namespace {

TEST(Arena, ReusesWhatIsNeededNoMore) {
  std::vector<Block> chain = {{1000, 0, 1, 0}, {1000, 1, 2, 0}, {1000, 2, 3, 0}, {1000, 3, 4, 0}};
  EXPECT_EQ(place(chain), 2048u);
  EXPECT_EQ(chain[2].offset, chain[0].offset);
}

TEST(Arena, GivesNothingToEmptyBlocks) {
  std::vector<Block> blocks = {{0, 0, 9, 0}, {64, 0, 9, 0}};
  EXPECT_EQ(place(blocks), 64u);
}

TEST(Arena, KeepsApartWhatIsNeededTogether) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks(1 + random() % 60);
    for (Block& b : blocks) {
      b.bytes = random() % 5 ? random() % 5000 : 0;
      b.first = random() % 40;
      b.last = b.first + random() % 10;
    }
    const std::uint64_t bytes = place(blocks);
    for (const Block& a : blocks) {
      EXPECT_EQ(a.offset % 64, 0u);
      EXPECT_LE(a.offset + a.bytes, bytes);
      for (const Block& b : blocks) {
        const bool together = &a != &b && a.first <= b.last && b.first <= a.last;
        if (!together || a.bytes == 0 || b.bytes == 0) continue;
        ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
      }
    }
  }
}

}  // namespace
}  // namespace ashlar::plan
