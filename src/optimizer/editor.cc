// SPDX-License-Identifier: Apache-2.0
#include "optimizer/editor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <queue>

#include <ashlar/error.h>

#include "onnx/onnx.h"
#include "ops/facts.h"
#include "ops/internal.h"
#include "ops/rewriter.h"

namespace ashlar::optimizer {
namespace {

bool is_graph(const Attribute& a) { return std::holds_alternative<std::shared_ptr<Graph>>(a); }

bool has_bodies(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const auto& a) { return is_graph(a.second); });
}

template <class T> double read(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return static_cast<double>(value);
}

/// A number of 16 bits, so many of them its fraction's.
double small_float(const void* p, int fraction_bits) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof(bits));
  const int exponent_bits = 15 - fraction_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  const double whole = exponent ? 1 << fraction_bits : 0;
  return sign * std::ldexp(whole + fraction, (exponent ? exponent : 1) - bias - fraction_bits);
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
  switch (t->dtype()) {
    case DType::kFloat32: return read<float>(t->raw());
    case DType::kFloat64: return read<double>(t->raw());
    case DType::kInt64: return read<std::int64_t>(t->raw());
    case DType::kInt32: return read<std::int32_t>(t->raw());
    case DType::kFloat16: return small_float(t->raw(), 10);
    case DType::kBFloat16: return small_float(t->raw(), 7);
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

bool Editor::can_replace(ValueId gone, ValueId instead) const {
  if (gone == instead || gone == kNone || instead == kNone) return false;
  if (!is_output(gone) || is_body()) return true;
  return !is_output(instead) && producer(instead) != kNone;
}

void Editor::substitute(NodeIndex n, ValueId gone, ValueId instead) {
  Node& node = graph_.nodes[n];
  std::replace(node.inputs.begin(), node.inputs.end(), gone, instead);
  if (std::find(node.captures.begin(), node.captures.end(), gone) == node.captures.end()) return;
  for (auto& [name, attribute] : node.attributes) {
    if (!is_graph(attribute)) continue;
    Graph* body = std::get<std::shared_ptr<Graph>>(attribute).get();
    bool changed = false;
    for (graph::Capture& c : body->captures) {
      if (c.outer != gone) continue;
      c.outer = instead;
      changed = true;
    }
    if (const auto at = bodies_.find(body); changed && at != bodies_.end()) {
      Editor& editor = *at->second;
      for (ValueId& v : editor.captured_)
        if (v == gone) v = instead;
      editor.learn_captured();
      ++editor.version_;
    }
  }
  std::erase(node.captures, gone);
  if (std::find(node.captures.begin(), node.captures.end(), instead) == node.captures.end()) node.captures.push_back(instead);
}

void Editor::rename(ValueId gone, ValueId instead) {
  if (is_output(gone) && !is_body()) {
    // The output keeps its name: the other value takes it.
    const NodeIndex maker = producer_[instead];
    std::replace(graph_.nodes[maker].outputs.begin(), graph_.nodes[maker].outputs.end(), instead, gone);
    producer_[gone] = maker;
    producer_[instead] = kNone;
    std::swap(gone, instead);
  } else if (is_output(gone)) {
    std::replace(graph_.outputs.begin(), graph_.outputs.end(), gone, instead);
    output_[gone] = 0;
    output_[instead] = 1;
  }
  std::vector<NodeIndex> readers;
  for (const Use& u : uses_[gone]) readers.push_back(u.node);
  std::sort(readers.begin(), readers.end());
  readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
  for (const NodeIndex n : readers) {
    std::erase_if(uses_[instead], [&](const Use& u) { return u.node == n; });
    substitute(n, gone, instead);
    const Node& node = graph_.nodes[n];
    for (std::uint32_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] == instead) uses_[instead].push_back({n, i});
    if (std::find(node.captures.begin(), node.captures.end(), instead) != node.captures.end()) uses_[instead].push_back({n, kNone});
  }
  uses_[gone].clear();
}

void Editor::sweep(std::vector<ValueId> maybe_unread, std::vector<NodeIndex>& removed) {
  while (!maybe_unread.empty()) {
    const ValueId v = maybe_unread.back();
    maybe_unread.pop_back();
    const NodeIndex n = v == kNone ? kNone : producer_[v];
    if (n == kNone || dead(n)) continue;
    const Node& node = graph_.nodes[n];
    const auto read = [&](ValueId o) { return o != kNone && (!uses_[o].empty() || is_output(o)); };
    if (std::any_of(node.outputs.begin(), node.outputs.end(), read)) continue;
    maybe_unread.insert(maybe_unread.end(), node.inputs.begin(), node.inputs.end());
    maybe_unread.insert(maybe_unread.end(), node.captures.begin(), node.captures.end());
    removed.push_back(n);
    kill(n);
  }
}

