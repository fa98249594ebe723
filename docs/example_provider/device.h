// SPDX-License-Identifier: Apache-2.0
// A device made of threads: its memory lies on the heap, at addresses that mean nothing to the host, and each queue is a worker. Where a real
// provider calls its driver, this one has a few lines of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include <ashlar/provider/table_provider.h>

#include "faults.h"

namespace example {

using namespace ashlar::provider;

class SimDevice : public Device {
 public:
  static constexpr std::uint32_t kMemory = 1, kPinned = 2, kCompute = 1, kCopy = 2;  // spaces, queues
  /// Options: `memory`, bytes of device memory; `slow`, microseconds that each piece of work of queue 1 takes longer; `lose_after`, pieces of
  /// work after which the device is lost (0: it is not).
  explicit SimDevice(const Options& o)
      : memory_(o.number<std::uint64_t>("memory", 256 << 20, 0, INT64_MAX)),
        lose_after_(o.number<std::uint64_t>("lose_after", 0, 0, INT64_MAX)), slow_(o.number("slow", 0, 0, 1'000'000)) {}
  /// Whether a provider on it takes the node of this id: the share `claim`, 0 to 1, of them, which ones `seed` decides.
  static bool claims(const Options& o, std::string_view id) {
    return static_cast<double>(std::hash<std::string>{}(concat(o.get("seed"), '/', id)) % 4096) < o.number("claim", 1.0, 0.0, 1.0) * 4096;
  }
  std::vector<Space> spaces() const override {
    return {{.name = "device", .total_bytes = memory_}, {.name = "pinned", .host_accessible = true}};
  }
  std::uint32_t queue_count() const override { return 2; }
  std::uint32_t upload_queue() const override { return kCopy; }
  std::uint32_t download_queue() const override { return kCopy; }
  std::uint32_t staging_space() const override { return kPinned; }
  std::string description() const override { return "a simulated device: a thread for each queue"; }
  std::uint32_t features() const override { return ASHLAR_DEVICE_CAPTURE | ASHLAR_DEVICE_TIMES; }
  AshlarRates rates() const override { return {2e9, 4e9, 1e4, 4e9, 4e9, 2e4}; }  // in abi.h's order
  void check_state() override {
    const Lock lock(mutex_);
    require(lost_);
  }

