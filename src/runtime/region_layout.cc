// SPDX-License-Identifier: Apache-2.0
// Layout: which lanes wait for which, which values share memory, and where that lies.
#include <algorithm>

#include "partition/provider.h"
#include "runtime/known.h"
#include "runtime/region.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Slot;
using plan::Step;

namespace {

bool bit(std::uint64_t mask, std::size_t i) { return i < 64 && (mask >> i & 1) != 0; }

/// Whether a run reads the input's data.
bool reads_data(const Step& step, std::size_t i) { return !step.provider_step || !bit(step.provider_step->shape_only, i); }

}  // namespace

/// Finds what every step waits for, and which steps signal events.
void Region::order(Scratch& scratch) {
  ordering_.emplace(plan_.topology->lane_groups());
  std::vector<plan::Ordering::Waits> waits(steps_.size());
  std::vector<std::uint32_t> position(end_ - begin_, kUnstored);  // in steps_
  std::size_t next = 0;
  for (std::uint32_t i = begin_; i < end_; ++i) {
    if (next == steps_.size() || steps_[next]->index != i) {
      ordering_->add(0, {});  // shape arithmetic, done already
      continue;
    }
    const Step& step = *steps_[next]->step;
    std::vector<std::uint32_t> after;
    for (std::size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.inputs[k] == kNoSlot || !reads_data(step, k)) continue;
      const Known& known = scratch.known_[step.inputs[k]];
      if (known.place == Known::Place::kStored) after.push_back(known.writer - begin_);
    }
    for (const std::uint32_t earlier : step.after)
      if (earlier >= begin_) after.push_back(earlier - begin_);
    position[i - begin_] = static_cast<std::uint32_t>(next);
    waits[next++] = ordering_->add(step.lane, after);
  }
  const std::vector<std::uint32_t> last = ordering_->finish();

  std::vector<std::uint32_t> events(plan_.topology->devices.size(), 0);
  const auto event_of = [&](std::uint32_t step) {
    BoundStep& signals = *steps_[position[step]];
    if (signals.signal.device == plan::kNoDevice) {
      const std::uint32_t device = plan_.topology->lanes[signals.step->lane].device;
      signals.signal = {device, events[device]++, position[step]};
    }
    return signals.signal;
  };
  const auto list = [&](const std::vector<std::uint32_t>& of, const EventRef*& to, std::uint32_t& count) {
    EventRef* refs = memory_.array<EventRef>(of.size());
    for (std::size_t i = 0; i < of.size(); ++i) refs[i] = event_of(of[i]);
    to = refs;
    count = static_cast<std::uint32_t>(of.size());
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    list(waits[i].host, steps_[i]->host_waits, steps_[i]->host_wait_count);
    list(waits[i].lane, steps_[i]->lane_waits, steps_[i]->lane_wait_count);
  }
  for (const std::uint32_t step : last) join_.push_back(event_of(step));
}

/// Gives the step's outputs their memory: an input's where bind allowed it and lifetimes do, else one of their own.
void Region::share_storage(const BoundStep& bound, Scratch& scratch) {
  const Step& step = *bound.step;
  for (std::size_t i = 0; i < step.outputs.size(); ++i)
    if (step.outputs[i] != kNoSlot && bound.shapes[i].rank >= 0) share_output(bound, i, scratch);
  if (step.lane == 0) return;
  for (std::size_t i = 0; i < step.inputs.size(); ++i)
    if (step.inputs[i] != kNoSlot && reads_data(step, i))
      if (const Known& in = scratch.known_[step.inputs[i]]; in.place == Known::Place::kStored) storage_.touch(in.index, bound.index);
  for (std::size_t i = 0; i < step.outputs.size(); ++i)
    if (step.outputs[i] != kNoSlot && bound.shapes[i].rank >= 0)
      if (const Known& out = scratch.known_[step.outputs[i]]; out.place == Known::Place::kStored) storage_.touch(out.index, bound.index);
}

