// SPDX-License-Identifier: Apache-2.0
#include "runtime/work.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "ops/symbolic.h"
#include "ops/work.h"

namespace ashlar::runtime {
namespace {

using graph::ValueId;
using plan::Slot;

class Counting {
 public:
  Counting(const plan::Plan& plan, const BoundStep& bound) : plan_(plan) {
    const AshlarRunArgs& args = bound.args;
    for (std::uint32_t i = 0; i < args.input_count; ++i)
      if (args.inputs[i]) know(bound.step->inputs[i], *args.inputs[i]);
    for (std::uint32_t i = 0; i < args.output_count; ++i)
      if (args.outputs[i]) know(bound.step->outputs[i], *args.outputs[i]);
    // A provider may read and give its first node's operands in copies of its own.
    const graph::Node& node = plan.node(*bound.step);
    for (std::uint32_t i = 0; i < args.input_count && i < node.inputs.size(); ++i)
      if (args.inputs[i]) stand_in(bound.step->inputs[i], node.inputs[i], *args.inputs[i]);
  }

  /// A node of the step, after those before it.
  void add(const graph::Node& node) {
    const std::vector<const Shape*> inputs = shapes(node.inputs);
    std::vector<const Shape*> outputs = shapes(node.outputs);
    if (std::find(outputs.begin(), outputs.end(), nullptr) != outputs.end()) {
      infer(node, inputs);
      outputs = shapes(node.outputs);
    }
    work_.operations += ops::operations(node, inputs, outputs);
    const bool picks = ops::picks(node);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (v == graph::kNone || !read_.insert(v).second) continue;
      if (picks && i == 0) {
        if (const auto out = bytes_.find(node.outputs[0]); out != bytes_.end()) work_.bytes_read += out->second;
      } else if (plan_.graph->values[v].constant.defined()) {
        work_.bytes_read += plan_.graph->values[v].constant.bytes();
      } else if (const auto in = bytes_.find(v); in != bytes_.end()) {
        work_.bytes_read += in->second;
      }
    }
    for (const ValueId v : node.outputs) read_.insert(v);  // what a later node of the step reads of it is not read from memory
  }

  const Work& work() const { return work_; }

 private:
  void know(Slot slot, const AshlarTensor& tensor) {
    while (slot < plan_.slots.size() && plan_.slots[slot].copy_of != plan::kNoSlot) slot = plan_.slots[slot].copy_of;
    if (slot >= plan_.graph->values.size() || tensor.rank < 0) return;
    shapes_[slot] = Shape(std::span(tensor.dims, static_cast<std::size_t>(tensor.rank)));
    bytes_[slot] = tensor.bytes;
  }

  void stand_in(Slot slot, ValueId v, const AshlarTensor& tensor) {
    if (slot < plan_.graph->values.size() || v == graph::kNone || tensor.rank < 0) return;
    shapes_.try_emplace(v, std::span(tensor.dims, static_cast<std::size_t>(tensor.rank)));
    bytes_.try_emplace(v, tensor.bytes);
  }

  const Shape* shape(ValueId v) {
    if (v == graph::kNone) return nullptr;
    if (const auto known = shapes_.find(v); known != shapes_.end()) return &known->second;
    const Tensor& constant = plan_.graph->values[v].constant;
    return constant.defined() ? &constant.shape() : nullptr;
  }
  std::vector<const Shape*> shapes(const std::vector<ValueId>& values) {
    std::vector<const Shape*> out;
    for (const ValueId v : values) out.push_back(shape(v));
    return out;
  }

  /// Shapes of outputs that no operand of the step has.
  void infer(const graph::Node& node, const std::vector<const Shape*>& inputs) {
    std::vector<ops::ValueFacts> facts(inputs.size());
    std::vector<const ops::ValueFacts*> pointers(inputs.size(), nullptr);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i]) continue;
      const Tensor& constant = plan_.graph->values[node.inputs[i]].constant;
      if (constant.defined()) facts[i] = ops::facts_of(constant);
      else facts[i].shape.emplace(inputs[i]->begin(), inputs[i]->end());
      pointers[i] = &facts[i];
    }
    const std::vector<ops::ValueFacts> results = ops::infer_facts({node, pointers, dims_});
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (node.outputs[i] == graph::kNone || !results[i].shape || results[i].shape->size() > static_cast<std::size_t>(Shape::kMaxRank))
        continue;
      std::vector<std::int64_t> dims;
      for (const ops::DimExpr& d : *results[i].shape)
        if (const auto value = d.value()) dims.push_back(*value);
      if (dims.size() == results[i].shape->size()) shapes_.try_emplace(node.outputs[i], Shape(std::span<const std::int64_t>(dims)));
    }
  }

  const plan::Plan& plan_;
  std::map<ValueId, Shape> shapes_;
  std::map<ValueId, std::uint64_t> bytes_;
  std::set<ValueId> read_;  ///< counted, or made inside
  ops::DimTable dims_;
  Work work_;
};

}  // namespace

Work work_of(const plan::Plan& plan, const BoundStep& bound) {
  const AshlarStep* step = bound.step->provider_step;
  if (!step) return {};
  if ((step->flags & ASHLAR_STEP_MOVES) != 0) return {0, bound.step->inputs.empty() ? 0 : bound.inputs[0].bytes};
  std::vector<std::uint32_t> nodes(step->nodes, step->nodes + step->node_count);
  std::sort(nodes.begin(), nodes.end());
  Counting counting(plan, bound);
  for (const std::uint32_t node : nodes)
    if (node < plan.graph->nodes.size()) counting.add(plan.graph->nodes[node]);
  return counting.work();
}

}  // namespace ashlar::runtime
