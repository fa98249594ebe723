// SPDX-License-Identifier: Apache-2.0
#include "plan/ordering.h"

#include <algorithm>

namespace ashlar::plan {

void Ordering::merge(Clock& into, const Clock& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
}

Ordering::Waits Ordering::add(std::uint32_t lane, std::span<const std::uint32_t> after) {
  const std::uint32_t index = size();
  // Newest first: what a step waits for often tells that older ones are done too.
  std::vector<std::uint32_t> sorted(after.begin(), after.end());
  std::sort(sorted.rbegin(), sorted.rend());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  Waits waits;
  const auto done = [&](Clock& clock, std::uint32_t step) {
    merge(clock, clocks_[step]);
    clock[lanes_[step]] = std::max(clock[lanes_[step]], step + 1);
  };
  Clock own = host_;
  if (lane != 0 && !by_lane_[lane].empty()) done(own, by_lane_[lane].back());
  for (const std::uint32_t step : sorted) {
    if (own[lanes_[step]] > step) continue;
    if (lane == 0 || groups_[lanes_[step]] != groups_[lane]) {
      waits.host.push_back(step);
      done(host_, step);
      merge(own, host_);
    } else {
      waits.lane.push_back(step);
      done(own, step);
    }
  }
  lanes_.push_back(lane);
  by_lane_[lane].push_back(index);
  clocks_.push_back(std::move(own));
  if (lane == 0) host_[0] = index + 1;
  return waits;
}

std::vector<std::uint32_t> Ordering::finish() {
  std::vector<std::uint32_t> waits, last;
  for (std::size_t lane = 1; lane < by_lane_.size(); ++lane)
    if (!by_lane_[lane].empty()) last.push_back(by_lane_[lane].back());
  std::sort(last.rbegin(), last.rend());
  for (const std::uint32_t step : last) {
    if (host_[lanes_[step]] > step) continue;
    waits.push_back(step);
    merge(host_, clocks_[step]);
    host_[lanes_[step]] = step + 1;
  }
  return waits;
}

bool Ordering::before(std::uint32_t a, std::uint32_t b) const { return a < b && clocks_[b][lanes_[a]] > a; }

std::uint32_t Ordering::last_beside(std::uint32_t step, std::span<const std::uint32_t> lanes) const {
  std::uint32_t last = step;
  if (lanes_[step] == 0) return last;
  for (const std::uint32_t lane : lanes) {
    // Clocks grow along a lane, so the steps that know of it are its end.
    const auto& steps = by_lane_[lane];
    const auto knows = std::partition_point(steps.begin(), steps.end(), [&](std::uint32_t s) { return s <= step || !before(step, s); });
    if (knows != steps.begin()) last = std::max(last, *(knows - 1));
  }
  return last;
}

}  // namespace ashlar::plan
