// SPDX-License-Identifier: Apache-2.0
// What is known of values before any run, as far as it follows from the inputs' declared dimensions.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "ops/dim_expr.h"

namespace ashlar::ops {

/// The most elements of a value that are followed.
inline constexpr std::int64_t kMostFollowed = 64;

using SymbolicShape = std::vector<DimExpr>;

struct ValueFacts {
  std::optional<SymbolicShape> shape;
  std::optional<std::vector<DimExpr>> elements;  ///< of an integer or bool tensor of at most kMostFollowed elements: row-major
};

/// A node whose outputs are asked for. `inputs` stand in the order of the node's; null for one that is left out.
struct FactsCall {
  const graph::Node& node;
  std::span<const ValueFacts* const> inputs;
  DimTable& table;
};

/// One for each output of a node in canonical form. Nothing is claimed where the operator has no rule here, or where the inputs do not say enough;
/// inputs that contradict the operator give claims that hold for no run. Dimensions that are not known become fresh atoms.
std::vector<ValueFacts> infer_facts(const FactsCall& call);

/// A constant's.
ValueFacts facts_of(const Tensor& constant);

/// What a declared type says: its rank, its fixed dimensions, and fresh atoms for the others.
ValueFacts facts_of(const ValueType& type, DimTable& table);

/// Whether no tensor of that shape is so long along the axis, because no machine would hold it: a slice up to there takes the rest.
bool never_reaches(const SymbolicShape& shape, std::size_t axis, std::int64_t size);

/// The dimensions as a declared shape: fixed, or named by their expression.
std::vector<Dim> to_dims(const SymbolicShape& shape, const DimTable& table);

}  // namespace ashlar::ops
