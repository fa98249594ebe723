// SPDX-License-Identifier: Apache-2.0
#include "runtime/frame.h"

#include <algorithm>

#include <ashlar/provider/provider.h>

#include "core/log.h"
#include "partition/host.h"
#include "partition/provider.h"
#include "runtime/predict.h"
#include "runtime/work.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Runner;
using plan::Slot;
using plan::Step;

namespace {

constexpr std::size_t kKeptRegions = 64;                   ///< of one beginning
constexpr std::size_t kKeptBytes = std::size_t{64} << 20;  ///< of one beginning
constexpr std::size_t kSeen = 256;                         ///< shapes whose return is noticed

}  // namespace

RunState::RunState(const RunOptions& options) : options_(options), limited_(options.cancel || options.deadline) {}

std::int64_t RunState::elapsed_ns() const noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_).count();
}

std::int64_t RunState::since_start(std::int64_t steady_ns) const noexcept {
  return steady_ns - std::chrono::duration_cast<std::chrono::nanoseconds>(start_.time_since_epoch()).count();
}

void RunState::check_limits(const std::string& next_node) const {
  if (options_.cancel && options_.cancel->cancelled())
    throw Error(ErrorCode::kCancelled, "the run was cancelled before this node", {.node = next_node});
  if (options_.deadline && elapsed_ns() >= options_.deadline->count())
    throw Error(ErrorCode::kDeadlineExceeded, "the run's deadline passed before this node", {.node = next_node});
}

Frame::Frame(const plan::Plan& plan, Resources& resources)
    : plan_(plan), resources_(resources), values_(plan.slots.size()), limits_(plan.steps.size()), bound_(plan.steps.size()),
      scratch_(std::make_unique<Region::Scratch>(plan.slots.size())), arenas_(plan.topology->spaces.size()),
      bases_(plan.topology->spaces.size(), nullptr) {
  auto limit = static_cast<std::uint32_t>(plan.steps.size());
  for (std::size_t i = plan.steps.size(); i-- > 0;) {
    if (plan.steps[i].runner == Runner::kCore) limit = static_cast<std::uint32_t>(i);
    limits_[i] = limit;
  }
  clear();
}

Frame::~Frame() = default;

void Frame::clear() {
  std::fill(values_.begin(), values_.end(), Value());
  for (const auto& [slot, tensor] : plan_.constants) values_[slot] = tensor;
}

void Frame::finish() {
  for (const auto* slots : {&plan_.graph->inputs, &plan_.outputs})
    for (const Slot slot : *slots)
      if (!plan_.slots[slot].constant) values_[slot] = Value();
  for (const graph::Capture& c : plan_.graph->captures) values_[c.inner] = Value();
}

void Frame::set_output_buffer(std::size_t index, Tensor buffer) {
  const Slot slot = plan_.outputs[index];
  if (!buffer.defined() || buffer.dtype() == DType::kString) {
    output_buffers_.erase(slot);
    return;
  }
  void* data = buffer.mutable_raw();
  const std::size_t bytes = buffer.bytes();
  output_buffers_[slot] = {std::shared_ptr<void>(std::make_shared<Tensor>(std::move(buffer)), data), bytes};
}

std::string value_types(const Frame& frame, const std::vector<Slot>& slots) {
  std::string out;
  for (const Slot s : slots) {
    if (!out.empty()) out += ", ";
    out += s == kNoSlot ? "-" : frame.value(s).type_string();
  }
  return out;
}

std::size_t Frame::kept_bytes() const noexcept {
  std::size_t total = 0;
  for (const auto& b : bound_)
    if (b)
      for (const auto& r : b->kept) total += r->bytes();
  return total;
}

void Frame::run(const RunState& state) {
  for (std::uint32_t i = 0; i < plan_.steps.size();) {
    const Step& step = plan_.steps[i];
    state.check(plan_.node(step).id);
    if (step.runner == Runner::kCore) {
      run_core(step, state);
      ++i;
      continue;
    }
    Region& next = region(i, state);
    run_region(next, state);
    i = next.end();
  }
}

