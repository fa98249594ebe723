// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <set>
#include <tuple>

#include "core/mapped_pages.h"
#include "ops/host_evaluate.h"
#include "plan/growth.h"
#include "plan/plan.h"

namespace ashlar::plan {
namespace {

/// What the plans of a session's graph and of its bodies are made with.
struct Session {
  const partition::Providers& providers;
  std::shared_ptr<const Topology> topology;
  partition::WeightStore& weights;
  struct Upload {
    std::shared_ptr<void> memory;
    std::uint32_t copy = kNoCopy;
    std::int64_t ns = 0;
  };
  std::map<std::tuple<const void*, std::size_t, std::uint32_t>, Upload> uploaded = {};  ///< by constant and space
  std::uint32_t copies = 0;
};

class Lowering {
 public:
  Lowering(const partition::PartitionedGraph& graph, Session& session, std::size_t depth)
      : graph_(graph), session_(session), topology_(*session.topology) {
    plan_->graph = graph.graph;
    plan_->topology = session.topology;
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
    for (const graph::ValueId v : graph_.graph->outputs) {
      need(v);
      plan_->outputs.push_back(in_space(v, 0, static_cast<graph::NodeIndex>(assignments.empty() ? 0 : assignments.size() - 1)));
    }
    for (graph::ValueId v = 0; v < graph_.graph->values.size(); ++v) {
      const auto copy = copies_.find({v, 0});
      plan_->host_slots.push_back(plan_->slots[v].space == 0 ? v : copy != copies_.end() ? copy->second : kNoSlot);
    }
    hoist_copies();
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
    // A shape is known wherever the elements are.
    std::vector<Slot> inputs = ops::reads_shape_only(node) ? node.inputs : in_host_memory(node.inputs, index);
    add_step(index, Runner::kHost, "core", graph_.assignments[index].kernel, std::move(inputs), node.outputs);
  }

  /// The value of a slot in a memory space: the slot, or one that it is copied to.
  Slot in_space(Slot slot, std::uint32_t space, graph::NodeIndex asks) {
    if (slot == kNoSlot || plan_->slots[slot].space == space) return slot;
    if (const auto copy = copies_.find({slot, space}); copy != copies_.end()) return copy->second;
    const SlotInfo from = plan_->slots[slot];
    const std::uint32_t from_device = topology_.spaces[from.space].device, to_device = topology_.spaces[space].device;
    if (from_device != kNoDevice && to_device != kNoDevice && from_device != to_device)
      return copies_[{slot, space}] = in_space(in_space(slot, 0, asks), space, asks);
    if (from.dtype == DType::kString) throw Error(ErrorCode::kInternal, "strings live in host memory", {.node = node_id(asks)});
    const auto to = static_cast<Slot>(plan_->slots.size());
    plan_->slots.push_back({.dtype = from.dtype, .space = space, .constant = from.constant, .copy_of = slot});
    copies_[{slot, space}] = to;
    if (from.constant) return to;  // copied once, by add_constants
    plan_->slots[to].copy = session_.copies++;
    const partition::Device& device = *topology_.devices[to_device != kNoDevice ? to_device : from_device];
    const std::uint32_t number = topology_.spaces[space].number;
    const bool download = number == 0 || device.space(number).host_accessible;
    Step& copy = add_step(asks, Runner::kCopy, device.name(), "copy", {slot}, {to});
    copy.lane =
        topology_.lane_of(to_device != kNoDevice ? to_device : from_device, download ? device.download_queue() : device.upload_queue());
    return to;
  }

  std::vector<Slot> in_host_memory(std::vector<Slot> slots, graph::NodeIndex asks) {
    for (Slot& s : slots) {
      need(s);
      s = in_space(s, 0, asks);
    }
    return slots;
  }

  const std::string& node_id(graph::NodeIndex index) const { return graph_.graph->nodes[index].id; }

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
    in_host_memory(node.captures, index);
    Step& step = add_step(index, Runner::kCore, "core", graph_.assignments[index].kernel, in_host_memory(node.inputs, index), node.outputs);
    if (const auto bodies = graph_.bodies.find(index); bodies != graph_.bodies.end())
      for (const auto& [name, body] : bodies->second) step.bodies.emplace(name, Lowering(body, session_, plan_->depth + 1).run());
  }

