// SPDX-License-Identifier: Apache-2.0
#include "optimizer/editor.h"

#include <algorithm>
#include <cstring>
#include <queue>

#include <ashlar/error.h>

#include "core/reals.h"
#include "onnx/onnx.h"
#include "ops/facts.h"
#include "ops/internal.h"

namespace ashlar::optimizer {
namespace {

template <class T> double read(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return static_cast<double>(value);
}

}  // namespace

Editor::Editor(Model& model, Graph& graph, std::string path, Editor* outer)
    : model_(model), graph_(graph), path_(std::move(path)), outer_(outer) {
  for (const graph::Value& v : graph.values) names_.insert(v.name);
  index();
  learn();
}

void Editor::index() {
  const std::size_t values = graph_.values.size();
  producer_.assign(values, kNone);
  uses_.assign(values, {});
  output_.assign(values, 0);
  input_.assign(values, 0);
  captured_.assign(values, kNone);
  dead_.assign(graph_.nodes.size(), 0);
  order_.resize(graph_.nodes.size());
  for (const ValueId v : graph_.outputs) output_[v] = 1;
  for (const ValueId v : graph_.inputs) input_[v] = 1;
  for (const graph::Capture& c : graph_.captures) captured_[c.inner] = c.outer;
  for (NodeIndex n = 0; n < graph_.nodes.size(); ++n) {
    order_[n] = n;
    link(n);
    model_.ids.insert(graph_.nodes[n].id);
  }
}

void Editor::link(NodeIndex n) {
  const Node& node = graph_.nodes[n];
  for (std::uint32_t i = 0; i < node.inputs.size(); ++i)
    if (node.inputs[i] != kNone) uses_[node.inputs[i]].push_back({n, i});
  for (const ValueId v : node.captures) uses_[v].push_back({n, kNone});
  for (const ValueId v : node.outputs)
    if (v != kNone) producer_[v] = n;
}

void Editor::unlink(NodeIndex n) {
  const Node& node = graph_.nodes[n];
  const auto drop = [&](ValueId v) { std::erase_if(uses_[v], [&](const Use& u) { return u.node == n; }); };
  for (const ValueId v : node.inputs)
    if (v != kNone) drop(v);
  for (const ValueId v : node.captures) drop(v);
  for (const ValueId v : node.outputs)
    if (v != kNone && producer_[v] == n) producer_[v] = kNone;
}

void Editor::kill(NodeIndex n) {
  unlink(n);
  dead_[n] = 1;
  for (const auto& [name, body] : graph::bodies(graph_.nodes[n])) {
    const auto at = bodies_.find(body.get());
    if (at == bodies_.end()) continue;
    const std::string& path = at->second->path_;
    std::erase_if(model_.report.near_misses, [&](const auto& m) { return m.graph == path || m.graph.starts_with(path + "/"); });
    bodies_.erase(at);
  }
}

std::vector<NodeIndex> Editor::nodes() const {
  std::vector<NodeIndex> out;
  for (NodeIndex n = 0; n < node_count(); ++n)
    if (!dead(n)) out.push_back(n);
  return out;
}

void Editor::learn_captured() {
  if (!outer_) return;
  for (const graph::Capture& c : graph_.captures) facts_[c.inner] = outer_->facts(c.outer);
}

void Editor::learn() {
  facts_.assign(graph_.values.size(), {});
  for (ValueId v = 0; v < graph_.values.size(); ++v) {
    const graph::Value& value = graph_.values[v];
    if (value.constant.defined() && !input_[v]) facts_[v] = ops::facts_of(value.constant);
  }
  for (const ValueId v : graph_.inputs) {
    const ValueType& type = graph_.values[v].type;
    facts_[v] = ops::facts_of(type, model_.dims);
    // Dimensions of one name are one number: of the model's inputs, that is what the format says. What goes into a body may change with each trip.
    if (!is_body() && facts_[v].shape)
      for (std::size_t i = 0; i < type.shape->size(); ++i)
        if (const Dim& d = (*type.shape)[i]; !d.fixed() && ops::names_a_dimension(d.symbol))
          (*facts_[v].shape)[i] = model_.dims.symbol(d.symbol);
  }
  learn_captured();
  for (NodeIndex n = 0; n < node_count(); ++n)
    if (!dead(n)) learn(graph_.nodes[n]);
}

void Editor::learn(const Node& node) {
  std::vector<const ops::ValueFacts*> inputs;
  for (const ValueId v : node.inputs) inputs.push_back(v == kNone ? nullptr : &facts_[v]);
  const std::size_t before = model_.dims.size();
  std::vector<ops::ValueFacts> found = ops::infer_facts({node, inputs, model_.dims});
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNone) continue;
    const ValueType& type = graph_.values[v].type;
    ops::ValueFacts& facts = found[i];
    if (type.kind == ValueType::Kind::kTensor && type.shape) {
      if (!facts.shape) facts.shape = ops::facts_of(type, model_.dims).shape;
      else if (facts.shape->size() == type.shape->size())
        for (std::size_t d = 0; d < type.shape->size(); ++d)
          if ((*type.shape)[d].fixed() && model_.dims.is_new((*facts.shape)[d], before))
            (*facts.shape)[d] = ops::DimExpr((*type.shape)[d].value);
    }
    if (type.dtype != DType::kInt64 && type.dtype != DType::kInt32 && type.dtype != DType::kBool) facts.elements.reset();
    facts_[v] = std::move(facts);
  }
}

