// SPDX-License-Identifier: Apache-2.0
// A provider's device as the checks use it: statuses are Errors, memory, queues and events have owners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ashlar/provider/abi.h>

namespace ashlar::check {

/// The functions of an AshlarDevice. Borrows the table and the instance. Functions throw Error with the device's code and sentence.
class Device {
 public:
  Device(const AshlarProvider& table, void* instance);

  struct Space {
    std::string name;
    bool host_accessible;
    std::uint64_t total_bytes, alignment;
  };
  /// By number; the first is the host's.
  const std::vector<Space>& spaces() const { return spaces_; }
  bool accessible(std::uint32_t space) const { return spaces_.at(space).host_accessible; }
  const AshlarProviderInfo& info() const { return info_; }
  const AshlarDevice& table() const { return *table_.device; }
  void* instance() const { return instance_; }

  using Memory = std::unique_ptr<void, std::function<void(void*)>>;
  using Handle = std::unique_ptr<void, std::function<void(void*)>>;
  /// Of space 0 too.
  Memory allocate(std::uint32_t space, std::uint64_t bytes) const;
  Handle queue(std::uint32_t number) const;
  Handle event(bool timed = false) const;

  void signal(void* queue, void* event) const;
  void wait(void* queue, void* event) const;
  bool synchronize(void* event, std::int64_t timeout_ns) const;
  std::int64_t event_time(void* event) const;
  void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) const;
  void drain(void* queue) const;
  /// Waits until the queue's work is done, as drain says and as an event behind it says.
  void finish(void* queue) const;
  void capture_begin(void* queue) const;
  Handle capture_end(void* queue) const;
  void replay(void* queue, void* recording) const;
  void state() const;

  /// Where the host's side of a copy lies: the staging space, or host memory.
  std::uint32_t host_side() const { return info_.staging_space; }
  /// Puts bytes into memory of any space, or gets them out, behind what the queue has to do; returns when it is done.
  void write(void* queue, std::uint32_t space, void* to, std::span<const std::byte> bytes) const;
  void read(void* queue, std::uint32_t space, const void* from, std::span<std::byte> bytes) const;

 private:
  const AshlarProvider& table_;
  void* instance_;
  AshlarProviderInfo info_{};
  std::vector<Space> spaces_;
};

/// Keeps queues busy: copies within a space, as many as take about the given time.
class Filler {
 public:
  /// Measures on a queue of its own, of that number.
  Filler(const Device& device, std::uint32_t queue, double milliseconds);
  /// Enqueues the copies.
  void enqueue(void* queue) const;

 private:
  const Device& device_;
  std::uint32_t space_ = 0;
  std::uint64_t bytes_ = 0;
  int copies_ = 1;
  Device::Memory from_, to_;
};

/// Bytes of a space that allocate gives out now, within about 4 KiB; 0 where the space has no total.
std::uint64_t available_bytes(const Device& device, std::uint32_t space);

}  // namespace ashlar::check
