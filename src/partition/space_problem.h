// SPDX-License-Identifier: Apache-2.0
// The placement of nodes as a problem of numbers: in which memory space each node works, so that kernels and copies together cost least.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace ashlar::partition {

/// Costs are whole numbers of 1/1024 ns, so that sums do not depend on their order.
using Ticks = std::int64_t;
inline constexpr Ticks kNever = std::numeric_limits<Ticks>::max() / 4096;  ///< the cost of what is impossible
Ticks to_ticks(double nanoseconds);
double to_nanoseconds(Ticks ticks);

/// Space 0 is the host's. Devices copy to and from it alone: a value goes from one device to another by way of the host.
struct SpaceProblem {
  struct Value {
    std::uint32_t producer = kGiven;       ///< a node, or kGiven: it is in host memory before
    std::vector<std::uint32_t> consumers;  ///< nodes, each once
    bool host_reads = false;               ///< an output, or a reader that takes it in host memory wherever it works
    std::vector<Ticks> upload, download;   ///< by space; of space 0 not used
  };
  static constexpr std::uint32_t kGiven = 0xffffffffu;

  std::size_t spaces = 1;
  std::vector<std::vector<Ticks>> nodes;  ///< cost by space; kNever where the node cannot be
  std::vector<Value> values;              ///< those that may be copied
};

/// A space for each node.
using Spaces = std::vector<std::uint32_t>;

/// Copies of one value: from the producer's space to the host once, where the host or another device reads it, and to every other space that
/// reads it.
struct ValueCopies {
  bool download = false;
  std::vector<std::uint32_t> uploads;  ///< spaces, in ascending order
};
ValueCopies copies_of(const SpaceProblem& problem, const SpaceProblem::Value& value, const Spaces& spaces);

/// The cost of kernels and copies; at least kNever where a node is where it cannot be.
Ticks total_cost(const SpaceProblem& problem, const Spaces& spaces);

/// The cheapest assignment where there are two spaces (a minimum cut) or few nodes (a search); else one that no change of any set of nodes to one
/// space improves (alpha expansion: Boykov, Veksler and Zabih, "Fast Approximate Energy Minimization via Graph Cuts", 2001), never costlier than
/// the best of `starts`.
Spaces cheapest_spaces(const SpaceProblem& problem, std::vector<Spaces> starts = {});

}  // namespace ashlar::partition
