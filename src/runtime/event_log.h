// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include <ashlar/placement.h>

namespace ashlar::runtime {

/// What runs met that the placement could not know. Thread-safe.
class EventLog {
 public:
  static constexpr std::size_t kMost = 1000;

  /// Counts one that is there already; beyond kMost different ones nothing is kept.
  void add(PlacementEvent event) {
    const std::lock_guard lock(mutex_);
    for (PlacementEvent& e : events_)
      if (e.node == event.node && e.provider == event.provider && e.code == event.code && e.reason == event.reason) {
        ++e.count;
        return;
      }
    if (events_.size() < kMost) events_.push_back(std::move(event));
  }
  std::vector<PlacementEvent> list() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<PlacementEvent> events_;
};

/// Thrown where a guard of a verdict does not hold for the shapes a step is bound to. No Error: whoever runs goes by a placement without.
struct GuardFailure {
  std::string node, provider, reason;
};

}  // namespace ashlar::runtime
