// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include <ashlar/model.h>

#include "graph/graph.h"
#include "partition/weights.h"

namespace ashlar::inline v0 {

struct Model::Impl {
  std::shared_ptr<const graph::Graph> graph;
  Info info;
  std::vector<ValueInfo> inputs, outputs;
  std::shared_ptr<partition::WeightStore> weights = std::make_shared<partition::WeightStore>();
};

}  // namespace ashlar::inline v0
