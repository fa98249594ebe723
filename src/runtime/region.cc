// SPDX-License-Identifier: Apache-2.0
#include "runtime/region.h"

#include <algorithm>
#include <cstring>

#include <ashlar/provider/provider.h>

#include "ops/host_evaluate.h"
#include "partition/provider.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Runner;
using plan::Slot;
using plan::Step;

/// What is known of a slot's value while a region binds.
struct Region::Known {
  enum class Place { kConstant, kHost, kExternal, kGroup };
  std::uint32_t generation = 0;  ///< of the binding that this belongs to
  Place place = Place::kConstant;
  std::uint32_t index = 0;  ///< of the external, the host value or the group
  std::uint64_t offset = 0;
  DType dtype = DType::kUndefined;
  int rank = 0;
  const std::int64_t* dims = nullptr;
  std::uint64_t count = 0, bytes = 0, layout = 0;
  Slot next_in_group = kNoSlot;
};

/// Values that share storage.
struct Region::Group {
  std::uint64_t bytes;
  std::uint32_t first, last;
  Slot members;             ///< the head of a list; kNoSlot when it was merged into another
  bool outlives = false;    ///< some member does
  std::uint32_t place = 0;  ///< index of its block, or of its pooled memory
};

Region::Scratch::Scratch(std::size_t slots) : known_(slots) {}
Region::Scratch::~Scratch() = default;

Region::Region(const plan::Plan& plan) : plan_(plan) {}
Region::~Region() { release(); }

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

void Region::release() {
  for (const BoundStep* bound : steps_)
    if (const AshlarStep& s = *bound->step->provider_step; s.release_binding && bound->args.binding)
      s.release_binding(s.context, bound->args.binding);
  steps_.clear();
  externals_.clear();
  host_values_.clear();
  pooled_.clear();
  arena_references_.clear();
  last_uses_.clear();
  groups_.clear();
  memory_.reset();
  arena_base_ = nullptr;
  end_ = begin_;
}

std::size_t Region::bytes() const noexcept {
  return memory_.bytes() + arena_references_.capacity() * sizeof(Reference) + steps_.capacity() * sizeof(BoundStep*);
}

std::uint32_t Region::last_use(Slot slot) const { return std::min(plan_.slots[slot].last_use, end_); }

void Region::bind(std::uint32_t begin, std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch) {
  release();
  begin_ = end_ = begin;
  ++scratch.generation_;
  try {
    bind_steps(limit, values, scratch);
    for (const BoundStep* bound : steps_) share_storage(*bound, scratch);
    lay_out(scratch);
  } catch (...) {
    release();
    throw;
  }
  key_ = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t x) { key_ = (key_ ^ x) * 0x100000001b3u; };
  for (const External& e : externals_) {
    mix(e.slot);
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
    // Data that a step inside the region makes is there only when the region has run.
    bool waits = false;
    for (std::size_t i = 0; i < step.inputs.size() && i < 64; ++i)
      if (step.inputs[i] != kNoSlot && (step.provider_step->bind_reads >> i & 1) != 0)
        waits = waits || find(step.inputs[i], values, scratch).place == Known::Place::kGroup;
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
  externals_.push_back({.slot = slot, .read = false, .dtype = t.dtype(), .shape = t.shape(), .data = {}});
  describe(t, externals_.back().shape);
  return known;
}

/// The data of a value that is there while the region binds; null where it is not.
const void* Region::read(Known& known, const std::vector<Value>& values) {
  switch (known.place) {
    case Known::Place::kConstant: return plan_.constants[known.index].second.raw();
    case Known::Place::kHost: return host_values_[known.index].second.raw();
    case Known::Place::kGroup: return nullptr;
    case Known::Place::kExternal: break;
  }
  External& e = externals_[known.index];
  const void* data = values[e.slot].tensor().raw();
  if (!e.read && e.dtype != DType::kString) {
    e.read = true;
    e.data.resize(known.bytes);
    if (known.bytes > 0) std::memcpy(e.data.data(), data, known.bytes);
  }
  return data;
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
    throw e.with({.node = node.id, .op = node.op_name(), .opset = node.original_version, .provider = "core"});
  }
}