  void add_program(int provider, graph::NodeIndex begin, graph::NodeIndex end) {
    std::vector<std::uint32_t> nodes;
    for (graph::NodeIndex i = begin; i < end; ++i)
      if (graph_.assignments[i].provider == provider) nodes.push_back(i);
    const auto program = session_.providers[static_cast<std::size_t>(provider)]->prepare(graph_.view, nodes);
    plan_->programs.push_back(program);
    const auto own_values = static_cast<Slot>(plan_->slots.size());
    for (std::uint32_t v = 0; v < program->value_count(); ++v)
      plan_->slots.push_back({.dtype = static_cast<DType>(program->value(v).dtype)});
    std::vector<std::uint32_t> signalled(program->event_count(), graph::kNone);  // by event: the last step that signals it
    for (std::uint32_t s = 0; s < program->step_count(); ++s) add_provider_step(*program, program->step(s), own_values, signalled);
    for (const std::uint32_t node : nodes)
      for (const AshlarGuard& g : graph_.assignments[node].records[static_cast<std::size_t>(provider)].guards)
        if (!guarded_.contains({node, g.input, g.axis}))
          throw Error(ErrorCode::kInternal, "its guard is on input " + std::to_string(g.input) + ", which no step of it reads",
                      {.node = node_id(node), .provider = program->provider().name()});
  }

  void add_provider_step(const partition::Program& program, const AshlarStep& from, Slot own_values,
                         std::vector<std::uint32_t>& signalled) {
    const std::string& name = program.provider().name();
    const auto refuse = [&](const std::string& what) {
      const bool named = from.node_count > 0 && from.nodes[0] < graph_.graph->nodes.size();
      throw Error(ErrorCode::kInternal, what, {.node = named ? node_id(from.nodes[0]) : "", .provider = name});
    };
    if (!from.bind || !from.run || from.node_count == 0 || from.nodes[0] >= graph_.graph->nodes.size())
      refuse("a prepared step lacks bind, run or its node");
    const graph::NodeIndex node = from.nodes[0];
    const std::uint32_t device = topology_.device_of(name);
    const auto graph_values = static_cast<std::uint32_t>(graph_.graph->values.size());
    const auto slot = [&](std::uint32_t id) -> Slot {
      if (id == ASHLAR_NONE || id < graph_values) return id;
      if (id - graph_values >= program.value_count()) refuse("a step uses a value that the program does not list");
      return own_values + (id - graph_values);
    };
    const auto space = [&](const std::uint32_t* spaces, std::uint32_t i) {
      const std::uint32_t number = spaces ? spaces[i] : ASHLAR_SPACE_HOST;
      const std::uint32_t found = topology_.space_of(device, number);
      if (number != ASHLAR_SPACE_HOST && found == 0)
        refuse("a step's operand lies in memory space " + std::to_string(number) + ", which the provider does not describe");
      return found;
    };
    const std::uint32_t lane = topology_.lane_of(device, from.queue);
    if (from.queue != 0 && lane == 0)
      refuse("a step runs on queue " + std::to_string(from.queue) + ", which the provider does not describe");

    std::vector<Slot> inputs, bind_inputs, outputs;
    bool differs = false;
    for (std::uint32_t i = 0; i < from.input_count; ++i) {
      const Slot s = slot(from.inputs[i]);
      need(s);
      const bool shape_only = i < 64 && (from.shape_only >> i & 1) != 0, bind_reads = i < 64 && (from.bind_reads >> i & 1) != 0;
      bind_inputs.push_back(bind_reads ? in_space(s, 0, node) : s);
      inputs.push_back(!shape_only ? in_space(s, space(from.input_spaces, i), node) : bind_inputs.back());
      if (!bind_reads) bind_inputs.back() = inputs.back();
      differs = differs || bind_inputs.back() != inputs.back();
    }
    for (std::uint32_t i = 0; i < from.output_count; ++i) {
      outputs.push_back(slot(from.outputs[i]));
      if (outputs.back() == kNoSlot) continue;
      SlotInfo& info = plan_->slots[outputs.back()];
      info.space = space(from.output_spaces, i);
      if (info.space != 0 && info.dtype == DType::kString) refuse("a step gives strings in a device's memory");
    }
    std::string kernel = from.kernel ? from.kernel : "";
    for (std::uint32_t i = 1; i < from.node_count; ++i)
      if (from.nodes[i] < graph_.graph->nodes.size()) kernel += "+" + graph_.graph->nodes[from.nodes[i]].op_type;
    for (std::uint32_t i = 0; i < from.growth_count; ++i)
      if (const AshlarGrowth& g = growth(from, i);
          g.input >= from.input_count || g.output >= from.output_count || g.axis >= ASHLAR_MAX_RANK)
        refuse("a step says that output " + std::to_string(g.output) + " extends input " + std::to_string(g.input) + " along axis " +
               std::to_string(g.axis) + ", of which one is none");
    std::vector<AshlarGuard> guards = guards_of(from, inputs);
    Step& step = add_step(node, Runner::kProvider, name, std::move(kernel), std::move(inputs), std::move(outputs));
    step.guards = std::move(guards);
    step.provider_step = &from;
    step.lane = lane;
    if (differs) step.bind_inputs = std::move(bind_inputs);
    for (std::uint32_t i = 0; i < from.wait_count; ++i) {
      if (from.waits[i] >= signalled.size() || signalled[from.waits[i]] == graph::kNone)
        refuse("a step waits for event " + std::to_string(from.waits[i]) + ", which no earlier step signals");
      step.after.push_back(signalled[from.waits[i]]);
    }
    for (std::uint32_t i = 0; i < from.signal_count; ++i) {
      if (from.signals[i] >= signalled.size())
        refuse("a step signals event " + std::to_string(from.signals[i]) + " of " + std::to_string(signalled.size()));
      signalled[from.signals[i]] = static_cast<std::uint32_t>(plan_->steps.size() - 1);
    }
  }

