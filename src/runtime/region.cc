// SPDX-License-Identifier: Apache-2.0
// Binding: every step told the shapes of its inputs, asked for those of its outputs.
#include "runtime/region.h"

#include "runtime/event_log.h"

#include <algorithm>
#include <cstring>

#include <ashlar/provider/provider.h>

#include "ops/host_evaluate.h"
#include "partition/provider.h"
#include "plan/growth.h"
#include "runtime/known.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Runner;
using plan::Slot;
using plan::Step;

Region::Scratch::Scratch(std::size_t slots) : known_(slots), layouts_(slots), rooms_(slots) {}
Region::Scratch::~Scratch() = default;

Region::Region(const plan::Plan& plan, Resources& resources) : plan_(plan), resources_(resources) {}
Region::~Region() { release(); }

const void* no_data() noexcept {
  static const char mark = 0;
  return &mark;
}

std::string border_types(const AshlarTensor* const* operands, std::uint32_t count) {
  std::string out;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    const AshlarTensor* t = operands[i];
    if (!t || t->rank < 0) {
      out += "-";
      continue;
    }
    const std::span dims(t->dims, static_cast<std::size_t>(t->rank));
    out += std::string(to_string(static_cast<DType>(t->dtype))) + Shape(dims).to_string();
  }
  return out;
}

ErrorContext step_context(const plan::Plan& plan, const Step& step, std::string inputs) {
  const graph::Node& node = plan.node(step);
  return {.node = node.id,
          .op = node.op_name(),
          .opset = node.original_version,
          .provider = step.provider,
          .tensor = {},
          .inputs = std::move(inputs),
          .file = {}};
}

void Region::release() {
  for (const BoundStep* bound : steps_)
    if (const AshlarStep* s = bound->step->provider_step; s && s->release_binding && bound->args.binding)
      s->release_binding(s->context, bound->args.binding);
  for (const Segment& segment : segments_)
    if (segment.recording) resources_.device(segment.device).destroy_recording(segment.recording);
  segments_.clear();
  steps_.clear();
  externals_.clear();
  host_values_.clear();
  pooled_.clear();
  grown_.clear();
  arena_references_.assign(plan_.topology->spaces.size(), {});
  arena_bases_.assign(plan_.topology->spaces.size(), nullptr);
  scratch_memory_.clear();
  last_uses_.clear();
  join_.clear();
  memory_.reset();
  end_ = begin_;
}

std::size_t Region::bytes() const noexcept {
  std::size_t total = memory_.bytes() + steps_.capacity() * sizeof(BoundStep*);
  for (const auto& references : arena_references_) total += references.capacity() * sizeof(Reference);
  for (const External& e : externals_) total += sizeof(External) + e.data.capacity() + e.references.capacity() * sizeof(Reference);
  for (const auto& [slot, tensor] : host_values_) total += sizeof(Tensor) + tensor.bytes();
  return total;
}

std::uint32_t Region::last_use(Slot slot) const { return std::min(plan_.slots[slot].last_use, end_); }

void Region::bind(std::uint32_t begin, std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch) {
  release();
  begin_ = end_ = begin;
  ++scratch.generation_;
  try {
    bind_steps(limit, values, scratch);
    lay_out(scratch);
  } catch (...) {
    release();
    throw;
  }
  key_ = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t x) { key_ = (key_ ^ x) * 0x100000001b3u; };
  for (const External& e : externals_) {
    mix(e.slot);
    mix(e.layout);
    mix(static_cast<std::uint64_t>(e.room));
    for (const std::int64_t d : e.shape) mix(static_cast<std::uint64_t>(d));
    for (const std::byte b : e.data) mix(static_cast<std::uint64_t>(b));
  }
}

void Region::bind_steps(std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch) {
  for (bool go_on = true; go_on && end_ < limit; ++end_) {
    const Step& step = plan_.steps[end_];
    if (step.runner == Runner::kHost) {
      evaluate(step, values, scratch);
      continue;
    }
    if (step.runner == Runner::kCopy) {
      bind_copy(end_, values, scratch);
      continue;
    }
    // Data that a step inside the region makes is there only when the region has run.
    const std::vector<Slot>& reads = step.bind_inputs.empty() ? step.inputs : step.bind_inputs;
    bool waits = false;
    for (std::size_t i = 0; i < reads.size() && i < 64; ++i)
      if (reads[i] != kNoSlot && (step.provider_step->bind_reads >> i & 1) != 0)
        waits = waits || find(reads[i], values, scratch).place == Known::Place::kStored;
    if (waits) return;
    go_on = bind_step(end_, values, scratch);
  }
}