bool Region::bind_step(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch) {
  const Step& step = plan_.steps[index];
  const AshlarStep& at_border = *step.provider_step;
  BoundStep& bound = *memory_.array<BoundStep>(1);
  bound.step = &step;
  bound.index = index;
  bound.inputs = memory_.array<AshlarTensor>(step.inputs.size());
  bound.outputs = memory_.array<AshlarTensor>(step.outputs.size());
  bound.shapes = memory_.array<AshlarShape>(step.outputs.size());
  auto** inputs = memory_.array<const AshlarTensor*>(step.inputs.size());
  auto** outputs = memory_.array<AshlarTensor*>(step.outputs.size());
  bound.input_offsets = memory_.array<std::uint64_t>(step.inputs.size());
  bound.args.struct_size = sizeof(AshlarRunArgs);
  bound.args.input_count = static_cast<std::uint32_t>(step.inputs.size());
  bound.args.output_count = static_cast<std::uint32_t>(step.outputs.size());
  bound.args.inputs = inputs;
  bound.args.outputs = outputs;
  steps_.push_back(&bound);

  const auto context = [&] {
    const graph::Node& node = plan_.node(step);
    return ErrorContext{.node = node.id,
                        .op = node.op_name(),
                        .opset = node.original_version,
                        .provider = step.provider,
                        .tensor = {},
                        .inputs = border_types(inputs, bound.args.input_count),
                        .file = {}};
  };
  try {
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      bound.input_offsets[i] = ASHLAR_NO_OFFSET;
      if (step.inputs[i] == kNoSlot) continue;
      Known& known = find(step.inputs[i], values, scratch);
      const bool reads = i < 64 && (at_border.bind_reads >> i & 1) != 0;
      AshlarTensor& t = bound.inputs[i];
      t = {.struct_size = sizeof(AshlarTensor),
           .dtype = static_cast<std::int32_t>(known.dtype),
           .rank = known.rank,
           .space = ASHLAR_SPACE_HOST,
           .dims = known.dims,
           .data = known.place != Known::Place::kExternal || reads ? const_cast<void*>(read(known, values)) : nullptr,
           .count = known.count,
           .bytes = known.bytes,
           .layout = known.layout};
      inputs[i] = &t;
      if (step.input_dtypes[i] != DType::kUndefined && known.dtype != step.input_dtypes[i])
        throw Error(ErrorCode::kRuntime, "input " + std::to_string(i) + " is " + std::string(to_string(known.dtype)) +
                                             ", the model says " + std::string(to_string(step.input_dtypes[i])));
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      bound.shapes[i].rank = -2;  // not answered
      bound.shapes[i].dtype = static_cast<std::int32_t>(step.output_dtypes[i]);
    }
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
    if (args.workspace_bytes > 0) {
      groups_.push_back({.bytes = args.workspace_bytes, .first = index, .last = index, .members = kNoSlot});
      arena_references_.push_back({&bound.args.workspace, groups_.size() - 1});
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      const Slot slot = step.outputs[i];
      if (slot == kNoSlot) continue;
      AshlarShape& shape = bound.shapes[i];
      if (shape.rank < -1 || shape.rank > ASHLAR_MAX_RANK)
        throw Error(ErrorCode::kInternal, "the kernel bound output " + std::to_string(i) + " to no shape");
      if (step.output_dtypes[i] == DType::kUndefined)
        throw Error(ErrorCode::kUnsupported, "the dtype of output " + std::to_string(i) + " is not known before the run");
      AshlarTensor& t = bound.outputs[i];
      t.struct_size = sizeof(AshlarTensor);
      t.dtype = static_cast<std::int32_t>(step.output_dtypes[i]);
      t.rank = shape.rank;
      t.dims = shape.dims;
      t.layout = shape.layout;
      outputs[i] = &t;
      if (shape.rank < 0) {
        bound.sets_outputs = true;
        continue;
      }
      const std::int64_t count = Shape(std::span(shape.dims, static_cast<std::size_t>(shape.rank))).element_count();
      const std::uint64_t dense = step.output_dtypes[i] == DType::kString ? static_cast<std::uint64_t>(count) * sizeof(std::string)
                                                                          : byte_size(step.output_dtypes[i], static_cast<std::size_t>(count));
      t.count = static_cast<std::uint64_t>(count);
      t.bytes = std::max(dense, shape.bytes);
      scratch.known_[slot] = {.generation = scratch.generation_,
                              .place = Known::Place::kGroup,
                              .index = 0,
                              .offset = 0,
                              .dtype = step.output_dtypes[i],
                              .rank = shape.rank,
                              .dims = shape.dims,
                              .count = t.count,
                              .bytes = t.bytes,
                              .layout = shape.layout};
    }
  } catch (const Error& e) {
    throw e.with(context());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", context());
  }
  return !bound.sets_outputs;
}

