// SPDX-License-Identifier: Apache-2.0
#include "optimizer/slicing.h"

#include <algorithm>

#include "optimizer/constants.h"

namespace ashlar::optimizer {
namespace {

ValueId input(const Node& node, std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; }

}  // namespace

std::optional<std::vector<AxisSlice>> slices_of(const Editor& editor, NodeIndex slice) {
  const Node& node = editor.node(slice);
  const auto rank = editor.rank(node.inputs[0]);
  const auto starts = editor.numbers(input(node, 1)), ends = editor.numbers(input(node, 2));
  const auto axes = editor.numbers(input(node, 3)), steps = editor.numbers(input(node, 4));
  if (!rank || !starts || !ends || (input(node, 3) != kNone && !axes) || (input(node, 4) != kNone && !steps)) return std::nullopt;
  if (ends->size() != starts->size() || (axes && axes->size() != starts->size()) || (steps && steps->size() != starts->size()))
    return std::nullopt;
  std::vector<AxisSlice> out;
  for (std::size_t i = 0; i < starts->size(); ++i) {
    const auto axis = axis_of(axes ? (*axes)[i] : static_cast<std::int64_t>(i), *rank);
    const auto taken = [&](const AxisSlice& s) { return s.axis == *axis; };
    if (!axis || std::any_of(out.begin(), out.end(), taken) || (steps && (*steps)[i] == 0)) return std::nullopt;
    out.push_back({*axis, (*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1});
  }
  return out;
}

std::pair<std::int64_t, std::int64_t> interval(const AxisSlice& slice, std::int64_t size) {
  const auto bound = [&](std::int64_t i) { return std::clamp(i < 0 ? i + size : i, std::int64_t{0}, size); };
  const std::int64_t first = bound(slice.start);
  return {first, std::max(first, bound(slice.end))};
}

std::optional<Span> span_of(Editor& editor, NodeIndex slice) {
  const Node& node = editor.node(slice);
  const auto* shape = editor.shape(node.inputs[0]);
  const ValueId starts = input(node, 1), ends = input(node, 2);
  if (!shape || starts == kNone || ends == kNone || !editor.facts(starts).elements || !editor.facts(ends).elements) return std::nullopt;
  const auto &from = *editor.facts(starts).elements, &to = *editor.facts(ends).elements;
  const auto axes = editor.numbers(input(node, 3));
  if (from.size() != 1 || to.size() != 1 || (input(node, 3) != kNone && (!axes || axes->size() != 1))) return std::nullopt;
  if (input(node, 4) != kNone && !all_equal(editor, node.inputs[4], 1)) return std::nullopt;
  const auto axis = axis_of(axes ? (*axes)[0] : 0, shape->size());
  if (!axis) return std::nullopt;
  const auto bound = [&](const ops::DimExpr& e) -> std::optional<ops::DimExpr> {
    const auto number = e.value();
    if (number && ops::never_reaches(*shape, *axis, *number)) return (*shape)[*axis];
    if (number && *number < 0) return editor.model().dims.add((*shape)[*axis], e);
    return e.at_least(0) ? std::optional(e) : std::nullopt;
  };
  const auto first = bound(from[0]), last = bound(to[0]);
  if (!first || !last) return std::nullopt;
  return Span{*axis, *first, *last};
}

std::optional<std::size_t> axis_of(const Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto rank = node.inputs.empty() || node.inputs[0] == kNone ? std::nullopt : editor.rank(node.inputs[0]);
  return rank ? axis_of(integer(node, "axis"), *rank) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> split_sizes(const Editor& editor, NodeIndex split) {
  const Node& node = editor.node(split);
  if (const ValueId sizes = input(node, 1); sizes != kNone) {
    auto out = editor.numbers(sizes);
    return out && out->size() == node.outputs.size() ? out : std::nullopt;
  }
  const auto axis = axis_of(editor, split);
  if (!axis) return std::nullopt;
  const auto whole = (*editor.shape(node.inputs[0]))[*axis].value();
  const std::int64_t count = integer(node, "num_outputs", static_cast<std::int64_t>(node.outputs.size()));
  if (!whole || count != static_cast<std::int64_t>(node.outputs.size())) return std::nullopt;
  std::vector<std::int64_t> out;
  const std::int64_t chunk = (*whole + count - 1) / count;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(std::clamp(*whole - i * chunk, std::int64_t{0}, chunk));
  return out;
}

void add_slice(Patch& patch, ValueId x, const std::vector<AxisSlice>& slices, ValueId y) {
  std::vector<std::int64_t> starts, ends, axes, steps;
  bool stepped = false;
  for (const AxisSlice& s : slices) {
    starts.push_back(s.start);
    ends.push_back(s.end);
    axes.push_back(static_cast<std::int64_t>(s.axis));
    steps.push_back(s.step);
    stepped = stepped || s.step != 1;
  }
  std::vector<ValueId> inputs = {x, patch.constant("starts", starts), patch.constant("ends", ends), patch.constant("axes", axes)};
  if (stepped) inputs.push_back(patch.constant("steps", steps));
  patch.add_writing("Slice", std::move(inputs), {y});
}

}  // namespace ashlar::optimizer
