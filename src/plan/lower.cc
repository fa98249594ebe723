// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "plan/plan.h"

namespace ashlar::plan {
namespace {

class Lowering {
 public:
  Lowering(const partition::PartitionedGraph& graph, const partition::Providers& providers, partition::WeightStore& weights,
           std::size_t depth)
      : graph_(graph), providers_(providers), weights_(weights) {
    plan_->graph = graph.graph;
    plan_->depth = depth;
    for (const graph::Value& v : graph.graph->values) plan_->slots.push_back({.dtype = v.type.dtype, .constant = v.constant.defined()});
    for (const graph::ValueId id : graph.graph->inputs) plan_->slots[id].constant = false;  // a default may be replaced
    host_step_of_.resize(graph.graph->values.size(), graph::kNone);
  }

  std::unique_ptr<const Plan> run() {
    const auto& assignments = graph_.assignments;
    for (graph::NodeIndex i = 0; i < assignments.size(); ++i)
      if (assignments[i].provider == partition::kHost)
        for (const graph::ValueId v : graph_.graph->nodes[i].outputs)
          if (v != graph::kNone) host_step_of_[v] = i;
    for (graph::NodeIndex i = 0; i < assignments.size();) {
      if (assignments[i].provider == partition::kHost) {
        ++i;  // emitted where a step first reads it
        continue;
      }
      graph::NodeIndex end = i + 1;
      if (assignments[i].provider == partition::kCore) {
        add_core_step(i);
      } else {
        while (end < assignments.size() &&
               (assignments[end].provider == assignments[i].provider || assignments[end].provider == partition::kHost))
          ++end;
        add_program(assignments[i].provider, i, end);
      }
      i = end;
    }
    for (const graph::ValueId v : graph_.graph->outputs) need(v);
    find_last_uses();
    add_constants();
    return std::move(plan_);
  }

 private:
  /// Emits the host step that gives the value, and those it needs.
  void need(Slot slot) {
    if (slot == kNoSlot || slot >= host_step_of_.size() || host_step_of_[slot] == graph::kNone) return;
    const graph::NodeIndex index = host_step_of_[slot];
    const graph::Node& node = graph_.graph->nodes[index];
    for (const graph::ValueId v : node.outputs)
      if (v != graph::kNone) host_step_of_[v] = graph::kNone;
    for (const graph::ValueId v : node.inputs) need(v);
    add_step(index, Runner::kHost, "core", graph_.assignments[index].kernel, node.inputs, node.outputs);
  }

  Step& add_step(graph::NodeIndex node, Runner runner, std::string provider, std::string kernel, std::vector<Slot> inputs,
                 std::vector<Slot> outputs) {
    for (const Slot s : inputs) need(s);
    Step& step = plan_->steps.emplace_back();
    step.node = node;
    step.runner = runner;
    step.provider = std::move(provider);
    step.kernel = std::move(kernel);
    step.inputs = std::move(inputs);
    step.outputs = std::move(outputs);
    const auto dtype = [&](Slot s) { return s == kNoSlot ? DType::kUndefined : plan_->slots[s].dtype; };
    for (const Slot s : step.inputs) step.input_dtypes.push_back(dtype(s));
    for (const Slot s : step.outputs) step.output_dtypes.push_back(dtype(s));
    return step;
  }

  void add_core_step(graph::NodeIndex index) {
    const graph::Node& node = graph_.graph->nodes[index];
    for (const graph::ValueId v : node.captures) need(v);
    Step& step = add_step(index, Runner::kCore, "core", graph_.assignments[index].kernel, node.inputs, node.outputs);
    if (const auto bodies = graph_.bodies.find(index); bodies != graph_.bodies.end())
      for (const auto& [name, body] : bodies->second)
        step.bodies.emplace(name, Lowering(body, providers_, weights_, plan_->depth + 1).run());
  }

