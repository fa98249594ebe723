// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "plan/topology.h"
#include "runtime/buffer_pool.h"
#include "runtime/event_log.h"

namespace ashlar::runtime {

/// What a run has of its own on the session's memory spaces and lanes: pools, queues, events; made when first asked for. Shared by the
/// frames of a run. Serves one thread at a time.
class Resources {
 public:
  explicit Resources(std::shared_ptr<const plan::Topology> topology, std::shared_ptr<EventLog> events = nullptr);
  /// Waits until every queue is empty.
  ~Resources();
  Resources(const Resources&) = delete;
  Resources& operator=(const Resources&) = delete;

  const plan::Topology& topology() const noexcept { return *topology_; }
  partition::Device& device(std::uint32_t index) const { return *topology_->devices[index]; }
  BufferPool& pool(std::uint32_t space = 0) { return pools_[space]; }
  std::shared_ptr<void> allocate(std::uint32_t space, std::uint64_t bytes);

  void* queue(std::uint32_t lane);
  /// The number-th event of a device; timed ones are counted apart.
  void* event(std::uint32_t device, std::uint32_t number, bool timed = false);
  /// Waits until every queue is empty. What the devices say of their failures is dropped: it was or will be reported elsewhere.
  void drain() noexcept;
  /// Drains, and gives up every queue and event: after a device's failure the next run begins with new ones.
  void renew() noexcept;
  void end_run();
  /// For Session::events.
  void report(PlacementEvent event) const {
    if (events_log_) events_log_->add(std::move(event));
  }

 private:
  struct Events {
    std::vector<void*> plain, timed;
  };
  std::shared_ptr<const plan::Topology> topology_;
  std::deque<BufferPool> pools_;  ///< by space
  std::vector<void*> queues_;     ///< by lane
  std::vector<Events> events_;    ///< by device
  std::shared_ptr<EventLog> events_log_;
};

}  // namespace ashlar::runtime
