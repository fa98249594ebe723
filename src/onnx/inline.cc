// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ashlar/error.h>

#include "core/text.h"
#include "onnx/attributes.h"
#include "onnx/importer.h"
#include "onnx/onnx_error.h"

namespace ashlar::onnx {
namespace {

using graph::kNone;
using graph::ValueId;

[[noreturn]] void fail(const graph::Node& node, const std::string& message) {
  throw Error(ErrorCode::kInvalidModel, message, context_of(node));
}

}  // namespace

void Importer::add_function(const proto::FunctionProto& function) {
  const FunctionKey key{normal_domain(function.domain()), function.name(), function.overload()};
  if (!functions_.emplace(key, &function).second)
    throw Error(ErrorCode::kInvalidModel, "there are two functions " + in_quotes(function.name()) + " of one domain and overload");
}

const proto::FunctionProto* Importer::function_of(const proto::NodeProto& node) const {
  const auto found = functions_.find({normal_domain(node.domain()), node.op_type(), node.overload()});
  return found == functions_.end() ? nullptr : found->second;
}

std::int64_t Importer::count(const proto::FunctionProto& function) {
  if (const auto known = sizes_.find(&function); known != sizes_.end()) return known->second;
  if (std::find(calls_.begin(), calls_.end(), &function) != calls_.end() || calls_.size() >= kDeepest) {
    std::string chain;
    for (const auto* f : calls_) chain += core::printable(f->name()) + " -> ";
    chain += core::printable(function.name());
    if (calls_.size() < kDeepest)
      throw Error(ErrorCode::kInvalidModel, "function " + in_quotes(function.name()) + " calls itself: " + chain);
    throw Error(ErrorCode::kInvalidModel,
                "functions are nested more than " + std::to_string(kDeepest) + " deep: " + core::printable(chain));
  }
  calls_.push_back(&function);
  const std::int64_t size = count(function.node());
  calls_.pop_back();
  if (size > kMostNodes)
    throw Error(ErrorCode::kInvalidModel, "function " + in_quotes(function.name()) + " has more than " + std::to_string(kMostNodes) +
                                              " nodes once the functions it calls are inlined");
  return sizes_[&function] = size;
}

std::int64_t Importer::count(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes) {
  std::int64_t total = 0;
  for (const auto& node : nodes) {
    ++total;
    for (const auto& a : node.attribute())
      if (a.has_g()) total += count(a.g().node());
    if (const auto* function = function_of(node)) total += count(*function);
    if (total > kMostNodes) return kMostNodes + 1;
  }
  return total;
}

void Importer::require_bounded(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes) {
  if (count(nodes) > kMostNodes)
    throw Error(ErrorCode::kInvalidModel,
                "the model has more than " + std::to_string(kMostNodes) + " nodes once its functions are inlined");
}

void Importer::bind_arguments(const proto::FunctionProto& function, const graph::Node& node, Arguments& arguments) {
  arguments = node.attributes;
  for (const auto& a : function.attribute_proto())
    if (!arguments.contains(a.name())) arguments.emplace(a.name(), to_attribute(a, tensors_));
  for (const auto& [name, value] : node.attributes) {
    const auto has_name = [&wanted = name](const auto& a) { return a.name() == wanted; };
    const bool known = std::find(function.attribute().begin(), function.attribute().end(), name) != function.attribute().end() ||
                       std::any_of(function.attribute_proto().begin(), function.attribute_proto().end(), has_name);
    if (!known)
      find("node " + in_quotes(node.id) + " gives function " + in_quotes(function.name()) + " the attribute " + in_quotes(name) +
           ", which it does not have");
  }
}

void Importer::pass_through(ValueId from, ValueId to, const std::string& output, Scope& scope) {
  graph::Node identity;
  identity.op_type = "Identity";
  identity.id = take_id(scope.path, output, identity.op_type, 0);
  identity.version = identity.original_version = find_schema(identity.op_type, "", Opsets{{"", newest_version("")}}).SinceVersion();
  identity.inputs = {from};
  identity.outputs = {to};
  identity.origins = {identity.id};
  scope.graph.nodes.push_back(std::move(identity));
}

void Importer::inline_function(const proto::FunctionProto& function, const proto::NodeProto& call, graph::Node& node, Scope& scope) {
  if (scope.depth >= kDeepest) fail(node, "bodies and functions are nested more than " + std::to_string(kDeepest) + " deep");
  if (call.input_size() > function.input_size() || call.output_size() > function.output_size())
    fail(node, "the node has " + std::to_string(call.input_size()) + " inputs and " + std::to_string(call.output_size()) +
                   " outputs, but function " + in_quotes(function.name()) + " has " + std::to_string(function.input_size()) + " and " +
                   std::to_string(function.output_size()));
  Arguments arguments;
  bind_arguments(function, node, arguments);
  Opsets opsets = read_opsets(function.opset_import());
  for (const auto& [domain, version] : scope.opsets) opsets.emplace(domain, version);

  Scope inner{scope.graph, scope.taken, opsets, nullptr, &arguments, node.id + "/", scope.depth + 1, true};
  for (int i = 0; i < function.input_size(); ++i) {
    const ValueId value = i < call.input_size() ? use(scope, call.input(i), node) : kNone;
    if (!inner.names.emplace(function.input(i), value).second)
      fail(node, "function " + in_quotes(function.name()) + " has two inputs " + in_quotes(function.input(i)));
  }
  std::vector<ValueId> targets(static_cast<std::size_t>(function.output_size()), kNone);
  for (int i = 0; i < call.output_size(); ++i) {
    targets[static_cast<std::size_t>(i)] = define(scope, call.output(i), node);
    if (!call.output(i).empty()) inner.reserved.emplace(function.output(i), targets[static_cast<std::size_t>(i)]);
  }
  import_nodes(function.node(), inner);
  for (int i = 0; i < function.output_size(); ++i) {
    const ValueId target = targets[static_cast<std::size_t>(i)];
    const auto made = inner.names.find(function.output(i));
    if (made == inner.names.end())
      fail(node, "output " + in_quotes(function.output(i)) + " of function " + in_quotes(function.name()) + " is computed by no node");
    if (target == kNone || made->second == target) continue;
    if (made->second == kNone)
      fail(node,
           "output " + in_quotes(function.output(i)) + " of function " + in_quotes(function.name()) + " is an input that is left out");
    pass_through(made->second, target, function.output(i), inner);
  }
}

}  // namespace ashlar::onnx