  // ---- Memory. Addresses of the device's have a bit that none of the process has; its workers alone take it away.
  static std::byte* translate(const void* address) {
    return reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(address) & ~kTag);
  }
  void* allocate(std::uint32_t space, std::uint64_t bytes) override {
    const Lock lock(mutex_);
    require(lost_);
    const std::uint64_t left = memory_ - used_;
    if (space == kMemory && bytes > left && !fault("ignores_limit"))
      throw Failure(ASHLAR_OUT_OF_MEMORY, concat("of the device's ", memory_, " bytes ", left, " are left, not ", bytes));
    void* memory = ::operator new (bytes, std::align_val_t{64});
    if (space == kMemory) memory = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(memory) | kTag), used_ += bytes;
    sizes_[memory] = bytes;
    return memory;
  }
  void free(std::uint32_t space, void* memory) noexcept override {
    const Lock lock(mutex_);
    if (space == kMemory && !fault("leak_device")) used_ -= sizes_.at(memory);
    sizes_.erase(memory);
    ::operator delete (translate(memory), std::align_val_t{64});
  }

  // ---- Queues. One that failed leaves work out, but signals its events; so does every queue of a lost device.
  void* create_queue(std::uint32_t number) override {
    check_state();
    auto* queue = new Queue{*this, number};
    queue->worker = std::jthread([this, queue] { serve(*queue); });
    return queue;
  }
  void destroy_queue(void* handle) noexcept override {
    push(handle, {});
    delete static_cast<Queue*>(handle);
  }
  /// Enqueues work. `what` names it should it fail, and lives until it is done. Throws once the queue or the device has failed.
  static void enqueue(void* queue, const char* what, std::function<void()> work) { push(queue, {.what = what, .work = std::move(work)}); }
  void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) override {
    if (to_space == ASHLAR_SPACE_HOST || from_space == ASHLAR_SPACE_HOST)
      throw Failure(ASHLAR_INVALID_ARGUMENT, "copies are between device and pinned memory, not any the host allocated itself");
    if (fault("copy_short")) bytes -= bytes % 2;
    enqueue(queue, "a copy", [=] { std::copy_n(translate(from), bytes, translate(to)); });
  }
  void drain(void* handle) override {
    const Queue& queue = *static_cast<Queue*>(handle);
    Lock lock(mutex_);
    changed_.wait(lock, [&] { return queue.tasks.empty() || fault("drain_early"); });
    require(failure(queue));
  }

  // ---- Events. Signals are numbered, so that a wait is for the one enqueued before it.
  void* create_event(bool) override { return check_state(), new Event; }
  void destroy_event(void* event) noexcept override {
    if (fault("double_free")) free_early(event);
    delete static_cast<Event*>(event);
  }
  void signal(void* queue, void* handle) override {
    Event& event = *static_cast<Event*>(handle);
    push(queue, {.signals = &event, .number = ++event.enqueued});
    if (fault("early_event")) event.done = event.enqueued;
  }
  void wait(void* queue, void* event) override {
    push(queue, {.awaits = static_cast<Event*>(event), .number = static_cast<Event*>(event)->enqueued});
  }
  bool synchronize(void* handle, std::int64_t timeout_ns) override {
    const Event& event = *static_cast<Event*>(handle);
    const auto signalled = [&] { return event.done != 0 && event.done == event.enqueued; };
    Lock lock(mutex_);
    if (timeout_ns < 0) changed_.wait(lock, signalled);
    else if (!changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), signalled)) return false;
    require(lost_.empty() ? event.error : lost_);
    return true;
  }
  std::int64_t event_time(void* event) override { return static_cast<Event*>(event)->time; }

  // ---- Recordings: work, to be enqueued again.
  void begin_capture(void* queue) override {
    const Lock lock(mutex_);
    require(failure(*static_cast<Queue*>(queue)));
    static_cast<Queue*>(queue)->recording = std::make_unique<std::vector<Task>>();
  }
  void* end_capture(void* queue) override {
    const Lock lock(mutex_);
    auto recording = std::exchange(static_cast<Queue*>(queue)->recording, nullptr);
    require(failure(*static_cast<Queue*>(queue)));
    return recording.release();
  }
  void replay(void* queue, void* handle) override {
    const auto& recording = *static_cast<std::vector<Task>*>(handle);
    for (std::size_t i = fault("replay_short") ? 1 : 0; i < recording.size(); ++i) push(queue, recording[i]);
  }
  void destroy_recording(void* recording) noexcept override { delete static_cast<std::vector<Task>*>(recording); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  static constexpr std::uintptr_t kTag = std::uintptr_t{1} << 60;

  struct Event {
    std::uint64_t enqueued = 0, done = 0;  // signals
    std::string error = "";                // of the queue when it signalled
    std::int64_t time = 0;
  };
  struct Task {  // work, a signal or a wait; of none of them, the end
    const char* what = "";
    std::function<void()> work = {};
    Event *signals = nullptr, *awaits = nullptr;
    std::uint64_t number = 0;  // of the signal
  };
  struct Queue {
    SimDevice& device;
    std::uint32_t number;
    std::deque<Task> tasks = {};  // the first is under way
    std::string error = "";       // what failed
    std::unique_ptr<std::vector<Task>> recording = {};
    std::condition_variable pushed = {};
    std::jthread worker = {};
  };

  static void require(const std::string& failure) {
    if (!failure.empty()) throw Failure(ASHLAR_DEVICE_ERROR, failure);
  }
  const std::string& failure(const Queue& queue) const { return lost_.empty() ? queue.error : lost_; }

  static void push(void* handle, Task task) {
    Queue& queue = *static_cast<Queue*>(handle);
    Lock lock(queue.device.mutex_);
    if (task.work) require(queue.device.failure(queue));
    if (queue.recording && task.work) return queue.recording->push_back(std::move(task));
    queue.device.changed_.wait(lock, [&] { return queue.tasks.size() < 1024; });
    queue.tasks.push_back(std::move(task));
    queue.pushed.notify_one();
  }
  /// What a worker does.
  void serve(Queue& queue) {
    for (Lock lock(mutex_);; queue.tasks.pop_front(), changed_.notify_all()) {
      queue.pushed.wait(lock, [&] { return !queue.tasks.empty(); });
      const Task& task = queue.tasks.front();
      if (task.awaits) {
        changed_.wait(lock, [&] { return task.awaits->done >= task.number; });
        if (queue.error.empty()) queue.error = task.awaits->error;
      } else if (task.signals) {
        task.signals->error = failure(queue);
        task.signals->time = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
        if (!fault("lost_event")) task.signals->done = task.number;
      } else if (!task.work) {
        return;
      } else if (failure(queue).empty()) {
        carry_out(queue, task, lock);
      }
    }
  }
  void carry_out(Queue& queue, const Task& task, Lock& lock) {
    if (lose_after_ != 0 && carried_out_++ == lose_after_) lost_ = concat("the device was lost after ", lose_after_, " pieces of work");
    if (!lost_.empty()) return;
    lock.unlock();
    if (queue.number == kCompute) std::this_thread::sleep_for(slow_);
    AshlarStatus status = new_status();
    const bool failed = guarded(&status, task.work) != ASHLAR_OK && !fault("hides_failure");
    lock.lock();
    if (failed) queue.error = concat("queue ", queue.number, " stopped at ", task.what, ": ", status.message);
  }

  const std::uint64_t memory_, lose_after_;
  const std::chrono::microseconds slow_;
  std::mutex mutex_;                          // of what follows, of all queues and of all events
  std::condition_variable changed_;           // a task is done
  std::string lost_;                          // why the device is lost; empty while it is not
  std::uint64_t carried_out_ = 0, used_ = 0;  // pieces of work; bytes of device memory
  std::map<void*, std::uint64_t> sizes_;      // of what is allocated
};

}  // namespace example
