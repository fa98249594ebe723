// SPDX-License-Identifier: Apache-2.0
// ONNX If, Loop and Scan: https://onnx.ai/onnx/operators (ai.onnx If, Loop, Scan).
#include <algorithm>
#include <limits>

#include "runtime/core_ops.h"

namespace ashlar::runtime {
namespace {

/// What a body's output stacks to when it never ran: no rows of the declared shape, unknown dimensions counted as zero.
Tensor empty_stack(const ValueType& type, int axis) {
  if (type.kind != ValueType::Kind::kTensor || type.dtype == DType::kUndefined)
    throw Error(ErrorCode::kRuntime, "a scan output of no iterations has no known dtype");
  std::vector<std::int64_t> dims;
  if (type.shape)
    for (const Dim& d : *type.shape) dims.push_back(std::max<std::int64_t>(d.value, 0));
  dims.insert(dims.begin() + std::min<std::ptrdiff_t>(axis, static_cast<std::ptrdiff_t>(dims.size())), 0);
  return Tensor::zeros(type.dtype, Shape(std::span<const std::int64_t>(dims)));
}

Tensor stack(BufferPool& pool, const std::vector<Tensor>& rows, int axis) {
  std::vector<Tensor> expanded;
  expanded.reserve(rows.size());
  for (const Tensor& t : rows) expanded.push_back(unsqueezed(t, axis));
  return concat(pool, expanded, axis);
}

int axis_in(std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank)
    throw Error(ErrorCode::kRuntime, "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::int64_t at_or(const std::vector<std::int64_t>& values, std::size_t i, std::int64_t otherwise) {
  return i < values.size() ? values[i] : otherwise;
}

/// Scan of version 8: every input has a leading batch axis, the scanned axis follows it, and the sequences of a batch may be
/// shorter than it, the rest of their scan outputs being zero.
void run_batched_scan(const CoreCall& call) {
  const graph::Graph& body = *call.step.bodies.at("body")->graph;
  const auto scanned = static_cast<std::size_t>(std::max<std::int64_t>(call.integer("num_scan_inputs", 0), 0));
  const std::size_t given = call.step.inputs.empty() ? 0 : call.step.inputs.size() - 1;
  if (scanned < 1 || scanned > given || body.inputs.size() != given || body.outputs.size() + scanned < given)
    throw Error(ErrorCode::kInvalidModel, "the scan's body has the wrong number of inputs or outputs");
  const std::size_t states = given - scanned, stacks = body.outputs.size() - states;
  const auto directions = call.integers("directions");
  BufferPool& pool = call.frame.pool();
  const auto row = [&](const Tensor& t, int axis, std::int64_t at) { return squeezed(slice(pool, t, axis, at, at + 1), axis); };

  const Shape& first = call.input(1 + states).tensor().shape();
  if (first.rank() < 2) throw Error(ErrorCode::kRuntime, "a scan input without batch and sequence axes");
  const std::int64_t batch = first[0], longest = first[1];
  for (std::size_t i = 0; i < given; ++i) {
    const Shape& shape = call.input(1 + i).tensor().shape();
    const bool fits = shape.rank() >= (i < states ? 1 : 2) && shape[0] == batch && (i < states || shape[1] == longest);
    if (!fits)
      throw Error(ErrorCode::kRuntime, "scan input " + std::to_string(1 + i) + " is " + shape.to_string() + " beside " + first.to_string());
  }
  if (call.has_input(0) && call.input(0).tensor().element_count() != batch)
    throw Error(ErrorCode::kRuntime, "not one sequence length for each of " + std::to_string(batch));
  std::vector<std::vector<Tensor>> results(body.outputs.size());
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t length = call.has_input(0) ? call.input(0).tensor().data<std::int64_t>()[b] : longest;
    if (length < 1 || length > longest)
      throw Error(ErrorCode::kRuntime,
                  "a sequence length of " + std::to_string(length) + " in scan inputs of length " + std::to_string(longest));
    std::vector<Value> state;
    for (std::size_t i = 0; i < states; ++i) state.push_back(row(call.input(1 + i).tensor(), 0, b));
    std::vector<std::vector<Tensor>> scans(stacks);
    for (std::int64_t t = 0; t < length; ++t) {
      call.state.check(call.node().id);
      std::vector<Value> inputs = state;
      for (std::size_t i = 0; i < scanned; ++i)
        inputs.push_back(row(row(call.input(1 + states + i).tensor(), 0, b), 0, at_or(directions, i, 0) ? length - 1 - t : t));
      std::vector<Value> outputs = call.frame.run_body(call.step, "body", std::move(inputs), call.state);
      for (std::size_t i = 0; i < states; ++i) state[i] = std::move(outputs[i]);
      for (std::size_t i = 0; i < stacks; ++i) scans[i].push_back(outputs[states + i].tensor());
    }
    for (std::size_t i = 0; i < states; ++i) results[i].push_back(state[i].tensor());
    for (std::size_t i = 0; i < stacks; ++i) {
      const Tensor zero = Tensor::zeros(scans[i][0].dtype(), scans[i][0].shape());
      scans[i].resize(static_cast<std::size_t>(longest), zero);
      results[states + i].push_back(stack(pool, scans[i], 0));
    }
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].empty()) throw Error(ErrorCode::kRuntime, "a scan over an empty batch");
    call.set_output(i, stack(pool, results[i], 0));
  }
}

}  // namespace

void run_if(const CoreCall& call) {
  const bool taken = scalar(call.input(0), "the condition") != 0;
  std::vector<Value> outputs = call.frame.run_body(call.step, taken ? "then_branch" : "else_branch", {}, call.state);
  for (std::size_t i = 0; i < outputs.size(); ++i) call.set_output(i, std::move(outputs[i]));
}