  void add_program(int provider, graph::NodeIndex begin, graph::NodeIndex end) {
    std::vector<std::uint32_t> nodes;
    for (graph::NodeIndex i = begin; i < end; ++i)
      if (graph_.assignments[i].provider == provider) nodes.push_back(i);
    const auto program = providers_[static_cast<std::size_t>(provider)]->prepare(graph_.view, nodes);
    plan_->programs.push_back(program);
    const std::string& name = program->provider().name();
    const auto graph_values = static_cast<std::uint32_t>(graph_.graph->values.size());
    const auto own_values = static_cast<Slot>(plan_->slots.size());  // a program's own values are numbered from the graph's value count
    for (std::uint32_t v = 0; v < program->value_count(); ++v) plan_->slots.push_back({.dtype = static_cast<DType>(program->value(v).dtype)});
    const auto slot = [&](std::uint32_t id) -> Slot {
      if (id == ASHLAR_NONE || id < graph_values) return id;
      if (own_values + (id - graph_values) >= plan_->slots.size())
        throw Error(ErrorCode::kInternal, "a step uses a value that the program does not list", {.provider = name});
      return own_values + (id - graph_values);
    };
    for (std::uint32_t s = 0; s < program->step_count(); ++s) {
      const AshlarStep& from = program->step(s);
      if (!from.bind || !from.run || from.node_count == 0 || from.nodes[0] >= graph_.graph->nodes.size())
        throw Error(ErrorCode::kInternal, "a prepared step lacks bind, run or its node", {.provider = name});
      if (from.queue != 0 || from.wait_count != 0)
        throw Error(ErrorCode::kUnsupported, "its steps need a queue, which this version of the core does not drive", {.provider = name});
      std::vector<Slot> inputs, outputs;
      for (std::uint32_t i = 0; i < from.input_count; ++i) inputs.push_back(slot(from.inputs[i]));
      for (std::uint32_t i = 0; i < from.output_count; ++i) outputs.push_back(slot(from.outputs[i]));
      std::string kernel = from.kernel ? from.kernel : "";
      for (std::uint32_t i = 1; i < from.node_count; ++i)
        if (from.nodes[i] < graph_.graph->nodes.size()) kernel += "+" + graph_.graph->nodes[from.nodes[i]].op_type;
      add_step(from.nodes[0], Runner::kProvider, name, std::move(kernel), std::move(inputs), std::move(outputs)).provider_step = &from;
    }
  }

  std::vector<Slot> reads(const Step& step) const {
    std::vector<Slot> out = step.inputs;
    if (step.runner == Runner::kCore) {
      const auto& captures = plan_->node(step).captures;
      out.insert(out.end(), captures.begin(), captures.end());
    }
    std::erase(out, kNoSlot);
    return out;
  }

  void find_last_uses() {
    std::vector<SlotInfo>& slots = plan_->slots;
    for (const graph::ValueId v : graph_.graph->outputs) slots[v].last_use = kOutlives;
    std::set<Slot> live(graph_.graph->outputs.begin(), graph_.graph->outputs.end());
    for (std::size_t i = plan_->steps.size(); i-- > 0;) {
      Step& step = plan_->steps[i];
      std::vector<Slot> touched = reads(step);
      for (const Slot s : step.outputs)
        if (s != kNoSlot) touched.push_back(s);
      for (const Slot s : touched) {
        if (!live.insert(s).second || slots[s].constant) continue;
        step.last_uses.push_back(s);
        slots[s].last_use = static_cast<std::uint32_t>(i);
      }
    }
  }

  /// A constant whose data nobody reads at a run stays as it is in the file; others are brought to an address that suits their elements.
  void add_constants() {
    std::set<Slot> read(graph_.graph->outputs.begin(), graph_.graph->outputs.end()), known;
    for (const Step& step : plan_->steps) {
      for (const Slot s : reads(step)) known.insert(s);
      if (step.runner != Runner::kProvider) {
        for (const Slot s : reads(step)) read.insert(s);
        continue;
      }
      for (std::size_t i = 0; i < step.inputs.size(); ++i)
        if (i >= 64 || (step.provider_step->shape_only >> i & 1) == 0) read.insert(step.inputs[i]);
    }
    known.insert(read.begin(), read.end());
    for (const Slot s : known) {
      if (s == kNoSlot || !plan_->slots[s].constant) continue;
      const Tensor& constant = graph_.graph->values[s].constant;
      plan_->slots[s].constant_index = static_cast<std::uint32_t>(plan_->constants.size());
      plan_->constants.emplace_back(s, read.contains(s) ? weights_.aligned(constant) : constant);
    }
  }

  const partition::PartitionedGraph& graph_;
  const partition::Providers& providers_;
  partition::WeightStore& weights_;
  std::vector<graph::NodeIndex> host_step_of_;  ///< by value: the host node that gives it and is not emitted yet
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
};

}  // namespace

std::unique_ptr<const Plan> lower(const partition::PartitionedGraph& graph, const partition::Providers& providers,
                                  partition::WeightStore& weights) {
  return Lowering(graph, providers, weights, 0).run();
}

void verify(const Plan& plan) {
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInternal, "the plan is wrong: " + what); };
  std::vector<char> live(plan.slots.size(), 0);
  for (const graph::ValueId id : plan.graph->inputs) live[id] = 1;
  for (const graph::Capture& c : plan.graph->captures) live[c.inner] = 1;
  for (const auto& [slot, tensor] : plan.constants) live[slot] = 1;
  for (const Step& step : plan.steps) {
    const std::string& id = plan.node(step).id;
    for (const Slot s : step.inputs)
      if (s != kNoSlot && (s >= plan.slots.size() || !live[s])) fail(id + " reads a value that is not there");
    for (const Slot s : step.outputs)
      if (s != kNoSlot) live.at(s) = 1;
    for (const Slot s : step.last_uses) live.at(s) = 0;
    for (const auto& [name, body] : step.bodies) verify(*body);
  }
  for (const graph::ValueId id : plan.graph->outputs)
    if (!live[id]) fail("output '" + plan.graph->values[id].name + "' is not computed");
}

}  // namespace ashlar::plan