void Region::share_output(const BoundStep& bound, std::size_t i, Scratch& scratch) {
  const Step& step = *bound.step;
  const Slot slot = step.outputs[i];
  const std::uint32_t space = plan_.slots[slot].space, last = last_use(slot);
  Known& out = scratch.known_[slot];
  if (out.place == Known::Place::kExternal) return;  // it grows
  const AshlarShape& shape = bound.shapes[i];
  const bool text = out.dtype == DType::kString, shares = !text && step.provider_step;
  const auto input = [&](std::size_t k) -> const Known* {
    const Slot s = step.inputs[k];
    return s != kNoSlot && plan_.slots[s].space == space ? &scratch.known_[s] : nullptr;
  };
  if (shares && shape.view_of > 0 && shape.view_of <= step.inputs.size() && step.inputs[shape.view_of - 1] != kNoSlot) {
    const std::uint64_t there = scratch.known_[step.inputs[shape.view_of - 1]].bytes;
    if (shape.view_offset > there || out.bytes > there - shape.view_offset)
      throw Error(ErrorCode::kInternal, "the kernel made output " + std::to_string(i) + " a view beyond its input",
                  step_context(plan_, step, border_types(bound.args.inputs, bound.args.input_count)));
    const Known* in = input(shape.view_of - 1);
    if (in && in->place == Known::Place::kStored) {
      out.index = storage_.view(in->index, shape.view_offset, out.bytes, bound.index, last, outlives(slot));
      return;
    }
    if (in && !outlives(slot)) {
      out.place = in->place;
      out.index = in->index;
      out.offset = in->offset + shape.view_offset;
      return;
    }
  }
  for (std::size_t k = 0; shares && i == 0 && k < step.inputs.size(); ++k) {
    const Known* in = bit(step.provider_step->in_place, k) ? input(k) : nullptr;
    if (!in || in->place != Known::Place::kStored || in->bytes != out.bytes || !storage_.may_replace(in->index, bound.index)) continue;
    out.index = storage_.view(in->index, 0, out.bytes, bound.index, last, outlives(slot));
    return;
  }
  out.index = storage_.add(space, out.bytes, bound.index, last, outlives(slot));
  // Inputs that may lie in output 0 move there, with all that shares their memory.
  for (std::size_t k = 0; shares && i == 0 && k < step.inputs.size(); ++k)
    if (const Known* in = bound.args.inputs[k] && bound.input_offsets[k] != ASHLAR_NO_OFFSET ? input(k) : nullptr)
      if (in->place == Known::Place::kStored) storage_.absorb(out.index, bound.input_offsets[k], in->index);
}

/// Sees to it that the host side of a copy lies in memory that its device takes.
void Region::stage_copy(BoundStep& bound, Scratch& scratch) {
  const Slot from = bound.step->inputs[0], to = bound.step->outputs[0];
  const std::uint32_t device = plan_.topology->lanes[bound.step->lane].device;
  const std::uint32_t space = plan_.topology->space_of(device, resources_.device(device).staging_space());
  if (space == 0) return;
  const auto stage = [&](const Known& known) { return known.place == Known::Place::kStored && storage_.stage(known.index, space); };
  if (plan_.slots[to].space == 0 && !stage(scratch.known_[to]))
    throw Error(ErrorCode::kInternal, "a copy cannot be staged", step_context(plan_, *bound.step, {}));
  if (plan_.slots[from].space != 0 || stage(scratch.known_[from])) return;
  // The calling thread fills it when it issues the copy, not in its lane's order: it is nobody else's.
  const Storage::Member staging = storage_.add(space, scratch.known_[from].bytes, begin_, end_ - 1, false);
  scratch_memory_.emplace_back(&bound.staging, staging);
  bound.staging_needed = true;
}

