// SPDX-License-Identifier: Apache-2.0
#include "partition/space_problem.h"

#include <random>

#include <gtest/gtest.h>

#include "partition/min_cut.h"

namespace ashlar::partition {
namespace {

TEST(MinCut, SeparatesAtTheCheapestEdges) {
  MinCut cut;
  const std::uint32_t a = cut.add_variable(), b = cut.add_variable();
  cut.add_edge(MinCut::kSource, a, 10);
  cut.add_edge(a, b, 3);
  cut.add_edge(b, MinCut::kSink, 10);
  const std::vector<char> side = cut.solve();
  EXPECT_FALSE(side[a]);
  EXPECT_TRUE(side[b]);
}

TEST(MinCut, FollowsAChainOfAnyLength) {
  MinCut cut;
  std::uint32_t last = MinCut::kSource;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint32_t next = cut.add_variable();
    cut.add_edge(last, next, i == 150'000 ? 1 : 2);
    last = next;
  }
  cut.add_edge(last, MinCut::kSink, 2);
  const std::vector<char> side = cut.solve();
  EXPECT_FALSE(side[2 + 149'999]);
  EXPECT_TRUE(side[2 + 150'000]);
}

class Draw {
 public:
  explicit Draw(unsigned seed) : rng_(seed) {}
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(rng_); }
  Ticks cost() { return static_cast<Ticks>(below(4) == 0 ? below(3) : below(1000)); }

  SpaceProblem problem(std::size_t spaces, std::size_t nodes) {
    SpaceProblem out;
    out.spaces = spaces;
    for (std::size_t i = 0; i < nodes; ++i) {
      std::vector<Ticks>& costs = out.nodes.emplace_back();
      for (std::size_t s = 0; s < spaces; ++s) costs.push_back(below(5) == 0 ? kNever : cost());
      costs[below(spaces)] = cost();
    }
    for (std::size_t i = 0; i < nodes + nodes / 2; ++i) {
      SpaceProblem::Value value;
      const std::size_t from = below(nodes + 1);
      if (from < nodes) value.producer = static_cast<std::uint32_t>(from);
      for (std::uint32_t c = 0; c < nodes; ++c)
        if (c != value.producer && below(3) == 0) value.consumers.push_back(c);
      value.host_reads = below(4) == 0;
      for (std::size_t s = 0; s < spaces; ++s) {
        value.upload.push_back(cost());
        value.download.push_back(cost());
      }
      out.values.push_back(std::move(value));
    }
    return out;
  }

 private:
  std::mt19937 rng_;
};

Ticks brute_force(const SpaceProblem& problem) {
  Spaces at(problem.nodes.size(), 0);
  Ticks best = kNever;
  while (true) {
    best = std::min(best, total_cost(problem, at));
    std::size_t i = 0;
    while (i < at.size() && ++at[i] == problem.spaces) at[i++] = 0;
    if (i == at.size()) return best;
  }
}

TEST(SpaceProblems, OfTwoSpacesCostsWhatBruteForceFinds) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Draw draw(seed);
    const SpaceProblem problem = draw.problem(2, 1 + draw.below(10));
    ASSERT_EQ(total_cost(problem, cheapest_spaces(problem)), brute_force(problem)) << "seed " << seed;
  }
}

TEST(SpaceProblems, OfThreeSpacesCostsWhatBruteForceFinds) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    Draw draw(seed);
    const SpaceProblem problem = draw.problem(3, 1 + draw.below(8));
    ASSERT_EQ(total_cost(problem, cheapest_spaces(problem)), brute_force(problem)) << "seed " << seed;
  }
}

TEST(SpaceProblems, OfManyNodesAndSpacesIsNoWorseThanItsStarts) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    Draw draw(seed);
    const SpaceProblem problem = draw.problem(2 + draw.below(3), 20 + draw.below(60));
    Spaces cheapest_kernels;
    for (const std::vector<Ticks>& node : problem.nodes)
      cheapest_kernels.push_back(static_cast<std::uint32_t>(std::min_element(node.begin(), node.end()) - node.begin()));
    const Ticks found = total_cost(problem, cheapest_spaces(problem, {cheapest_kernels}));
    EXPECT_LE(found, total_cost(problem, cheapest_kernels)) << "seed " << seed;
    EXPECT_LT(found, kNever);
  }
}

TEST(SpaceProblems, AnIslandThatDoesNotPayForItsCopiesStaysOnTheHost) {
  // host -> a -> host, 5 saved, 4 + 4 copied; with a second node behind it, 10 saved.
  SpaceProblem problem{.spaces = 2, .nodes = {{10, 5}}, .values = {}};
  problem.values.push_back({.consumers = {0}, .upload = {0, 4}, .download = {0, 4}});
  problem.values.push_back({.producer = 0, .consumers = {}, .host_reads = true, .upload = {0, 4}, .download = {0, 4}});
  EXPECT_EQ(cheapest_spaces(problem), Spaces{0});
  problem.nodes.push_back({10, 5});
  problem.values[1] = {.producer = 0, .consumers = {1}, .upload = {0, 4}, .download = {0, 4}};
  problem.values.push_back({.producer = 1, .consumers = {}, .host_reads = true, .upload = {0, 4}, .download = {0, 4}});
  EXPECT_EQ(cheapest_spaces(problem), (Spaces{1, 1}));
}

}  // namespace
}  // namespace ashlar::partition