/// Whether output 0 may take an input's storage: nothing else in it is needed during this step or later.
bool Region::may_replace(const Group& group, const Known& input, const BoundStep& bound, Scratch& scratch) const {
  for (Slot m = group.members; m != kNoSlot; m = scratch.known_[m].next_in_group) {
    const Known& member = scratch.known_[m];
    if (&member == &input) {
      if (last_use(m) != bound.index) return false;
    } else if (last_use(m) >= bound.index) {
      return false;
    }
  }
  return true;
}

/// Gives the step's outputs their groups: an input's where bind allowed it and lifetimes do, else one of their own.
void Region::share_storage(const BoundStep& bound, Scratch& scratch) {
  const Step& step = *bound.step;
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    const Slot slot = step.outputs[i];
    if (slot == kNoSlot || bound.shapes[i].rank < 0) continue;
    Known& out = scratch.known_[slot];
    const AshlarShape& shape = bound.shapes[i];
    const auto join = [&](std::uint32_t group, std::uint64_t offset) {
      Group& g = groups_[group];
      out.index = group;
      out.offset = offset;
      out.next_in_group = g.members;
      g.members = slot;
      g.last = std::max(g.last, std::min(last_use(slot), end_ - 1));
      g.outlives = g.outlives || outlives(slot);
    };
    const bool text = out.dtype == DType::kString;
    if (!text && shape.view_of > 0 && shape.view_of <= step.inputs.size() && step.inputs[shape.view_of - 1] != kNoSlot) {
      const Known& in = scratch.known_[step.inputs[shape.view_of - 1]];
      if (shape.view_offset > in.bytes || out.bytes > in.bytes - shape.view_offset)
        throw Error(ErrorCode::kInternal, "the kernel made output " + std::to_string(i) + " a view beyond its input",
                    {.node = plan_.node(step).id, .provider = step.provider});
      if (in.place == Known::Place::kGroup) {
        join(in.index, in.offset + shape.view_offset);
        continue;
      }
      if (!outlives(slot)) {
        out.place = in.place;
        out.index = in.index;
        out.offset = in.offset + shape.view_offset;
        continue;
      }
    }
    bool replaced = false;
    for (std::size_t k = 0; !text && i == 0 && k < step.inputs.size() && k < 64 && !replaced; ++k) {
      if ((step.provider_step->in_place >> k & 1) == 0 || step.inputs[k] == kNoSlot) continue;
      const Known& in = scratch.known_[step.inputs[k]];
      if (in.place != Known::Place::kGroup || in.bytes != out.bytes || !may_replace(groups_[in.index], in, bound, scratch)) continue;
      join(in.index, in.offset);
      replaced = true;
    }
    if (replaced) continue;
    groups_.push_back({.bytes = out.bytes, .first = bound.index, .last = bound.index, .members = kNoSlot});
    join(static_cast<std::uint32_t>(groups_.size() - 1), 0);

    // Inputs that may lie in output 0 move there, with all that shares their storage.
    for (std::size_t k = 0; !text && i == 0 && k < step.inputs.size(); ++k) {
      if (!bound.args.inputs[k] || bound.input_offsets[k] == ASHLAR_NO_OFFSET) continue;
      const Known& in = scratch.known_[step.inputs[k]];
      if (in.place != Known::Place::kGroup || in.index == out.index || in.offset != 0) continue;
      const std::uint32_t from = in.index;
      if (groups_[from].bytes != in.bytes || groups_[from].outlives || bound.input_offsets[k] > out.bytes || in.bytes > out.bytes - bound.input_offsets[k]) continue;
      for (Slot m = groups_[from].members; m != kNoSlot;) {
        Known& member = scratch.known_[m];
        const Slot next = member.next_in_group;
        member.index = out.index;
        member.offset += bound.input_offsets[k];
        member.next_in_group = groups_[out.index].members;
        groups_[out.index].members = m;
        m = next;
      }
      groups_[from].members = kNoSlot;
      groups_[out.index].first = std::min(groups_[out.index].first, groups_[from].first);
      groups_[out.index].last = std::max(groups_[out.index].last, groups_[from].last);
      groups_[from].bytes = 0;
    }
  }
}