void Frame::run_core(const Step& step, const RunState& state) {
  std::size_t event = 0;
  std::int64_t start_ns = 0;
  if (state.trace()) {
    start_ns = state.elapsed_ns();
    event = state.trace()->events.size();
    state.trace()->events.emplace_back();
  }
  try {
    run_core_step(*this, step, state);
  } catch (const Error& e) {
    throw e.with(step_context(plan_, step, value_types(*this, step.inputs)));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", step_context(plan_, step, value_types(*this, step.inputs)));
  }
  if (state.trace()) {
    add_event(state, step, start_ns);
    TraceEvent& e = state.trace()->events[event] = std::move(state.trace()->events.back());
    state.trace()->events.pop_back();
    e.outputs = value_types(*this, step.outputs);
    for (const Slot s : step.outputs)
      if (s != kNoSlot && values_[s].is_tensor()) e.bytes += values_[s].tensor().bytes();
  }
  for (const Slot s : step.last_uses) values_[s] = Value();
}

/// An event of a step that began at start_ns on the calling thread and ends now.
TraceEvent& Frame::add_event(const RunState& state, const Step& step, std::int64_t start_ns) const {
  const graph::Node& node = plan_.node(step);
  TraceEvent& e = state.trace()->events.emplace_back();
  e.node = node.id;
  e.op = node.op_name();
  e.provider = step.provider;
  e.kernel = step.kernel;
  e.queue = plan_.topology->lanes[step.lane].name;
  e.depth = static_cast<int>(plan_.depth);
  e.start_ns = start_ns;
  e.issue_ns = state.elapsed_ns() - start_ns;
  if (step.lane == 0) e.duration_ns = e.issue_ns;
  return e;
}

/// The same with what it did.
TraceEvent& Frame::add_event(const RunState& state, BoundStep& bound, std::int64_t start_ns) const {
  TraceEvent& e = add_event(state, *bound.step, start_ns);
  e.outputs = border_types(bound.args.outputs, bound.args.output_count);
  for (std::uint32_t i = 0; i < bound.args.output_count; ++i)
    if (bound.args.outputs[i]) e.bytes += bound.outputs[i].bytes;
  if (!bound.work_known || bound.sets_outputs) {
    const Work work = work_of(plan_, bound);
    bound.operations = work.operations;
    bound.bytes_read = work.bytes_read;
    bound.work_known = true;
  }
  e.operations = bound.operations;
  e.bytes_read = bound.bytes_read;
  if (const AshlarStep* step = bound.step->provider_step)
    for (std::uint32_t i = 1; i < step->node_count; ++i)
      if (step->nodes[i] < plan_.graph->nodes.size()) e.absorbed.push_back(plan_.graph->nodes[step->nodes[i]].id);
  return e;
}

Region& Frame::region(std::uint32_t begin, const RunState& state) {
  if (!bound_[begin]) bound_[begin] = std::make_unique<Bound>();
  Bound& b = *bound_[begin];
  for (const auto& r : b.kept)
    if (r->matches(values_, *scratch_)) {
      r->used = ++clock_;
      return *r;
    }
  const auto keep = [&]() -> Region& {
    std::size_t bytes = b.fresh->bytes();
    for (const auto& r : b.kept) bytes += r->bytes();
    while (!b.kept.empty() && (b.kept.size() >= kKeptRegions || bytes > kKeptBytes)) {
      const auto oldest = std::min_element(b.kept.begin(), b.kept.end(), [](const auto& x, const auto& y) { return x->used < y->used; });
      bytes -= (*oldest)->bytes();
      b.kept.erase(oldest);
    }
    b.fresh->used = ++clock_;
    return *b.kept.emplace_back(std::move(b.fresh));
  };
  if (b.fresh && b.fresh->matches(values_, *scratch_)) return keep();
  if (!b.fresh) b.fresh = std::make_unique<Region>(plan_, resources_);

  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  b.fresh->bind(begin, limits_[begin], values_, *scratch_);
  if (state.trace()) {
    TraceEvent& e = add_event(state, plan_.steps[begin], start_ns);
    e.op = "(bind)";
    e.provider = "core";
    e.queue.clear();
    e.duration_ns = e.issue_ns;
    e.kernel = std::to_string(b.fresh->end() - begin) + " steps";
    const auto& arenas = b.fresh->arena_bytes();
    e.outputs = "arena " + std::to_string(arenas[0]) + " bytes";
    for (std::size_t space = 1; space < arenas.size(); ++space)
      if (arenas[space] > 0) e.outputs += ", " + plan_.topology->spaces[space].name + " " + std::to_string(arenas[space]) + " bytes";
  }
  const std::uint64_t key = b.fresh->key();
  if (std::find(b.seen.begin(), b.seen.end(), key) != b.seen.end()) return keep();
  if (b.seen.size() < kSeen) b.seen.push_back(key);
  else b.seen[b.next_seen++ % kSeen] = key;
  return *b.fresh;
}

