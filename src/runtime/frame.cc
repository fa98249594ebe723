// SPDX-License-Identifier: Apache-2.0
#include "runtime/frame.h"

#include <algorithm>
#include <cstring>

#include <ashlar/provider/provider.h>

#include "partition/provider.h"

namespace ashlar::runtime {

using plan::kNoSlot;
using plan::Slot;
using plan::Step;

namespace {

void give_storage(AshlarTensor& at_border, const Tensor& t) {
  at_border.data = const_cast<void*>(t.raw());
  at_border.count = static_cast<std::uint64_t>(t.element_count());
  at_border.bytes = t.bytes();
}

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

/// What a provider's step is called with, kept between runs so that calling it allocates nothing.
struct Frame::StepState {
  std::vector<AshlarTensor> inputs, outputs;
  std::vector<const AshlarTensor*> input_pointers;
  std::vector<AshlarTensor*> output_pointers;
  std::vector<AshlarShape> shapes;
  std::vector<Shape> bound_inputs;  ///< the shapes the binding is for
  const AshlarStep* bound = nullptr;
  void* binding = nullptr;
  std::uint64_t workspace_bytes = 0;
  std::map<std::string, std::unique_ptr<Frame>> bodies;

  void release_binding() {
    if (bound && bound->release_binding) bound->release_binding(bound->context, binding);
    bound = nullptr;
    binding = nullptr;
  }
  ~StepState() { release_binding(); }
};

Frame::Frame(const plan::Plan& plan, BufferPool& pool) : plan_(plan), pool_(pool), values_(plan.slot_count) {
  for (const Step& step : plan.steps) {
    auto state = std::make_unique<StepState>();
    state->inputs.resize(step.inputs.size());
    state->input_pointers.resize(step.inputs.size());
    state->outputs.resize(step.outputs.size());
    state->output_pointers.resize(step.outputs.size());
    state->shapes.resize(step.outputs.size());
    state->bound_inputs.resize(step.inputs.size());
    steps_.push_back(std::move(state));
  }
  clear();
}

Frame::~Frame() = default;

void Frame::clear() {
  std::fill(values_.begin(), values_.end(), Value());
  for (const auto& [slot, tensor] : plan_.constants) values_[slot] = tensor;
}

void Frame::set_output_buffer(std::size_t index, Tensor buffer) {
  const Slot slot = plan_.graph->outputs[index];
  if (buffer.defined()) output_buffers_[slot] = std::move(buffer);
  else output_buffers_.erase(slot);
}

std::string value_types(const Frame& frame, const std::vector<Slot>& slots) {
  std::string out;
  for (const Slot s : slots) {
    if (!out.empty()) out += ", ";
    out += s == kNoSlot ? "-" : frame.value(s).type_string();
  }
  return out;
}

ErrorContext Frame::context(const Step& step) const {
  const graph::Node& node = plan_.node(step);
  return {.node = node.id,
          .op = node.op_name(),
          .opset = node.original_version,
          .provider = step.provider,
          .tensor = {},
          .inputs = value_types(*this, step.inputs),
          .file = {}};
}

void Frame::record(const Step& step, const RunState& state, std::size_t event, std::int64_t start_ns) const {
  TraceEvent& e = state.trace()->events[event];
  e.node = plan_.node(step).id;
  e.op = plan_.node(step).op_name();
  e.provider = step.provider;
  e.kernel = step.kernel;
  e.outputs = value_types(*this, step.outputs);
  for (const Slot s : step.outputs)
    if (s != kNoSlot && values_[s].is_tensor()) e.bytes += values_[s].tensor().bytes();
  e.depth = static_cast<int>(plan_.depth);
  e.start_ns = start_ns;
  e.duration_ns = state.elapsed_ns() - start_ns;
}

void Frame::run(const RunState& state) {
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    state.check(plan_.node(step).id);
    std::int64_t start_ns = 0;
    std::size_t event = 0;
    if (state.trace()) {
      start_ns = state.elapsed_ns();
      event = state.trace()->events.size();
      state.trace()->events.emplace_back();
    }
    try {
      if (step.provider_step) run_step(step, *steps_[i]);
      else run_core_step(*this, step, state);
    } catch (const Error& e) {
      throw e.with(context(step));
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::kOutOfMemory, "out of memory", context(step));
    }
    if (state.trace()) record(step, state, event, start_ns);
    for (const Slot s : step.last_uses) values_[s] = Value();
  }
}