const Tensor* Editor::constant(ValueId v) const {
  if (v == kNone) return nullptr;
  if (captured_[v] != kNone) return outer_ ? outer_->constant(captured_[v]) : nullptr;
  return graph_.values[v].constant.defined() && !input_[v] ? &graph_.values[v].constant : nullptr;
}

std::optional<std::vector<std::int64_t>> Editor::numbers(ValueId v) const {
  if (v == kNone || !facts_[v].elements) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const ops::DimExpr& e : *facts_[v].elements) {
    if (!e.value()) return std::nullopt;
    out.push_back(*e.value());
  }
  return out;
}

std::optional<double> Editor::scalar(ValueId v) const {
  const Tensor* t = constant(v);
  if (!t || t->element_count() != 1) return std::nullopt;
  if (core::is_real(t->dtype())) return core::load_real(t->dtype(), t->raw());
  switch (t->dtype()) {
    case DType::kInt64: return read<std::int64_t>(t->raw());
    case DType::kInt32: return read<std::int32_t>(t->raw());
    default: return std::nullopt;
  }
}

std::string Editor::unique_name(const std::string& hint) {
  std::string name = hint;
  for (int i = 1; !names_.insert(name).second; ++i) name = hint + "_" + std::to_string(i);
  return name;
}

ValueId Editor::add_value(std::string name, ValueType type, Tensor constant) {
  const ValueId v = graph_.add_value(std::move(name), std::move(type), std::move(constant));
  producer_.push_back(kNone);
  uses_.emplace_back();
  output_.push_back(0);
  input_.push_back(0);
  captured_.push_back(kNone);
  const graph::Value& made = graph_.values[v];
  facts_.push_back(made.constant.defined() ? ops::facts_of(made.constant) : ops::ValueFacts());
  return v;
}

namespace {

/// Operators whose outputs have the dtype of their first input.
bool keeps_dtype(const Node& node) {
  static const std::unordered_set<std::string_view> ops = {"Add",
                                                           "Mul",
                                                           "Sub",
                                                           "Div",
                                                           "MatMul",
                                                           "Gemm",
                                                           "Conv",
                                                           "Reshape",
                                                           "Transpose",
                                                           "Unsqueeze",
                                                           "Squeeze",
                                                           "Expand",
                                                           "Slice",
                                                           "Split",
                                                           "Concat",
                                                           "Identity",
                                                           "Gather",
                                                           "Pad",
                                                           "Softmax",
                                                           "Gelu",
                                                           "Swish",
                                                           "Mish",
                                                           "HardSwish",
                                                           "Relu",
                                                           "Clip",
                                                           "Neg",
                                                           "Tanh",
                                                           "Sigmoid",
                                                           "Sqrt",
                                                           "Reciprocal",
                                                           "Attention",
                                                           "RotaryEmbedding",
                                                           "RMSNormalization",
                                                           "GroupNormalization",
                                                           "InstanceNormalization",
                                                           "DepthToSpace",
                                                           "SpaceToDepth",
                                                           "Cos",
                                                           "Sin",
                                                           "MaxPool",
                                                           "AveragePool",
                                                           "Pow",
                                                           "Flatten",
                                                           "Tile",
                                                           "HardSigmoid",
                                                           "LeakyRelu"};
  return ops::is_internal(node) || (node.domain.empty() && ops.contains(node.op_type));
}

}  // namespace

