// SPDX-License-Identifier: Apache-2.0
// A device that does nothing until it must: work is done when the calling thread waits for it, and then only what it has to wait for. Of
// all orders in which queues may do their work it is the one that shows a missing wait, and memory given away too early, every time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include <ashlar/provider/table_provider.h>

namespace ashlar::testing {

/// Spaces 1 "device" and 2 "pinned" (staging); queues 1 for steps, 2 for copies to the device, 3 for copies from it. Memory is filled with a
/// pattern when it is given out. Counts what it did.
class LazyDevice : public provider::Device {
 public:
  static constexpr std::uint32_t kMemory = 1, kCompute = 1;
  inline static std::atomic<LazyDevice*> last = nullptr;  ///< made last

  explicit LazyDevice(const provider::Options& options) : captures_(options.flag("captures", true)) { last = this; }
  ~LazyDevice() override {
    LazyDevice* self = this;
    last.compare_exchange_strong(self, nullptr);
  }
  static void* translate(const void* address) { return const_cast<void*>(address); }
  static bool claims(const provider::Options& options, std::string_view node) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : options.get("seed") + '/' + std::string(node)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hash ^= hash >> 31;
    return static_cast<double>(hash % 10007) < options.number("claim", 1.0, 0.0, 1.0) * 10007;
  }

  struct Counts {
    int copies = 0, replays = 0, recordings = 0;
    std::uint64_t bytes = 0, peak = 0;  ///< of device memory
  };

  std::vector<provider::Space> spaces() const override {
    return {{.name = "device", .total_bytes = 0, .alignment = 256}, {.name = "pinned", .host_accessible = true}};
  }
  std::uint32_t queue_count() const override { return 3; }
  std::uint32_t upload_queue() const override { return 2; }
  std::uint32_t download_queue() const override { return 3; }
  std::uint32_t staging_space() const override { return 2; }
  std::string description() const override { return "a device that waits until it is waited for"; }
  std::uint32_t features() const override { return ASHLAR_DEVICE_TIMES | ASHLAR_DEVICE_CAPTURE; }

  void* allocate(std::uint32_t space, std::uint64_t bytes) override {
    void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!memory) throw provider::Failure(ASHLAR_OUT_OF_MEMORY, "no memory");
    std::memset(memory, 0x7f, bytes);
    const std::lock_guard lock(mutex_);
    blocks_[memory] = {space, bytes};
    if (space == 1) counts_.peak = std::max(counts_.peak, counts_.bytes += bytes);
    return memory;
  }
  void free(std::uint32_t space, void* memory) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(memory);
    if (block == blocks_.end() || block->second.first != space) std::abort();
    if (space == 1) counts_.bytes -= block->second.second;
    blocks_.erase(block);
    std::free(memory);
  }

  void* create_queue(std::uint32_t) override { return new Queue; }
  void destroy_queue(void* queue) noexcept override { delete static_cast<Queue*>(queue); }
  void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) override {
    check_space(to, to_space, bytes);
    check_space(from, from_space, bytes);
    {
      const std::lock_guard lock(mutex_);
      ++counts_.copies;
    }
    enqueue(queue, "a copy", [=] { std::memmove(to, from, bytes); });
  }
  void drain(void* queue) override {
    auto& q = *static_cast<Queue*>(queue);
    run_until(q, q.enqueued);
    check_state();
  }

  void* create_event(bool) override { return new Event; }
  void destroy_event(void* event) noexcept override { delete static_cast<Event*>(event); }
  void signal(void* queue, void* event) override {
    auto& q = *static_cast<Queue*>(queue);
    auto& e = *static_cast<Event*>(event);
    push(q, [&e] { e.time = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); });
    e.queue = &q;
    e.number = q.enqueued;
  }
  void wait(void* queue, void* event) override {
    const Event at = *static_cast<Event*>(event);  // as it is signalled now
    push(*static_cast<Queue*>(queue), [this, at] {
      if (at.queue) run_until(*at.queue, at.number);
    });
  }
  bool synchronize(void* event, std::int64_t timeout_ns) override {
    auto& e = *static_cast<Event*>(event);
    if (timeout_ns == 0) return !e.queue || e.queue->done >= e.number;
    if (e.queue) run_until(*e.queue, e.number);
    check_state();
    return true;
  }
  std::int64_t event_time(void* event) override { return static_cast<Event*>(event)->time; }

  void begin_capture(void* queue) override {
    if (!captures_) throw provider::Failure(ASHLAR_UNSUPPORTED, "this device has no room for recordings");
    static_cast<Queue*>(queue)->recording = new Recording;
  }
  void* end_capture(void* queue) override {
    const std::lock_guard lock(mutex_);
    ++counts_.recordings;
    return std::exchange(static_cast<Queue*>(queue)->recording, nullptr);
  }
  void replay(void* queue, void* recording) override {
    {
      const std::lock_guard lock(mutex_);
      ++counts_.replays;
    }
    for (const Work& work : *static_cast<Recording*>(recording)) enqueue(queue, "", work);
  }
  void destroy_recording(void* recording) noexcept override { delete static_cast<Recording*>(recording); }

  void check_state() override {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw provider::Failure(ASHLAR_DEVICE_ERROR, failure_);
  }

  using Work = std::function<void()>;
  /// Work that may fail by throwing: the device is lost then.
  void enqueue(void* queue, const char* /*what*/, Work work) {
    auto& q = *static_cast<Queue*>(queue);
    if (q.recording) q.recording->push_back(std::move(work));
    else push(q, std::move(work));
  }
  Counts counts() {
    const std::lock_guard lock(mutex_);
    return counts_;
  }
  void lose(const std::string& why) {
    const std::lock_guard lock(mutex_);
    failure_ = why;
  }

 private:
  using Recording = std::vector<Work>;
  struct Queue {
    std::deque<Work> work;
    std::uint64_t enqueued = 0, done = 0;
    Recording* recording = nullptr;
  };
  struct Event {
    Queue* queue = nullptr;
    std::uint64_t number = 0;
    std::int64_t time = 0;
  };

  static void push(Queue& queue, Work work) {
    queue.work.push_back(std::move(work));
    ++queue.enqueued;
  }
  void run_until(Queue& queue, std::uint64_t number) {
    while (queue.done < number) {
      const Work work = std::move(queue.work.front());
      queue.work.pop_front();
      try {
        work();
      } catch (const std::exception& e) {
        lose(e.what());
      }
      ++queue.done;
    }
  }
  void check_space(const void* memory, std::uint32_t space, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    auto block = blocks_.upper_bound(const_cast<void*>(memory));
    const auto* at = static_cast<const char*>(memory);
    if (block == blocks_.begin() || (--block)->second.first != space ||
        at + bytes > static_cast<const char*>(block->first) + block->second.second)
      throw provider::Failure(ASHLAR_INVALID_ARGUMENT, "a copy's side is not in memory of its space");
  }

  const bool captures_;
  std::mutex mutex_;
  std::map<void*, std::pair<std::uint32_t, std::uint64_t>> blocks_;
  Counts counts_;
  std::string failure_;
};

}  // namespace ashlar::testing