void Frame::run_step(const Step& step, StepState& s) {
  bool same_shapes = s.bound != nullptr;
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    s.input_pointers[i] = nullptr;
    if (step.inputs[i] == kNoSlot) continue;
    const Tensor& t = values_[step.inputs[i]].tensor();
    if (!t.defined()) throw Error(ErrorCode::kInternal, "input " + std::to_string(i) + " has no value");
    if (step.input_dtypes[i] != DType::kUndefined && t.dtype() != step.input_dtypes[i])
      throw Error(ErrorCode::kRuntime, "input " + std::to_string(i) + " is " + t.type_string() + ", the model says " +
                                           std::string(to_string(step.input_dtypes[i])));
    s.inputs[i].struct_size = sizeof(AshlarTensor);
    s.inputs[i].dtype = static_cast<std::int32_t>(t.dtype());
    s.inputs[i].rank = t.shape().rank();
    s.inputs[i].dims = t.shape().data();
    give_storage(s.inputs[i], t);
    s.input_pointers[i] = &s.inputs[i];
    if (!(s.bound_inputs[i] == t.shape())) {
      s.bound_inputs[i] = t.shape();
      same_shapes = false;
    }
  }
  if (!same_shapes || step.provider_step->bind_reads != 0) bind(step, s);

  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    s.output_pointers[i] = nullptr;
    if (step.outputs[i] == kNoSlot) continue;
    AshlarTensor& out = s.outputs[i];
    out = AshlarTensor{};
    out.struct_size = sizeof(AshlarTensor);
    out.dtype = static_cast<std::int32_t>(step.output_dtypes[i]);
    out.rank = s.shapes[i].rank;
    out.dims = s.shapes[i].dims;
    s.output_pointers[i] = &out;
    if (out.rank < 0) continue;
    const Tensor t = allocate_output(step, i, s.shapes[i]);
    give_storage(out, t);
    values_[step.outputs[i]] = t;
  }
  Tensor workspace;
  if (s.workspace_bytes > 0) workspace = pool_.allocate(DType::kUint8, {static_cast<std::int64_t>(s.workspace_bytes)});

  struct Core {
    Frame* frame;
    const Step* step;
    StepState* state;
  } core{this, &step, &s};
  AshlarRunArgs args{};
  args.struct_size = sizeof(args);
  args.input_count = static_cast<std::uint32_t>(s.input_pointers.size());
  args.output_count = static_cast<std::uint32_t>(s.output_pointers.size());
  args.inputs = s.input_pointers.data();
  args.outputs = s.output_pointers.data();
  args.workspace = workspace.defined() ? workspace.mutable_raw() : nullptr;
  args.binding = s.binding;
  args.core = &core;
  args.set_output = [](void* c, std::uint32_t index, const AshlarShape* shape, AshlarStatus* status) -> AshlarCode {
    auto& at = *static_cast<Core*>(c);
    try {
      if (index >= at.step->outputs.size() || at.step->outputs[index] == kNoSlot || at.state->shapes[index].rank >= 0)
        throw Error(ErrorCode::kInternal, "set_output on output " + std::to_string(index) + ", which is not waiting for it");
      AshlarShape& known = at.state->shapes[index];
      std::copy(std::begin(shape->dims), std::end(shape->dims), known.dims);
      const Tensor t = at.frame->allocate_output(*at.step, index, *shape);
      at.state->outputs[index].rank = shape->rank;
      give_storage(at.state->outputs[index], t);
      at.frame->values_[at.step->outputs[index]] = t;
      return ASHLAR_OK;
    } catch (const Error& e) {
      provider::set_status(status, static_cast<AshlarCode>(e.code()), e.message());
      return static_cast<AshlarCode>(e.code());
    } catch (const std::exception& e) {
      provider::set_status(status, ASHLAR_INTERNAL, e.what());
      return ASHLAR_INTERNAL;
    }
  };
  AshlarStatus status = partition::new_status();
  if (const AshlarCode code = step.provider_step->run(step.provider_step->context, &args, &status))
    throw partition::to_error(code, status, {});
  for (std::size_t i = 0; i < step.outputs.size(); ++i)
    if (step.outputs[i] != kNoSlot && s.shapes[i].rank < 0 && s.outputs[i].rank < 0)
      throw Error(ErrorCode::kInternal, "the kernel gave output " + std::to_string(i) + " no shape");
}