void run_loop(const CoreCall& call) {
  const graph::Graph& body = *call.step.bodies.at("body")->graph;
  const std::size_t carried = body.inputs.size() < 2 ? 0 : body.inputs.size() - 2;
  if (body.inputs.size() < 2 || body.outputs.size() < carried + 1)
    throw Error(ErrorCode::kInvalidModel, "the loop's body lacks inputs or outputs");
  const std::int64_t trips = call.has_input(0) ? scalar(call.input(0), "the trip count") : std::numeric_limits<std::int64_t>::max();
  bool go_on = call.has_input(1) ? scalar(call.input(1), "the condition") != 0 : true;
  std::vector<Value> state;
  for (std::size_t i = 0; i < carried; ++i) state.push_back(call.input(i + 2));
  std::vector<std::vector<Tensor>> scans(body.outputs.size() - carried - 1);

  for (std::int64_t trip = 0; trip < trips && go_on; ++trip) {
    call.state.check(call.node().id);
    std::vector<Value> inputs = {Tensor::scalar<std::int64_t>(trip), Tensor::scalar<bool>(go_on)};
    inputs.insert(inputs.end(), state.begin(), state.end());
    std::vector<Value> outputs = call.frame.run_body(call.step, "body", std::move(inputs), call.state);
    go_on = scalar(outputs[0], "the body's condition") != 0;
    for (std::size_t i = 0; i < carried; ++i) state[i] = std::move(outputs[i + 1]);
    for (std::size_t i = 0; i < scans.size(); ++i) scans[i].push_back(outputs[carried + 1 + i].tensor());
  }
  for (std::size_t i = 0; i < carried; ++i) call.set_output(i, std::move(state[i]));
  for (std::size_t i = 0; i < scans.size(); ++i)
    call.set_output(carried + i, scans[i].empty() ? empty_stack(body.values[body.outputs[carried + 1 + i]].type, 0)
                                                  : stack(call.frame.pool(), scans[i], 0));
}

void run_scan(const CoreCall& call) {
  if (call.node().version < 9) return run_batched_scan(call);
  const graph::Graph& body = *call.step.bodies.at("body")->graph;
  const std::int64_t scan_inputs = call.integer("num_scan_inputs", 0);
  const auto all_inputs = static_cast<std::int64_t>(call.step.inputs.size());
  if (scan_inputs < 1 || scan_inputs > all_inputs)
    throw Error(ErrorCode::kInvalidModel,
                "num_scan_inputs is " + std::to_string(scan_inputs) + " of " + std::to_string(all_inputs) + " inputs");
  const auto scanned = static_cast<std::size_t>(scan_inputs);
  const std::size_t states = call.step.inputs.size() - scanned;
  if (body.inputs.size() != states + scanned || body.outputs.size() < states)
    throw Error(ErrorCode::kInvalidModel, "the scan's body has the wrong number of inputs or outputs");
  const auto input_axes = call.integers("scan_input_axes"), input_directions = call.integers("scan_input_directions");
  const auto output_axes = call.integers("scan_output_axes"), output_directions = call.integers("scan_output_directions");

  std::vector<Value> state;
  for (std::size_t i = 0; i < states; ++i) state.push_back(call.input(i));
  std::int64_t length = -1;
  std::vector<int> axes;
  for (std::size_t i = 0; i < scanned; ++i) {
    const Shape& shape = call.input(states + i).tensor().shape();
    axes.push_back(axis_in(at_or(input_axes, i, 0), shape.rank()));
    const std::int64_t extent = shape[static_cast<std::size_t>(axes.back())];
    if (length >= 0 && extent != length)
      throw Error(ErrorCode::kRuntime, "scan inputs of lengths " + std::to_string(length) + " and " + std::to_string(extent));
    length = extent;
  }
  std::vector<std::vector<Tensor>> scans(body.outputs.size() - states);
  for (std::int64_t t = 0; t < length; ++t) {
    call.state.check(call.node().id);
    std::vector<Value> inputs = state;
    for (std::size_t i = 0; i < scanned; ++i) {
      const std::int64_t at = at_or(input_directions, i, 0) ? length - 1 - t : t;
      inputs.push_back(squeezed(slice(call.frame.pool(), call.input(states + i).tensor(), axes[i], at, at + 1), axes[i]));
    }
    std::vector<Value> outputs = call.frame.run_body(call.step, "body", std::move(inputs), call.state);
    for (std::size_t i = 0; i < states; ++i) state[i] = std::move(outputs[i]);
    for (std::size_t i = 0; i < scans.size(); ++i) scans[i].push_back(outputs[states + i].tensor());
  }
  for (std::size_t i = 0; i < states; ++i) call.set_output(i, std::move(state[i]));
  for (std::size_t i = 0; i < scans.size(); ++i) {
    const ValueType& type = body.values[body.outputs[states + i]].type;
    if (scans[i].empty()) {
      const auto rank = type.shape ? static_cast<int>(type.shape->size()) + 1 : 1;
      call.set_output(states + i, empty_stack(type, axis_in(at_or(output_axes, i, 0), rank)));
      continue;
    }
    if (at_or(output_directions, i, 0)) std::reverse(scans[i].begin(), scans[i].end());
    call.set_output(states + i, stack(call.frame.pool(), scans[i], axis_in(at_or(output_axes, i, 0), scans[i][0].shape().rank() + 1)));
  }
}

}  // namespace ashlar::runtime
