// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include <ashlar/error.h>

#include "core/log.h"
#include "core/text.h"
#include "core/thread_pool.h"
#include "ops/dim_expr.h"
#include "session/session_impl.h"

namespace ashlar::inline v0 {
namespace {

std::size_t index_of(const std::vector<ValueInfo>& infos, std::string_view name, const char* what) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].name == name) return i;
    names.push_back(infos[i].name);
  }
  throw Error(ErrorCode::kNotFound, std::string("no ") + what + " is named '" + core::printable(name) + "'" + core::suggestion(name, names),
              {.tensor = std::string(name)});
}

void check_index(const std::vector<ValueInfo>& infos, std::size_t index, const char* what) {
  if (index >= infos.size())
    throw Error(ErrorCode::kNotFound, std::string(what) + " " + std::to_string(index) + " of a model with " + std::to_string(infos.size()));
}

bool fits(const ValueType& type, const Shape& shape) {
  if (!type.shape) return true;
  if (type.shape->size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if ((*type.shape)[i].fixed() && (*type.shape)[i].value != shape[i]) return false;
  return true;
}

/// Whether a value is what a type declares, element by element.
bool matches(const ValueType& type, const Value& value) {
  const auto element_matches = [&](const Value& v) { return !type.element || matches(*type.element, v); };
  switch (type.kind) {
    case ValueType::Kind::kTensor:
    case ValueType::Kind::kSparseTensor: {
      if (!value.is_tensor() || !value.defined()) return false;
      const Tensor& t = value.tensor();
      return (type.dtype == DType::kUndefined || t.dtype() == type.dtype) && fits(type, t.shape());
    }
    case ValueType::Kind::kSequence:
      return value.is_sequence() && std::all_of(value.sequence().elements.begin(), value.sequence().elements.end(), element_matches);
    case ValueType::Kind::kOptional:
      if (!value.is_optional()) return element_matches(value);
      return !value.optional().value || element_matches(*value.optional().value);
    case ValueType::Kind::kMap:
      return value.is_map() && value.map().keys.dtype() == type.key &&
             value.map().keys.element_count() == static_cast<std::int64_t>(value.map().values.size()) &&
             std::all_of(value.map().values.begin(), value.map().values.end(), element_matches);
  }
  return false;
}

/// A view of the caller's memory may lie at an address its elements must not have; then a copy is read instead.
Value readable(const Value& value) {
  if (!value.is_tensor()) return value;
  const Tensor& t = value.tensor();
  return reinterpret_cast<std::uintptr_t>(t.raw()) % partition::element_alignment(t.dtype()) == 0 ? value : Value(t.clone());
}

void copy_into(const Tensor& result, Tensor& buffer, const std::string& name) {
  if (result.bytes() > buffer.bytes())
    throw Error(ErrorCode::kInvalidArgument,
                "output '" + name + "' is " + result.type_string() + ", " + std::to_string(result.bytes()) +
                    " bytes; the bound buffer has " + std::to_string(buffer.bytes()),
                {.tensor = name});
  if (result.dtype() == DType::kString) std::copy_n(result.data<std::string>(), result.element_count(), buffer.mutable_data<std::string>());
  else if (result.bytes() > 0) std::memmove(buffer.mutable_raw(), result.raw(), result.bytes());
}

}  // namespace

void check_input(const ValueInfo& info, const Value& value) {
  if (!matches(info.type, value))
    throw Error(ErrorCode::kInvalidArgument, "input '" + info.name + "' is " + info.type.to_string() + ", got " + value.type_string(),
                {.tensor = info.name});
}

std::vector<Session::Impl::SameDim> same_dims(const std::vector<ValueInfo>& inputs) {
  std::map<std::string, std::pair<std::size_t, std::size_t>> first;
  std::vector<Session::Impl::SameDim> out;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = inputs[i].type;
    if (type.kind != ValueType::Kind::kTensor || !type.shape) continue;
    for (std::size_t axis = 0; axis < type.shape->size(); ++axis) {
      const Dim& d = (*type.shape)[axis];
      if (d.fixed() || !ops::names_a_dimension(d.symbol)) continue;
      const auto [at, is_new] = first.try_emplace(d.symbol, i, axis);
      if (!is_new) out.push_back({i, axis, at->second.first, at->second.second});
    }
  }
  return out;
}

