// SPDX-License-Identifier: Apache-2.0
#include "plan/ordering.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ashlar::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Lanes: 0 the calling thread, 1 and 2 queues of one device, 3 a queue of another.
Ordering lanes() { return Ordering({0, 1, 1, 2}); }

Ordering::Waits add(Ordering& o, std::uint32_t lane, std::vector<std::uint32_t> after = {}) { return o.add(lane, after); }

TEST(Ordering, TheCallingThreadWaitsForAQueueOnce) {
  Ordering o = lanes();
  add(o, 1);
  add(o, 1, {0});
  EXPECT_THAT(add(o, 0, {1}).host, ElementsAre(1));
  EXPECT_THAT(add(o, 0, {0}).host, IsEmpty()) << "what a queue did earlier is done too";
  EXPECT_THAT(o.finish(), IsEmpty());
}

TEST(Ordering, AQueueNeedNotWaitForTheCallingThreadNorForItself) {
  Ordering o = lanes();
  add(o, 0);
  const auto waits = add(o, 1, {0});
  EXPECT_THAT(waits.host, IsEmpty());
  EXPECT_THAT(waits.lane, IsEmpty());
  EXPECT_THAT(add(o, 1, {1}).lane, IsEmpty());
}

TEST(Ordering, QueuesOfOneDeviceWaitForEachOther) {
  Ordering o = lanes();
  add(o, 2);
  const auto waits = add(o, 1, {0});
  EXPECT_THAT(waits.lane, ElementsAre(0));
  EXPECT_THAT(waits.host, IsEmpty());
  EXPECT_THAT(add(o, 1, {0}).lane, IsEmpty()) << "the queue has waited already";
  EXPECT_THAT(o.finish(), ElementsAre(2)) << "which tells that step 0 is done";
}

TEST(Ordering, BetweenDevicesTheCallingThreadWaits) {
  Ordering o = lanes();
  add(o, 1);
  const auto waits = add(o, 3, {0});
  EXPECT_THAT(waits.lane, IsEmpty());
  EXPECT_THAT(waits.host, ElementsAre(0));
  EXPECT_TRUE(o.before(0, 1));
}

TEST(Ordering, WaitingForTheNewestIsEnough) {
  Ordering o = lanes();
  add(o, 2);
  add(o, 1, {0});
  EXPECT_THAT(add(o, 0, {0, 1}).host, ElementsAre(1));
}

TEST(Ordering, FinishWaitsForTheLastOfEveryQueue) {
  Ordering o = lanes();
  add(o, 1);
  add(o, 2);
  add(o, 1);
  EXPECT_THAT(o.finish(), ElementsAre(2, 1));
}

TEST(Ordering, MemoryStaysTakenWhileAnotherLaneMayBeAtWork) {
  Ordering o = lanes();
  add(o, 1);       // 0 reads the memory
  add(o, 0);       // 1 runs beside it
  add(o, 0);       // 2 too
  add(o, 0, {0});  // 3 waited for it
  add(o, 0);       // 4
  const std::uint32_t host[] = {0}, queue[] = {1};
  EXPECT_EQ(o.last_beside(0, host), 2u);
  EXPECT_EQ(o.last_beside(0, queue), 0u) << "its own queue is in order";
  EXPECT_EQ(o.last_beside(1, host), 1u);
}

// Random programs, executed by a simulated machine that delays every queue as badly as the waits allow: whatever `before` promises holds.
TEST(Ordering, HoldsUnderTheWorstSchedule) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Ordering o = lanes();
    const std::uint32_t count = 2 + random() % 30;
    std::vector<std::uint32_t> lane(count);
    std::vector<std::vector<std::uint32_t>> needs(count), starts_after(count);
    std::vector<std::uint32_t> last(4, count);
    std::vector<std::uint32_t> host_done;  // what the calling thread has seen done
    for (std::uint32_t i = 0; i < count; ++i) {
      lane[i] = random() % 4;
      for (std::uint32_t j = 0; j < i; ++j)
        if (random() % 5 == 0) needs[i].push_back(j);
      const auto waits = o.add(lane[i], needs[i]);
      host_done.insert(host_done.end(), waits.host.begin(), waits.host.end());
      starts_after[i] = host_done;  // it is issued after all that
      starts_after[i].insert(starts_after[i].end(), waits.lane.begin(), waits.lane.end());
      if (last[lane[i]] != count) starts_after[i].push_back(last[lane[i]]);
      last[lane[i]] = i;
      if (lane[i] == 0) host_done.push_back(i);
    }
    // All that must be done before step b starts: the closure of what it starts after.
    for (std::uint32_t b = 0; b < count; ++b) {
      std::vector<char> done(count, 0);
      std::vector<std::uint32_t> open = starts_after[b];
      while (!open.empty()) {
        const std::uint32_t a = open.back();
        open.pop_back();
        if (done[a]) continue;
        done[a] = 1;
        open.insert(open.end(), starts_after[a].begin(), starts_after[a].end());
      }
      for (std::uint32_t a = 0; a < b; ++a) EXPECT_EQ(o.before(a, b), done[a] != 0) << "round " << round << ": " << a << " before " << b;
      for (const std::uint32_t a : needs[b]) EXPECT_TRUE(done[a]) << "round " << round << ": " << b << " needs " << a;
    }
  }
}

}  // namespace
}  // namespace ashlar::plan