  /// Those of the verdicts on the step's nodes, by its operands.
  std::vector<AshlarGuard> guards_of(const AshlarStep& from, const std::vector<Slot>& inputs) {
    std::vector<AshlarGuard> out;
    for (std::uint32_t n = 0; n < from.node_count; ++n) {
      if (from.nodes[n] >= graph_.assignments.size()) continue;
      const partition::Assignment& a = graph_.assignments[from.nodes[n]];
      if (a.provider < 0) continue;
      for (const AshlarGuard& g : a.records[static_cast<std::size_t>(a.provider)].guards) {
        const Slot value = graph_.graph->nodes[from.nodes[n]].inputs[g.input];
        const auto at = std::find_if(inputs.begin(), inputs.end(), [&](Slot s) {
          while (s != kNoSlot && plan_->slots[s].copy_of != kNoSlot) s = plan_->slots[s].copy_of;
          return s == value;
        });
        if (at == inputs.end()) continue;
        out.push_back({static_cast<std::uint32_t>(at - inputs.begin()), g.axis, g.most});
        guarded_.insert({from.nodes[n], g.input, g.axis});
      }
    }
    return out;
  }

  /// Moves every copy to where its source is just there, so that it runs beside what does not need it.
  void hoist_copies() {
    if (copies_.empty()) return;
    std::vector<Step> steps = std::move(plan_->steps);
    plan_->steps.clear();
    std::map<Slot, std::vector<std::size_t>> copies_from;
    std::vector<char> written(plan_->slots.size(), 0);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].runner == Runner::kCopy) copies_from[steps[i].inputs[0]].push_back(i);
      for (const Slot s : steps[i].outputs)
        if (s != kNoSlot) written[s] = 1;
    }
    std::vector<std::uint32_t> moved(steps.size());
    const auto emit = [&](auto& self, std::size_t i) -> void {
      moved[i] = static_cast<std::uint32_t>(plan_->steps.size());
      plan_->steps.push_back(std::move(steps[i]));
      const std::vector<Slot> outputs = plan_->steps.back().outputs;
      for (const Slot s : outputs)
        if (const auto copies = copies_from.find(s); copies != copies_from.end())
          for (const std::size_t copy : copies->second) self(self, copy);
    };
    for (const auto& [slot, copies] : copies_from)
      if (!written[slot])
        for (const std::size_t copy : copies) emit(emit, copy);
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (steps[i].runner != Runner::kCopy) emit(emit, i);
    for (Step& step : plan_->steps)
      for (std::uint32_t& earlier : step.after) earlier = moved[earlier];
  }

  std::vector<Slot> reads(const Step& step) const {
    std::vector<Slot> out = step.inputs;
    out.insert(out.end(), step.bind_inputs.begin(), step.bind_inputs.end());
    if (step.runner == Runner::kCore)
      for (const graph::ValueId v : plan_->node(step).captures) out.push_back(plan_->host_slots[v]);
    std::erase(out, kNoSlot);
    return out;
  }

  void find_last_uses() {
    std::vector<SlotInfo>& slots = plan_->slots;
    for (const Slot s : plan_->outputs) slots[s].last_use = kOutlives;
    std::set<Slot> live(plan_->outputs.begin(), plan_->outputs.end());
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

  /// A constant stays as it is in the file when nobody reads its data at a run, or only who can from any address; others are brought to one that suits
  /// their elements.
  void add_constants() {
    std::set<Slot> read(plan_->outputs.begin(), plan_->outputs.end()), known;
    for (const Step& step : plan_->steps) {
      for (const Slot s : reads(step)) {
        known.insert(s);
        if (plan_->slots[s].copy_of != kNoSlot) known.insert(plan_->slots[s].copy_of);  // bind may look at it
      }
      if (step.runner != Runner::kProvider) {
        for (const Slot s : reads(step)) read.insert(s);
        continue;
      }
      for (std::size_t i = 0; i < step.inputs.size(); ++i)
        if (i >= 64 || ((step.provider_step->shape_only | step.provider_step->unaligned) >> i & 1) == 0) read.insert(step.inputs[i]);
    }
    known.insert(read.begin(), read.end());
    for (const Slot s : known) {
      if (s == kNoSlot || !plan_->slots[s].constant) continue;
      SlotInfo& info = plan_->slots[s];
      info.constant_index = static_cast<std::uint32_t>(plan_->constants.size());
      const Tensor& constant = graph_.graph->values[info.copy_of == kNoSlot ? s : info.copy_of].constant;
      if (info.space != 0) plan_->constants.emplace_back(s, uploaded(s, constant));
      else plan_->constants.emplace_back(s, read.contains(s) ? session_.weights.aligned(constant) : constant);
    }
  }

  /// A constant in a device's memory, copied there now.
  Tensor uploaded(Slot slot, const Tensor& constant) {
    const std::uint32_t space = plan_->slots[slot].space;
    Session::Upload& upload = session_.uploaded[{constant.raw(), constant.bytes(), space}];
    std::shared_ptr<void>& memory = upload.memory;
    if (!memory) {
      const Topology::Space& to = topology_.spaces[space];
      const auto start = std::chrono::steady_clock::now();
      try {
        memory = topology_.devices[to.device]->upload(to.number, constant.raw(), constant.bytes());
      } catch (const Error& e) {
        if (e.code() != ErrorCode::kOutOfMemory) throw e.with({.tensor = graph_.graph->values[plan_->slots[slot].copy_of].name});
        throw Error(e.code(), e.message() + "; the largest constants there: " + largest_constants(space), e.context())
            .with({.tensor = graph_.graph->values[plan_->slots[slot].copy_of].name});
      }
      core::release_mapped_pages(constant.raw(), constant.bytes());
      upload.ns = (std::chrono::steady_clock::now() - start) / std::chrono::nanoseconds(1);
      upload.copy = session_.copies++;
    }
    plan_->slots[slot].copy = upload.copy;
    plan_->slots[slot].copied_ns = upload.ns;
    return Tensor::adopt(constant.dtype(), constant.shape(), memory.get(), memory, true);
  }

  std::string largest_constants(std::uint32_t space) const {
    std::vector<const graph::Value*> values;
    for (const SlotInfo& info : plan_->slots)
      if (info.space == space && info.constant && info.copy_of != kNoSlot) values.push_back(&graph_.graph->values[info.copy_of]);
    std::sort(values.begin(), values.end(), [](const auto* a, const auto* b) { return a->constant.bytes() > b->constant.bytes(); });
    std::string out;
    for (std::size_t i = 0; i < values.size() && i < 3; ++i)
      out += (i ? ", " : "") + values[i]->name + " (" + values[i]->constant.type_string() + ", " +
             std::to_string(values[i]->constant.bytes()) + " bytes)";
    return out;
  }

  const partition::PartitionedGraph& graph_;
  Session& session_;
  const Topology& topology_;
  std::set<std::tuple<graph::NodeIndex, std::uint32_t, std::uint32_t>> guarded_;  ///< nodes, inputs and axes whose guard a step checks
  std::vector<graph::NodeIndex> host_step_of_;             ///< by value: the host node that gives it and is not emitted yet
  std::map<std::pair<Slot, std::uint32_t>, Slot> copies_;  ///< by slot and space
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
};

}  // namespace

