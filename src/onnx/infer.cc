// SPDX-License-Identifier: Apache-2.0
#include "onnx/infer.h"

#include <algorithm>

#include <ashlar/error.h>
#include <onnx/shape_inference/implementation.h>

#include "onnx/infer_context.h"
#include "onnx/onnx.h"
#include "onnx/onnx_error.h"
#include "onnx/schemas.h"
#include "onnx/types.h"

namespace ashlar::onnx {
namespace {

std::string input_types(const graph::Graph& graph, const graph::Node& node) {
  std::string out;
  for (const graph::ValueId v : node.inputs)
    out += (out.empty() ? "" : ", ") + (v == graph::kNone ? "absent" : graph.values[v].type.to_string());
  return out;
}

void run_library(NodeContext& context, const proto::OpSchema& schema) {
  if (schema.has_type_and_shape_inference_function()) schema.GetTypeAndShapeInferenceFunction()(context);
  else if (schema.HasFunction())
    proto::shape_inference::InferShapeForFunctionNode(*schema.GetFunction(), proto::OpSchemaRegistry::Instance(), context);
}

/// A variadic input has no meaning when it is left out, and the library takes it to be there.
void require_variadic_inputs(const graph::Node& node, const proto::OpSchema& schema) {
  const auto& formals = schema.inputs();
  if (formals.empty() || formals.back().GetOption() != proto::OpSchema::Variadic) return;
  for (std::size_t i = formals.size() - 1; i < node.inputs.size(); ++i)
    if (node.inputs[i] == graph::kNone)
      throw Error(ErrorCode::kInvalidModel, "input " + std::to_string(i) + " is left out, but is not optional");
}

/// The library's inference does not end on an equation with other characters.
void require_readable_equation(const graph::Node& node) {
  const auto* equation = node.op_type == "Einsum" ? node.find_as<std::string>("equation") : nullptr;
  if (!equation) return;
  std::string left = *equation;
  std::erase(left, ' ');
  left = left.substr(0, left.find("->")) + ",";
  for (std::size_t at = 0; at < left.size();) {
    std::string term = left.substr(at, left.find(',', at) - at);
    at += term.size() + 1;
    if (const auto ellipsis = term.find("..."); ellipsis != std::string::npos) term.erase(ellipsis, 3);
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (!std::all_of(term.begin(), term.end(), is_letter))
      throw Error(ErrorCode::kInvalidModel, "the equation " + in_quotes(*equation) + " is malformed");
  }
}

std::vector<ValueType> infer_checked(NodeContext& context, const graph::Node& node, const proto::OpSchema& schema) {
  require_variadic_inputs(node, schema);
  require_readable_equation(node);
  run_library(context, schema);
  bool checkable = true;
  const auto unknown = [&](std::size_t i) {
    const proto::TypeProto& type = *context.getOutputType(i);
    return type.value_case() != proto::TypeProto::VALUE_NOT_SET && !is_known(to_type(type, ""));
  };
  for (std::size_t i = 0; i < context.getNumOutputs(); ++i) checkable = checkable && !unknown(i);
  if (checkable) schema.CheckInputOutputType(context);
  std::vector<ValueType> out;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) out.push_back(to_type(*context.getOutputType(i), ""));
  return out;
}

}  // namespace

std::vector<ValueType> infer(const graph::Graph& graph, const graph::Node& node, const InferOptions& options) {
  const proto::OpSchema* schema = schema_of(node);
  std::vector<ValueType> nothing(node.outputs.size());
  if (!schema) return nothing;
  ErrorContext about = context_of(node);
  about.inputs = input_types(graph, node);
  return guarded(ErrorCode::kInvalidModel, "", about, [&] {
    NodeContext context(graph, node, *schema, options);
    std::vector<ValueType> out;
    try {
      out = infer_checked(context, node, *schema);
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      if (!context.has_unknown_input()) throw;
      out = nothing;
    }
    context.infer_remaining_bodies();
    return out;
  });
}

std::vector<ValueType> infer(const graph::Graph& graph, const graph::Node& node) { return infer(graph, node, {}); }

void add_type(graph::Value& value, const ValueType& inferred, const InferOptions& options) {
  ValueType merged = value.type;
  const std::string conflict = merge(merged, inferred);
  if (conflict.empty()) {
    value.type = std::move(merged);
    return;
  }
  const bool same_kind = value.type.kind == inferred.kind && value.type.dtype == inferred.dtype && value.type.key == inferred.key;
  if (options.strict || !same_kind) {
    ErrorContext about;
    about.tensor = value.name;
    throw Error(ErrorCode::kInvalidModel,
                "value " + in_quotes(value.name) + " is said to be " + value.type.to_string() + ", but it is " + inferred.to_string() +
                    ": " + conflict,
                about);
  }
  value.type = inferred;
}

void infer_graph(graph::Graph& graph, const InferOptions& options) {
  for (const graph::Node& node : graph.nodes) {
    const std::vector<ValueType> types = infer(graph, node, options);
    guarded(ErrorCode::kInvalidModel, "", context_of(node), [&] {
      for (std::size_t i = 0; i < types.size(); ++i)
        if (node.outputs[i] != graph::kNone) add_type(graph.values[node.outputs[i]], types[i], options);
    });
  }
}

}  // namespace ashlar::onnx
