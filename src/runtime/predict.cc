// SPDX-License-Identifier: Apache-2.0
#include "runtime/predict.h"

#include <algorithm>
#include <utility>

#include <ashlar/dtype.h>
#include <ashlar/error.h>

#include "core/machine.h"
#include "runtime/work.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Runner;
using plan::Slot;
using plan::Step;

namespace {

std::string value_name(const plan::Plan& plan, Slot slot, const Step* step) {
  while (plan.slots[slot].copy_of != kNoSlot) slot = plan.slots[slot].copy_of;
  if (slot < plan.graph->values.size()) return plan.graph->values[slot].name;
  return step ? "(value of " + plan.node(*step).id + ")" : "(value)";
}

Tensor of_shape(DType dtype, const Shape& shape) { return Tensor::adopt(dtype, shape, const_cast<void*>(no_data()), nullptr, true); }

/// A tensor of a declared type at no_data(), undefined where the type is not fixed.
Tensor of_type(const ValueType& type) {
  if (type.kind != ValueType::Kind::kTensor || type.dtype == DType::kUndefined || !type.shape) return {};
  std::vector<std::int64_t> dims;
  for (const Dim& d : *type.shape) {
    if (!d.fixed()) return {};
    dims.push_back(d.value);
  }
  return of_shape(type.dtype, Shape(std::span<const std::int64_t>(dims)));
}

class Prediction {
 public:
  Prediction(const plan::Plan& plan, Resources& resources) : plan_(plan), resources_(resources), live_(plan.topology->spaces.size(), 0) {
    for (const plan::Topology::Space& space : plan.topology->spaces) result_.spaces.push_back({.space = space.name, .largest = {}});
  }

  struct Total {
    double operations = 0;
    std::uint64_t bytes_written = 0;
  };
  /// Of the steps of regions, counted while run() binds them if it was asked for before.
  const Total& work() const { return work_; }
  void count_work() { counts_work_ = true; }
  std::vector<Value> outputs() const {
    std::vector<Value> out;
    for (const Slot s : plan_.outputs) out.push_back(s < values_.size() ? values_[s] : Value());
    return out;
  }

  MemoryPlan run(const std::vector<Value>& inputs) {
    const std::size_t count = plan_.steps.size();
    std::vector<Value>& values = values_;
    values.assign(plan_.slots.size(), Value());
    for (const auto& [slot, tensor] : plan_.constants) values[slot] = tensor;
    for (std::size_t i = 0; i < plan_.graph->inputs.size() && i < inputs.size(); ++i) values[plan_.graph->inputs[i]] = inputs[i];
    for (const graph::Capture& c : plan_.graph->captures) values[c.inner] = of_type(plan_.graph->values[c.inner].type);
    Region::Scratch scratch(plan_.slots.size());
    std::vector<std::uint32_t> limits(count);
    auto limit = static_cast<std::uint32_t>(count);
    for (std::size_t i = count; i-- > 0;) {
      if (plan_.steps[i].runner == Runner::kCore) limit = static_cast<std::uint32_t>(i);
      limits[i] = limit;
    }
    for (std::uint32_t i = 0; i < count;) {
      const Step& step = plan_.steps[i];
      if (!inputs_known(step, values)) return stop(step);
      if (step.runner == Runner::kCore) {
        if (!add_core_step(step, values)) return stop(step);
        drop_dead(i++);
        continue;
      }
      Region region(plan_, resources_);
      std::uint32_t end = limits[i];
      // Bind as far as is known: what reads a value that nothing tells the shape of ends it.
      for (std::uint32_t k = i; k < end; ++k)
        if (!externals_known(i, k, values)) end = k;
      try {
        region.bind(i, end, values, scratch);
      } catch (const NeedsData&) {
        return stop(step);
      }
      if (region.end() == i) return stop(step);
      add_region(region, values);
      region.tell_layouts(scratch);
      drop_dead(region.end() - 1);
      i = region.end();
    }
    return std::move(result_);
  }

 private:
  MemoryPlan stop(const Step& step) {
    result_.known_up_to = plan_.node(step).id;
    return std::move(result_);
  }

