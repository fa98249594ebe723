// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <ashlar/error.h>
#include <onnx/defs/schema.h>

#include "onnx/export.h"
#include "onnx/importer.h"
#include "onnx/infer.h"
#include "onnx/infer_context.h"
#include "onnx/onnx.h"
#include "onnx/onnx_error.h"
#include "onnx/types.h"

namespace ashlar::onnx {
namespace {

using graph::kNone;
using graph::ValueId;

/// A node as ONNX's builders of function bodies see it.
class BodyContext : public proto::FunctionBodyBuildContext {
 public:
  BodyContext(const graph::Graph& graph, const graph::Node& node, const ValueNames& captured, TensorReader& tensors) : node_(node) {
    int next_name = 0;
    for (const auto& [name, value] : node.attributes) attributes_.emplace(name, to_proto(name, value, captured, next_name, tensors));
    for (const ValueId v : node.inputs) types_.push_back(v == kNone ? proto::TypeProto() : to_proto(graph.values[v].type));
  }
  const proto::AttributeProto* getAttribute(const std::string& name) const override {
    const auto found = attributes_.find(name);
    return found == attributes_.end() ? nullptr : &found->second;
  }
  bool hasInput(int i) const override { return has(node_.inputs, i); }
  bool hasOutput(int i) const override { return has(node_.outputs, i); }
  const proto::TypeProto* getInputType(int i) const override {
    return hasInput(i) && types_[static_cast<std::size_t>(i)].value_case() != proto::TypeProto::VALUE_NOT_SET
               ? &types_[static_cast<std::size_t>(i)]
               : nullptr;
  }

 private:
  static bool has(const std::vector<ValueId>& values, int i) {
    return i >= 0 && static_cast<std::size_t>(i) < values.size() && values[static_cast<std::size_t>(i)] != kNone;
  }
  const graph::Node& node_;
  std::map<std::string, proto::AttributeProto> attributes_;
  std::vector<proto::TypeProto> types_;
};

/// The newest of `versions` that is at most the node's own, or the oldest there is.
int best_version(std::vector<int> versions, int own) {
  std::sort(versions.begin(), versions.end());
  const auto above = std::upper_bound(versions.begin(), versions.end(), own);
  return above == versions.begin() ? versions.front() : *std::prev(above);
}

bool build(const proto::OpSchema& schema, const BodyContext& context, int version, proto::FunctionProto& out) {
  if (schema.HasContextDependentFunction() &&
      schema.BuildContextDependentFunction(context, out, best_version(schema.context_dependent_function_opset_versions(), version)))
    return true;
  if (!schema.HasFunction()) return false;
  const proto::FunctionProto* fixed = schema.GetFunction(best_version(schema.function_opset_versions(), version));
  if (fixed) out = *fixed;
  return fixed != nullptr;
}

/// The context-dependent builders dereference the types of inputs that are there.
bool has_all_types(const graph::Graph& graph, const graph::Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v == kNone || is_known(graph.values[v].type); });
}

}  // namespace

bool has_function(const graph::Node& node) {
  const proto::OpSchema* schema = schema_of(node);
  return schema && (schema->HasFunction() || schema->HasContextDependentFunction());
}

std::optional<graph::Graph> function_body(const graph::Graph& graph, const graph::Node& node) {
  if (!has_function(node) || !has_all_types(graph, node)) return std::nullopt;
  const proto::OpSchema* schema = schema_of(node);
  return guarded(ErrorCode::kInvalidModel, "the function body cannot be built: ", context_of(node), [&]() -> std::optional<graph::Graph> {
    TensorReader tensors({}, ExternalData({}));
    ValueNames captured;
    for (const ValueId v : node.captures) captured[v] = "captured_" + std::to_string(v);
    proto::FunctionProto function;
    if (!build(*schema, BodyContext(graph, node, captured, tensors), node.version, function)) return std::nullopt;
    if (node.inputs.size() > static_cast<std::size_t>(function.input_size()) ||
        node.outputs.size() > static_cast<std::size_t>(function.output_size()))
      return std::nullopt;

    graph::Graph body;
    body.name = node.op_type;
    Importer importer(tensors);
    importer.set_origins(node.origins);
    importer.set_versions_in_overload();
    Opsets opsets = read_opsets(function.opset_import());
    opsets.try_emplace("", newest_version(""));
    std::unordered_set<std::string> taken;
    Scope scope{body, taken, opsets, nullptr, &node.attributes, node.id + "/"};
    const auto add = [&](const std::string& name, ValueId outer) {
      taken.insert(name);
      const ValueId inner = body.add_value(name, graph.values[outer].type);
      scope.names.emplace(name, inner);
      return inner;
    };
    for (int i = 0; i < function.input_size(); ++i) {
      const auto n = static_cast<std::size_t>(i);
      if (n < node.inputs.size() && node.inputs[n] != kNone) body.inputs.push_back(add(function.input(i), node.inputs[n]));
      else scope.names.emplace(function.input(i), kNone);
    }
    for (const ValueId v : node.captures) body.captures.push_back({v, add(captured.at(v), v)});
    importer.import_nodes(function.node(), scope);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNone) continue;
      const auto made = importer.resolve(scope, function.output(static_cast<int>(i)));
      if (!made || *made == kNone)
        throw Error(ErrorCode::kInternal, "output " + in_quotes(function.output(static_cast<int>(i))) + " is computed by no node");
      body.outputs.push_back(*made);
    }

    const InferOptions options{.strict = false, .inputs_are_constant = true};
    std::size_t next = 0;
    for (const ValueId v : node.inputs) {
      if (v == kNone) continue;
      const Tensor* constant = constant_of(graph, v, {});
      if (constant) body.values[body.inputs[next]].constant = *constant;
      ++next;
    }
    infer_graph(body, options);
    for (const ValueId v : body.inputs) body.values[v].constant = {};
    return body;
  });
}

}  // namespace ashlar::onnx
