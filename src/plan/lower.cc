// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "plan/plan.h"

namespace ashlar::plan {
namespace {

class Lowering {
 public:
  Lowering(const partition::PartitionedGraph& graph, const partition::Providers& providers, WeightStore& weights, std::size_t depth)
      : graph_(graph), providers_(providers), weights_(weights) {
    plan_->graph = graph.graph;
    plan_->slot_count = static_cast<Slot>(graph.graph->values.size());
    plan_->depth = depth;
  }

  std::unique_ptr<const Plan> run() {
    const auto& assignments = graph_.assignments;
    for (graph::NodeIndex i = 0; i < assignments.size();) {
      graph::NodeIndex end = i + 1;
      if (assignments[i].provider == partition::kCore) {
        add_core_step(i);
      } else {
        while (end < assignments.size() && assignments[end].provider == assignments[i].provider) ++end;
        add_program(assignments[i].provider, i, end);
      }
      i = end;
    }
    find_last_uses();
    add_constants();
    return std::move(plan_);
  }

 private:
  void add_core_step(graph::NodeIndex index) {
    const graph::Node& node = graph_.graph->nodes[index];
    Step& step = plan_->steps.emplace_back();
    step.node = index;
    step.provider = "core";
    step.kernel = graph_.assignments[index].kernel;
    step.inputs = node.inputs;
    step.outputs = node.outputs;
    set_dtypes(step);
    if (const auto bodies = graph_.bodies.find(index); bodies != graph_.bodies.end())
      for (const auto& [name, body] : bodies->second)
        step.bodies.emplace(name, Lowering(body, providers_, weights_, plan_->depth + 1).run());
  }

  void add_program(int provider, graph::NodeIndex begin, graph::NodeIndex end) {
    std::vector<std::uint32_t> nodes;
    for (graph::NodeIndex i = begin; i < end; ++i) nodes.push_back(i);
    const auto program = providers_[static_cast<std::size_t>(provider)]->prepare(graph_.view, nodes);
    plan_->programs.push_back(program);
    const Slot own_values = plan_->slot_count;  // a program's own values are numbered from the graph's value count
    const auto slot = [&](std::uint32_t id) {
      const auto graph_values = static_cast<std::uint32_t>(graph_.graph->values.size());
      if (id == ASHLAR_NONE || id < graph_values) return id;
      const Slot mapped = own_values + (id - graph_values);
      plan_->slot_count = std::max(plan_->slot_count, mapped + 1);
      return mapped;
    };
    for (std::uint32_t s = 0; s < program->step_count(); ++s) {
      const AshlarStep& from = program->step(s);
      if (!from.bind || !from.run || from.node_count == 0 || from.nodes[0] >= graph_.graph->nodes.size())
        throw Error(ErrorCode::kInternal, "a prepared step lacks bind, run or its node", {.provider = program->provider().name()});
      if (from.queue != 0 || from.wait_count != 0)
        throw Error(ErrorCode::kUnsupported, "its steps need a queue, which this version of the core does not drive",
                    {.provider = program->provider().name()});
      Step& step = plan_->steps.emplace_back();
      step.node = from.nodes[0];
      step.provider_step = &from;
      step.provider = program->provider().name();
      step.kernel = from.kernel ? from.kernel : "";
      for (std::uint32_t i = 0; i < from.input_count; ++i) step.inputs.push_back(slot(from.inputs[i]));
      for (std::uint32_t i = 0; i < from.output_count; ++i) step.outputs.push_back(slot(from.outputs[i]));
      set_dtypes(step);
    }
  }

  void set_dtypes(Step& step) {
    const auto dtype = [&](Slot s) { return s < graph_.graph->values.size() ? graph_.graph->values[s].type.dtype : DType::kUndefined; };
    for (const Slot s : step.inputs) step.input_dtypes.push_back(dtype(s));
    for (const Slot s : step.outputs) step.output_dtypes.push_back(dtype(s));
  }

  std::vector<Slot> reads(const Step& step) const {
    std::vector<Slot> out = step.inputs;
    if (!step.provider_step) {
      const auto& captures = plan_->node(step).captures;
      out.insert(out.end(), captures.begin(), captures.end());
    }
    return out;
  }

  void find_last_uses() {
    std::set<Slot> live(graph_.graph->outputs.begin(), graph_.graph->outputs.end());
    for (auto step = plan_->steps.rbegin(); step != plan_->steps.rend(); ++step) {
      for (const Slot s : step->outputs)
        if (s != kNoSlot && live.insert(s).second) step->last_uses.push_back(s);
      for (const Slot s : reads(*step))
        if (s != kNoSlot && live.insert(s).second) step->last_uses.push_back(s);
    }
  }

  void add_constants() {
    std::set<Slot> needed(graph_.graph->outputs.begin(), graph_.graph->outputs.end());
    for (const Step& step : plan_->steps)
      for (const Slot s : reads(step)) needed.insert(s);
    const auto is_constant = [&](Slot s) { return s < graph_.graph->values.size() && graph_.graph->values[s].constant.defined(); };
    for (const Slot s : needed)
      if (is_constant(s)) plan_->constants.emplace_back(s, weights_.aligned(graph_.graph->values[s].constant));
    for (Step& step : plan_->steps) std::erase_if(step.last_uses, is_constant);
  }

  const partition::PartitionedGraph& graph_;
  const partition::Providers& providers_;
  WeightStore& weights_;
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
};

}  // namespace

std::unique_ptr<const Plan> lower(const partition::PartitionedGraph& graph, const partition::Providers& providers, WeightStore& weights) {
  return Lowering(graph, providers, weights, 0).run();
}

void verify(const Plan& plan) {
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInternal, "the plan is wrong: " + what); };
  std::vector<char> live(plan.slot_count, 0);
  for (const graph::ValueId id : plan.graph->inputs) live[id] = 1;
  for (const graph::Capture& c : plan.graph->captures) live[c.inner] = 1;
  for (const auto& [slot, tensor] : plan.constants) live[slot] = 1;
  for (const Step& step : plan.steps) {
    const std::string& id = plan.node(step).id;
    for (const Slot s : step.inputs)
      if (s != kNoSlot && (s >= plan.slot_count || !live[s])) fail(id + " reads a value that is not there");
    for (const Slot s : step.outputs)
      if (s != kNoSlot) live.at(s) = 1;
    for (const Slot s : step.last_uses) live.at(s) = 0;
    for (const auto& [name, body] : step.bodies) verify(*body);
  }
  for (const graph::ValueId id : plan.graph->outputs)
    if (!live[id]) fail("output '" + plan.graph->values[id].name + "' is not computed");
}

}  // namespace ashlar::plan
