// SPDX-License-Identifier: Apache-2.0
#include "onnx/importer.h"

#include <limits>

#include <ashlar/error.h>

#include "onnx/onnx_error.h"
#include "onnx/types.h"

namespace ashlar::onnx {
namespace {

using graph::kNone;
using graph::ValueId;

[[noreturn]] void fail(const std::string& message, const std::string& value = {}) {
  ErrorContext context;
  context.tensor = value;
  throw Error(ErrorCode::kInvalidModel, message, std::move(context));
}

void declare(const proto::ValueInfoProto& info, Scope& scope) {
  if (!info.has_type()) return;
  const std::string conflict = merge(scope.declared[info.name()], to_type(info.type(), info.name()));
  if (!conflict.empty()) fail("value " + in_quotes(info.name()) + " is declared twice, and differently: " + conflict, info.name());
}

/// Whether a name stands around a scope; captures nothing.
bool is_visible(const Scope* scope, const std::string& name) {
  for (; scope; scope = scope->outer)
    if (scope->names.contains(name)) return true;
  return false;
}

}  // namespace

Opsets read_opsets(const google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto>& imports) {
  Opsets out;
  for (const auto& import : imports) {
    const std::string domain = normal_domain(import.domain());
    const std::string opset = "opset " + std::to_string(import.version()) + " of domain " + in_quotes(domain.empty() ? "ai.onnx" : domain);
    if (import.version() < 1 || import.version() > std::numeric_limits<int>::max()) fail(opset + " does not exist");
    const int newest = newest_version(domain);
    if (newest > 0 && import.version() > newest)
      throw Error(ErrorCode::kUnsupported, opset + " is newer than the newest this library knows, " + std::to_string(newest));
    out[domain] = std::max(out[domain], static_cast<int>(import.version()));
  }
  return out;
}

ValueId Importer::add_value(Scope& scope, const std::string& name, ValueType type, Tensor constant) {
  std::string unique = scope.is_function ? scope.path + name : name;
  while (!scope.taken.insert(unique).second) unique += "'";
  return scope.graph.add_value(std::move(unique), std::move(type), std::move(constant));
}

std::optional<ValueId> Importer::resolve(Scope& scope, const std::string& name) {
  if (const auto known = scope.names.find(name); known != scope.names.end()) {
    if (&scope.graph == main_ && known->second != kNone && scope.graph.values[known->second].constant.defined())
      used_.insert(known->second);
    return known->second;
  }
  if (!scope.outer) return std::nullopt;
  const auto found = resolve(*scope.outer, name);
  if (!found || *found == kNone) return found;
  const graph::Value& outer = scope.outer->graph.values[*found];
  const bool constant = outer.constant.defined() && !(&scope.outer->graph == main_ && overridable_.contains(*found));
  const ValueId inner = add_value(scope, name, outer.type, constant ? outer.constant : Tensor());
  if (!constant) scope.graph.captures.push_back({*found, inner});
  scope.names.emplace(name, inner);
  return inner;
}

ValueId Importer::use(Scope& scope, const std::string& name, const graph::Node& node) {
  if (name.empty()) return kNone;
  const auto found = resolve(scope, name);
  if (!found) fail("missing initializer or value " + in_quotes(name) + " used by node " + in_quotes(node.id), name);
  return *found;
}

ValueId Importer::define(Scope& scope, const std::string& name, const graph::Node& node) {
  if (name.empty()) return kNone;
  if (const auto r = scope.reserved.find(name); r != scope.reserved.end() && !scope.names.contains(name)) {
    scope.names.emplace(name, r->second);
    return r->second;
  }
  if (is_visible(&scope, name))
    fail("value " + in_quotes(name) + ", an output of node " + in_quotes(node.id) + ", is defined already", name);
  ValueType type;
  if (const auto declared = scope.declared.find(name); declared != scope.declared.end()) type = declared->second;
  if (!scope.is_function) scope.taken.erase(name);
  const ValueId id = add_value(scope, name, std::move(type));
  scope.names.emplace(name, id);
  return id;
}

void Importer::import_values(const proto::GraphProto& from, Scope& scope, bool defaults_allowed) {
  std::unordered_set<std::string> initialized;
  const auto add_initialized = [&](const std::string& name) {
    if (name.empty()) fail("an initializer has no name");
    if (!initialized.insert(name).second) fail("there are two initializers " + in_quotes(name), name);
  };
  for (const auto& tensor : from.initializer()) add_initialized(tensor.name());
  for (const auto& sparse : from.sparse_initializer()) add_initialized(sparse.values().name());

  for (const auto& input : from.input()) {
    if (input.name().empty()) fail("an input of graph " + in_quotes(from.name()) + " has no name");
    if (scope.names.contains(input.name())) fail("there are two inputs " + in_quotes(input.name()), input.name());
    const ValueId id = scope.graph.add_value(input.name(), to_type(input.type(), input.name()));
    scope.taken.insert(input.name());
    scope.names.emplace(input.name(), id);
    if (!initialized.contains(input.name()) || defaults_allowed) scope.graph.inputs.push_back(id);
  }

  const auto add_constant = [&](const std::string& name, Tensor constant) {
    const auto known = scope.names.find(name);
    if (known == scope.names.end()) {
      const ValueType type = type_of(constant);
      scope.taken.insert(name);
      scope.names.emplace(name, scope.graph.add_value(name, type, std::move(constant)));
      return;
    }
    graph::Value& value = scope.graph.values[known->second];
    ValueType type = value.type;
    const std::string conflict = merge(type, type_of(constant));
    if (!conflict.empty()) fail("input " + in_quotes(name) + " does not fit its initializer: " + conflict, name);
    if (!defaults_allowed) value.type = std::move(type);
    else if (scope.outer == nullptr) overridable_.insert(known->second);
    value.constant = std::move(constant);
  };
  for (const auto& tensor : from.initializer()) add_constant(tensor.name(), tensors_.read(tensor, tensor.name()));
  for (const auto& sparse : from.sparse_initializer()) add_constant(sparse.values().name(), tensors_.read(sparse, sparse.values().name()));

  for (const auto& info : from.value_info()) declare(info, scope);
  for (const auto& output : from.output()) declare(output, scope);
  for (const auto& node : from.node())
    for (const std::string& name : node.output()) scope.taken.insert(name);
}

void Importer::import_outputs(const proto::GraphProto& from, Scope& scope) {
  for (const auto& output : from.output()) {
    const std::size_t captured = scope.graph.captures.size();
    const auto id = resolve(scope, output.name());
    const std::string what = "output " + in_quotes(output.name()) + " of graph " + in_quotes(scope.path + from.name());
    if (!id || *id == kNone) fail(what + " is computed by no node", output.name());
    if (scope.graph.captures.size() > captured) find(what + " is a value from outside of that graph");
    scope.graph.outputs.push_back(*id);
  }
}

void Importer::import_main(const proto::GraphProto& from, const Opsets& opsets, std::int64_t ir_version, graph::Graph& to) {
  std::unordered_set<std::string> taken;
  Scope scope{to, taken, opsets};
  to.name = from.name();
  main_ = &to;
  require_bounded(from.node());
  if (from.name().empty()) find("the graph has no name");
  import_values(from, scope, ir_version >= 4);
  std::unordered_set<std::string> inputs;
  for (const auto& input : from.input()) {
    inputs.insert(input.name());
    if (!is_known(scope.graph.values[scope.names.at(input.name())].type))
      fail("input " + in_quotes(input.name()) + " has no type", input.name());
  }
  if (ir_version < 4)
    for (const auto& tensor : from.initializer())
      if (!inputs.contains(tensor.name()))
        fail("initializer " + in_quotes(tensor.name()) + " is not among the inputs, as IR versions below 4 require", tensor.name());
  import_nodes(from.node(), scope);
  import_outputs(from, scope);
  report_unused(to);
}

std::shared_ptr<graph::Graph> Importer::import_body(const proto::GraphProto& from, Scope& outer, std::string path) {
  if (outer.depth >= kDeepest)
    fail("bodies and functions are nested more than " + std::to_string(kDeepest) + " deep at " + in_quotes(path));
  auto body = std::make_shared<graph::Graph>();
  std::unordered_set<std::string> taken;
  Scope scope{*body, taken, outer.opsets, &outer, outer.arguments, std::move(path), outer.depth + 1};
  body->name = from.name();
  import_values(from, scope, false);
  import_nodes(from.node(), scope);
  import_outputs(from, scope);
  return body;
}

void Importer::report_unused(const graph::Graph& graph) {
  constexpr std::int64_t kMostNamed = 20;
  std::int64_t unused = 0;
  const std::unordered_set<ValueId> outputs(graph.outputs.begin(), graph.outputs.end());
  for (ValueId v = 0; v < graph.values.size(); ++v) {
    if (!graph.values[v].constant.defined() || used_.contains(v) || outputs.contains(v)) continue;
    if (++unused <= kMostNamed) find("initializer " + in_quotes(graph.values[v].name) + " is not used");
  }
  if (unused > kMostNamed) find("and " + std::to_string(unused - kMostNamed) + " more initializers are not used");
}

}  // namespace ashlar::onnx