bool Editor::taken(const Patch& patch, std::string* refusal) {
  if (!model_.takes) return true;
  const auto first_dtype = [&](const Node& n) { return n.inputs.empty() || n.inputs[0] == kNone ? DType::kUndefined : dtype(n.inputs[0]); };
  for (const Node& made : patch.added_) {
    if (patch.moved_.contains(made.id) || ops::is_core_operator(graph_, made)) continue;
    const auto same = [&](NodeIndex n) {
      return node(n).op_type == made.op_type && node(n).domain == made.domain && first_dtype(node(n)) == first_dtype(made);
    };
    if (std::any_of(patch.removed_.begin(), patch.removed_.end(), same)) continue;
    graph_.nodes.push_back(made);
    const Answer answer = model_.takes(graph_, static_cast<NodeIndex>(graph_.nodes.size() - 1));
    graph_.nodes.pop_back();
    if (answer.provider == 0) continue;
    bool good = answer.provider > 0 && patch.removed_.empty();
    for (const NodeIndex n : patch.removed_) {
      if (good || answer.provider < 0) break;
      const Answer before = model_.takes(graph_, n);
      good = before.provider < 0 || before.provider >= answer.provider;
    }
    if (good) continue;
    if (refusal)
      *refusal = answer.provider < 0
                     ? "no provider takes " + made.op_name() + ": " + answer.refusal
                     : "a provider that is preferred takes what is there, but not " + made.op_name() + ": " + answer.refusal;
    return false;
  }
  patch.asked_ = true;
  return true;
}

void Editor::name_nodes(Patch& patch) {
  std::vector<std::string> all;
  const auto collect = [&](const std::vector<NodeIndex>& nodes) {
    std::vector<std::string> out;
    for (const NodeIndex n : nodes)
      for (const std::string& origin : node(n).origins)
        if (std::find(out.begin(), out.end(), origin) == out.end()) out.push_back(origin);
    return out;
  };
  all = collect(patch.removed_);
  std::unordered_set<std::string> reused;
  for (std::size_t i = 0; i < patch.added_.size(); ++i) {
    Node& made = patch.added_[i];
    if (made.origins.empty()) made.origins = all;
    if (patch.moved_.contains(made.id)) continue;
    // The node whose output it writes gives its id to it, else a new one is made of the last that goes.
    std::string base;
    for (const NodeIndex n : patch.removed_)
      for (const ValueId v : node(n).outputs)
        if (v != kNone && std::find(made.outputs.begin(), made.outputs.end(), v) != made.outputs.end()) base = node(n).id;
    const NodeIndex one = patch.bases_[i];
    if (one != kNone && std::find(patch.removed_.begin(), patch.removed_.end(), one) != patch.removed_.end()) base = node(one).id;
    if (!base.empty() && reused.insert(base).second) {
      made.id = base;
      continue;
    }
    if (base.empty() && made.id.empty())
      base = patch.removed_.empty() ? path_.empty() ? patch.rule_ : path_ + "/" + patch.rule_ : node(patch.removed_.back()).id;
    if (base.empty()) base = made.id;
    else base += "/" + made.op_type;
    made.id = base;
    for (int k = 1; !model_.ids.insert(made.id).second; ++k) made.id = base + "_" + std::to_string(k);
  }
}

bool Editor::apply(Patch&& patch) {
  if (model_.rewrites_left == 0 || (!patch.asked_ && !taken(patch))) return false;
  if (model_.rewrites_left > 0) --model_.rewrites_left;
  Optimization::Rewrite record;
  record.pass = model_.pass;
  record.rule = patch.rule_;
  record.graph = path_;
  name_nodes(patch);
  double order = 0;
  std::vector<ValueId> orphans, unread;
  for (const NodeIndex n : patch.removed_) {
    record.before.push_back(ref(node(n)));
    order = std::max(order, order_[n]);
    orphans.insert(orphans.end(), node(n).outputs.begin(), node(n).outputs.end());
    unread.insert(unread.end(), node(n).inputs.begin(), node(n).inputs.end());
    unread.insert(unread.end(), node(n).captures.begin(), node(n).captures.end());
  }
  for (const NodeIndex n : patch.removed_) kill(n);
  for (Node& made : patch.added_) {
    if (patch.removed_.empty())
      for (const ValueId v : made.inputs)
        if (v != kNone && producer_[v] != kNone) order = std::max(order, order_[producer_[v]]);
    record.after.push_back(ref(made));
    unread.insert(unread.end(), made.outputs.begin(), made.outputs.end());
    graph_.nodes.push_back(std::move(made));
    dead_.push_back(0);
    order_.push_back(order);
    link(node_count() - 1);
  }
  for (const auto& [gone, instead] : patch.replaced_) {
    const bool swaps = is_output(gone) && !is_body();
    record.tensors.emplace_back(value(swaps ? instead : gone).name, value(swaps ? gone : instead).name);
    orphans.push_back(gone);
    unread.push_back(gone);
    rename(gone, instead);
  }
  std::vector<NodeIndex> swept;
  sweep(std::move(unread), swept);
  for (const NodeIndex n : swept)
    if (std::none_of(record.after.begin(), record.after.end(), [&](const auto& r) { return r.node == id(n); }))
      record.before.push_back(ref(node(n)));
  for (const ValueId v : orphans) {
    if (v == kNone || producer_[v] != kNone || input_[v] || captured_[v] != kNone || graph_.values[v].constant.defined()) continue;
    if (!uses_[v].empty() || is_output(v))
      throw Error(ErrorCode::kInternal,
                  "pass '" + model_.pass + "' (" + patch.rule_ + ") leaves the value '" + value(v).name + "' without a definition",
                  {.node = record.before.empty() ? "" : record.before[0].node});
  }
  ++version_;
  record.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - patch.start_).count();
  model_.report.rewrites.push_back(std::move(record));
  return true;
}

