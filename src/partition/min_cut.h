// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace ashlar::partition {

/// A minimum cut by Dinic's algorithm: binary variables, each on the source's side (false) or the sink's (true).
class MinCut {
 public:
  using Capacity = std::int64_t;
  static constexpr std::uint32_t kSource = 0, kSink = 1;
  static constexpr Capacity kInfinite = INT64_MAX / 4;

  MinCut() : first_(2, kNoEdge) {}
  std::uint32_t add_variable();
  /// Costs so much when `from` is false and `to` is true.
  void add_edge(std::uint32_t from, std::uint32_t to, Capacity capacity);
  /// The variables of a cut of least cost; of several, the one with the fewest true.
  std::vector<char> solve();

 private:
  static constexpr std::uint32_t kNoEdge = 0xffffffffu;
  struct Edge {
    std::uint32_t to, next;
    Capacity left;
  };
  bool find_levels();
  Capacity push();

  std::vector<std::uint32_t> first_;
  std::vector<Edge> edges_;  ///< edge i and its reverse, i^1
  std::vector<std::uint32_t> level_, at_;
};

}  // namespace ashlar::partition
