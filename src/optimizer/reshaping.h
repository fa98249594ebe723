// SPDX-License-Identifier: Apache-2.0
// Reshapes and transposes as what they do to dimensions, for the passes that merge and move them.
#pragma once

#include <optional>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

using ops::DimExpr;
using ops::SymbolicShape;
using Perm = std::vector<std::int64_t>;  ///< the axis of the input that each axis of the output is

/// Whether the node keeps the order of elements and changes dimensions alone, by a rule that facts know: Reshape, Squeeze, Unsqueeze, Flatten.
bool is_reshape(const Editor& editor, NodeIndex n);

/// A constant target for Reshape (allowzero 0) that makes `to` of `from` in every run: numbers, 0 for a dimension that stays where it is, at most one -1.
/// Nothing where there is no such.
std::optional<std::vector<std::int64_t>> reshape_target(const SymbolicShape& from, const SymbolicShape& to);

/// The perm of a Transpose; nothing for another node or an unknown rank.
std::optional<Perm> perm_of(const Editor& editor, NodeIndex n);
bool is_identity(const Perm& perm);
/// First `first`, then `second`.
Perm compose(const Perm& first, const Perm& second);
Perm inverse(const Perm& perm);
SymbolicShape permuted(const SymbolicShape& shape, const Perm& perm);

/// The axes whose dimension is not known to be 1.
std::vector<std::size_t> long_axes(const SymbolicShape& shape);

/// Two shapes of one number of elements, cut into the same factors in order. Dimensions of 1 have none.
struct Refinement {
  std::vector<DimExpr> factors;
  std::vector<std::vector<std::size_t>> a, b;  ///< by dimension: its factors, in order
};
/// Nothing where no common factors are found.
std::optional<Refinement> refine(const SymbolicShape& a, const SymbolicShape& b);

}  // namespace ashlar::optimizer