  bool known(Slot slot, const std::vector<Value>& values) const {
    return slot == kNoSlot || plan_.slots[slot].constant || (values[slot].is_tensor() && values[slot].tensor().defined());
  }
  bool inputs_known(const Step& step, const std::vector<Value>& values) const {
    return step.runner == Runner::kCore || externals_known(static_cast<std::uint32_t>(&step - plan_.steps.data()),
                                                           static_cast<std::uint32_t>(&step - plan_.steps.data()), values);
  }
  /// Whether what step k reads comes from a step in [begin, k) or is known.
  bool externals_known(std::uint32_t begin, std::uint32_t k, const std::vector<Value>& values) const {
    const Step& step = plan_.steps[k];
    for (const auto* slots : {&step.inputs, &step.bind_inputs})
      for (const Slot s : *slots) {
        if (known(s, values)) continue;
        bool inside = false;
        for (std::uint32_t i = begin; i < k && !inside; ++i)
          inside = std::find(plan_.steps[i].outputs.begin(), plan_.steps[i].outputs.end(), s) != plan_.steps[i].outputs.end();
        if (!inside) return false;
      }
    return true;
  }

  bool add_core_step(const Step& step, std::vector<Value>& values) {
    for (const Slot s : step.outputs) {
      if (s == kNoSlot) continue;
      const Tensor t = of_type(plan_.graph->values[s].type);
      if (!t.defined()) return false;
      values[s] = t;
      hold(s, 0, t.bytes());
    }
    for (const auto& [name, body] : step.bodies) {
      std::vector<Value> inputs;
      for (const graph::ValueId v : body->graph->inputs) inputs.push_back(of_type(body->graph->values[v].type));
      const MemoryPlan inner = predict(*body, inputs);
      if (!inner.known_up_to.empty()) return false;
      for (std::size_t s = 0; s < inner.spaces.size(); ++s) {
        SpaceMemory& to = result_.spaces[s];
        to.arena += inner.spaces[s].arena;  // every body keeps arenas of its own
        to.buffers = std::max(to.buffers, live_[s] + inner.spaces[s].buffers);
        merge_largest(to.largest, inner.spaces[s].largest, kMost);
      }
    }
    return true;
  }

  void add_region(const Region& region, std::vector<Value>& values) {
    for (std::uint32_t s = 0; s < result_.spaces.size(); ++s) {
      arena(s, region.arena_bytes()[s]);
      merge_largest(result_.spaces[s].largest, largest_items(plan_, region, s, kMost), kMost);
    }
    if (counts_work_)
      for (const BoundStep* bound : region.steps()) {
        const Work work = work_of(plan_, *bound);
        work_.operations += work.operations;
        for (std::uint32_t i = 0; i < bound->args.output_count; ++i)
          if (bound->args.outputs[i]) work_.bytes_written += bound->outputs[i].bytes;
      }
    region.for_outliving([&](Slot slot, std::uint32_t space, DType dtype, const Shape& shape, std::uint64_t bytes) {
      values[slot] = of_shape(dtype, shape);
      hold(slot, space, bytes);
    });
  }

  /// A frame has one arena a space, as large as its largest region's.
  void arena(std::uint32_t space, std::uint64_t bytes) {
    if (own_.empty()) own_.assign(result_.spaces.size(), 0);
    if (bytes <= own_[space]) return;
    result_.spaces[space].arena += bytes - own_[space];
    own_[space] = bytes;
  }

  void hold(Slot slot, std::uint32_t space, std::uint64_t bytes) {
    held_.push_back({slot, space, bytes});
    live_[space] += bytes;
    result_.spaces[space].buffers = std::max(result_.spaces[space].buffers, live_[space]);
  }
  void drop_dead(std::uint32_t step) {
    std::erase_if(held_, [&](const Held& h) {
      if (plan_.slots[h.slot].last_use > step) return false;
      live_[h.space] -= h.bytes;
      return true;
    });
  }

  static constexpr std::size_t kMost = 10;
  struct Held {
    Slot slot;
    std::uint32_t space;
    std::uint64_t bytes;
  };
  const plan::Plan& plan_;
  Resources& resources_;
  std::vector<std::uint64_t> live_, own_;  ///< by space
  std::vector<Held> held_;
  std::vector<Value> values_;
  bool counts_work_ = false;
  Total work_;
  MemoryPlan result_;
};

}  // namespace