/// The value in a slot, as a constant, from inside the region, or from outside.
Region::Known& Region::find(Slot slot, const std::vector<Value>& values, Scratch& scratch) {
  Known& known = scratch.known_[slot];
  if (known.generation == scratch.generation_) return known;
  known = Known{.generation = scratch.generation_};
  const plan::SlotInfo& info = plan_.slots[slot];
  const auto describe = [&](const Tensor& t, const Shape& shape) {
    known.dtype = t.dtype();
    known.rank = shape.rank();
    known.dims = shape.data();
    known.count = static_cast<std::uint64_t>(t.element_count());
    known.bytes = t.bytes();
  };
  if (info.constant) {
    const Tensor& t = plan_.constants[info.constant_index].second;
    known.index = info.constant_index;
    describe(t, t.shape());
    return known;
  }
  const Tensor& t = values[slot].tensor();
  if (!t.defined()) throw Error(ErrorCode::kInternal, "a value is read that nothing gave");
  known.place = Known::Place::kExternal;
  known.index = static_cast<std::uint32_t>(externals_.size());
  known.layout = scratch.layouts_[slot];
  known.room = scratch.rooms_[slot];
  externals_.push_back(
      {.slot = slot, .read = false, .dtype = t.dtype(), .shape = t.shape(), .layout = known.layout, .room = known.room, .data = {}});
  describe(t, externals_.back().shape);
  return known;
}

/// The data of a value that is there while the region binds; null where it is not.
const void* Region::read(Known& known, const std::vector<Value>& values) {
  switch (known.place) {
    case Known::Place::kConstant: return plan_.constants[known.index].second.raw();
    case Known::Place::kHost: return host_values_[known.index].second.raw();
    case Known::Place::kStored: return nullptr;
    case Known::Place::kExternal: break;
  }
  External& e = externals_[known.index];
  const void* data = values[e.slot].tensor().raw();
  if (data == no_data() && known.bytes > 0) throw NeedsData();
  if (!e.read) {
    if (e.dtype == DType::kString) throw Error(ErrorCode::kInternal, "a kernel binds by strings");
    e.read = true;
    e.data.resize(known.bytes);
    if (known.bytes > 0) std::memcpy(e.data.data(), data, known.bytes);
  }
  return data;
}

/// What bind sees of an input's data: that of constants and of shape arithmetic, and of others where it asks for it.
const void* Region::bind_data(const Step& step, std::size_t input, const std::vector<Value>& values, Scratch& scratch) {
  const bool reads = input < 64 && (step.provider_step->bind_reads >> input & 1) != 0;
  Slot slot = step.bind_inputs.empty() ? step.inputs[input] : step.bind_inputs[input];
  const plan::SlotInfo& info = plan_.slots[slot];
  if (info.space != 0) {
    if (!info.constant) return nullptr;
    slot = info.copy_of;
  }
  Known& known = find(slot, values, scratch);
  return known.place != Known::Place::kExternal || reads ? read(known, values) : nullptr;
}

