// SPDX-License-Identifier: Apache-2.0
// Whether a batch may be run in parts: a part whose values fit in the caches takes less time than all at once.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace ashlar::plan {

struct BatchRule {
  bool divisible = false;         ///< row i of every output depends on row i of the inputs alone
  std::vector<char> by_row = {};  ///< by input of the graph: it has a row for each of the batch; else every part reads all of it
  std::string reason = {};        ///< why it is not divisible: a sentence
};

/// The rule of an optimized graph whose inputs' first dimension has a name. What an operator does to rows is known for those that networks of
/// layers are made of; any other is a reason not to divide.
BatchRule batch_rule(const graph::Graph& graph);

}  // namespace ashlar::plan
