// SPDX-License-Identifier: Apache-2.0
// The device of docs/example_provider.
#include <algorithm>
#include <atomic>
#include <future>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "docs/example_provider/device.h"

namespace example {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kBytes = 10'007;

/// What `body` fails with.
template <class Body> Failure failure_of(Body body) {
  try {
    body();
  } catch (const Failure& e) {
    return e;
  }
  return Failure(ASHLAR_OK, "nothing failed");
}

/// A device with its queues, and memory in both spaces.
class ExampleDevice : public ::testing::Test {
 protected:
  void open(std::vector<AshlarOption> options = {}) {
    device.emplace(Options(options));
    compute = queue(SimDevice::kCompute);
    copies = queue(SimDevice::kCopy);
    memory = allocate(SimDevice::kMemory, kBytes);
    from = static_cast<std::uint8_t*>(allocate(SimDevice::kPinned, kBytes));
    to = static_cast<std::uint8_t*>(allocate(SimDevice::kPinned, kBytes));
    for (std::uint64_t i = 0; i < kBytes; ++i) from[i] = static_cast<std::uint8_t>(i * 7 + 1), to[i] = 0;
  }
  void TearDown() override {
    for (void* q : queues) device->destroy_queue(q);
    for (void* e : events) device->destroy_event(e);
    for (const auto& [space, block] : blocks) device->free(space, block);
  }
  void* queue(std::uint32_t number) { return queues.emplace_back(device->create_queue(number)); }
  void* event() { return events.emplace_back(device->create_event(true)); }
  void* allocate(std::uint32_t space, std::uint64_t bytes) { return blocks.emplace_back(space, device->allocate(space, bytes)).second; }
  void upload(void* queue) { device->copy(queue, memory, SimDevice::kMemory, from, SimDevice::kPinned, kBytes); }
  void download(void* queue) { device->copy(queue, to, SimDevice::kPinned, memory, SimDevice::kMemory, kBytes); }
  bool copied() const { return std::equal(from, from + kBytes, to); }

  std::optional<SimDevice> device;
  void *compute = nullptr, *copies = nullptr, *memory = nullptr;
  std::uint8_t *from = nullptr, *to = nullptr;

 private:
  std::vector<void*> queues, events;
  std::vector<std::pair<std::uint32_t, void*>> blocks;
};

/// Work that is under way until it is let go.
struct Gate {
  std::promise<void> opened;
  std::function<void()> work() {
    return [until = std::shared_future<void>(opened.get_future())] { until.wait(); };
  }
  void open() { opened.set_value(); }
};
void fail() { throw Failure(ASHLAR_RUNTIME, "the sum of all fears"); }

TEST_F(ExampleDevice, CopiesBothWaysInOrder) {
  open();
  upload(copies);
  download(copies);
  device->drain(copies);
  EXPECT_TRUE(copied());
}

TEST_F(ExampleDevice, TakesNoMemoryThatTheHostAllocatedItself) {
  open();
  std::uint8_t other[16];
  const Failure e = failure_of([&] { device->copy(copies, memory, SimDevice::kMemory, other, ASHLAR_SPACE_HOST, 16); });
  EXPECT_EQ(e.code(), ASHLAR_INVALID_ARGUMENT);
  EXPECT_THAT(e.what(), HasSubstr("pinned"));
}

TEST_F(ExampleDevice, AnEventIsSignalledOnceTheWorkAheadIsDone) {
  open();
  Gate gate;
  void* done = event();
  SimDevice::enqueue(compute, "a gate", gate.work());
  device->signal(compute, done);
  EXPECT_FALSE(device->synchronize(done, 0));
  EXPECT_FALSE(device->synchronize(done, 1'000'000));
  gate.open();
  EXPECT_TRUE(device->synchronize(done, -1));
  EXPECT_TRUE(device->synchronize(done, 0));
}

TEST_F(ExampleDevice, AQueueWaitsForAnother) {
  open();
  Gate gate;
  void* uploaded = event();
  SimDevice::enqueue(copies, "a gate", gate.work());
  upload(copies);
  device->signal(copies, uploaded);
  device->wait(compute, uploaded);
  download(compute);
  void* end = event();
  device->signal(compute, end);
  EXPECT_FALSE(device->synchronize(end, 1'000'000));
  gate.open();
  device->drain(compute);
  EXPECT_TRUE(copied());
}

TEST_F(ExampleDevice, AWaitIsForTheSignalBeforeIt) {
  open();
  Gate gate;
  void* again = event();
  std::atomic<int> steps = 0;
  device->signal(compute, again);
  device->wait(copies, again);
  SimDevice::enqueue(copies, "a step", [&] { ++steps; });
  device->drain(copies);
  SimDevice::enqueue(compute, "a gate", gate.work());
  device->signal(compute, again);
  EXPECT_EQ(steps, 1);
  EXPECT_FALSE(device->synchronize(again, 0)) << "the second signal is asked for, though the first was done";
  device->wait(copies, again);
  SimDevice::enqueue(copies, "a step", [&] { ++steps; });
  EXPECT_EQ(steps, 1);
  gate.open();
  device->drain(copies);
  EXPECT_EQ(steps, 2);
}

TEST_F(ExampleDevice, EventsTellWhenTheyWereSignalled) {
  open();
  void *before = event(), *after = event();
  const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); };
  const std::int64_t begin = now();
  device->signal(compute, before);
  SimDevice::enqueue(compute, "a pause", [] { std::this_thread::sleep_for(std::chrono::milliseconds(3)); });
  device->signal(compute, after);
  device->synchronize(after, -1);
  EXPECT_LE(begin, device->event_time(before));
  EXPECT_GE(device->event_time(after) - device->event_time(before), 3'000'000);
  EXPECT_LE(device->event_time(after), now());
}

