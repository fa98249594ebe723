// SPDX-License-Identifier: Apache-2.0
#include "session/folding.h"

#include <ashlar/session.h>

#include "core/mapped_pages.h"
#include "plan/plan.h"
#include "runtime/frame.h"
#include "runtime/resources.h"

namespace ashlar::session {
namespace {

template <class Visit> void each_constant(const graph::Graph& graph, const Visit& visit) {
  for (const graph::Value& v : graph.values)
    if (v.constant.defined()) visit(v.constant);
  for (const graph::Node& node : graph.nodes)
    for (const auto& [name, body] : graph::bodies(node)) each_constant(*body, visit);
}

}  // namespace

std::unordered_set<const void*> constant_addresses(const graph::Graph& graph) {
  std::unordered_set<const void*> out;
  each_constant(graph, [&](const Tensor& t) { out.insert(t.raw()); });
  return out;
}

void forget_constants(const graph::Graph& graph, partition::WeightStore& weights, const std::unordered_set<const void*>& lasting) {
  each_constant(graph, [&](const Tensor& t) {
    if (!lasting.contains(t.raw())) weights.forget(t.raw());
  });
}

std::vector<Tensor> evaluate(const graph::Graph& graph, const partition::Providers& providers,
                             std::shared_ptr<const plan::Topology> topology, partition::WeightStore& weights,
                             const std::unordered_set<const void*>& lasting) {
  struct Forget {
    const graph::Graph& graph;
    partition::WeightStore& weights;
    const std::unordered_set<const void*>& lasting;
    ~Forget() { forget_constants(graph, weights, lasting); }
  } const forget{graph, weights, lasting};
  const auto shared = std::make_shared<const graph::Graph>(graph);
  const auto plan = plan::lower(partition::partition(shared, providers), providers, topology, weights);
  runtime::Resources resources(topology);
  runtime::Frame frame(*plan, resources);
  const RunOptions options;
  frame.run(runtime::RunState(options));
  std::vector<Tensor> out;
  for (const plan::Slot slot : plan->outputs) out.push_back(frame.value(slot).tensor().clone());
  frame.finish();
  resources.end_run();
  each_constant(graph, [](const Tensor& t) { core::release_mapped_pages(t.raw(), t.bytes()); });
  return out;
}

}  // namespace ashlar::session