void Frame::bind(const Step& step, StepState& s) {
  s.release_binding();
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    s.shapes[i] = AshlarShape{};
    s.shapes[i].rank = -2;  // not answered
    s.shapes[i].dtype = static_cast<std::int32_t>(step.output_dtypes[i]);
  }
  AshlarBindArgs args{};
  args.struct_size = sizeof(args);
  args.input_count = static_cast<std::uint32_t>(s.input_pointers.size());
  args.output_count = static_cast<std::uint32_t>(s.shapes.size());
  args.inputs = s.input_pointers.data();
  args.outputs = s.shapes.data();
  AshlarStatus status = partition::new_status();
  if (const AshlarCode code = step.provider_step->bind(step.provider_step->context, &args, &status))
    throw partition::to_error(code, status, {});
  s.bound = step.provider_step;
  s.binding = args.binding;
  s.workspace_bytes = args.workspace_bytes;
  for (std::size_t i = 0; i < step.outputs.size(); ++i)
    if (step.outputs[i] != kNoSlot && (s.shapes[i].rank < -1 || s.shapes[i].rank > ASHLAR_MAX_RANK)) {
      s.release_binding();
      throw Error(ErrorCode::kInternal, "the kernel bound output " + std::to_string(i) + " to no shape");
    }
}

Tensor Frame::allocate_output(const Step& step, std::size_t index, const AshlarShape& shape) {
  if (shape.rank < 0 || shape.rank > ASHLAR_MAX_RANK)
    throw Error(ErrorCode::kInternal, "output " + std::to_string(index) + " has rank " + std::to_string(shape.rank));
  const Shape dims(std::span(shape.dims, static_cast<std::size_t>(shape.rank)));
  const DType dtype = step.output_dtypes[index];
  if (dtype == DType::kUndefined)
    throw Error(ErrorCode::kUnsupported, "the dtype of output " + std::to_string(index) + " is not known before the run");
  if (const auto bound = output_buffers_.find(step.outputs[index]); bound != output_buffers_.end()) {
    Tensor& buffer = bound->second;
    const std::size_t bytes = dtype == DType::kString ? static_cast<std::size_t>(dims.element_count()) * sizeof(std::string)
                                                      : byte_size(dtype, static_cast<std::size_t>(dims.element_count()));
    const std::string& name = plan_.graph->values[step.outputs[index]].name;
    if (bytes > buffer.bytes())
      throw Error(ErrorCode::kInvalidArgument,
                  "output '" + name + "' is " + std::string(to_string(dtype)) + dims.to_string() + ", " + std::to_string(bytes) +
                      " bytes; the bound buffer has " + std::to_string(buffer.bytes()),
                  {.tensor = name});
    return Tensor::adopt(dtype, dims, buffer.mutable_raw(), std::make_shared<const Tensor>(buffer), false);
  }
  return pool_.allocate(dtype, dims);
}

Frame& Frame::body(const Step& step, const std::string& name) {
  const auto index = static_cast<std::size_t>(&step - plan_.steps.data());
  std::unique_ptr<Frame>& frame = steps_[index]->bodies[name];
  if (!frame) frame = std::make_unique<Frame>(*step.bodies.at(name), pool_);
  return *frame;
}

std::vector<Value> Frame::run_body(const Step& step, const std::string& name, std::vector<Value> inputs, const RunState& state) {
  Frame& frame = body(step, name);
  const graph::Graph& graph = *frame.plan().graph;
  frame.clear();
  for (std::size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) frame.set(graph.inputs[i], std::move(inputs[i]));
  for (const graph::Capture& c : graph.captures) frame.set(c.inner, values_[c.outer]);
  frame.run(state);
  std::vector<Value> outputs;
  for (const graph::ValueId id : graph.outputs) outputs.push_back(frame.value(id));
  frame.clear();
  return outputs;
}

}  // namespace ashlar::runtime
