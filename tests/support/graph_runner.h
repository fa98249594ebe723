// SPDX-License-Identifier: Apache-2.0
// Runs a graph that no file can hold: what a session does behind its passes.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "partition/host.h"
#include "plan/plan.h"
#include "runtime/frame.h"

namespace ashlar::testing {

class GraphRunner {
 public:
  GraphRunner(graph::Graph graph, const std::vector<std::string>& providers, int threads = 1)
      : graph_(std::make_shared<const graph::Graph>(std::move(graph))), weights_(std::make_shared<partition::WeightStore>()) {
    core::Executor executor;
    executor.threads = threads;
    for (const std::string& name : providers)
      providers_.push_back(partition::Provider::create(name, std::make_shared<const partition::Host>(executor, weights_)));
    topology_ = std::make_shared<const plan::Topology>(providers_);
    plan_ = plan::lower(partition::partition(graph_, providers_), providers_, topology_, *weights_);
    plan::verify(*plan_);
    resources_ = std::make_unique<runtime::Resources>(topology_);
    frame_ = std::make_unique<runtime::Frame>(*plan_, *resources_);
  }

  /// Inputs and outputs are the graph's, in order.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const RunOptions& options = {}) {
    for (std::size_t i = 0; i < inputs.size(); ++i) frame_->set(graph_->inputs[i], inputs[i]);
    const runtime::RunState state(options);
    frame_->run(state);
    std::vector<Tensor> outputs;
    for (const plan::Slot slot : plan_->outputs) outputs.push_back(frame_->value(slot).tensor());
    frame_->finish();
    resources_->end_run();
    return outputs;
  }

  std::string plan_text() const { return plan::to_text(*plan_); }

 private:
  std::shared_ptr<const graph::Graph> graph_;
  std::shared_ptr<partition::WeightStore> weights_;
  partition::Providers providers_;
  std::shared_ptr<const plan::Topology> topology_;
  std::unique_ptr<const plan::Plan> plan_;
  std::unique_ptr<runtime::Resources> resources_;
  std::unique_ptr<runtime::Frame> frame_;
};

}  // namespace ashlar::testing