namespace {

/// Dimensions of one name are one number: the optimizer relies on it.
void check_same_dims(const Session::Impl& session, const std::vector<Value>& inputs) {
  for (const Session::Impl::SameDim& s : session.same_dims) {
    if (!inputs[s.input].defined() || !inputs[s.first_input].defined()) continue;
    const std::int64_t here = inputs[s.input].tensor().shape()[s.axis], there = inputs[s.first_input].tensor().shape()[s.first_axis];
    if (here == there) continue;
    const std::vector<ValueInfo>& infos = session.model->inputs;
    throw Error(ErrorCode::kInvalidArgument,
                "dimension '" + core::printable((*infos[s.input].type.shape)[s.axis].symbol) + "' is " + std::to_string(there) +
                    " in input '" + core::printable(infos[s.first_input].name) + "' and " + std::to_string(here) + " in input '" +
                    core::printable(infos[s.input].name) + "'",
                {.tensor = infos[s.input].name});
  }
}

}  // namespace

Run::Impl::Impl(std::shared_ptr<const Session::Impl> s)
    : session(std::move(s)), resources(session->topology, session->events), frame(*session->plan, resources),
      inputs(session->model->inputs.size()), outputs(session->model->outputs.size()), buffers(session->model->outputs.size()) {}

std::size_t Run::Impl::input_index(std::string_view name) const { return index_of(session->model->inputs, name, "input"); }
std::size_t Run::Impl::output_index(std::string_view name) const { return index_of(session->model->outputs, name, "output"); }

void Run::Impl::reset() {
  std::fill(inputs.begin(), inputs.end(), Value());
  std::fill(outputs.begin(), outputs.end(), Value());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    buffers[i] = Tensor();
    frame.set_output_buffer(i, {});
  }
}

void Run::Impl::execute(const RunOptions& options) {
  const auto shapes = [&] {
    std::vector<Shape> out;
    for (const Value& v : inputs) out.push_back(v.defined() && v.is_tensor() ? v.tensor().shape() : Shape());
    return out;
  };
  const auto start = std::chrono::steady_clock::now();
  const bool known = !shapes_of_fallback.empty() && states.empty() &&
                     std::find(shapes_of_fallback.begin(), shapes_of_fallback.end(), shapes()) != shapes_of_fallback.end();
  if (!known) {
    try {
      return execute_once(options);
    } catch (const runtime::GuardFailure& failure) {
      core::log(core::LogLevel::kInfo, "a guard of " + failure.provider + " on " + failure.node + " does not hold: " + failure.reason);
      session->events->add({failure.node, failure.provider, partition::verdict_code_name(ASHLAR_DYNAMIC_SHAPE), failure.reason});
      constexpr std::size_t kKept = 32;
      if (shapes_of_fallback.size() == kKept) shapes_of_fallback.erase(shapes_of_fallback.begin());
      shapes_of_fallback.push_back(shapes());
    }
  }
  // The run began before: its deadline and its wall time are from then on.
  const auto passed = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start);
  RunOptions rest = options;
  if (rest.deadline) rest.deadline = *rest.deadline - passed;
  execute_fallback(rest);
  if (options.trace) options.trace->wall_ns += passed.count();
}

void Run::Impl::execute_fallback(const RunOptions& options) {
  if (!fallback) fallback = std::make_unique<Impl>(session->fallback());
  std::fill(outputs.begin(), outputs.end(), Value());
  fallback->inputs = inputs;
  fallback->buffers = buffers;
  for (const State& s : states) fallback->inputs[s.input] = dense(s);
  fallback->execute(options);
  outputs = fallback->outputs;
  for (State& s : states) make_room(s, outputs[s.output].tensor());
  for (State& s : states) end_state(s, std::exchange(outputs[s.output], Value()).tensor());
  fallback->reset();
}