void Region::lay_out(Scratch& scratch) {
  std::vector<plan::Block> blocks;
  for (Group& g : groups_) {
    if (!g.outlives) {
      g.place = static_cast<std::uint32_t>(blocks.size());
      blocks.push_back({.bytes = g.bytes, .first = g.first, .last = g.last});
      continue;
    }
    g.place = static_cast<std::uint32_t>(pooled_.size());
    Pooled& pooled = pooled_.emplace_back(Pooled{.bytes = g.bytes});
    for (Slot m = g.members; m != kNoSlot; m = scratch.known_[m].next_in_group) {
      const Known& known = scratch.known_[m];
      if (outlives(m))
        pooled.members.push_back({m, known.offset, known.dtype, Shape(std::span(known.dims, static_cast<std::size_t>(known.rank)))});
    }
  }
  arena_bytes_ = plan::place(blocks);
  for (Reference& workspace : arena_references_) workspace.offset = blocks[groups_[workspace.offset].place].offset;

  const auto refer = [&](Slot slot, AshlarTensor& t) {
    const Known& known = scratch.known_[slot];
    switch (known.place) {
      case Known::Place::kConstant:
      case Known::Place::kHost: {
        const Tensor& source = known.place == Known::Place::kHost ? host_values_[known.index].second : plan_.constants[known.index].second;
        t.data = static_cast<std::byte*>(const_cast<void*>(source.raw())) + known.offset;
        break;
      }
      case Known::Place::kExternal: externals_[known.index].references.push_back({&t.data, known.offset}); break;
      case Known::Place::kGroup: {
        const Group& g = groups_[known.index];
        if (g.outlives) pooled_[g.place].references.push_back({&t.data, known.offset});
        else arena_references_.push_back({&t.data, blocks[g.place].offset + known.offset});
      }
    }
  };
  for (BoundStep* bound : steps_) {
    const Step& step = *bound->step;
    for (std::size_t i = 0; i < step.inputs.size(); ++i)
      if (bound->args.inputs[i]) refer(step.inputs[i], bound->inputs[i]);
    for (std::size_t i = 0; i < step.outputs.size(); ++i)
      if (bound->args.outputs[i] && bound->shapes[i].rank >= 0) refer(step.outputs[i], bound->outputs[i]);
    if (bound->sets_outputs)
      for (std::size_t i = 0; i < step.outputs.size(); ++i)
        if (bound->args.outputs[i] && bound->shapes[i].rank < 0 && !outlives(step.outputs[i])) last_uses_.push_back(step.outputs[i]);
  }
  for (const External& e : externals_)
    if (!outlives(e.slot)) last_uses_.push_back(e.slot);
}

bool Region::matches(const std::vector<Value>& values) const {
  if (end_ == begin_) return false;
  for (const External& e : externals_) {
    const Tensor& t = values[e.slot].tensor();
    if (t.dtype() != e.dtype || !(t.shape() == e.shape)) return false;
    if (e.read && !e.data.empty() && std::memcmp(e.data.data(), t.raw(), e.data.size()) != 0) return false;
  }
  return true;
}

void Region::place(std::byte* arena, BufferPool& pool, std::vector<Value>& values, const std::map<Slot, OutputBuffer>& outputs) {
  const auto point = [](const std::vector<Reference>& references, const void* base) {
    for (const Reference& r : references) *r.pointer = static_cast<std::byte*>(const_cast<void*>(base)) + r.offset;
  };
  if (arena != arena_base_) {
    point(arena_references_, arena);
    arena_base_ = arena;
  }
  for (External& e : externals_)
    if (const void* base = values[e.slot].tensor().raw(); base != e.base) {
      point(e.references, base);
      e.base = base;
    }
  for (const auto& [slot, tensor] : host_values_)
    if (outlives(slot)) values[slot] = tensor;
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
        given != outputs.end() && p.members.size() == 1 && first.offset == 0 && given->second.bytes >= p.bytes)
      memory = given->second.memory;
    else memory = pool.take(p.bytes);
    if (memory.get() != p.base) {
      point(p.references, memory.get());
      p.base = memory.get();
    }
    for (const Member& m : p.members)
      values[m.slot] = Tensor::adopt(m.dtype, m.shape, static_cast<std::byte*>(memory.get()) + m.offset, memory, false);
  }
}

}  // namespace ashlar::runtime
