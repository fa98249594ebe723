// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <ashlar/passes.h>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// A named rewrite that keeps what a graph computes.
struct Pass {
  std::string name;     ///< "fuse-gelu"
  std::string summary;  ///< one line: what it rewrites
  /// Rewrites one graph by patches; the driver calls it for each body too, after the graph around it.
  std::function<void(Editor& editor)> run;
  /// Runs only once the passes that are not late find nothing more to do: it hides what they look for.
  bool late = false;
};

/// All passes in order, those that cannot be left out too.
std::vector<PassInfo> pass_list();

/// The passes of every session, in order.
const std::vector<Pass>& pipeline();

/// Canonicalises, legalises, then runs the enabled passes in order until none of them changes anything (kMostRounds at most), late ones only in rounds in
/// which the others change nothing, checking the graph after each; at last what a pass made and `takes` refuses after all becomes its body again. `graph` and its bodies must be nobody else's.
/// Throws Error: kNotFound for a pass that does not exist, with the nearest name; kInvalidArgument for one that cannot be disabled or a negative
/// stop_after; kInternal naming the pass that leaves a graph which does not verify; and what inference throws for a model that contradicts itself.
Optimization optimize(Graph& graph, const PassOptions& options, Takes takes, Evaluate evaluate, std::span<const Pass> passes = pipeline());

inline constexpr int kMostRounds = 12;

}  // namespace ashlar::optimizer
