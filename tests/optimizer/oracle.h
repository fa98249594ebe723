// SPDX-License-Identifier: Apache-2.0
// What graphs compute, by the reference provider.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "optimizer/legalize.h"
#include "partition/host.h"
#include "partition/partition.h"
#include "partition/weights.h"
#include "plan/topology.h"
#include "session/folding.h"

namespace ashlar::testing {

class Oracle {
 public:
  Oracle() : weights_(std::make_shared<partition::WeightStore>()) {
    providers_ = {partition::Provider::create("reference", std::make_shared<const partition::Host>(core::Executor(), weights_))};
    topology_ = std::make_shared<plan::Topology>(providers_);
  }

  /// Runs a graph that has no inputs.
  std::vector<Tensor> evaluate(const graph::Graph& graph) const { return session::evaluate(graph, providers_, topology_, *weights_, {}); }

  /// Runs a graph in canonical form on these inputs; operators that the provider lacks become their bodies.
  std::vector<Tensor> run(const graph::Graph& of, const std::vector<Tensor>& inputs) const {
    graph::Graph graph = graph::deep_copy(of);
    if (inputs.size() != graph.inputs.size()) throw std::invalid_argument("the graph has another number of inputs");
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      graph::Value& value = graph.values[graph.inputs[i]];
      value.constant = inputs[i];
      value.type.shape.emplace();
      for (const std::int64_t d : inputs[i].shape().dims()) value.type.shape->push_back({d, ""});
    }
    graph.inputs.clear();
    optimizer::legalize(graph, [&](const graph::Graph& g, graph::NodeIndex n) { return takes(g, n); });
    graph::verify(graph);
    return evaluate(graph);
  }

 private:
  bool takes(const graph::Graph& graph, graph::NodeIndex n) const {
    const partition::GraphView view(std::make_shared<const graph::Graph>(graph));
    return providers_[0]->verdict(view, n).accepted();
  }

  std::shared_ptr<partition::WeightStore> weights_;
  partition::Providers providers_;
  std::shared_ptr<const plan::Topology> topology_;
};

}  // namespace ashlar::testing