TEST_F(ExampleDevice, WorkBehindAFailureIsLeftOutAndNothingHangs) {
  open();
  void *failed = event(), *follower = event();
  std::atomic<bool> ran = false;
  Gate gate;
  SimDevice::enqueue(compute, "a gate", gate.work());
  SimDevice::enqueue(compute, "node_7", &fail);
  device->signal(compute, failed);
  device->wait(copies, failed);
  SimDevice::enqueue(copies, "a follower", [&] { ran = true; });
  device->signal(copies, follower);
  gate.open();
  for (const auto& call : {std::function<void()>([&] { device->synchronize(failed, -1); }),
                           {[&] { device->synchronize(follower, -1); }},
                           {[&] { device->drain(compute); }},
                           {[&] { device->drain(copies); }},
                           {[&] { upload(compute); }},
                           {[&] { device->begin_capture(compute); }}}) {
    const Failure e = failure_of(call);
    EXPECT_EQ(e.code(), ASHLAR_DEVICE_ERROR);
    EXPECT_THAT(e.what(), HasSubstr("queue 1 stopped at node_7: the sum of all fears"));
  }
  EXPECT_FALSE(ran);
  void* late = event();
  device->signal(compute, late);
  EXPECT_EQ(failure_of([&] { device->synchronize(late, -1); }).code(), ASHLAR_DEVICE_ERROR);
  EXPECT_NO_THROW(device->check_state()) << "the queue has failed, not the device";
  void* fresh = queue(SimDevice::kCompute);
  upload(fresh);
  download(fresh);
  device->drain(fresh);
  EXPECT_TRUE(copied());
}

TEST_F(ExampleDevice, ALostDeviceFailsForGoodAndHangsNobody) {
  open({{"lose_after", "2"}});
  void *early = event(), *late = event();
  upload(copies);
  download(copies);
  device->signal(copies, early);
  EXPECT_TRUE(device->synchronize(early, -1));
  std::atomic<bool> ran = false;
  SimDevice::enqueue(compute, "the last straw", [&] { ran = true; });
  device->signal(compute, late);
  for (const auto& call : {std::function<void()>([&] { device->synchronize(late, -1); }),
                           {[&] { device->synchronize(early, -1); }},
                           {[&] { device->check_state(); }},
                           {[&] { device->drain(copies); }},
                           {[&] { upload(copies); }},
                           {[&] { device->create_queue(SimDevice::kCompute); }},
                           {[&] { device->create_event(false); }},
                           {[&] { device->allocate(SimDevice::kPinned, 1); }}}) {
    const Failure e = failure_of(call);
    EXPECT_EQ(e.code(), ASHLAR_DEVICE_ERROR);
    EXPECT_THAT(e.what(), HasSubstr("lost after 2 pieces of work"));
  }
  EXPECT_FALSE(ran);
}

TEST_F(ExampleDevice, ARecordingIsReplayedWithTheSameOperands) {
  open();
  std::atomic<int> steps = 0;
  device->begin_capture(compute);
  upload(compute);
  SimDevice::enqueue(compute, "a step", [&] { ++steps; });
  download(compute);
  void* recording = device->end_capture(compute);
  device->drain(compute);
  EXPECT_EQ(steps, 0) << "what is recorded is not done";
  for (int i = 1; i <= 3; ++i) {
    from[0] = static_cast<std::uint8_t>(i);
    device->replay(compute, recording);
    device->drain(compute);
    EXPECT_EQ(steps, i);
    EXPECT_TRUE(copied());
  }
  device->destroy_recording(recording);
}

