// SPDX-License-Identifier: Apache-2.0
#include "plan/ledger.h"

#include <algorithm>
#include <map>

namespace ashlar::plan {
namespace {

using partition::Costs;
using partition::ExpectedShapes;
using partition::PartitionedGraph;

class Ledger {
 public:
  Ledger(const partition::Providers& providers, const partition::Request& request) : providers_(providers), request_(request) {}

  void add(const Plan& plan, const PartitionedGraph& graph, const std::string& path, const ExpectedShapes& shapes) {
    const Costs costs(*graph.graph, providers_, shapes, request_.profile);
    std::map<Slot, partition::Crossing> crossings;  // by the slot that is copied to
    for (Slot s = 0; s < plan.slots.size(); ++s) {
      const SlotInfo& info = plan.slots[s];
      if (info.copy_of == kNoSlot || info.copy == kNoCopy) continue;
      partition::Crossing& c = crossings[s];
      Slot origin = s;
      while (plan.slots[origin].copy_of != kNoSlot) origin = plan.slots[origin].copy_of;
      c.value = origin;
      c.once = info.constant;
      const std::uint32_t from = plan.slots[info.copy_of].space;
      c.from = provider_of(*plan.topology, from);
      c.to = provider_of(*plan.topology, info.space);
      c.from_name = plan.topology->spaces[from].name;
      c.to_name = plan.topology->spaces[info.space].name;
    }
    const auto read = [&](Slot slot, graph::NodeIndex node) {
      for (; slot != kNoSlot; slot = plan.slots[slot].copy_of) {  // a copy onward reads the one before
        const auto at = crossings.find(slot);
        if (at == crossings.end()) continue;
        std::vector<graph::NodeIndex>& nodes = at->second.consumers;
        if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
      }
    };
    for (const Step& step : plan.steps) {
      if (step.runner == Runner::kCopy) continue;
      for (const auto* slots : {&step.inputs, &step.bind_inputs})
        for (std::size_t i = 0; i < slots->size(); ++i)
          if ((*slots)[i] != kNoSlot) read((*slots)[i], reader(plan, step, (*slots)[i]));
      if (step.runner == Runner::kCore)
        for (const graph::ValueId v : plan.node(step).captures)
          if (plan.host_slots[v] != kNoSlot) read(plan.host_slots[v], step.node);
    }
    for (const Slot s : plan.outputs)
      if (const auto at = crossings.find(s); at != crossings.end()) at->second.output = true;
    for (auto& [slot, c] : crossings) {
      std::sort(c.consumers.begin(), c.consumers.end());
      BoundaryCopy copy = partition::describe(graph, providers_, costs, path, c);
      if (c.once) {
        copy.runs = 1;
        copy.measured_bytes = copy.expected_bytes;
        copy.measured_ns = static_cast<double>(plan.slots[slot].copied_ns);
      }
      place(plan.slots[slot].copy, std::move(copy));
    }
    for (const Step& step : plan.steps)
      for (const auto& [name, body] : step.bodies) {
        const PartitionedGraph& inner = graph.bodies.at(step.node).at(name);
        add(*body, inner, plan.node(step).id + "/" + name, ExpectedShapes(*inner.graph, shapes));
      }
  }
  std::vector<BoundaryCopy> take() { return std::move(out_); }

 private:
  int provider_of(const Topology& topology, std::uint32_t space) const {
    const std::uint32_t device = topology.spaces[space].device;
    if (device == kNoDevice) return partition::kHostMemory;
    const std::string& name = topology.devices[device]->name();
    return static_cast<int>(std::find_if(providers_.begin(), providers_.end(), [&](const auto& p) { return p->name() == name; }) -
                            providers_.begin());
  }

  /// The node of a step that reads the value; its first where none is named.
  static graph::NodeIndex reader(const Plan& plan, const Step& step, Slot slot) {
    if (!step.provider_step) return step.node;
    while (plan.slots[slot].copy_of != kNoSlot) slot = plan.slots[slot].copy_of;
    for (std::uint32_t i = 0; i < step.provider_step->node_count; ++i) {
      const graph::NodeIndex node = step.provider_step->nodes[i];
      if (node >= plan.graph->nodes.size()) continue;
      const std::vector<graph::ValueId>& inputs = plan.graph->nodes[node].inputs;
      if (std::find(inputs.begin(), inputs.end(), slot) != inputs.end()) return node;
    }
    return step.node;
  }

  /// One weight may be copied once for several graphs.
  void place(std::uint32_t number, BoundaryCopy copy) {
    if (number >= out_.size()) out_.resize(number + 1);
    BoundaryCopy& entry = out_[number];
    if (entry.from.empty()) entry = std::move(copy);
    else entry.consumers.insert(entry.consumers.end(), copy.consumers.begin(), copy.consumers.end());
  }

  const partition::Providers& providers_;
  const partition::Request& request_;
  std::vector<BoundaryCopy> out_;
};

}  // namespace

std::vector<BoundaryCopy> ledger(const Plan& plan, const PartitionedGraph& graph, const partition::Providers& providers,
                                 const partition::Request& request) {
  Ledger out(providers, request);
  out.add(plan, graph, "", ExpectedShapes(*graph.graph, request.expected));
  return out.take();
}

}  // namespace ashlar::plan
