// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ashlar::plan {

/// Which of several steps are known to be done before which. Steps are added in the order in which they are issued, each on a lane: lane 0
/// is the calling thread, where a step is done when the next is issued; the steps of another lane (a queue) are done in order, at some time
/// after they were issued. Holds a vector clock a step.
class Ordering {
 public:
  /// Lanes of one group may wait for each other; between groups, and for lane 0, the calling thread waits. groups[0] is lane 0's.
  explicit Ordering(std::vector<std::uint32_t> groups) : groups_(std::move(groups)), by_lane_(groups_.size()), host_(groups_.size(), 0) {}

  /// What a new step must wait for before it is issued or starts.
  struct Waits {
    std::vector<std::uint32_t> lane;  ///< steps of its group whose event its lane waits for
    std::vector<std::uint32_t> host;  ///< steps whose event the calling thread waits for first
  };
  /// Adds the next step, which reads what the steps `after` wrote.
  Waits add(std::uint32_t lane, std::span<const std::uint32_t> after);
  /// The steps the calling thread still has to wait for so that everything is done: the last of each lane, where it is not known to be done.
  std::vector<std::uint32_t> finish();

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(lanes_.size()); }
  /// Whether step a is done before step b starts, whatever happens.
  bool before(std::uint32_t a, std::uint32_t b) const;
  /// The last step up to which `step` may still be at work while steps of these lanes are: all later ones of them start after it is done.
  std::uint32_t last_beside(std::uint32_t step, std::span<const std::uint32_t> lanes) const;

 private:
  /// By lane: one more than the newest step of it that is done.
  using Clock = std::vector<std::uint32_t>;
  static void merge(Clock& into, const Clock& from);

  std::vector<std::uint32_t> groups_;
  std::vector<std::vector<std::uint32_t>> by_lane_;
  std::vector<std::uint32_t> lanes_;  ///< of each step
  std::vector<Clock> clocks_;         ///< of each step, when it starts
  Clock host_;                        ///< what the calling thread knows to be done
};

}  // namespace ashlar::plan
