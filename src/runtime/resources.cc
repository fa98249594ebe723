// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources.h"

#include <utility>

#include <ashlar/error.h>

#include "core/allocate.h"
#include "core/log.h"

namespace ashlar::runtime {

Resources::Resources(std::shared_ptr<const plan::Topology> topology, std::shared_ptr<EventLog> events)
    : topology_(std::move(topology)), queues_(topology_->lanes.size(), nullptr), events_(topology_->devices.size()),
      events_log_(std::move(events)) {
  for (std::uint32_t space = 0; space < topology_->spaces.size(); ++space)
    pools_.emplace_back(space == 0 ? BufferPool::Allocate() : [this, space](std::size_t bytes) { return allocate(space, bytes); });
}

Resources::~Resources() { renew(); }

void Resources::renew() noexcept {
  drain();
  for (std::size_t d = 0; d < events_.size(); ++d) {
    for (const auto* events : {&events_[d].plain, &events_[d].timed})
      for (void* event : *events) topology_->devices[d]->destroy_event(event);
    events_[d] = {};
  }
  for (std::size_t lane = 0; lane < queues_.size(); ++lane)
    if (queues_[lane]) topology_->devices[topology_->lanes[lane].device]->destroy_queue(std::exchange(queues_[lane], nullptr));
}

std::shared_ptr<void> Resources::allocate(std::uint32_t space, std::uint64_t bytes) {
  const plan::Topology::Space& s = topology_->spaces[space];
  if (space != 0) return topology_->devices[s.device]->allocate(s.number, bytes);
  std::shared_ptr<void> memory = core::allocate_aligned(bytes);
  if (!memory) throw Error(ErrorCode::kOutOfMemory, "no memory for an arena of " + std::to_string(bytes) + " bytes");
  return memory;
}

void* Resources::queue(std::uint32_t lane) {
  if (!queues_[lane]) {
    const plan::Topology::Lane& l = topology_->lanes[lane];
    queues_[lane] = topology_->devices[l.device]->create_queue(l.queue);
  }
  return queues_[lane];
}

void* Resources::event(std::uint32_t device, std::uint32_t number, bool timed) {
  std::vector<void*>& events = timed ? events_[device].timed : events_[device].plain;
  while (events.size() <= number) {
    events.reserve(events.size() + 1);
    events.push_back(topology_->devices[device]->create_event(timed));
  }
  return events[number];
}

void Resources::drain() noexcept {
  for (std::size_t lane = 0; lane < queues_.size(); ++lane) {
    if (!queues_[lane]) continue;
    try {
      topology_->devices[topology_->lanes[lane].device]->drain(queues_[lane]);
    } catch (const std::exception& e) {
      core::log(core::LogLevel::kDebug, e.what());
    }
  }
}

void Resources::end_run() {
  for (BufferPool& pool : pools_) pool.end_run();
}

}  // namespace ashlar::runtime