/// The step of a region that asks for the most memory.
ErrorContext Frame::largest_output(const Region& region) const {
  const BoundStep* largest = nullptr;
  std::uint64_t most = 0;
  for (const BoundStep* bound : region.steps())
    for (std::uint32_t i = 0; i < bound->args.output_count; ++i)
      if (bound->args.outputs[i] && bound->outputs[i].bytes >= most) {
        largest = bound;
        most = bound->outputs[i].bytes;
      }
  return largest ? context(*largest) : ErrorContext{};
}

ErrorContext Frame::context(const BoundStep& bound) const {
  return step_context(plan_, *bound.step, border_types(bound.args.inputs, bound.args.input_count));
}

void Frame::grow_arenas(const std::vector<std::uint64_t>& bytes) {
  for (std::uint32_t space = 0; space < bytes.size(); ++space) {
    Arena& arena = arenas_[space];
    if (bytes[space] <= arena.bytes) continue;
    arena = {};
    bases_[space] = nullptr;
    arena.memory = resources_.allocate(space, bytes[space]);
    arena.bytes = bytes[space];
    bases_[space] = static_cast<std::byte*>(arena.memory.get());
  }
}

void Frame::run_region(Region& region, const RunState& state) {
  try {
    grow_arenas(region.arena_bytes());
    region.place(bases_, values_, output_buffers_);
    region.tell_layouts(*scratch_);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kOutOfMemory || e.context().provider.empty()) throw e.with(largest_output(region));
    resources_.report({.node = largest_output(region).node,
                       .provider = e.context().provider,
                       .code = partition::verdict_code_name(ASHLAR_MEMORY_BUDGET),
                       .reason = e.message()});
    std::vector<SpaceMemory::Item> largest;
    for (std::uint32_t space = 1; space < arenas_.size(); ++space) merge_largest(largest, largest_items(plan_, region, space, 3), 3);
    throw Error(e.code(), e.message() + "; the largest of this run: " + to_string(largest), e.context()).with(largest_output(region));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", largest_output(region));
  }
  if (plan_.topology->lanes.size() == 1) {
    for (BoundStep* bound : region.steps()) run_step(*bound, state);
  } else {
    try {
      run_steps(region, state);
    } catch (const Error& e) {
      // Operands stay until nothing works on them.
      if (e.code() == ErrorCode::kDeviceError) resources_.renew();
      else resources_.drain();
      throw;
    } catch (...) {
      resources_.drain();
      throw;
    }
  }
  for (const Slot s : region.last_uses()) values_[s] = Value();
}

/// Runs a step on the calling thread.
void Frame::run_step(BoundStep& bound, const RunState& state) {
  const Step& step = *bound.step;
  state.check(plan_.node(step).id);
  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  call(bound, nullptr);
  if (!state.trace()) return;
  add_event(state, bound, start_ns);
}