void Editor::near_miss(const std::string& rule, NodeIndex anchor, int matched, int total, std::string reason) {
  model_.report.near_misses.push_back({.pass = model_.pass,
                                       .rule = rule,
                                       .graph = path_,
                                       .anchor = ref(node(anchor)),
                                       .matched = matched,
                                       .total = total,
                                       .reason = std::move(reason)});
}

int Editor::remove_unread(const std::string& rule) {
  if (model_.rewrites_left == 0) return 0;
  std::vector<ValueId> all;
  for (NodeIndex n = 0; n < node_count(); ++n)
    if (!dead(n)) all.insert(all.end(), node(n).outputs.begin(), node(n).outputs.end());
  Patch patch(*this, rule);
  std::vector<NodeIndex> swept;
  sweep(std::move(all), swept);
  // A node without outputs does nothing.
  if (swept.empty()) return 0;
  if (model_.rewrites_left > 0) --model_.rewrites_left;
  Optimization::Rewrite record;
  record.pass = model_.pass;
  record.rule = rule;
  record.graph = path_;
  std::sort(swept.begin(), swept.end());
  for (const NodeIndex n : swept) record.before.push_back(ref(node(n)));
  record.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - patch.start_).count();
  model_.report.rewrites.push_back(std::move(record));
  ++version_;
  return static_cast<int>(swept.size());
}

std::string Editor::consumers(ValueId v, const std::vector<NodeIndex>& inside) const {
  std::vector<std::string> others;
  std::size_t count = 0;
  for (const Use& u : uses(v)) {
    ++count;
    if (std::find(inside.begin(), inside.end(), u.node) == inside.end() || u.captured()) others.push_back(id(u.node));
  }
  std::string out = producer(v) == kNone ? value(v).name : id(producer(v));
  out += " has " + std::to_string(count + (is_output(v) ? 1 : 0)) + " consumers (";
  for (std::size_t i = 0; i < others.size() && i < 3; ++i) out += (i ? ", " : "") + others[i];
  if (is_output(v)) out += others.empty() ? "it is an output" : ", and it is an output";
  return out + ")";
}

void Editor::prune_captures() {
  const std::size_t before = graph_.captures.size();
  std::erase_if(graph_.captures, [&](const graph::Capture& c) {
    if (!uses_[c.inner].empty() || is_output(c.inner)) return false;
    captured_[c.inner] = kNone;
    return true;
  });
  if (graph_.captures.size() != before && outer_) outer_->recapture(*this);
}

NodeIndex Editor::owner_of(const Graph* body) const {
  for (NodeIndex n = 0; n < node_count(); ++n) {
    if (dead(n) || !has_bodies(node(n))) continue;
    for (const auto& [name, g] : graph::bodies(node(n)))
      if (g.get() == body) return n;
  }
  return kNone;
}

void Editor::recapture(Editor& body) {
  const NodeIndex n = owner_of(&body.graph_);
  if (n == kNone) return;
  Node& node = graph_.nodes[n];
  std::vector<ValueId> captures;
  for (const auto& [name, g] : graph::bodies(node))
    for (const graph::Capture& c : g->captures)
      if (std::find(captures.begin(), captures.end(), c.outer) == captures.end()) captures.push_back(c.outer);
  for (const ValueId v : node.captures) std::erase_if(uses_[v], [&](const Use& u) { return u.node == n && u.captured(); });
  node.captures = std::move(captures);
  for (const ValueId v : node.captures) uses_[v].push_back({n, kNone});
  ++version_;
}

ValueId Editor::capture(ValueId outer_value) {
  for (const graph::Capture& c : graph_.captures)
    if (c.outer == outer_value) return c.inner;
  const graph::Value& from = outer_->graph_.values[outer_value];
  const ValueId inner = add_value(unique_name(from.name), from.type);
  graph_.captures.push_back({outer_value, inner});
  captured_[inner] = outer_value;
  facts_[inner] = outer_->facts(outer_value);
  outer_->recapture(*this);
  return inner;
}

std::vector<std::pair<std::string, Editor*>> Editor::bodies(NodeIndex n) {
  std::vector<std::pair<std::string, Editor*>> out;
  for (const auto& [name, body] : graph::bodies(node(n))) {
    auto& editor = bodies_[body.get()];
    if (!editor) editor = std::make_unique<Editor>(model_, *body, (path_.empty() ? "" : path_ + "/") + id(n) + "/" + name, this);
    out.emplace_back(name, editor.get());
  }
  return out;
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