TEST_F(ExampleDevice, EndingACaptureEndsItAlsoWhenItFails) {
  open();
  SimDevice::enqueue(compute, "a step", &fail);
  device->begin_capture(copies);
  void* failed = event();
  device->signal(compute, failed);
  device->wait(copies, failed);
  EXPECT_EQ(failure_of([&] { device->drain(copies); }).code(), ASHLAR_DEVICE_ERROR);
  EXPECT_EQ(failure_of([&] { device->end_capture(copies); }).code(), ASHLAR_DEVICE_ERROR);
}

TEST_F(ExampleDevice, GivesOutItsMemoryAndNoMore) {
  open({{"memory", "100000"}});
  const std::uint64_t left = 100'000 - kBytes;
  void* all = device->allocate(SimDevice::kMemory, left);
  const Failure e = failure_of([&] { device->allocate(SimDevice::kMemory, 1); });
  EXPECT_EQ(e.code(), ASHLAR_OUT_OF_MEMORY);
  EXPECT_THAT(e.what(), HasSubstr("100000 bytes 0 are left, not 1"));
  EXPECT_NO_THROW(allocate(SimDevice::kPinned, 200'000)) << "the host's memory has no such limit";
  device->free(SimDevice::kMemory, all);
  EXPECT_NO_THROW(allocate(SimDevice::kMemory, left));
  EXPECT_EQ(failure_of([&] { device->allocate(SimDevice::kMemory, UINT64_MAX); }).code(), ASHLAR_OUT_OF_MEMORY);
}

TEST_F(ExampleDevice, AQueueThatIsFullMakesTheCallerWait) {
  open();
  Gate gate;
  std::atomic<int> steps = 0;
  SimDevice::enqueue(compute, "a gate", gate.work());
  auto caller = std::async(std::launch::async, [&] {
    for (int i = 0; i < 3000; ++i) SimDevice::enqueue(compute, "a step", [&] { ++steps; });
  });
  EXPECT_EQ(caller.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  gate.open();
  caller.get();
  device->drain(compute);
  EXPECT_EQ(steps, 3000);
}

TEST_F(ExampleDevice, ManyCallersHaveQueuesOfTheirOwn) {
  open({{"slow", "20"}});
  std::vector<std::future<int>> callers;
  for (int c = 0; c < 8; ++c)
    callers.push_back(std::async(std::launch::async, [&d = *device] {
      void *q1 = d.create_queue(SimDevice::kCompute), *q2 = d.create_queue(SimDevice::kCopy), *e = d.create_event(false);
      void *there = d.allocate(SimDevice::kMemory, 4), *here = d.allocate(SimDevice::kPinned, 4);
      auto& value = *static_cast<int*>(here);
      value = 0;
      for (int round = 0; round < 20; ++round) {
        d.copy(q2, there, SimDevice::kMemory, here, SimDevice::kPinned, 4);
        d.signal(q2, e);
        d.wait(q1, e);
        SimDevice::enqueue(q1, "an increment", [there] { ++*reinterpret_cast<int*>(SimDevice::translate(there)); });
        d.copy(q1, here, SimDevice::kPinned, there, SimDevice::kMemory, 4);
        d.drain(q1);
      }
      const int result = value;
      d.destroy_queue(q1), d.destroy_queue(q2), d.destroy_event(e);
      d.free(SimDevice::kMemory, there), d.free(SimDevice::kPinned, here);
      return result;
    }));
  for (auto& caller : callers) EXPECT_EQ(caller.get(), 20);
}

TEST(ExampleOptions, AreNumbersInTheirRange) {
  const AshlarOption words[] = {{"memory", "plenty"}}, share[] = {{"claim", "1.5"}};
  EXPECT_THAT(failure_of([&] { SimDevice d{Options(words)}; }).what(), HasSubstr("option memory is 'plenty', not a number"));
  EXPECT_THAT(failure_of([&] { SimDevice::claims(Options(share), "Relu_0"); }).what(), HasSubstr("option claim is '1.5'"));
}

TEST(ExampleOptions, TheShareOfNodesFollowsFromIdsAndSeed) {
  const AshlarOption some[] = {{"claim", "0.3"}, {"seed", "11"}}, other[] = {{"claim", "0.3"}, {"seed", "12"}}, none[] = {{"claim", "0"}};
  const auto claims = [](std::span<const AshlarOption> options, const std::string& id) { return SimDevice::claims(Options(options), id); };
  int taken = 0, same = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "node_" + std::to_string(i);
    EXPECT_FALSE(claims(none, id));
    EXPECT_TRUE(claims({}, id));
    taken += claims(some, id);
    same += claims(some, id) == claims(other, id);
  }
  EXPECT_NEAR(taken, 300, 60);
  EXPECT_NEAR(same, 580, 80);
}

}  // namespace
}  // namespace example