std::unique_ptr<const Plan> lower(const partition::PartitionedGraph& graph, const partition::Providers& providers,
                                  std::shared_ptr<const Topology> topology, partition::WeightStore& weights) {
  Session session{providers, std::move(topology), weights};
  return Lowering(graph, session, 0).run();
}

void verify(const Plan& plan) {
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInternal, "the plan is wrong: " + what); };
  std::vector<char> live(plan.slots.size(), 0), read(plan.slots.size(), 0);
  std::set<std::pair<Slot, std::uint32_t>> copied;
  for (const graph::ValueId id : plan.graph->inputs) live[id] = 1;
  for (const graph::Capture& c : plan.graph->captures) live[c.inner] = 1;
  for (const auto& [slot, tensor] : plan.constants) live[slot] = 1;
  for (const Slot s : plan.outputs) read.at(s) = 1;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const std::string& id = plan.node(step).id;
    const auto check_read = [&](Slot s) {
      if (s == kNoSlot) return;
      if (s >= plan.slots.size() || !live[s]) fail(id + " reads a value that is not there");
      read[s] = 1;
    };
    for (const Slot s : step.inputs) check_read(s);
    for (const Slot s : step.bind_inputs) check_read(s);
    if (step.runner == Runner::kCore)
      for (const graph::ValueId v : plan.node(step).captures) check_read(plan.host_slots[v]);
    const bool on_values = step.runner == Runner::kCore || (step.runner == Runner::kHost && !ops::reads_shape_only(plan.node(step)));
    if (on_values)
      for (const Slot s : step.inputs)
        if (s != kNoSlot && plan.slots[s].space != 0) fail(id + " reads a device's memory");
    if (step.runner == Runner::kCopy) {
      const SlotInfo& to = plan.slots[step.outputs[0]];
      if (to.copy_of != step.inputs[0] || to.space == plan.slots[step.inputs[0]].space || step.lane == 0)
        fail(id + " asks for a copy that is none");
      if (!copied.insert({step.inputs[0], to.space}).second) fail(id + " asks for a second copy of a value");
    }
    for (const std::uint32_t earlier : step.after)
      if (earlier >= i) fail(id + " runs after a later step");
    for (const Slot s : step.outputs)
      if (s != kNoSlot) live.at(s) = 1;
    for (const Slot s : step.last_uses) live.at(s) = 0;
    for (const auto& [name, body] : step.bodies) verify(*body);
  }
  for (const Step& step : plan.steps)
    if (step.runner == Runner::kCopy && !read[step.outputs[0]]) fail("nothing reads a copy for " + plan.node(step).id);
  for (std::size_t i = 0; i < plan.outputs.size(); ++i)
    if (!live[plan.outputs[i]] || plan.slots[plan.outputs[i]].space != 0)
      fail("output '" + plan.graph->values[plan.graph->outputs[i]].name + "' is not computed");
}

}  // namespace ashlar::plan
