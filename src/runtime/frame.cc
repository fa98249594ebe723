// SPDX-License-Identifier: Apache-2.0
#include "runtime/frame.h"

#include <algorithm>

#include <ashlar/provider/provider.h>

#include "core/allocate.h"
#include "partition/host.h"
#include "partition/provider.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Runner;
using plan::Slot;
using plan::Step;

namespace {

constexpr std::size_t kKeptRegions = 64;                     ///< of one beginning
constexpr std::size_t kKeptBytes = std::size_t{64} << 20;    ///< of one beginning
constexpr std::size_t kSeen = 256;                           ///< shapes whose return is noticed

}  // namespace

RunState::RunState(const RunOptions& options) : options_(options), limited_(options.cancel || options.deadline) {}

std::int64_t RunState::elapsed_ns() const noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_).count();
}

void RunState::check_limits(const std::string& next_node) const {
  if (options_.cancel && options_.cancel->cancelled())
    throw Error(ErrorCode::kCancelled, "the run was cancelled before this node", {.node = next_node});
  if (options_.deadline && elapsed_ns() >= options_.deadline->count())
    throw Error(ErrorCode::kDeadlineExceeded, "the run's deadline passed before this node", {.node = next_node});
}

Frame::Frame(const plan::Plan& plan, BufferPool& pool)
    : plan_(plan), pool_(pool), values_(plan.slots.size()), limits_(plan.steps.size()), bound_(plan.steps.size()),
      scratch_(std::make_unique<Region::Scratch>(plan.slots.size())) {
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
  for (const auto* slots : {&plan_.graph->inputs, &plan_.graph->outputs})
    for (const graph::ValueId slot : *slots)
      if (!plan_.slots[slot].constant) values_[slot] = Value();
  for (const graph::Capture& c : plan_.graph->captures) values_[c.inner] = Value();
}

void Frame::set_output_buffer(std::size_t index, Tensor buffer) {
  const Slot slot = plan_.graph->outputs[index];
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
  const graph::Node& node = plan_.node(step);
  const auto context = [&] {
    return ErrorContext{.node = node.id,
                        .op = node.op_name(),
                        .opset = node.original_version,
                        .provider = step.provider,
                        .tensor = {},
                        .inputs = value_types(*this, step.inputs),
                        .file = {}};
  };
  try {
    run_core_step(*this, step, state);
  } catch (const Error& e) {
    throw e.with(context());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", context());
  }
  if (state.trace()) {
    TraceEvent& e = state.trace()->events[event];
    e.node = node.id;
    e.op = node.op_name();
    e.provider = step.provider;
    e.kernel = step.kernel;
    e.outputs = value_types(*this, step.outputs);
    for (const Slot s : step.outputs)
      if (s != kNoSlot && values_[s].is_tensor()) e.bytes += values_[s].tensor().bytes();
    e.depth = static_cast<int>(plan_.depth);
    e.start_ns = start_ns;
    e.duration_ns = state.elapsed_ns() - start_ns;
  }
  for (const Slot s : step.last_uses) values_[s] = Value();
}

