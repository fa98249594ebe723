// SPDX-License-Identifier: Apache-2.0
#include "runtime/storage.h"

#include <algorithm>

#include "plan/arena.h"

namespace ashlar::runtime {

void Storage::reset(const plan::Topology& topology, const plan::Ordering* ordering, std::uint32_t begin) {
  topology_ = &topology;
  ordering_ = ordering;
  begin_ = begin;
  members_.clear();
  groups_.clear();
  arena_bytes_.assign(topology.spaces.size(), 0);
  pooled_ = 0;
}

Storage::Member Storage::join(Group group, const Entry& entry, bool outlives) {
  Block& g = groups_[group];
  members_.push_back(entry);
  members_.back().group = group;
  members_.back().next = g.head;
  g.head = static_cast<Member>(members_.size() - 1);
  g.last = std::max(g.last, entry.last_use);
  g.info.outlives = g.info.outlives || outlives;
  return g.head;
}

Storage::Member Storage::add(std::uint32_t space, std::uint64_t bytes, std::uint32_t step, std::uint32_t last_use, bool outlives) {
  groups_.push_back({.info = {.space = space, .bytes = bytes}, .first = step, .last = step, .head = kNone, .touches = {}});
  return join(static_cast<Group>(groups_.size() - 1), {.group = 0, .offset = 0, .bytes = bytes, .last_use = last_use, .next = kNone},
              outlives);
}

Storage::Member Storage::view(Member of, std::uint64_t offset, std::uint64_t bytes, std::uint32_t step, std::uint32_t last_use,
                              bool outlives) {
  const Entry from = members_[of];
  return join(from.group, {.group = 0, .offset = from.offset + offset, .bytes = bytes, .last_use = std::max(last_use, step), .next = kNone},
              outlives);
}

bool Storage::may_replace(Member value, std::uint32_t step) const {
  const Block& g = groups_[members_[value].group];
  for (Member m = g.head; m != kNone; m = members_[m].next)
    if (m == value ? members_[m].last_use != step : members_[m].last_use >= step) return false;
  return std::all_of(g.touches.begin(), g.touches.end(),
                     [&](std::uint32_t touch) { return touch == step || ordering_->before(touch - begin_, step - begin_); });
}

bool Storage::absorb(Member into, std::uint64_t offset, Member value) {
  const Group from = members_[value].group, to = members_[into].group;
  if (from == to || members_[value].offset != 0 || groups_[from].info.bytes != members_[value].bytes || groups_[from].info.outlives)
    return false;
  if (groups_[from].info.space != groups_[to].info.space) return false;
  if (offset > members_[into].bytes || members_[value].bytes > members_[into].bytes - offset) return false;
  for (Member m = groups_[from].head; m != kNone;) {
    const Member next = members_[m].next;
    members_[m].group = to;
    members_[m].offset += members_[into].offset + offset;
    members_[m].next = groups_[to].head;
    groups_[to].head = m;
    m = next;
  }
  Block &source = groups_[from], &target = groups_[to];
  target.first = std::min(target.first, source.first);
  target.last = std::max(target.last, source.last);
  target.touches.insert(target.touches.end(), source.touches.begin(), source.touches.end());
  source.head = kNone;
  source.info.bytes = 0;
  return true;
}

void Storage::touch(Member value, std::uint32_t step) { groups_[members_[value].group].touches.push_back(step); }

bool Storage::stage(Member value, std::uint32_t space) {
  Info& info = groups_[members_[value].group].info;
  if (info.space == 0) info.space = space;
  return info.space == space;
}

void Storage::lay_out() {
  std::vector<std::vector<plan::Block>> blocks(topology_->spaces.size());
  std::vector<std::uint32_t> index(groups_.size());
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    Block& g = groups_[i];
    if (g.info.outlives) {
      g.info.pooled = pooled_++;
      continue;
    }
    for (const std::uint32_t touch : g.touches)
      g.last = std::max(g.last, begin_ + ordering_->last_beside(touch - begin_, topology_->spaces[g.info.space].lanes));
    index[i] = static_cast<std::uint32_t>(blocks[g.info.space].size());
    blocks[g.info.space].push_back({.bytes = g.info.bytes, .first = g.first, .last = g.last});
  }
  for (std::size_t space = 0; space < blocks.size(); ++space) {
    const plan::Topology::Space& s = topology_->spaces[space];
    arena_bytes_[space] = plan::place(blocks[space], s.number == 0 ? 64 : topology_->devices[s.device]->space(s.number).alignment);
  }
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (!groups_[i].info.outlives) groups_[i].info.offset = blocks[groups_[i].info.space][index[i]].offset;
}

}  // namespace ashlar::runtime