void Region::evaluate(const Step& step, const std::vector<Value>& values, Scratch& scratch) {
  const graph::Node& node = plan_.node(step);
  std::vector<const Tensor*> inputs;
  std::vector<Shape> shapes;
  try {
    for (const Slot s : step.inputs) {
      inputs.push_back(nullptr);
      shapes.emplace_back();
      if (s == kNoSlot) continue;
      Known& known = find(s, values, scratch);
      shapes.back() = Shape(std::span(known.dims, static_cast<std::size_t>(known.rank)));
      if (ops::reads_shape_only(node)) continue;
      read(known, values);
      if (known.place == Known::Place::kConstant) inputs.back() = &plan_.constants[known.index].second;
      else if (known.place == Known::Place::kHost) inputs.back() = &host_values_[known.index].second;
      else if (known.place == Known::Place::kExternal) inputs.back() = &values[s].tensor();
      else throw Error(ErrorCode::kInternal, "shape arithmetic reads what a provider computes");
    }
    const std::vector<Tensor> results = ops::host_evaluate(node, inputs, shapes);
    for (std::size_t i = 0; i < step.outputs.size() && i < results.size(); ++i) {
      if (step.outputs[i] == kNoSlot) continue;
      const Tensor& t = host_values_.emplace_back(step.outputs[i], results[i]).second;
      scratch.known_[step.outputs[i]] = {.generation = scratch.generation_,
                                         .place = Known::Place::kHost,
                                         .index = static_cast<std::uint32_t>(host_values_.size() - 1),
                                         .dtype = t.dtype(),
                                         .rank = t.shape().rank(),
                                         .dims = t.shape().data(),
                                         .count = static_cast<std::uint64_t>(t.element_count()),
                                         .bytes = t.bytes()};
    }
  } catch (const Error& e) {
    throw e.with(step_context(plan_, step, {}));
  }
}

BoundStep& Region::new_step(std::uint32_t index) {
  const Step& step = plan_.steps[index];
  BoundStep& bound = *memory_.array<BoundStep>(1);
  bound.step = &step;
  bound.index = index;
  bound.inputs = memory_.array<AshlarTensor>(step.inputs.size());
  bound.outputs = memory_.array<AshlarTensor>(step.outputs.size());
  bound.shapes = memory_.array<AshlarShape>(step.outputs.size());
  bound.input_offsets = memory_.array<std::uint64_t>(step.inputs.size());
  bound.args.struct_size = sizeof(AshlarRunArgs);
  bound.args.input_count = static_cast<std::uint32_t>(step.inputs.size());
  bound.args.output_count = static_cast<std::uint32_t>(step.outputs.size());
  bound.args.inputs = memory_.array<const AshlarTensor*>(step.inputs.size());
  bound.args.outputs = memory_.array<AshlarTensor*>(step.outputs.size());
  steps_.push_back(&bound);
  return bound;
}

/// The descriptor of an operand that is there, but for its data.
AshlarTensor Region::descriptor(Slot slot, const Known& known) const {
  return {.struct_size = sizeof(AshlarTensor),
          .dtype = static_cast<std::int32_t>(known.dtype),
          .rank = known.rank,
          .space = plan_.topology->spaces[plan_.slots[slot].space].number,
          .dims = known.dims,
          .data = nullptr,
          .count = known.count,
          .bytes = known.bytes,
          .layout = known.layout,
          .room = known.room};
}

/// Throws GuardFailure.
void Region::check_guards(const BoundStep& bound) const {
  for (const AshlarGuard& g : bound.step->guards) {
    const AshlarTensor& in = bound.inputs[g.input];
    if (static_cast<std::int32_t>(g.axis) >= in.rank || in.dims[g.axis] <= g.most) continue;
    throw GuardFailure{plan_.node(*bound.step).id, bound.step->provider,
                       "dimension " + std::to_string(g.axis) + " of its input " + std::to_string(g.input) + " is " +
                           std::to_string(in.dims[g.axis]) + ", the provider takes it up to " + std::to_string(g.most) +
                           ": such a run goes by a placement without"};
  }
}

