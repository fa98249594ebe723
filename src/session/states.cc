// SPDX-License-Identifier: Apache-2.0
// Outputs tied to inputs: what a run gives, the next one reads.
#include <algorithm>
#include <cstring>
#include <utility>

#include <ashlar/error.h>

#include "plan/growth.h"
#include "session/session_impl.h"

namespace ashlar::inline v0 {
namespace {

/// A tensor as blocks of rows: what lies before an axis, along it, and behind it.
struct Blocks {
  Blocks(const Tensor& t, int axis) : places(t.shape()[static_cast<std::size_t>(axis)]) {
    for (int d = 0; d < axis; ++d) count *= t.shape()[static_cast<std::size_t>(d)];
    std::int64_t behind = 1;
    for (int d = axis + 1; d < t.shape().rank(); ++d) behind *= t.shape()[static_cast<std::size_t>(d)];
    bytes = byte_size(t.dtype(), static_cast<std::size_t>(behind));
  }
  std::int64_t count = 1, places = 0;
  std::size_t bytes = 0;  ///< of a place of a block
};

/// Copies the first `places` of every block from one stride to another, both in places.
void copy_places(const Blocks& blocks, std::int64_t places, const void* from, std::int64_t from_stride, void* to, std::int64_t to_stride) {
  const std::size_t bytes = static_cast<std::size_t>(places) * blocks.bytes;
  if (bytes == 0) return;
  for (std::int64_t b = 0; b < blocks.count; ++b)
    std::memcpy(static_cast<std::byte*>(to) + static_cast<std::size_t>(b * to_stride) * blocks.bytes,
                static_cast<const std::byte*>(from) + static_cast<std::size_t>(b * from_stride) * blocks.bytes, bytes);
}

Shape with(Shape shape, int axis, std::int64_t places) {
  shape[static_cast<std::size_t>(axis)] = places;
  return shape;
}

/// The one axis in which two declared types differ; -1 where there is none, or several.
int differing_axis(const ValueType& past, const ValueType& present) {
  int axis = -1;
  if (!past.shape || !present.shape) return axis;
  for (std::size_t d = 0; d < past.shape->size(); ++d) {
    const Dim &a = (*past.shape)[d], &b = (*present.shape)[d];
    if (a.fixed() ? a.value == b.value || !b.fixed() : !b.fixed() && a.symbol == b.symbol) continue;
    if (axis >= 0) return -1;
    axis = static_cast<int>(d);
  }
  return axis;
}

}  // namespace

Run::Impl::State* Run::Impl::state_of_input(std::size_t index) {
  const auto s = std::find_if(states.begin(), states.end(), [&](const State& x) { return x.input == index; });
  return s == states.end() ? nullptr : &*s;
}

Run::Impl::State* Run::Impl::state_of_output(std::size_t index) {
  const auto s = std::find_if(states.begin(), states.end(), [&](const State& x) { return x.output == index; });
  return s == states.end() ? nullptr : &*s;
}

/// Throws Error (kOutOfMemory, kInvalidArgument) naming the state.
Tensor Run::Impl::new_storage(const State& state, const Tensor& like, std::int64_t places) const {
  try {
    return Tensor::zeros(like.dtype(), with(like.shape(), state.axis, places));
  } catch (const Error& e) {
    throw e.with({.tensor = session->model->inputs[state.input].name});
  }
}

void Run::Impl::forget_output(State& state) {
  state.present = false;
  outputs[state.output] = Value();
}

/// Takes the elements; a state in place gets memory with room for more.
void Run::Impl::set_state(State& state, const Tensor& value) const {
  if (!state.in_place) {
    state.value = value.clone();
    return;
  }
  const Blocks blocks(value, state.axis);
  const Shape shape = value.shape();
  bool fits = state.storage.defined() && blocks.places <= state.room();
  for (int d = 0; fits && d < shape.rank(); ++d)
    fits = d == state.axis || shape[static_cast<std::size_t>(d)] == state.storage.shape()[static_cast<std::size_t>(d)];
  if (!fits) state.storage = new_storage(state, value, std::max({state.wanted, state.room(), blocks.places, std::int64_t{1}}));
  copy_places(blocks, blocks.places, value.raw(), blocks.places, state.storage.mutable_raw(), state.room());
  state.value = Tensor::adopt(value.dtype(), shape, state.storage.mutable_raw(), nullptr, false);
}

/// A state before the first run: no places along its axis, else zeros. Dimensions with a name are what they are in other inputs.
void Run::Impl::begin_state(State& state) const {
  const std::vector<ValueInfo>& infos = session->model->inputs;
  const ValueInfo& info = infos[state.input];
  const auto unknown = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument,
                what + " of state '" + info.name + "' (" + info.type.to_string() + ") is not known: bind the input once to begin with",
                {.tensor = info.name});
  };
  if (const Tensor& given = session->graph->values[session->graph->inputs[state.input]].constant; info.has_default && given.defined()) {
    set_state(state, given);
    return;
  }
  if (!info.type.shape) unknown("the rank");
  /// What other inputs have for a dimension of that name; -1 where none says.
  const auto named = [&](const std::string& symbol, bool states_too) -> std::int64_t {
    for (std::size_t i = 0; i < infos.size() && !symbol.empty(); ++i) {
      if (i == state.input || !inputs[i].defined() || !inputs[i].is_tensor() || !infos[i].type.shape) continue;
      if (!states_too && std::any_of(states.begin(), states.end(), [&](const State& s) { return s.input == i; })) continue;
      for (std::size_t axis = 0; axis < infos[i].type.shape->size(); ++axis)
        if ((*infos[i].type.shape)[axis].symbol == symbol) return inputs[i].tensor().shape()[axis];
    }
    return -1;
  };
  std::vector<std::int64_t> dims;
  for (const Dim& d : *info.type.shape) {
    const bool grows = static_cast<int>(dims.size()) == state.axis;
    if (d.fixed()) dims.push_back(d.value);
    else if (grows) dims.push_back(state.in_place ? 0 : std::max<std::int64_t>(0, named(d.symbol, false)));
    else dims.push_back(named(d.symbol, true));
    if (dims.back() < 0) unknown("dimension " + (d.symbol.empty() ? std::to_string(dims.size() - 1) : "'" + d.symbol + "'"));
  }
  set_state(state, Tensor::zeros(info.type.dtype, Shape(std::span<const std::int64_t>(dims))));
}