void Region::lay_out(Scratch& scratch) {
  if (has_lanes()) order(scratch);
  storage_.reset(*plan_.topology, ordering_ ? &*ordering_ : nullptr, begin_);
  for (BoundStep* bound : steps_) {
    if (bound->workspace_bytes > 0) {
      const Storage::Member workspace = storage_.add(bound->workspace_space, bound->workspace_bytes, bound->index, bound->index, false);
      if (bound->step->lane != 0) storage_.touch(workspace, bound->index);
      scratch_memory_.emplace_back(&bound->args.workspace, workspace);
    }
    share_storage(*bound, scratch);
    if (!bound->step->provider_step) stage_copy(*bound, scratch);
  }
  storage_.lay_out();

  pooled_.resize(storage_.pooled_count());
  const auto refer = [&](Storage::Member member, void** pointer) {
    const Storage::Info& info = storage_.info(storage_.group(member));
    if (info.outlives) pooled_[info.pooled].references.push_back({pointer, storage_.offset(member)});
    else arena_references_[info.space].push_back({pointer, info.offset + storage_.offset(member)});
  };
  const auto refer_operand = [&](Slot slot, AshlarTensor& t) {
    const Known& known = scratch.known_[slot];
    switch (known.place) {
      case Known::Place::kConstant:
      case Known::Place::kHost: {
        const Tensor& source = known.place == Known::Place::kHost ? host_values_[known.index].second : plan_.constants[known.index].second;
        t.data = static_cast<std::byte*>(const_cast<void*>(source.raw())) + known.offset;
        break;
      }
      case Known::Place::kExternal: externals_[known.index].references.push_back({&t.data, known.offset}); break;
      case Known::Place::kStored: refer(known.index, &t.data);
    }
  };
  for (const auto& [pointer, member] : scratch_memory_) refer(member, pointer);
  for (BoundStep* bound : steps_) {
    const Step& step = *bound->step;
    for (std::size_t i = 0; i < step.inputs.size(); ++i)
      if (bound->args.inputs[i]) refer_operand(step.inputs[i], bound->inputs[i]);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      const Slot slot = step.outputs[i];
      if (!bound->args.outputs[i]) continue;
      if (bound->shapes[i].rank < 0) {
        if (!outlives(slot)) last_uses_.push_back(slot);
        continue;
      }
      refer_operand(slot, bound->outputs[i]);
      const Known& known = scratch.known_[slot];
      if (!outlives(slot) || known.place == Known::Place::kExternal) continue;
      const Storage::Info& info = storage_.info(storage_.group(known.index));
      Pooled& pooled = pooled_[info.pooled];
      pooled.space = info.space;
      pooled.bytes = info.bytes;
      pooled.members.push_back({slot, storage_.offset(known.index), known.dtype,
                                Shape(std::span(known.dims, static_cast<std::size_t>(known.rank))), known.layout});
    }
  }
  for (const External& e : externals_)
    if (!outlives(e.slot)) last_uses_.push_back(e.slot);
  if (has_lanes()) find_segments();
  scratch_memory_.clear();
  ordering_.reset();
}

void Region::find_segments() {
  const auto recordable = [&](const BoundStep& b) {
    return b.step->lane != 0 && !b.sets_outputs && !b.staging_needed &&
           !(b.step->provider_step && (b.step->provider_step->flags & ASHLAR_STEP_NO_CAPTURE) != 0) &&
           resources_.device(plan_.topology->lanes[b.step->lane].device).captures();
  };
  for (std::uint32_t i = 0; i < steps_.size();) {
    std::uint32_t last = i;
    if (recordable(*steps_[i]))
      while (last + 1 < steps_.size() && steps_[last]->signal.device == plan::kNoDevice &&
             steps_[last + 1]->step->lane == steps_[i]->step->lane && steps_[last + 1]->lane_wait_count == 0 &&
             steps_[last + 1]->host_wait_count == 0 && recordable(*steps_[last + 1]))
        ++last;
    if (last > i) segments_.push_back({.first = i, .last = last, .device = plan_.topology->lanes[steps_[i]->step->lane].device});
    i = last + 1;
  }
}

}  // namespace ashlar::runtime