bool Region::bind_step(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch) {
  BoundStep& bound = new_step(index);
  const Step& step = *bound.step;
  const AshlarStep& at_border = *step.provider_step;
  auto** inputs = const_cast<const AshlarTensor**>(bound.args.inputs);
  try {
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      bound.input_offsets[i] = ASHLAR_NO_OFFSET;
      if (step.inputs[i] == kNoSlot) continue;
      const Known& known = find(step.inputs[i], values, scratch);
      bound.inputs[i] = descriptor(step.inputs[i], known);
      bound.inputs[i].data = const_cast<void*>(bind_data(step, i, values, scratch));
      inputs[i] = &bound.inputs[i];
      if (step.input_dtypes[i] != DType::kUndefined && known.dtype != step.input_dtypes[i])
        throw Error(ErrorCode::kRuntime, "input " + std::to_string(i) + " is " + std::string(to_string(known.dtype)) + ", the model says " +
                                             std::string(to_string(step.input_dtypes[i])));
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      bound.shapes[i].rank = -2;  // not answered
      bound.shapes[i].dtype = static_cast<std::int32_t>(step.output_dtypes[i]);
    }
    check_guards(bound);
    AshlarBindArgs args{};
    args.struct_size = sizeof(args);
    args.input_count = bound.args.input_count;
    args.output_count = bound.args.output_count;
    args.inputs = inputs;
    args.outputs = bound.shapes;
    args.input_offsets = bound.input_offsets;
    AshlarStatus status = provider::new_status();
    const AshlarCode code = at_border.bind(at_border.context, &args, &status);
    bound.args.binding = args.binding;
    if (code) throw partition::to_error(code, status, {});
    bound.workspace_bytes = args.workspace_bytes;
    bound.workspace_space = plan_.topology->space_of(plan_.topology->lanes[step.lane].device, args.workspace_space);
    if (args.workspace_space != ASHLAR_SPACE_HOST && bound.workspace_space == 0)
      throw Error(ErrorCode::kInternal, "the kernel wants a workspace in memory space " + std::to_string(args.workspace_space) +
                                            ", which the provider does not describe");
    for (std::size_t i = 0; i < step.outputs.size(); ++i) describe_output(bound, i, scratch);
  } catch (const Error& e) {
    throw e.with(step_context(plan_, step, border_types(inputs, bound.args.input_count)));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", step_context(plan_, step, border_types(inputs, bound.args.input_count)));
  }
  return !bound.sets_outputs;
}

/// Checks what bind said of an output, and makes it known.
void Region::describe_output(BoundStep& bound, std::size_t i, Scratch& scratch) {
  const Step& step = *bound.step;
  const Slot slot = step.outputs[i];
  if (slot == kNoSlot) return;
  const AshlarShape& shape = bound.shapes[i];
  if (shape.rank < -1 || shape.rank > ASHLAR_MAX_RANK)
    throw Error(ErrorCode::kInternal, "the kernel bound output " + std::to_string(i) + " to no shape");
  if (step.output_dtypes[i] == DType::kUndefined)
    throw Error(ErrorCode::kUnsupported, "the dtype of output " + std::to_string(i) + " is not known before the run");
  Known known{.generation = scratch.generation_,
              .place = Known::Place::kStored,
              .index = kUnstored,
              .writer = bound.index,
              .dtype = step.output_dtypes[i],
              .rank = shape.rank,
              .dims = shape.dims,
              .layout = shape.layout};
  if (shape.rank < 0) {
    bound.sets_outputs = true;
  } else {
    const std::int64_t count = Shape(std::span(shape.dims, static_cast<std::size_t>(shape.rank))).element_count();
    const std::uint64_t dense = step.output_dtypes[i] == DType::kString ? static_cast<std::uint64_t>(count) * sizeof(std::string)
                                                                        : byte_size(step.output_dtypes[i], static_cast<std::size_t>(count));
    known.count = static_cast<std::uint64_t>(count);
    known.bytes = std::max(dense, shape.bytes);
    if (const Known* from = grows_from(bound, i, scratch)) {
      known.place = from->place;
      known.index = from->index;
      known.room = from->room;
      grown_.push_back(
          {slot, externals_[from->index].slot, known.dtype, Shape(std::span(shape.dims, static_cast<std::size_t>(shape.rank)))});
    }
    scratch.known_[slot] = known;
  }
  bound.outputs[i] = descriptor(slot, known);
  const_cast<AshlarTensor**>(bound.args.outputs)[i] = &bound.outputs[i];
}