/// Memory for what a run gave, where the state has no room for it. All that can fail before states change.
void Run::Impl::make_room(State& state, const Tensor& result) const {
  if (!state.in_place || result.raw() == state.storage.raw()) return;
  state.larger = new_storage(state, result, std::max(result.shape()[static_cast<std::size_t>(state.axis)], 2 * state.room()));
}

/// Takes over what a run gave.
void Run::Impl::end_state(State& state, const Tensor& result) {
  state.present = true;
  if (!state.larger.defined()) {
    state.value = result;
    return;
  }
  const Blocks blocks(result, state.axis);
  state.storage = std::exchange(state.larger, Tensor());
  copy_places(blocks, blocks.places, result.raw(), blocks.places, state.storage.mutable_raw(), state.room());
  state.value = Tensor::adopt(result.dtype(), result.shape(), state.storage.mutable_raw(), nullptr, false);
}

void Run::Impl::end_states() {
  const std::vector<graph::ValueId>& graph_inputs = session->graph->inputs;
  const auto result = [&](const State& s) -> const Tensor& { return frame.value(session->plan->outputs[s.output]).tensor(); };
  for (State& s : states) {
    make_room(s, result(s));
    // What a run passes through is the caller's memory.
    if (std::find(graph_inputs.begin(), graph_inputs.end(), session->plan->outputs[s.output]) != graph_inputs.end())
      frame.set(session->plan->outputs[s.output], result(s).clone());
  }
  for (State& s : states) end_state(s, result(s));
}

Tensor Run::Impl::dense(const State& state) const {
  if (!state.in_place) return state.value;
  Tensor out = Tensor::zeros(state.value.dtype(), state.value.shape());
  const Blocks blocks(state.value, state.axis);
  copy_places(blocks, blocks.places, state.value.raw(), state.room(), out.mutable_raw(), blocks.places);
  return out;
}

