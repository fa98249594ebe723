// SPDX-License-Identifier: Apache-2.0
#include "partition/min_cut.h"

#include <algorithm>

namespace ashlar::partition {

std::uint32_t MinCut::add_variable() {
  first_.push_back(kNoEdge);
  return static_cast<std::uint32_t>(first_.size() - 1);
}

void MinCut::add_edge(std::uint32_t from, std::uint32_t to, Capacity capacity) {
  if (from == to || capacity <= 0) return;
  edges_.push_back({to, first_[from], capacity});
  first_[from] = static_cast<std::uint32_t>(edges_.size() - 1);
  edges_.push_back({from, first_[to], 0});
  first_[to] = static_cast<std::uint32_t>(edges_.size() - 1);
}

/// Distances from the source along edges with capacity left; whether the sink is reached.
bool MinCut::find_levels() {
  level_.assign(first_.size(), kNoEdge);
  level_[kSource] = 0;
  std::vector<std::uint32_t> queue = {kSource};
  for (std::size_t i = 0; i < queue.size(); ++i)
    for (std::uint32_t e = first_[queue[i]]; e != kNoEdge; e = edges_[e].next)
      if (edges_[e].left > 0 && level_[edges_[e].to] == kNoEdge) {
        level_[edges_[e].to] = level_[queue[i]] + 1;
        queue.push_back(edges_[e].to);
      }
  return level_[kSink] != kNoEdge;
}

/// Sends what one shortest path takes; 0 when there is none left. Not recursive: a path may be as long as the graph.
MinCut::Capacity MinCut::push() {
  std::vector<std::uint32_t> path;
  std::uint32_t node = kSource;
  while (node != kSink) {
    std::uint32_t& e = at_[node];
    while (e != kNoEdge && (edges_[e].left <= 0 || level_[edges_[e].to] != level_[node] + 1)) e = edges_[e].next;
    if (e != kNoEdge) {
      path.push_back(e);
      node = edges_[e].to;
      continue;
    }
    if (path.empty()) return 0;
    node = edges_[path.back() ^ 1].to;  // a dead end
    at_[node] = edges_[path.back()].next;
    path.pop_back();
  }
  Capacity sent = kInfinite;
  for (const std::uint32_t e : path) sent = std::min(sent, edges_[e].left);
  for (const std::uint32_t e : path) {
    edges_[e].left -= sent;
    edges_[e ^ 1].left += sent;
  }
  return sent;
}

std::vector<char> MinCut::solve() {
  while (find_levels()) {
    at_ = first_;
    while (push() > 0) continue;
  }
  std::vector<char> out(first_.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = level_[i] == kNoEdge;
  return out;
}

}  // namespace ashlar::partition
