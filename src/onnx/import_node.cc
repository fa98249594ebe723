// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include <ashlar/error.h>

#include "core/text.h"
#include "onnx/attributes.h"
#include "onnx/importer.h"
#include "onnx/onnx_error.h"
#include "onnx/sort.h"
#include "onnx/types.h"
#include "onnx/wire_scan.h"

namespace ashlar::onnx {
namespace {

using graph::kNone;
using graph::ValueId;

[[noreturn]] void fail(const graph::Node& node, const std::string& message, ErrorCode code = ErrorCode::kInvalidModel) {
  throw Error(code, message, context_of(node));
}

void drop_absent_tail(std::vector<ValueId>& values) {
  while (!values.empty() && values.back() == kNone) values.pop_back();
}

/// "then" for "then_branch".
std::string branch(const std::string& attribute) {
  const std::string suffix = "_branch";
  return attribute.ends_with(suffix) && attribute.size() > suffix.size() ? attribute.substr(0, attribute.size() - suffix.size())
                                                                         : attribute;
}

template <class T> Tensor list(const std::vector<T>& elements) {
  Tensor out = Tensor::zeros(DTypeOf<T>::value, {static_cast<std::int64_t>(elements.size())});
  std::copy(elements.begin(), elements.end(), out.mutable_data<T>());
  return out;
}

/// The tensor that an attribute of a Constant stands for.
Tensor constant_of(const graph::Attribute& value, const graph::Node& node) {
  return std::visit(
      [&](const auto& v) -> Tensor {
        using T = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::is_same_v<T, Tensor>) return v;
        else if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, float> || std::is_same_v<T, std::string>)
          return Tensor::scalar<T>(v);
        else if constexpr (std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<float>> ||
                           std::is_same_v<T, std::vector<std::string>>)
          return list(v);
        else fail(node, "the constant's value is neither a tensor nor numbers nor strings");
      },
      value);
}

}  // namespace

std::string Importer::take_id(const std::string& path, const std::string& name, const std::string& op, int index) {
  std::string id = path + name;
  if (!name.empty() && ids_.insert(id).second) return id;
  id = path + op + "#" + std::to_string(index);
  while (!ids_.insert(id).second) id += "'";
  return id;
}

void Importer::import_nodes(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes, Scope& scope) {
  for (const int i : execution_order(nodes)) import_node(nodes[i], i, scope);
}

const ::ONNX_NAMESPACE::OpSchema& Importer::schema_for(const proto::NodeProto& from, const graph::Node& node, const Scope& scope) const {
  if (!versions_in_overload_ || !from.overload().starts_with(kTableMark)) return find_schema(node.op_type, node.domain, scope.opsets);
  int version = 0;
  std::from_chars(from.overload().data() + 1, from.overload().data() + from.overload().size(), version);
  return find_schema(node.op_type, node.domain, Opsets{{node.domain, version}});
}

void Importer::import_node(const proto::NodeProto& from, int index, Scope& scope) {
  graph::Node node;
  node.op_type = from.op_type();
  node.domain = normal_domain(from.domain());
  node.id = take_id(scope.path, from.name(), from.op_type(), index);
  node.origins = origins_.empty() ? std::vector{node.id} : origins_;
  guarded(ErrorCode::kInvalidModel, "", context_of(node), [&] {
    if (const auto* function = function_of(from)) {
      import_attributes(from, node, scope);
      inline_function(*function, from, node, scope);
      return;
    }
    const auto& schema = schema_for(from, node, scope);
    node.version = node.original_version = schema.SinceVersion();
    import_attributes(from, node, scope);
    for (const std::string& name : from.input()) node.inputs.push_back(use(scope, name, node));
    for (const std::string& name : from.output()) node.outputs.push_back(define(scope, name, node));
    check(node, schema);
    drop_absent_tail(node.inputs);
    drop_absent_tail(node.outputs);
    if (node.op_type == "Constant" && node.domain.empty()) return import_constant(node, from, scope);
    add_defaults(node, schema);
    for (const auto& [name, body] : graph::bodies(node))
      for (const graph::Capture& c : body->captures)
        if (std::find(node.captures.begin(), node.captures.end(), c.outer) == node.captures.end()) node.captures.push_back(c.outer);
    scope.graph.nodes.push_back(std::move(node));
  });
}

void Importer::import_constant(const graph::Node& node, const proto::NodeProto& from, Scope& scope) {
  if (node.attributes.size() != 1) fail(node, "a Constant has exactly one value, not " + std::to_string(node.attributes.size()));
  graph::Value& value = scope.graph.values[node.outputs.at(0)];
  Tensor constant = constant_of(node.attributes.begin()->second, node);
  const std::string conflict = merge(value.type, type_of(constant));
  if (!conflict.empty()) fail(node, "value " + in_quotes(from.output(0)) + " is declared otherwise than the constant it is: " + conflict);
  value.constant = std::move(constant);
}

void Importer::import_attributes(const proto::NodeProto& from, graph::Node& node, Scope& scope) {
  std::unordered_set<std::string> seen;
  for (const auto& a : from.attribute()) {
    if (!seen.insert(a.name()).second) fail(node, "attribute " + in_quotes(a.name()) + " is there twice");
    if (a.ref_attr_name().empty()) {
      node.attributes.emplace(a.name(), import_attribute(a, node, scope));
      continue;
    }
    if (!scope.arguments) fail(node, "attribute " + in_quotes(a.name()) + " refers to a function's attribute, but stands in no function");
    const auto argument = scope.arguments->find(a.ref_attr_name());
    if (argument == scope.arguments->end()) continue;
    if (std::holds_alternative<std::shared_ptr<graph::Graph>>(argument->second))
      fail(node, "attribute " + in_quotes(a.name()) + " is a graph handed to a function", ErrorCode::kUnsupported);
    node.attributes.emplace(a.name(), argument->second);
  }
}

graph::Attribute Importer::import_attribute(const proto::AttributeProto& from, const graph::Node& node, Scope& scope) {
  if (type_of(from) != proto::AttributeProto::GRAPH) return to_attribute(from, tensors_);
  if (!from.has_g()) fail(node, "attribute " + in_quotes(from.name()) + " is a graph that is not there");
  return import_body(from.g(), scope, node.id + "/" + branch(from.name()) + "/");
}

}  // namespace ashlar::onnx
