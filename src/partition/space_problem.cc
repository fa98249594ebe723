// SPDX-License-Identifier: Apache-2.0
#include "partition/space_problem.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "partition/min_cut.h"

namespace ashlar::partition {
namespace {

constexpr std::size_t kSearched = 12;  ///< nodes of a graph whose every assignment is looked at, where there are several devices

/// One expansion: every node keeps its space or moves to `target`, whichever set of moves is cheapest. A variable is true where its node moves.
class Expansion {
 public:
  Expansion(const SpaceProblem& problem, const Spaces& now, std::uint32_t target) : problem_(problem), now_(now), target_(target) {
    for (std::size_t i = 0; i < problem.nodes.size(); ++i) {
      const Ticks here = problem.nodes[i][now[i]], there = problem.nodes[i][target];
      if (now[i] == target) variables_.push_back(MinCut::kSink);
      else if (there >= kNever) variables_.push_back(MinCut::kSource);
      else {
        const std::uint32_t v = cut_.add_variable();
        cut_.add_edge(MinCut::kSource, v, there - std::min(here, there));
        cut_.add_edge(v, MinCut::kSink, here - std::min(here, there));
        variables_.push_back(v);
      }
    }
    for (const SpaceProblem::Value& value : problem.values) add(value);
  }

  Spaces solve() {
    const std::vector<char> moved = cut_.solve();
    Spaces out = now_;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (variables_[i] > MinCut::kSink && moved[variables_[i]]) out[i] = target_;
    return out;
  }

 private:
  /// True where all of these are; the cut makes it as true as it may.
  std::uint32_t all_of(const std::vector<std::uint32_t>& variables) {
    const std::uint32_t all = cut_.add_variable();
    for (const std::uint32_t v : variables)
      if (v != MinCut::kSink) cut_.add_edge(v, all, MinCut::kInfinite);
    return all;
  }
  /// True where one of these is; the cut makes it as false as it may.
  std::uint32_t any_of(const std::vector<std::uint32_t>& variables) {
    const std::uint32_t any = cut_.add_variable();
    for (const std::uint32_t v : variables)
      if (v != MinCut::kSource) cut_.add_edge(any, v, MinCut::kInfinite);
    return any;
  }

  void add(const SpaceProblem::Value& value) {
    const bool given = value.producer == SpaceProblem::kGiven;
    const std::uint32_t home = given ? 0 : now_[value.producer];
    const std::uint32_t producer = given ? MinCut::kSource : variables_[value.producer];  // false: it stays at home
    const auto readers_at = [&](auto matches) {
      std::vector<std::uint32_t> out;
      for (const std::uint32_t c : value.consumers)
        if (matches(now_[c])) out.push_back(variables_[c]);
      return out;
    };
    // Uploads to where readers are now and may stay.
    for (std::uint32_t d = 1; d < problem_.spaces; ++d) {
      if (d == target_) continue;
      const std::vector<std::uint32_t> readers = readers_at([&](std::uint32_t s) { return s == d; });
      if (readers.empty()) continue;
      // At home there is no upload: only when the producer leaves.
      cut_.add_edge(all_of(readers), d == home ? producer : MinCut::kSink, value.upload[d]);
    }
    const std::vector<std::uint32_t> there = readers_at([&](std::uint32_t s) { return s == target_; });
    const std::vector<std::uint32_t> elsewhere = readers_at([&](std::uint32_t s) { return s != target_; });
    if (target_ != 0 && home != target_) {
      if (!there.empty()) cut_.add_edge(producer, MinCut::kSink, value.upload[target_]);
      else if (!elsewhere.empty()) cut_.add_edge(producer, any_of(elsewhere), value.upload[target_]);
    }
    if (home != 0 && home != target_) {  // the producer stays on its device
      const bool leaves = value.host_reads || !readers_at([&](std::uint32_t s) { return s != home; }).empty();
      if (leaves) cut_.add_edge(producer, MinCut::kSink, value.download[home]);
      else if (!elsewhere.empty()) cut_.add_edge(producer, any_of(elsewhere), value.download[home]);
    }
    if (target_ != 0 && !(given || producer == MinCut::kSource)) {  // the producer moves, or is there
      if (value.host_reads) cut_.add_edge(MinCut::kSource, producer, value.download[target_]);
      else if (!elsewhere.empty()) cut_.add_edge(all_of(elsewhere), producer, value.download[target_]);
    }
  }