void Editor::infer(const Node& node) {
  const bool simple = keeps_dtype(node) && !node.inputs.empty() && node.inputs[0] != kNone;
  if (simple) {
    for (const ValueId v : node.outputs)
      if (v != kNone && graph_.values[v].type.dtype == DType::kUndefined) graph_.values[v].type.dtype = dtype(node.inputs[0]);
    learn(node);
  }
  const auto open = [&](ValueId v) { return v != kNone && (!facts_[v].shape || graph_.values[v].type.dtype == DType::kUndefined); };
  if (!simple || (!ops::is_internal(node) && std::any_of(node.outputs.begin(), node.outputs.end(), open))) {
    std::vector<ValueType> types = onnx::infer(graph_, node);
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (node.outputs[i] == kNone) continue;
      ValueType& type = graph_.values[node.outputs[i]].type;
      if (type.dtype == DType::kUndefined || !type.shape) type = std::move(types[i]);
    }
    learn(node);
  }
  for (const ValueId v : node.outputs)
    if (v != kNone && facts_[v].shape) graph_.values[v].type.shape = ops::to_dims(*facts_[v].shape, model_.dims);
}

ValueId Editor::adopt(const Editor& body, ValueId inner) {
  const graph::Value from = body.value(inner);
  const ValueId made = add_value(unique_name(from.name), from.type, from.constant);
  facts_[made] = body.facts(inner);
  return made;
}

void Editor::refresh() {
  commit();
  bodies_.clear();
  for (const NodeIndex n : nodes()) {
    learn(node(n));
    const auto open = [&](ValueId v) { return v != kNone && graph_.values[v].type.kind == ValueType::Kind::kTensor && !facts_[v].shape; };
    if (std::any_of(node(n).outputs.begin(), node(n).outputs.end(), open) && !ops::is_core_operator(graph_, node(n))) {
      try {
        infer(node(n));
      } catch (const Error&) {
        // The node's error belongs to the run.
      }
    }
    for (const ValueId v : node(n).outputs)
      if (v != kNone && facts_[v].shape && !graph_.values[v].type.shape)
        graph_.values[v].type.shape = ops::to_dims(*facts_[v].shape, model_.dims);
  }
}

bool Editor::write_shapes() {
  bool changed = false;
  for (ValueId v = 0; v < graph_.values.size(); ++v) {
    graph::Value& value = graph_.values[v];
    if (!facts_[v].shape || value.type.kind != ValueType::Kind::kTensor || input_[v] || value.constant.defined()) continue;
    std::vector<Dim> dims = ops::to_dims(*facts_[v].shape, model_.dims);
    const auto same = [](const Dim& a, const Dim& b) { return a.value == b.value && a.symbol == b.symbol; };
    if (value.type.shape && std::equal(dims.begin(), dims.end(), value.type.shape->begin(), value.type.shape->end(), same)) continue;
    value.type.shape = std::move(dims);
    changed = true;
  }
  return changed;
}

void Editor::commit() {
  if (committed_ == version_) return;
  if (is_body()) prune_captures();
  const NodeIndex count = node_count();
  std::vector<std::uint32_t> waits(count, 0);
  using Entry = std::pair<double, NodeIndex>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  const auto operands = [&](NodeIndex n, const auto& visit) {
    for (const ValueId v : node(n).inputs)
      if (v != kNone && producer_[v] != kNone) visit(producer_[v]);
    for (const ValueId v : node(n).captures)
      if (producer_[v] != kNone) visit(producer_[v]);
  };
  std::vector<std::vector<NodeIndex>> readers(count);
  for (NodeIndex n = 0; n < count; ++n) {
    if (dead(n)) continue;
    operands(n, [&](NodeIndex from) {
      ++waits[n];
      readers[from].push_back(n);
    });
    if (waits[n] == 0) ready.emplace(order_[n], n);
  }
  std::vector<Node> sorted;
  std::vector<NodeIndex> to(count, kNone);
  while (!ready.empty()) {
    const NodeIndex n = ready.top().second;
    ready.pop();
    to[n] = static_cast<NodeIndex>(sorted.size());
    sorted.push_back(std::move(graph_.nodes[n]));
    for (const NodeIndex r : readers[n])
      if (--waits[r] == 0) ready.emplace(order_[r], r);
  }
  for (NodeIndex n = 0; n < count; ++n)
    if (!dead(n) && to[n] == kNone)
      throw Error(ErrorCode::kInternal, "pass '" + model_.pass + "' makes nodes wait for each other", {.node = graph_.nodes[n].id});
  graph_.nodes = std::move(sorted);
  for (NodeIndex& n : producer_) n = n == kNone ? kNone : to[n];
  for (auto& uses : uses_)
    for (Use& u : uses) u.node = to[u.node];
  dead_.assign(graph_.nodes.size(), 0);
  order_.resize(graph_.nodes.size());
  for (NodeIndex n = 0; n < graph_.nodes.size(); ++n) order_[n] = n;
  committed_ = version_;
}

}  // namespace ashlar::optimizer
