// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "partition/costs.h"
#include "partition/partition.h"
#include "partition/space_problem.h"

namespace ashlar::partition {

/// One graph's nodes, values and spaces as a SpaceProblem: space 0 is the host's, the others are the providers' with a device, in order.
class SpaceModel {
 public:
  SpaceModel(const PartitionedGraph& graph, const Providers& providers, const Costs& costs, const ExpectedShapes& shapes);

  const SpaceProblem& problem() const noexcept { return problem_; }
  std::uint32_t space_of(int provider) const { return provider < 0 ? 0 : space_of_provider_[static_cast<std::size_t>(provider)]; }
  /// The provider of a space; none of the host's.
  std::size_t provider_of(std::uint32_t space) const { return provider_of_space_[space]; }
  /// The cheapest provider of the space that takes the node; kCore where the core does.
  int cheapest(graph::NodeIndex node, std::uint32_t space) const { return cheapest_[node][space]; }
  Ticks cost(graph::NodeIndex node, std::size_t provider) const { return costs_of_[node][provider]; }
  graph::ValueId value(std::size_t i) const { return values_[i]; }
  std::uint64_t bytes(std::size_t i) const { return bytes_[i]; }
  /// Where the graph's nodes are now.
  Spaces spaces() const;

 private:
  const PartitionedGraph& graph_;
  SpaceProblem problem_;
  std::vector<std::uint32_t> space_of_provider_;
  std::vector<std::size_t> provider_of_space_ = {0};
  std::vector<std::vector<int>> cheapest_;
  std::vector<std::vector<Ticks>> costs_of_;  ///< by node and provider; kNever where it is refused
  std::vector<graph::ValueId> values_;        ///< by value of the problem
  std::vector<std::uint64_t> bytes_;
};

/// Copies that a run of the graph makes, bodies apart.
struct CopyTotals {
  std::int64_t copies = 0;
  std::uint64_t bytes = 0;
  Ticks cost = 0;
};
CopyTotals copy_totals(const SpaceModel& model, const Spaces& spaces);

/// Assigns every node where it costs least, and says in the records of the providers that lost it what it would have cost there.
void place_by_cost(PartitionedGraph& graph, const Providers& providers, const Request& request, const Costs& costs,
                   const ExpectedShapes& shapes);

/// "1.5 ms", "20 us"; "1.5 MiB".
std::string time_text(double nanoseconds);
std::string size_text(std::uint64_t bytes);

}  // namespace ashlar::partition