/// The value from outside that output i extends and has room for it; null where there is none.
const Region::Known* Region::grows_from(const BoundStep& bound, std::size_t i, const Scratch& scratch) const {
  const AshlarStep& step = *bound.step->provider_step;
  for (std::uint32_t k = 0; k < step.growth_count; ++k) {
    const AshlarGrowth& growth = plan::growth(step, k);
    if (growth.output != i || bound.step->inputs[growth.input] == kNoSlot) continue;
    const Known& from = scratch.known_[bound.step->inputs[growth.input]];
    const AshlarShape& shape = bound.shapes[i];
    bool fits = from.place == Known::Place::kExternal && from.room > 0 && from.dtype == bound.step->output_dtypes[i] &&
                from.rank == shape.rank && shape.bytes == 0 && shape.layout == 0;
    for (std::uint32_t d = 0; fits && d < static_cast<std::uint32_t>(shape.rank); ++d)
      fits = d == growth.axis ? shape.dims[d] >= from.dims[d] && shape.dims[d] <= from.room : shape.dims[d] == from.dims[d];
    if (fits) return &from;
  }
  return nullptr;
}

void Region::bind_copy(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch) {
  BoundStep& bound = new_step(index);
  const Slot from = bound.step->inputs[0], to = bound.step->outputs[0];
  const Known& source = find(from, values, scratch);
  bound.input_offsets[0] = ASHLAR_NO_OFFSET;
  bound.inputs[0] = descriptor(from, source);
  Known known = source;
  known.place = Known::Place::kStored;
  known.index = kUnstored;
  known.writer = index;
  scratch.known_[to] = known;
  bound.outputs[0] = descriptor(to, known);
  const_cast<const AshlarTensor**>(bound.args.inputs)[0] = &bound.inputs[0];
  const_cast<AshlarTensor**>(bound.args.outputs)[0] = &bound.outputs[0];
  bound.shapes[0].rank = source.rank;
}

bool Region::matches(const std::vector<Value>& values, const Scratch& scratch) const {
  if (end_ == begin_) return false;
  for (const External& e : externals_) {
    const Tensor& t = values[e.slot].tensor();
    if (t.dtype() != e.dtype || !(t.shape() == e.shape) || scratch.layouts_[e.slot] != e.layout || scratch.rooms_[e.slot] != e.room)
      return false;
    if (e.read && !e.data.empty() && std::memcmp(e.data.data(), t.raw(), e.data.size()) != 0) return false;
  }
  return true;
}

void Region::place(std::span<std::byte* const> arenas, std::vector<Value>& values, const std::map<Slot, OutputBuffer>& outputs) {
  const auto point = [](const std::vector<Reference>& references, const void* base) {
    for (const Reference& r : references) *r.pointer = static_cast<std::byte*>(const_cast<void*>(base)) + r.offset;
  };
  for (std::size_t space = 0; space < arenas.size(); ++space)
    if (arenas[space] != arena_bases_[space]) {
      point(arena_references_[space], arenas[space]);
      arena_bases_[space] = arenas[space];
    }
  for (External& e : externals_)
    if (const void* base = values[e.slot].tensor().raw(); base != e.base) {
      point(e.references, base);
      e.base = base;
    }
  for (const auto& [slot, tensor] : host_values_)
    if (outlives(slot)) values[slot] = tensor;
  for (const Grown& g : grown_)
    values[g.slot] = Tensor::adopt(g.dtype, g.shape, const_cast<void*>(values[g.from].tensor().raw()), nullptr, false);
  for (Pooled& p : pooled_) {
    const Member& first = p.members.front();
    if (first.dtype == DType::kString) {
      Tensor t = Tensor::zeros(first.dtype, first.shape);
      point(p.references, t.raw());
      values[first.slot] = std::move(t);
      continue;
    }
    std::shared_ptr<void> memory;
    if (const auto given = outputs.find(first.slot);
        p.space == 0 && given != outputs.end() && p.members.size() == 1 && first.offset == 0 && given->second.bytes >= p.bytes)
      memory = given->second.memory;
    else memory = resources_.pool(p.space).take(p.bytes);
    if (memory.get() != p.base) {
      point(p.references, memory.get());
      p.base = memory.get();
    }
    for (const Member& m : p.members)
      values[m.slot] = Tensor::adopt(m.dtype, m.shape, static_cast<std::byte*>(memory.get()) + m.offset, memory, false);
  }
}

void Region::tell_layouts(Scratch& scratch) const {
  for (const Pooled& p : pooled_)
    for (const Member& m : p.members) scratch.layouts_[m.slot] = m.layout;
}

}  // namespace ashlar::runtime