void merge_largest(std::vector<SpaceMemory::Item>& into, const std::vector<SpaceMemory::Item>& more, std::size_t most) {
  for (const SpaceMemory::Item& item : more)
    if (std::none_of(into.begin(), into.end(), [&](const auto& i) { return i.name == item.name && i.bytes == item.bytes; }))
      into.push_back(item);
  std::stable_sort(into.begin(), into.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (into.size() > most) into.resize(most);
}

std::vector<SpaceMemory::Item> largest_items(const plan::Plan& plan, const Region& region, std::uint32_t space, std::size_t most) {
  std::vector<SpaceMemory::Item> items;
  for (const BoundStep* bound : region.steps()) {
    const Step& step = *bound->step;
    for (std::size_t i = 0; i < step.outputs.size(); ++i)
      if (bound->args.outputs[i] && bound->shapes[i].rank >= 0 && plan.slots[step.outputs[i]].space == space &&
          bound->shapes[i].view_of == 0)
        items.push_back({value_name(plan, step.outputs[i], &step), border_types(bound->args.outputs + i, 1), bound->outputs[i].bytes});
    if (bound->workspace_bytes > 0 && bound->workspace_space == space)
      items.push_back({"(workspace of " + plan.node(step).id + ")", "", bound->workspace_bytes});
  }
  std::vector<SpaceMemory::Item> out;
  merge_largest(out, items, most);
  return out;
}

std::vector<SpaceMemory::Item> largest_constants(const plan::Plan& plan, std::uint32_t space, std::size_t most) {
  std::vector<SpaceMemory::Item> items, out;
  if (space != 0)
    for (const auto& [slot, tensor] : plan.constants)
      if (plan.slots[slot].space == space) items.push_back({value_name(plan, slot, nullptr), tensor.type_string(), tensor.bytes()});
  merge_largest(out, items, most);
  return out;
}

std::string to_string(const std::vector<SpaceMemory::Item>& items) {
  std::string out;
  for (const SpaceMemory::Item& item : items)
    out +=
        (out.empty() ? "" : ", ") + item.name + " (" + (item.type.empty() ? "" : item.type + ", ") + std::to_string(item.bytes) + " bytes)";
  return out;
}

MemoryPlan predict(const plan::Plan& plan, const std::vector<Value>& inputs, std::vector<Value>* outputs) {
  Resources resources(plan.topology);
  Prediction prediction(plan, resources);
  MemoryPlan memory = prediction.run(inputs);
  if (outputs) *outputs = prediction.outputs();
  return memory;
}

std::int64_t rows_at_once(const plan::Plan& plan, const plan::BatchRule& rule, const std::vector<Value>& inputs, int threads) {
  // Operations for a byte written from which on the time to move it is hidden: some four times what processors do in the time of a byte.
  constexpr double kBusy = 64;
  if (!rule.divisible || plan.topology->lanes.size() > 1) return 0;
  std::int64_t batch = 0;
  std::vector<Value> one;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_tensor() || !inputs[i].defined()) return 0;
    const Tensor& t = inputs[i].tensor();
    Shape shape = t.shape();
    if (rule.by_row[i]) batch = std::exchange(shape[0], 1);
    one.emplace_back(of_shape(t.dtype(), shape));
  }
  if (batch < 2) return 0;
  Resources resources(plan.topology);
  Prediction prediction(plan, resources);
  prediction.count_work();
  const MemoryPlan memory = prediction.run(one);
  const auto arena = static_cast<std::int64_t>(memory.spaces[0].arena);
  if (!memory.known_up_to.empty() || arena == 0) return 0;
  if (prediction.work().operations > kBusy * static_cast<double>(prediction.work().bytes_written)) return 0;
  const std::int64_t fitting = std::max<std::int64_t>(1, static_cast<std::int64_t>(core::cache_bytes(threads)) / arena);
  if (fitting >= batch) return 0;
  const std::int64_t parts = (batch + fitting - 1) / fitting;
  return (batch + parts - 1) / parts;
}

}  // namespace ashlar::runtime
