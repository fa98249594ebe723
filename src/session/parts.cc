// SPDX-License-Identifier: Apache-2.0
// Batches that are run part by part, so that what lies between two steps stays in the caches.
#include <algorithm>
#include <cstring>

#include "runtime/predict.h"
#include "session/session_impl.h"

namespace ashlar::inline v0 {
namespace {

constexpr std::size_t kDivisions = 64;

/// Rows [begin, begin + rows) of a tensor.
Tensor rows_of(const Tensor& t, std::int64_t begin, std::int64_t rows) {
  Shape shape = t.shape();
  const auto row_bytes = t.bytes() / static_cast<std::size_t>(std::max<std::int64_t>(1, shape[0]));
  shape[0] = rows;
  return Tensor::adopt(t.dtype(), shape, static_cast<std::byte*>(const_cast<void*>(t.raw())) + static_cast<std::size_t>(begin) * row_bytes,
                       nullptr, t.read_only());
}

}  // namespace

const plan::BatchRule& Session::Impl::batch_rule() const {
  std::call_once(batch_rule_known, [&] { batch_rule_ = plan::batch_rule(*graph); });
  return batch_rule_;
}

MemoryPlan Session::Impl::predict(const std::vector<Value>& types) const {
  const bool known = std::all_of(types.begin(), types.end(), [](const Value& v) { return v.is_tensor() && v.tensor().defined(); });
  const std::int64_t rows = divide_batches && known ? runtime::rows_at_once(*plan, batch_rule(), types, threads) : 0;
  if (rows == 0) return runtime::predict(*plan, types);
  std::int64_t batch = 0;
  std::vector<Value> part = types;
  for (std::size_t i = 0; i < part.size(); ++i)
    if (batch_rule().by_row[i]) {
      batch = types[i].tensor().shape()[0];
      part[i] = rows_of(types[i].tensor(), 0, rows);
    }
  std::vector<Value> outputs;
  MemoryPlan memory = runtime::predict(*plan, part, &outputs);
  for (const Value& v : outputs)  // the whole ones lie beside those of a part
    memory.spaces[0].buffers += v.tensor().bytes() / static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(batch);
  return memory;
}

std::int64_t Run::Impl::rows_at_once() {
  if (!session->divide_batches || !states.empty()) return 0;
  const auto of_batch = [](const Value& v) { return v.is_tensor() && v.tensor().shape().rank() > 0 && v.tensor().shape()[0] > 1; };
  if (std::none_of(inputs.begin(), inputs.end(), of_batch)) return 0;
  const plan::BatchRule& rule = session->batch_rule();
  if (!rule.divisible) return 0;
  const auto given = [&](std::size_t i) -> const Value& { return frame.value(session->graph->inputs[i]); };
  const auto same = [&](const Division& d) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (!(d.shapes[i] == given(i).tensor().shape())) return false;
    return true;
  };
  if (const auto known = std::find_if(divisions.begin(), divisions.end(), same); known != divisions.end()) return known->rows;
  std::vector<Value> types;
  for (std::size_t i = 0; i < inputs.size(); ++i) types.push_back(given(i));
  const std::int64_t rows = runtime::rows_at_once(*session->plan, rule, types, session->threads);
  if (divisions.size() >= kDivisions) divisions.erase(divisions.begin());
  Division& division = divisions.emplace_back();
  for (const Value& v : types) division.shapes.push_back(v.tensor().shape());
  return division.rows = rows;
}

void Run::Impl::run_parts(std::int64_t rows, const runtime::RunState& state) {
  const graph::Graph& graph = *session->graph;
  const std::vector<plan::Slot>& slots = session->plan->outputs;
  const plan::BatchRule& rule = session->batch_rule();
  const std::vector<Value> whole = [&] {
    std::vector<Value> out;
    for (const graph::ValueId v : graph.inputs) out.push_back(frame.value(v));
    return out;
  }();
  std::int64_t batch = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (rule.by_row[i]) batch = whole[i].tensor().shape()[0];
  std::vector<Tensor> results(slots.size());
  // However it ends, the frame knows the caller's buffers again, and none of the parts'.
  const std::shared_ptr<void> restore(nullptr, [&](void*) {
    for (std::size_t i = 0; i < slots.size(); ++i) frame.set_output_buffer(i, buffers[i]);
  });
  for (std::int64_t begin = 0; begin < batch; begin += rows) {
    const std::int64_t count = std::min(rows, batch - begin);
    for (std::size_t i = 0; i < whole.size(); ++i)
      frame.set(graph.inputs[i], rule.by_row[i] ? Value(rows_of(whole[i].tensor(), begin, count)) : whole[i]);
    for (std::size_t i = 0; i < slots.size(); ++i) frame.set_output_buffer(i, begin > 0 ? rows_of(results[i], begin, count) : Tensor());
    frame.run(state);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Tensor& part = frame.value(slots[i]).tensor();
      if (begin == 0) {
        Shape shape = part.shape();
        shape[0] = batch;
        const std::size_t bytes = byte_size(part.dtype(), static_cast<std::size_t>(shape.element_count()));
        if (buffers[i].defined() && buffers[i].bytes() >= bytes)
          results[i] = Tensor::adopt(part.dtype(), shape, buffers[i].mutable_raw(), nullptr, false);
        else results[i] = frame.pool().allocate(part.dtype(), shape);
      }
      Tensor to = rows_of(results[i], begin, count);
      if (part.raw() != to.raw() && part.bytes() > 0) std::memcpy(to.mutable_raw(), part.raw(), part.bytes());
    }
    frame.finish();
  }
  for (std::size_t i = 0; i < slots.size(); ++i) frame.set(slots[i], results[i]);
}

}  // namespace ashlar::inline v0
