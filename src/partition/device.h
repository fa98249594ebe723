// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/provider/abi.h>

namespace ashlar::partition {

class Provider;

/// A provider's device: its memory spaces, queues and events, statuses made Errors that name the provider. Spaces and queues are numbered
/// from 1 as the provider numbers them. Thread-safe; a queue and the events signalled on it serve one thread at a time.
class Device : public std::enable_shared_from_this<Device> {
 public:
  struct Space {
    std::string name;  ///< "example" for the first space of a provider of that name, "example/pinned" for another
    bool host_accessible = false;
    std::uint64_t alignment = 64;
    std::optional<std::uint64_t> limit = {};  ///< bytes this session may take of it
    std::uint64_t used = 0, peak = 0;         ///< guarded by the device's mutex
  };

  /// The device of a provider; null for one that works in host memory on the calling thread, and where the provider is only asked for verdicts.
  static std::shared_ptr<Device> create(std::shared_ptr<const Provider> provider);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const noexcept;
  std::uint32_t space_count() const noexcept { return static_cast<std::uint32_t>(spaces_.size()); }
  const Space& space(std::uint32_t number) const { return spaces_.at(number - 1); }
  void set_limit(std::uint32_t number, std::uint64_t bytes) { spaces_.at(number - 1).limit = bytes; }
  std::uint32_t queue_count() const noexcept { return queue_count_; }
  std::uint32_t upload_queue() const noexcept { return upload_queue_; }
  std::uint32_t download_queue() const noexcept { return download_queue_; }
  std::uint32_t staging_space() const noexcept { return staging_space_; }
  bool captures() const noexcept { return (features_ & ASHLAR_DEVICE_CAPTURE) != 0; }
  bool times_events() const noexcept { return (features_ & ASHLAR_DEVICE_TIMES) != 0; }

  /// Memory of a space, freed when the last pointer goes; keeps the device alive. Throws Error: kOutOfMemory at the session's limit or the
  /// device's, saying how much is used.
  std::shared_ptr<void> allocate(std::uint32_t space, std::uint64_t bytes);
  std::uint64_t used(std::uint32_t space) const;
  std::uint64_t peak(std::uint32_t space) const;

  void* create_queue(std::uint32_t queue) const;
  void destroy_queue(void* queue) const noexcept;
  void* create_event(bool timed) const;
  void destroy_event(void* event) const noexcept;
  void signal(void* queue, void* event) const;
  void wait(void* queue, void* event) const;
  /// Whether it is signalled, after at most that long; negative: no limit.
  bool synchronize(void* event, std::int64_t timeout_ns) const;
  /// On the clock of std::chrono::steady_clock.
  std::int64_t event_time(void* event) const;
  /// Host memory has space 0.
  void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) const;
  void drain(void* queue) const;
  void begin_capture(void* queue) const;
  void* end_capture(void* queue) const;
  void replay(void* queue, void* recording) const;
  void destroy_recording(void* recording) const noexcept;
  /// Throws Error (kDeviceError) with the device's own sentence once it is lost.
  void check_state() const;

  /// Copies a constant into new memory of a space, and waits for it. Throws Error.
  std::shared_ptr<void> upload(std::uint32_t space, const void* data, std::uint64_t bytes);

 private:
  explicit Device(std::shared_ptr<const Provider> provider);
  void require_room(const Space& space, std::uint64_t more_bytes) const;
  void give_back(std::uint32_t number, std::uint64_t bytes);
  template <class Function, class... Args> void call(Function function, Args... args) const;

  std::shared_ptr<const Provider> provider_;
  const AshlarDevice* table_;
  void* instance_;
  std::vector<Space> spaces_;
  std::uint32_t queue_count_ = 0, upload_queue_ = 0, download_queue_ = 0, staging_space_ = 0, features_ = 0;
  mutable std::mutex mutex_;
};

}  // namespace ashlar::partition
