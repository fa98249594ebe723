// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"
#include "onnx/proto.h"
#include "onnx/schemas.h"
#include "onnx/tensors.h"

namespace ashlar::onnx {

using Arguments = std::map<std::string, graph::Attribute>;

/// The names that are visible at one place: in the main graph, a body, or a function that is being inlined.
struct Scope {
  graph::Graph& graph;                     ///< where the values live; a function's are its caller's
  std::unordered_set<std::string>& taken;  ///< the value names in `graph`
  const Opsets& opsets;
  Scope* outer = nullptr;                ///< around a body; a function sees nothing outside
  const Arguments* arguments = nullptr;  ///< in a function: what ref_attr_name refers to
  std::string path = {};                 ///< goes before the ids of nodes, and in a function before the names of values
  int depth = 0;                         ///< bodies and functions around
  bool is_function = false;
  std::unordered_map<std::string, graph::ValueId> names = {};
  std::unordered_map<std::string, graph::ValueId> reserved = {};  ///< a function's outputs until they are computed
  std::unordered_map<std::string, ValueType> declared = {};       ///< value_info and the outputs' types
};

/// Turns messages into a Graph, without inferring types. One importer serves one model: ids are unique and limits hold over all
/// of it. The messages must stay in place. Every function throws Error naming the node or value.
class Importer {
 public:
  static constexpr int kDeepest = 64;                    ///< bodies and functions within each other
  static constexpr std::int64_t kMostNodes = 1'000'000;  ///< after inlining

  explicit Importer(TensorReader& tensors) : tensors_(tensors) {}

  /// Makes a model-local function known, to be inlined wherever a node names it. Throws when it is there already.
  void add_function(const proto::FunctionProto& function);
  /// Throws when nodes, their bodies and the functions they call are more than kMostNodes, or when a function calls itself.
  void require_bounded(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes);

  /// Names the origin of every node imported from here on; without, a node is its own.
  void set_origins(std::vector<std::string> origins) { origins_ = std::move(origins); }
  /// A node's overload, where it starts with kTableMark, is the version of its operator.
  void set_versions_in_overload() { versions_in_overload_ = true; }

  void import_main(const proto::GraphProto& from, const Opsets& opsets, std::int64_t ir_version, graph::Graph& to);

  /// Imports nodes in an order of execution. What they use must be in scope or among their outputs.
  void import_nodes(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes, Scope& scope);

  /// The value of that name, captured from around a body if need be; kNone for an input a function's caller left out; nothing when
  /// there is none.
  std::optional<graph::ValueId> resolve(Scope& scope, const std::string& name);

  const std::vector<std::string>& findings() const { return findings_; }
  void find(std::string finding) { findings_.push_back(std::move(finding)); }

 private:
  using FunctionKey = std::tuple<std::string, std::string, std::string>;

  void import_node(const proto::NodeProto& from, int index, Scope& scope);
  void import_constant(const graph::Node& node, const proto::NodeProto& from, Scope& scope);
  void import_values(const proto::GraphProto& from, Scope& scope, bool defaults_allowed);
  void import_outputs(const proto::GraphProto& from, Scope& scope);
  std::shared_ptr<graph::Graph> import_body(const proto::GraphProto& from, Scope& outer, std::string path);
  graph::Attribute import_attribute(const proto::AttributeProto& from, const graph::Node& node, Scope& scope);
  void import_attributes(const proto::NodeProto& from, graph::Node& node, Scope& scope);
  void inline_function(const proto::FunctionProto& function, const proto::NodeProto& call, graph::Node& node, Scope& scope);
  std::int64_t count(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes);
  std::int64_t count(const proto::FunctionProto& function);
  const proto::FunctionProto* function_of(const proto::NodeProto& node) const;
  void bind_arguments(const proto::FunctionProto& function, const graph::Node& node, Arguments& arguments);
  void pass_through(graph::ValueId from, graph::ValueId to, const std::string& output, Scope& scope);
  void report_unused(const graph::Graph& graph);
  const ::ONNX_NAMESPACE::OpSchema& schema_for(const proto::NodeProto& from, const graph::Node& node, const Scope& scope) const;

  graph::ValueId define(Scope& scope, const std::string& name, const graph::Node& node);
  graph::ValueId add_value(Scope& scope, const std::string& name, ValueType type, Tensor constant = {});
  graph::ValueId use(Scope& scope, const std::string& name, const graph::Node& node);
  std::string take_id(const std::string& path, const std::string& name, const std::string& op, int index);

  TensorReader& tensors_;
  std::map<FunctionKey, const proto::FunctionProto*> functions_;
  std::unordered_map<const proto::FunctionProto*, std::int64_t> sizes_;  // nodes of a function once inlined
  std::vector<const proto::FunctionProto*> calls_;                       // being counted or inlined, outermost first
  std::unordered_set<std::string> ids_;
  std::vector<std::string> origins_;
  std::vector<std::string> findings_;
  const graph::Graph* main_ = nullptr;
  std::unordered_set<graph::ValueId> overridable_, used_;  // of the main graph's constants
  bool versions_in_overload_ = false;
};

/// The opsets that a model or a function imports. Throws Error: kInvalidModel for a version below 1, kUnsupported for one newer than
/// this library knows.
Opsets read_opsets(const google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto>& imports);

}  // namespace ashlar::onnx