  const SpaceProblem& problem_;
  const Spaces& now_;
  const std::uint32_t target_;
  MinCut cut_;
  std::vector<std::uint32_t> variables_;  ///< by node; MinCut::kSource and kSink where there is no choice
};

/// Every assignment, cut short where kernels alone cost as much as the best that was found.
class Search {
 public:
  Search(const SpaceProblem& problem, Spaces best) : problem_(problem), best_(std::move(best)), cost_(total_cost(problem, best_)) {
    rest_.assign(problem.nodes.size() + 1, 0);
    for (std::size_t i = problem.nodes.size(); i-- > 0;)
      rest_[i] = rest_[i + 1] + *std::min_element(problem.nodes[i].begin(), problem.nodes[i].end());
    at_ = best_;
    look(0, 0);
  }
  const Spaces& best() const { return best_; }

 private:
  void look(std::size_t node, Ticks kernels) {
    if (kernels + rest_[node] >= cost_) return;
    if (node == problem_.nodes.size()) {
      const Ticks cost = total_cost(problem_, at_);
      if (cost < cost_) best_ = at_, cost_ = cost;
      return;
    }
    for (std::uint32_t s = 0; s < problem_.spaces; ++s) {
      if (problem_.nodes[node][s] >= kNever) continue;
      at_[node] = s;
      look(node + 1, kernels + problem_.nodes[node][s]);
    }
  }
  const SpaceProblem& problem_;
  Spaces best_, at_;
  Ticks cost_;
  std::vector<Ticks> rest_;  ///< by node: what it and those behind it take at least
};

}  // namespace

Ticks to_ticks(double nanoseconds) { return static_cast<Ticks>(std::llround(std::clamp(nanoseconds, 0.0, 1e12) * 1024)); }
double to_nanoseconds(Ticks ticks) { return static_cast<double>(ticks) / 1024; }

ValueCopies copies_of(const SpaceProblem& problem, const SpaceProblem::Value& value, const Spaces& spaces) {
  const std::uint32_t home = value.producer == SpaceProblem::kGiven ? 0 : spaces[value.producer];
  std::vector<char> reads(problem.spaces, 0);
  reads[0] = value.host_reads;
  for (const std::uint32_t c : value.consumers) reads[spaces[c]] = 1;
  ValueCopies out;
  for (std::uint32_t s = 0; s < problem.spaces; ++s) {
    if (!reads[s] || s == home) continue;
    if (home != 0) out.download = true;
    if (s != 0) out.uploads.push_back(s);
  }
  return out;
}

Ticks total_cost(const SpaceProblem& problem, const Spaces& spaces) {
  Ticks out = 0;
  for (std::size_t i = 0; i < spaces.size(); ++i) out = std::min(kNever, out + problem.nodes[i][spaces[i]]);
  for (const SpaceProblem::Value& value : problem.values) {
    const ValueCopies copies = copies_of(problem, value, spaces);
    if (copies.download) out = std::min(kNever, out + value.download[spaces[value.producer]]);
    for (const std::uint32_t s : copies.uploads) out = std::min(kNever, out + value.upload[s]);
  }
  return out;
}

Spaces cheapest_spaces(const SpaceProblem& problem, std::vector<Spaces> starts) {
  // From where every node is in host memory that can be, the one expansion to the other of two spaces reaches every assignment.
  Spaces& host = starts.emplace_back();
  for (const std::vector<Ticks>& node : problem.nodes)
    host.push_back(static_cast<std::uint32_t>(std::find_if(node.begin(), node.end(), [](Ticks t) { return t < kNever; }) - node.begin()));
  std::optional<Spaces> best;
  Ticks best_cost = 0;
  for (Spaces now : starts) {
    Ticks cost = total_cost(problem, now);
    for (bool better = true; better;) {
      better = false;
      for (std::uint32_t target = 0; target < problem.spaces; ++target) {
        Spaces moved = Expansion(problem, now, target).solve();
        const Ticks moved_cost = total_cost(problem, moved);
        if (moved_cost >= cost) continue;
        now = std::move(moved);
        cost = moved_cost;
        better = problem.spaces > 2;  // of two spaces one expansion each way is exact
      }
    }
    if (!best || cost < best_cost) best = std::move(now), best_cost = cost;
  }
  if (problem.spaces > 2 && problem.nodes.size() <= kSearched) return Search(problem, std::move(*best)).best();
  return std::move(*best);
}

}  // namespace ashlar::partition