Region& Frame::region(std::uint32_t begin, const RunState& state) {
  if (!bound_[begin]) bound_[begin] = std::make_unique<Bound>();
  Bound& b = *bound_[begin];
  for (const auto& r : b.kept)
    if (r->matches(values_)) {
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
  if (b.fresh && b.fresh->matches(values_)) return keep();
  if (!b.fresh) b.fresh = std::make_unique<Region>(plan_);

  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  b.fresh->bind(begin, limits_[begin], values_, *scratch_);
  if (state.trace()) {
    TraceEvent& e = state.trace()->events.emplace_back();
    e.node = plan_.node(plan_.steps[begin]).id;
    e.op = "(bind)";
    e.provider = "core";
    e.kernel = std::to_string(b.fresh->end() - begin) + " steps";
    e.outputs = "arena " + std::to_string(b.fresh->arena_bytes()) + " bytes";
    e.depth = static_cast<int>(plan_.depth);
    e.start_ns = start_ns;
    e.duration_ns = state.elapsed_ns() - start_ns;
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
  const graph::Node& node = plan_.node(*bound.step);
  return {.node = node.id,
          .op = node.op_name(),
          .opset = node.original_version,
          .provider = bound.step->provider,
          .tensor = {},
          .inputs = border_types(bound.args.inputs, bound.args.input_count),
          .file = {}};
}

void Frame::grow_arena(std::uint64_t bytes) {
  if (bytes <= arena_bytes_) return;
  arena_.reset();
  arena_bytes_ = 0;
  arena_ = core::allocate_aligned(bytes);
  if (!arena_) throw Error(ErrorCode::kOutOfMemory, "no memory for an arena of " + std::to_string(bytes) + " bytes");
  arena_bytes_ = bytes;
}

void Frame::run_region(Region& region, const RunState& state) {
  try {
    grow_arena(region.arena_bytes());
    region.place(static_cast<std::byte*>(arena_.get()), pool_, values_, output_buffers_);
  } catch (const Error& e) {
    throw e.with(largest_output(region));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", largest_output(region));
  }
  for (BoundStep* bound : region.steps()) run_step(*bound, state);
  for (const Slot s : region.last_uses()) values_[s] = Value();
}

void Frame::run_step(BoundStep& bound, const RunState& state) {
  const Step& step = *bound.step;
  const graph::Node& node = plan_.node(step);
  state.check(node.id);
  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  struct Core {
    Frame* frame;
    BoundStep* bound;
  } core{this, &bound};
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
  AshlarStatus status = provider::new_status();
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
  if (!state.trace()) return;
  TraceEvent& e = state.trace()->events.emplace_back();
  e.node = node.id;
  e.op = node.op_name();
  e.provider = step.provider;
  e.kernel = step.kernel;
  e.outputs = border_types(bound.args.outputs, bound.args.output_count);
  for (std::uint32_t i = 0; i < bound.args.output_count; ++i)
    if (bound.args.outputs[i]) e.bytes += bound.outputs[i].bytes;
  e.depth = static_cast<int>(plan_.depth);
  e.start_ns = start_ns;
  e.duration_ns = state.elapsed_ns() - start_ns;
}

void Frame::set_unknown_output(BoundStep& bound, std::uint32_t index, const AshlarShape& shape) {
  if (index >= bound.args.output_count || !bound.args.outputs[index] || bound.shapes[index].rank >= 0)
    throw Error(ErrorCode::kInternal, "set_output on output " + std::to_string(index) + ", which is not waiting for it");
  if (shape.rank < 0 || shape.rank > ASHLAR_MAX_RANK)
    throw Error(ErrorCode::kInternal, "output " + std::to_string(index) + " has rank " + std::to_string(shape.rank));
  const Slot slot = bound.step->outputs[index];
  Tensor t = pool_.allocate(bound.step->output_dtypes[index], Shape(std::span(shape.dims, static_cast<std::size_t>(shape.rank))));
  std::copy(std::begin(shape.dims), std::end(shape.dims), bound.shapes[index].dims);
  AshlarTensor& out = bound.outputs[index];
  out.rank = shape.rank;
  out.data = const_cast<void*>(t.raw());
  out.count = static_cast<std::uint64_t>(t.element_count());
  out.bytes = t.bytes();
  values_[slot] = std::move(t);
}

Frame& Frame::body(const Step& step, const std::string& name) {
  std::unique_ptr<Frame>& frame = bodies_[{&step, name}];
  if (!frame) frame = std::make_unique<Frame>(*step.bodies.at(name), pool_);
  return *frame;
}

std::vector<Value> Frame::run_body(const Step& step, const std::string& name, std::vector<Value> inputs, const RunState& state) {
  Frame& frame = body(step, name);
  const graph::Graph& graph = *frame.plan().graph;
  for (std::size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) frame.set(graph.inputs[i], std::move(inputs[i]));
  for (const graph::Capture& c : graph.captures) frame.set(c.inner, values_[c.outer]);
  std::vector<Value> outputs;
  try {
    frame.run(state);
    for (const graph::ValueId id : graph.outputs) outputs.push_back(frame.value(id));
  } catch (...) {
    frame.clear();
    throw;
  }
  frame.finish();
  return outputs;
}

}  // namespace ashlar::runtime