void Run::Impl::execute_once(const RunOptions& options) {
  const graph::Graph& graph = *session->graph;
  const std::vector<ValueInfo>& infos = session->model->inputs;
  const runtime::RunState state(options);
  const core::ThreadPool::AtWork at_work;
  if (options.trace) *options.trace = Trace();
  std::fill(outputs.begin(), outputs.end(), Value());
  for (const auto& device : session->topology->devices) device->check_state();
  for (State& s : states) {
    s.present = false;
    if (!s.value.defined()) begin_state(s);
    inputs[s.input] = s.value;
    frame.set_room(graph.inputs[s.input], s.room());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) frame.set(graph.inputs[i], readable(inputs[i]));
    else if (!infos[i].has_default)
      throw Error(ErrorCode::kInvalidArgument, "input '" + infos[i].name + "' (" + infos[i].type.to_string() + ") is missing",
                  {.tensor = infos[i].name});
    else frame.set(graph.inputs[i], graph.values[graph.inputs[i]].constant);
  }
  check_same_dims(*session, inputs);
  try {
    const std::int64_t rows = rows_at_once();
    if (rows > 0) run_parts(rows, state);
    else frame.run(state);
    end_states();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (state_of_output(i)) continue;  // when it is asked for
      outputs[i] = frame.value(session->plan->outputs[i]);
      if (!buffers[i].defined()) continue;
      Tensor& buffer = buffers[i];
      const Tensor& result = outputs[i].tensor();
      if (result.raw() != buffer.raw()) copy_into(result, buffer, session->model->outputs[i].name);
      outputs[i] = Tensor::adopt(result.dtype(), result.shape(), buffer.mutable_raw(), nullptr, false);
    }
  } catch (...) {
    std::fill(outputs.begin(), outputs.end(), Value());
    frame.clear();
    resources.end_run();
    throw;
  }
  frame.finish();
  resources.end_run();
  if (options.trace) options.trace->wall_ns = state.elapsed_ns();
}

Run::Run(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Run::Run(Run&&) noexcept = default;
Run& Run::operator=(Run&&) noexcept = default;
Run::~Run() = default;

void Run::bind_input(std::size_t index, Value value) {
  check_index(impl_->session->model->inputs, index, "input");
  check_input(impl_->session->model->inputs[index], value);
  if (Impl::State* s = impl_->state_of_input(index)) {
    impl_->set_state(*s, value.tensor());
    impl_->forget_output(*s);
  } else {
    impl_->inputs[index] = std::move(value);
  }
}
void Run::bind_input(std::string_view name, Value value) { bind_input(impl_->input_index(name), std::move(value)); }

void Run::bind_output(std::size_t index, Tensor buffer) {
  check_index(impl_->session->model->outputs, index, "output");
  const ValueInfo& info = impl_->session->model->outputs[index];
  if (impl_->state_of_output(index))
    throw Error(ErrorCode::kInvalidArgument, "output '" + info.name + "' is a state, which lies in memory of its own",
                {.tensor = info.name});
  if (info.type.kind != ValueType::Kind::kTensor)
    throw Error(ErrorCode::kInvalidArgument, "output '" + info.name + "' is " + info.type.to_string() + ", which no buffer holds",
                {.tensor = info.name});
  if (buffer.defined()) {
    if (info.type.dtype != DType::kUndefined && buffer.dtype() != info.type.dtype)
      throw Error(ErrorCode::kInvalidArgument,
                  "output '" + info.name + "' is " + info.type.to_string() + ", the buffer is " + buffer.type_string(),
                  {.tensor = info.name});
    if (reinterpret_cast<std::uintptr_t>(buffer.mutable_raw()) % partition::element_alignment(buffer.dtype()) != 0)
      throw Error(ErrorCode::kInvalidArgument, "the buffer for output '" + info.name + "' is not aligned for its elements",
                  {.tensor = info.name});
  }
  impl_->frame.set_output_buffer(index, buffer);
  impl_->buffers[index] = std::move(buffer);
}
void Run::bind_output(std::string_view name, Tensor buffer) { bind_output(impl_->output_index(name), std::move(buffer)); }

void Run::operator()(const RunOptions& options) { impl_->execute(options); }

const Value& Run::output(std::size_t index) const {
  check_index(impl_->session->model->outputs, index, "output");
  if (Impl::State* s = impl_->state_of_output(index); s && s->present) {
    impl_->outputs[index] = impl_->dense(*s);
    s->present = false;
  }
  return impl_->outputs[index];
}
const Value& Run::output(std::string_view name) const { return output(impl_->output_index(name)); }

}  // namespace ashlar::inline v0
