// SPDX-License-Identifier: Apache-2.0
#include "ops/rewriter.h"

#include <algorithm>
#include <cstring>

#include <ashlar/error.h>

#include "core/reals.h"
#include "core/text.h"
#include "onnx/onnx.h"

namespace ashlar::ops {

using graph::kNone;
using graph::ValueId;

namespace {

constexpr std::int64_t kMostNumbers = 1024;

template <class T> std::vector<double> read(const Tensor& t) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < t.element_count(); ++i) {
    T element;
    std::memcpy(&element, static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    out.push_back(static_cast<double>(element));
  }
  return out;
}

}  // namespace

Scope::Scope(graph::Graph& g, const Scope* around) : graph(g), outer(around) {
  for (const graph::Value& v : g.values) value_names.insert(v.name);
}

const Tensor* Scope::constant(ValueId v) const {
  const Scope* scope = this;
  while (scope && v < scope->graph.values.size()) {
    const graph::Graph& g = scope->graph;
    // An input with a default is no constant: the caller may give another value.
    if (std::find(g.inputs.begin(), g.inputs.end(), v) != g.inputs.end()) return nullptr;
    if (g.values[v].constant.defined()) return &g.values[v].constant;
    const auto capture = std::find_if(g.captures.begin(), g.captures.end(), [&](const graph::Capture& c) { return c.inner == v; });
    if (capture == g.captures.end()) return nullptr;
    v = capture->outer;
    scope = scope->outer;
  }
  return nullptr;
}

const graph::Value* Rewriter::value(std::size_t input) const {
  if (!has_input(input) || node.inputs[input] >= scope_.graph.values.size()) return nullptr;
  return &scope_.graph.values[node.inputs[input]];
}

DType Rewriter::dtype(std::size_t input) const {
  const graph::Value* v = value(input);
  if (!v || v->type.kind != ValueType::Kind::kTensor) return DType::kUndefined;
  return v->constant.defined() ? v->constant.dtype() : v->type.dtype;
}

std::optional<std::int64_t> Rewriter::rank(std::size_t input) const {
  const graph::Value* v = value(input);
  if (!v) return std::nullopt;
  if (v->constant.defined()) return v->constant.shape().rank();
  if (!v->type.shape) return std::nullopt;
  return static_cast<std::int64_t>(v->type.shape->size());
}

std::optional<std::int64_t> Rewriter::element_count(std::size_t input) const {
  const graph::Value* v = value(input);
  if (!v) return std::nullopt;
  if (v->constant.defined()) return v->constant.element_count();
  if (!v->type.shape) return std::nullopt;
  std::int64_t count = 1;
  for (const Dim& d : *v->type.shape)
    if (!d.fixed() || __builtin_mul_overflow(count, d.value, &count)) return std::nullopt;
  return count;
}

std::optional<std::vector<double>> Rewriter::numbers(std::size_t input) const {
  const Tensor* t = has_input(input) ? scope_.constant(node.inputs[input]) : nullptr;
  if (!t || t->element_count() > kMostNumbers) return std::nullopt;
  switch (t->dtype()) {
    case DType::kFloat32: return read<float>(*t);
    case DType::kFloat64: return read<double>(*t);
    case DType::kInt32: return read<std::int32_t>(*t);
    case DType::kInt64: return read<std::int64_t>(*t);
    default: return std::nullopt;
  }
}

std::string Rewriter::unique(const std::string& suffix) {
  std::string name = node.id + "/" + suffix;
  for (int i = 1; !scope_.value_names.insert(name).second; ++i) name = node.id + "/" + suffix + "_" + std::to_string(i);
  return name;
}

ValueId Rewriter::constant(const std::string& suffix, Tensor tensor) {
  ValueType type;
  type.dtype = tensor.dtype();
  type.shape.emplace();
  for (const std::int64_t d : tensor.shape()) type.shape->push_back({d, ""});
  return scope_.graph.add_value(unique(suffix), std::move(type), std::move(tensor));
}

ValueId Rewriter::constant(const std::string& suffix, const std::vector<std::int64_t>& elements) {
  return constant(suffix, int64_tensor(elements));
}

void Rewriter::set_input(std::size_t i, ValueId v) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1, kNone);
  node.inputs[i] = v;
}

void Rewriter::attribute_to_input(const std::string& name, std::size_t i) {
  if (!has(name)) return;
  set_input(i, constant(name, get<std::vector<std::int64_t>>(name)));
  node.attributes.erase(name);
}

graph::Node Rewriter::make(const std::string& op, const std::string& suffix, std::vector<ValueId> inputs,
                           std::map<std::string, graph::Attribute> attributes) const {
  graph::Node made;
  made.id = node.id + "/" + suffix;
  made.op_type = op;
  made.version = made.original_version = newest_version(op, "").value_or(0);
  made.inputs = std::move(inputs);
  made.attributes = std::move(attributes);
  made.origins = node.origins;
  fill_defaults(made, made.version);
  return made;
}

ValueId Rewriter::insert(const std::string& op, const std::string& suffix, std::vector<ValueId> inputs,
                         std::map<std::string, graph::Attribute> attributes) {
  graph::Node made = make(op, suffix, std::move(inputs), std::move(attributes));
  const ValueId output = scope_.graph.add_value(unique(suffix));
  made.outputs = {output};
  std::vector<ValueType> types = onnx::infer(scope_.graph, made);
  if (!types.empty()) scope_.graph.values[output].type = std::move(types[0]);
  before.push_back(std::move(made));
  return output;
}

std::pair<ValueId, ValueId> Rewriter::divert_output(std::size_t i, const std::string& suffix, DType dtype) {
  const ValueId was = node.outputs[i];
  ValueType type;
  type.dtype = dtype;
  node.outputs[i] = scope_.graph.add_value(unique(suffix), std::move(type));
  return {node.outputs[i], was};
}

void Rewriter::append(const std::string& op, const std::string& suffix, std::vector<ValueId> inputs, ValueId output,
                      std::map<std::string, graph::Attribute> attributes) {
  graph::Node made = make(op, suffix, std::move(inputs), std::move(attributes));
  made.outputs = {output};
  after.push_back(std::move(made));
}

void Rewriter::wrong_type(const std::string& attribute) const {
  ErrorContext context;
  context.node = node.id;
  context.op = node.op_name();
  context.opset = node.version;
  throw Error(ErrorCode::kInvalidModel, "attribute '" + core::printable(attribute) + "' is of a type the operator does not give it",
              std::move(context));
}

std::optional<Tensor> scalar_of(DType dtype, double value) {
  if (!core::is_real(dtype)) return std::nullopt;
  Tensor scalar = Tensor::zeros(dtype, {});
  core::store_real(dtype, scalar.mutable_raw(), value);
  return scalar;
}

Tensor int64_tensor(const std::vector<std::int64_t>& elements) {
  Tensor t = Tensor::zeros(DType::kInt64, {static_cast<std::int64_t>(elements.size())});
  std::copy(elements.begin(), elements.end(), t.mutable_data<std::int64_t>());
  return t;
}

std::optional<int> newest_version(const std::string& op, const std::string& domain, int limit) {
  static const std::vector<std::pair<std::string, int>> opsets = onnx::known_opsets();
  for (const auto& [name, newest] : opsets)
    if (name == domain) return onnx::since_version(op, domain, std::min(limit, newest));
  return std::nullopt;
}

void fill_defaults(graph::Node& node, int version) {
  for (auto& [name, value] : onnx::default_attributes(node.op_type, node.domain, version)) node.attributes.emplace(name, std::move(value));
}

}  // namespace ashlar::ops