void Run::Impl::rewind(State& state, std::int64_t places) const {
  const Shape shape = with(state.value.shape(), state.axis, places);
  if (state.in_place) {
    state.value = Tensor::adopt(state.value.dtype(), shape, state.storage.mutable_raw(), nullptr, false);
    return;
  }
  Tensor out = Tensor::zeros(state.value.dtype(), shape);
  const Blocks blocks(state.value, state.axis);
  copy_places(blocks, places, state.value.raw(), blocks.places, out.mutable_raw(), places);
  state.value = std::move(out);
}

void Run::state(std::string_view past, std::string_view present, std::int64_t capacity) {
  Impl::State state{.input = impl_->input_index(past), .output = impl_->output_index(present)};
  const ValueInfo &in = impl_->session->model->inputs[state.input], &out = impl_->session->model->outputs[state.output];
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what, {.tensor = in.name}); };
  const std::string pair =
      "input '" + in.name + "' (" + in.type.to_string() + ") and output '" + out.name + "' (" + out.type.to_string() + ")";
  if (in.type.kind != ValueType::Kind::kTensor || out.type.kind != ValueType::Kind::kTensor || in.type.dtype != out.type.dtype ||
      (in.type.shape && out.type.shape && in.type.shape->size() != out.type.shape->size()))
    refuse(pair + " are not of one dtype and rank, so that one cannot become the other");
  if (impl_->state_of_input(state.input) || impl_->state_of_output(state.output)) refuse("one of " + pair + " is tied already");
  if (impl_->buffers[state.output].defined()) refuse("output '" + out.name + "' has a bound buffer; a state lies in memory of its own");
  if (capacity < 0) refuse("state '" + in.name + "' cannot have a capacity of " + std::to_string(capacity));
  plan::FoundGrowth growth = plan::find_growth(*impl_->session->plan, state.input, state.output);
  state.in_place = growth.axis.has_value();
  state.reason = std::move(growth.reason);
  state.axis = growth.axis ? static_cast<int>(*growth.axis) : differing_axis(in.type, out.type);
  state.wanted = capacity;
  Value& bound = impl_->inputs[state.input];
  if (bound.defined()) impl_->set_state(state, bound.tensor());
  bound = Value();
  impl_->outputs[state.output] = Value();
  impl_->states.push_back(std::move(state));
}

std::vector<StateInfo> Run::states() const {
  std::vector<StateInfo> out;
  for (const Impl::State& s : impl_->states) {
    const std::int64_t length = s.value.defined() && s.axis >= 0 ? s.value.shape()[static_cast<std::size_t>(s.axis)] : 0;
    out.push_back({.past = impl_->session->model->inputs[s.input].name,
                   .present = impl_->session->model->outputs[s.output].name,
                   .shape = s.value.defined() ? s.value.shape() : Shape(),
                   .axis = s.axis,
                   .capacity = s.in_place ? s.room() : length,
                   .in_place = s.in_place,
                   .reason = s.reason});
  }
  return out;
}

void Run::restart() {
  for (Impl::State& s : impl_->states) {
    s.value = Tensor();
    impl_->forget_output(s);
  }
}

void Run::rewind(std::int64_t places) {
  const auto length = [](const Impl::State& s) { return s.value.defined() ? s.value.shape()[static_cast<std::size_t>(s.axis)] : 0; };
  for (const Impl::State& s : impl_->states)
    if (s.axis >= 0 && (places < 0 || places > length(s)))
      throw Error(ErrorCode::kInvalidArgument, "state '" + impl_->session->model->inputs[s.input].name + "' has " +
                                                   std::to_string(length(s)) + " places, so " + std::to_string(places) +
                                                   " of them cannot be left");
  for (Impl::State& s : impl_->states)
    if (s.axis >= 0 && s.value.defined()) {
      impl_->rewind(s, places);
      impl_->forget_output(s);
    }
}

}  // namespace ashlar::inline v0
