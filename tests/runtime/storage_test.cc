// SPDX-License-Identifier: Apache-2.0
#include "runtime/storage.h"

#include <gtest/gtest.h>

namespace ashlar::runtime {
namespace {

// Space 0 is the host's, space 1 that of a device whose queues are lanes 1 and 2.
plan::Topology with_a_device_space() {
  plan::Topology t;
  t.spaces.push_back({.device = plan::kNoDevice, .number = 0, .name = "device", .lanes = {1, 2}});
  return t;
}

TEST(Storage, ValuesThatDoNotMeetShareTheArena) {
  const plan::Topology t;
  Storage s;
  s.reset(t, nullptr, 10);
  const auto a = s.add(0, 100, 10, 11, false), b = s.add(0, 100, 11, 12, false), c = s.add(0, 100, 12, 12, false);
  s.lay_out();
  EXPECT_EQ(s.arena_bytes()[0], 256u);
  EXPECT_EQ(s.info(s.group(a)).offset, s.info(s.group(c)).offset);
  EXPECT_NE(s.info(s.group(a)).offset, s.info(s.group(b)).offset);
}

TEST(Storage, AnOutputReplacesAnInputThatIsReadNoMore) {
  const plan::Topology t;
  Storage s;
  s.reset(t, nullptr, 0);
  const auto a = s.add(0, 64, 0, 2, false);
  EXPECT_FALSE(s.may_replace(a, 1));
  EXPECT_TRUE(s.may_replace(a, 2));
  s.view(a, 0, 32, 1, 3, false);
  EXPECT_FALSE(s.may_replace(a, 2)) << "a view of it is read later";
}

TEST(Storage, InputsMoveIntoWhatTheyArePartOf) {
  const plan::Topology t;
  Storage s;
  s.reset(t, nullptr, 0);
  const auto a = s.add(0, 64, 0, 2, false), b = s.add(0, 64, 1, 2, false), whole = s.add(0, 128, 2, 3, false);
  EXPECT_TRUE(s.absorb(whole, 0, a));
  EXPECT_TRUE(s.absorb(whole, 64, b));
  EXPECT_FALSE(s.absorb(whole, 128, s.add(0, 64, 1, 2, false))) << "beyond its end";
  s.lay_out();
  EXPECT_EQ(s.group(a), s.group(whole));
  EXPECT_EQ(s.offset(b), 64u);
}

TEST(Storage, WhatOutlivesTheRegionIsInNoArena) {
  const plan::Topology t;
  Storage s;
  s.reset(t, nullptr, 0);
  const auto a = s.add(0, 64, 0, 1, true);
  s.lay_out();
  EXPECT_EQ(s.arena_bytes()[0], 0u);
  EXPECT_EQ(s.pooled_count(), 1u);
  EXPECT_TRUE(s.info(s.group(a)).outlives);
}

TEST(Storage, SpacesHaveArenasOfTheirOwn) {
  plan::Topology t = with_a_device_space();
  Storage s;
  s.reset(t, nullptr, 0);
  const auto host = s.add(0, 64, 0, 1, false), device = s.add(1, 128, 0, 1, false);
  EXPECT_FALSE(s.absorb(device, 0, host));
  s.lay_out();
  EXPECT_EQ(s.arena_bytes()[0], 64u);
  EXPECT_EQ(s.arena_bytes()[1], 128u);
}

TEST(Storage, MemoryThatAQueueMayStillReadIsNotGivenAway) {
  plan::Topology t = with_a_device_space();
  plan::Ordering order({0, 1, 1});
  const std::uint32_t first[] = {0};
  order.add(1, {});     // 0 writes a
  order.add(2, first);  // 1 reads a on the other queue
  order.add(1, {});     // 2 knows nothing of step 1
  Storage s;
  s.reset(t, &order, 0);
  const auto a = s.add(1, 64, 0, 1, false);
  s.touch(a, 0);
  s.touch(a, 1);
  const auto b = s.add(1, 64, 2, 2, false);
  s.touch(b, 2);
  EXPECT_FALSE(s.may_replace(a, 2));
  s.lay_out();
  EXPECT_NE(s.info(s.group(a)).offset, s.info(s.group(b)).offset);
}

}  // namespace
}  // namespace ashlar::runtime