/// Calls a provider's step.
void Frame::call(BoundStep& bound, void* queue) {
  const Step& step = *bound.step;
  struct Core {
    Frame* frame;
    BoundStep* bound;
  } core{this, &bound};
  bound.args.queue = queue;
  if (bound.sets_outputs) {
    bound.args.core = &core;
    bound.args.set_output = [](void* c, std::uint32_t index, const AshlarShape* shape, AshlarStatus* status) -> AshlarCode {
      try {
        static_cast<Core*>(c)->frame->set_unknown_output(*static_cast<Core*>(c)->bound, index, *shape);
        return ASHLAR_OK;
      } catch (const Error& e) {
        provider::set_status(status, static_cast<AshlarCode>(e.code()), e.message());
        return static_cast<AshlarCode>(e.code());
      } catch (const std::exception& e) {
        provider::set_status(status, ASHLAR_INTERNAL, e.what());
        return ASHLAR_INTERNAL;
      }
    };
    for (std::uint32_t i = 0; i < bound.args.output_count; ++i)
      if (bound.args.outputs[i] && bound.shapes[i].rank < 0) {
        bound.outputs[i].rank = -1;
        bound.outputs[i].data = nullptr;
      }
  }
  AshlarStatus status = provider::new_status();  // filled by a failure only
  try {
    if (const AshlarCode code = step.provider_step->run(step.provider_step->context, &bound.args, &status))
      throw partition::to_error(code, status, {});
    partition::rethrow_parallel_failure();
    for (std::uint32_t i = 0; bound.sets_outputs && i < bound.args.output_count; ++i)
      if (bound.args.outputs[i] && bound.outputs[i].rank < 0)
        throw Error(ErrorCode::kInternal, "the kernel gave output " + std::to_string(i) + " no shape");
  } catch (const Error& e) {
    throw e.with(context(bound));
  }
}

void Frame::set_unknown_output(BoundStep& bound, std::uint32_t index, const AshlarShape& shape) {
  if (index >= bound.args.output_count || !bound.args.outputs[index] || bound.shapes[index].rank >= 0)
    throw Error(ErrorCode::kInternal, "set_output on output " + std::to_string(index) + ", which is not waiting for it");
  if (shape.rank < 0 || shape.rank > ASHLAR_MAX_RANK)
    throw Error(ErrorCode::kInternal, "output " + std::to_string(index) + " has rank " + std::to_string(shape.rank));
  const Slot slot = bound.step->outputs[index];
  BufferPool& pool = resources_.pool(plan_.slots[slot].space);
  Tensor t = pool.allocate(bound.step->output_dtypes[index], Shape(std::span(shape.dims, static_cast<std::size_t>(shape.rank))));
  std::copy(std::begin(shape.dims), std::end(shape.dims), bound.shapes[index].dims);
  AshlarTensor& out = bound.outputs[index];
  out.rank = shape.rank;
  out.layout = shape.layout;
  scratch_->set_layout(slot, shape.layout);
  out.data = const_cast<void*>(t.raw());
  out.count = static_cast<std::uint64_t>(t.element_count());
  out.bytes = t.bytes();
  values_[slot] = std::move(t);
}

Frame& Frame::body(const Step& step, const std::string& name) {
  std::unique_ptr<Frame>& frame = bodies_[{&step, name}];
  if (!frame) frame = std::make_unique<Frame>(*step.bodies.at(name), resources_);
  return *frame;
}

std::vector<Value> Frame::run_body(const Step& step, const std::string& name, std::vector<Value> inputs, const RunState& state) {
  Frame& frame = body(step, name);
  const graph::Graph& graph = *frame.plan().graph;
  for (std::size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) frame.set(graph.inputs[i], std::move(inputs[i]));
  for (const graph::Capture& c : graph.captures) frame.set(c.inner, values_[plan_.host_slots[c.outer]]);
  std::vector<Value> outputs;
  try {
    frame.run(state);
    for (const Slot slot : frame.plan().outputs) outputs.push_back(frame.value(slot));
  } catch (...) {
    frame.clear();
    throw;
  }
  frame.finish();
  return outputs;
}

}  // namespace ashlar::runtime
