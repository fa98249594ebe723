// SPDX-License-Identifier: Apache-2.0
// Slices, splits and concatenations as passes read them.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// What a Slice takes of one axis: numbers as the node has them.
struct AxisSlice {
  std::size_t axis = 0;
  std::int64_t start = 0, end = 0, step = 1;
};

/// What a Slice takes, by axis; nothing unless all of it is known.
std::optional<std::vector<AxisSlice>> slices_of(const Editor& editor, NodeIndex slice);

/// First and last index (one behind) of a slice of step 1 of a dimension of that size.
std::pair<std::int64_t, std::int64_t> interval(const AxisSlice& slice, std::int64_t size);

/// What a Slice of a single axis with step 1 takes, as numbers that may depend on dimensions: from the first to one behind the last, where they are
/// counted from the front. They may lie behind the end, which then stands for them.
struct Span {
  std::size_t axis = 0;
  ops::DimExpr first, last;
};
std::optional<Span> span_of(Editor& editor, NodeIndex slice);

/// The axis of Concat, Split, Gather or Flatten among the dimensions of its first input.
std::optional<std::size_t> axis_of(const Editor& editor, NodeIndex node);

/// The sizes of a Split's outputs on its axis where they are numbers.
std::optional<std::vector<std::int64_t>> split_sizes(const Editor& editor, NodeIndex split);

/// A new Slice of x that writes `y`.
void add_slice(Patch& patch, ValueId x, const std::vector<AxisSlice>& slices, ValueId y);

}  // namespace ashlar::optimizer
