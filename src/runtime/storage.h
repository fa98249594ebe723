// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "plan/ordering.h"
#include "plan/plan.h"

namespace ashlar::runtime {

/// Which values of a region share memory, and where that lies: views with what they view, outputs with inputs they replace, inputs with the
/// output they are parts of, and what is not needed at the same time. Steps are those of the plan; values are given in their order.
class Storage {
 public:
  using Member = std::uint32_t;  ///< a value, as numbered here
  using Group = std::uint32_t;   ///< values that share memory

  struct Info {
    std::uint32_t space = 0;  ///< of the topology
    std::uint64_t bytes = 0;
    bool outlives = false;     ///< read after the region, so not in an arena
    std::uint64_t offset = 0;  ///< in its space's arena
    std::uint32_t pooled = 0;  ///< else: its number among those that outlive
  };

  /// Begins a region that starts with step `begin`. `ordering` may be null: then every step is done before the next; it counts from `begin`.
  void reset(const plan::Topology& topology, const plan::Ordering* ordering, std::uint32_t begin);

  /// A value in memory of its own, written by `step` and read last by `last_use`, `outlives` when that lies behind the region.
  Member add(std::uint32_t space, std::uint64_t bytes, std::uint32_t step, std::uint32_t last_use, bool outlives);
  /// A value inside the memory of another from a byte on.
  Member view(Member of, std::uint64_t offset, std::uint64_t bytes, std::uint32_t step, std::uint32_t last_use, bool outlives);
  /// Whether a step's output may take a value's place: nothing else in that memory is needed at the step or later, or still being read.
  bool may_replace(Member value, std::uint32_t step) const;
  /// Moves a value, with all that shares its memory, into another's from a byte on; false where that cannot be.
  bool absorb(Member into, std::uint64_t offset, Member value);
  /// A step on another lane than the calling thread's reads or writes the value.
  void touch(Member value, std::uint32_t step);
  /// Puts the value's memory, which is the host's, into a host-accessible space of a device; false where it lies in another's.
  bool stage(Member value, std::uint32_t space);

  /// Places what does not outlive the region. Afterwards info() of every group is final.
  void lay_out();
  /// Bytes of each space's arena.
  const std::vector<std::uint64_t>& arena_bytes() const noexcept { return arena_bytes_; }
  std::uint32_t pooled_count() const noexcept { return pooled_; }

  Group group(Member value) const { return members_[value].group; }
  std::uint64_t offset(Member value) const { return members_[value].offset; }
  std::uint64_t bytes(Member value) const { return members_[value].bytes; }
  const Info& info(Group group) const { return groups_[group].info; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffffu;
  struct Entry {
    std::uint32_t group;
    std::uint64_t offset, bytes;
    std::uint32_t last_use;
    Member next;  ///< in its group
  };
  struct Block {
    Info info;
    std::uint32_t first, last;
    Member head;                         ///< kNone when it was moved into another
    std::vector<std::uint32_t> touches;  ///< by steps of other lanes
  };
  Member join(Group group, const Entry& entry, bool outlives);

  const plan::Topology* topology_ = nullptr;
  const plan::Ordering* ordering_ = nullptr;
  std::uint32_t begin_ = 0;
  std::vector<Entry> members_;
  std::vector<Block> groups_;
  std::vector<std::uint64_t> arena_bytes_;
  std::uint32_t pooled_ = 0;
};

}  // namespace ashlar::runtime
