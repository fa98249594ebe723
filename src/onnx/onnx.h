// SPDX-License-Identifier: Apache-2.0
// The one door to the ONNX library: nothing protobuf passes it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/value.h>

#include "graph/graph.h"

namespace ashlar::onnx {

/// A model as imported: the graph with functions inlined and types inferred, and what the file says of itself.
struct Imported {
  graph::Graph graph;
  Model::Info info;
};

/// Reads a model file: maps it, so that large weights stay spans of the file; external data is mapped too.
/// Throws Error as Model::load documents. `without_weights`: files of external data may be missing, as Model::plan documents.
Imported load(const std::filesystem::path& file, bool without_weights = false);

/// Reads a model from memory that `owner` keeps alive (weights are spans of it). `directory` is where external data is looked
/// for; `name` stands for the file in errors.
Imported parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::filesystem::path& directory,
               const std::string& name, bool without_weights = false);

/// The types of a node's outputs by ONNX's inference function, from the types and constants its inputs have in `graph` (bodies
/// are inferred and filled in too). An empty type where ONNX says nothing. Throws Error (kInvalidModel) naming the node when
/// they contradict the operator.
std::vector<ValueType> infer(const graph::Graph& graph, const graph::Node& node);

/// Whether ONNX defines the node's operator as a function, so that function_body may have something to give.
bool has_function(const graph::Node& node);

/// The node's function body, when ONNX defines its operator as a function: a graph whose inputs and outputs stand in the
/// order of the node's (absent ones left out of both), the node's attributes filled in, ids prefixed by the node's id.
std::optional<graph::Graph> function_body(const graph::Graph& graph, const graph::Node& node);

/// The since_version that `version` of `domain` gives to `op`; nothing when it knows none.
std::optional<int> since_version(const std::string& op, const std::string& domain, int version);

/// The attributes that the schema which `version` of `domain` gives to `op` has defaults for, with the defaults; nothing for an
/// operator it does not know.
std::vector<std::pair<std::string, graph::Attribute>> default_attributes(const std::string& op, const std::string& domain, int version);

/// The newest opset of each domain this library knows, and the newest IR version.
std::vector<std::pair<std::string, int>> known_opsets();
int known_ir_version();

Value read_value(const std::filesystem::path& file, const ValueType& type);
void write_value(const std::filesystem::path& file, const Value& value, const std::string& name);

}  // namespace ashlar::onnx
