// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <ashlar/error.h>
#include <onnx/defs/schema.h>

#include "graph/graph.h"

namespace ashlar::onnx {

/// The version of each domain that a model or a function imports; the standard domain is "".
using Opsets = std::map<std::string, int>;

/// "ai.onnx" is another name of the standard domain.
std::string normal_domain(std::string_view domain);

/// The newest version of a domain that this library knows; 0 for a domain it does not know.
int newest_version(const std::string& domain);

/// The schema that `opsets` gives to the operator. Throws Error naming the operator: kUnsupported for a domain this library does not
/// know; kInvalidModel for one that is not imported, and for an operator that the imported version does not have or has deprecated
/// (with the nearest name there is).
const ::ONNX_NAMESPACE::OpSchema& find_schema(const std::string& op, const std::string& domain, const Opsets& opsets);

/// The schema that a node follows by its own version; null when there is none.
const ::ONNX_NAMESPACE::OpSchema* schema_of(const graph::Node& node);

/// Throws Error (kInvalidModel, naming the node) unless the node has the inputs, outputs and attributes that its schema asks for.
void check(const graph::Node& node, const ::ONNX_NAMESPACE::OpSchema& schema);

/// Adds the schema's default of every attribute the node lacks.
void add_defaults(graph::Node& node, const ::ONNX_NAMESPACE::OpSchema& schema);

/// What an error says of a node.
ErrorContext context_of(const graph::Node& node);

}  // namespace ashlar::onnx
