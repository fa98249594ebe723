// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/slicing.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "simplify-slices";

void miss(Editor& editor, NodeIndex n, std::string reason) { editor.near_miss(kRule, n, 1, 2, std::move(reason)); }

/// One slice of what an inner one takes of the same axis; nothing where that depends on a dimension that is not known.
std::optional<AxisSlice> compose(const AxisSlice& inner, const AxisSlice& outer, const ops::DimExpr& dim) {
  if (inner.step < 1 || outer.step < 1) return std::nullopt;
  if (const auto size = dim.value()) {
    const auto [first, last] = interval(inner, *size);
    const std::int64_t length = (last - first + inner.step - 1) / inner.step;
    const auto [from, to] = interval(outer, length);
    const std::int64_t count = (to - from + outer.step - 1) / outer.step, start = first + from * inner.step, step = inner.step * outer.step;
    return AxisSlice{outer.axis, start, count > 0 ? start + (count - 1) * step + 1 : start, step};
  }
  if (inner.step != 1 || inner.start < 0 || inner.end < 0 || outer.start < 0 || outer.end < 0) return std::nullopt;
  AxisSlice out{outer.axis, 0, 0, outer.step};
  if (__builtin_add_overflow(inner.start, outer.start, &out.start)) return std::nullopt;
  if (__builtin_add_overflow(inner.start, outer.end, &out.end)) out.end = inner.end;
  out.end = std::min(out.end, inner.end);
  return out;
}

bool slice_of_slice(Editor& editor, NodeIndex n) {
  const NodeIndex inner = editor.producer(editor.node(n).inputs[0]);
  if (!editor.is(inner, "Slice")) return false;
  if (!editor.single_use(editor.node(n).inputs[0])) return miss(editor, n, editor.consumers(editor.node(n).inputs[0], {n})), false;
  const auto first = slices_of(editor, inner), second = slices_of(editor, n);
  if (!first || !second) return miss(editor, n, "what " + editor.id(first ? n : inner) + " takes is not known"), false;
  const ValueId x = editor.node(inner).inputs[0];
  std::vector<AxisSlice> all = *first;
  for (const AxisSlice& s : *second) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const AxisSlice& a) { return a.axis == s.axis; });
    if (same == all.end()) {
      all.push_back(s);
      continue;
    }
    const auto both = compose(*same, s, (*editor.shape(x))[s.axis]);
    if (!both) {
      const bool backwards = same->step < 1 || s.step < 1;
      return miss(editor, n,
                  fmt::format("{} and {} cannot be one along axis {} of {}: {}", editor.id(inner), editor.id(n), s.axis, name_of(editor, x),
                              backwards ? "one goes backwards" : "its size is not known")),
             false;
    }
    *same = *both;
  }
  Patch patch(editor, kRule);
  patch.remove(inner);
  patch.remove(n);
  add_slice(patch, x, all, editor.node(n).outputs[0]);
  return editor.apply(std::move(patch));
}

/// A slice that takes whole inputs of a Concat, or a piece of one.
bool slice_of_concat(Editor& editor, NodeIndex n) {
  const ValueId joined = editor.node(n).inputs[0], y = editor.node(n).outputs[0];
  const NodeIndex concat = editor.producer(joined);
  if (!editor.is(concat, "Concat")) return false;
  const auto axis = axis_of(editor, concat);
  const auto span = span_of(editor, n);
  if (!axis || !span || span->axis != *axis) return false;
  const std::vector<ValueId> parts = editor.node(concat).inputs;
  std::vector<ops::DimExpr> ends = {ops::DimExpr(0)};
  for (const ValueId v : parts) {
    const auto* shape = editor.shape(v);
    const auto end = shape ? editor.model().dims.add(ends.back(), (*shape)[*axis]) : std::nullopt;
    if (!end) return false;
    ends.push_back(*end);
  }
  const auto first = std::find(ends.begin(), ends.end(), span->first);
  const auto last = first == ends.end() ? ends.end() : std::find(first + 1, ends.end(), span->last);
  Patch patch(editor, kRule);
  patch.remove(n);
  if (last != ends.end()) {
    const auto from = parts.begin() + (first - ends.begin()), to = parts.begin() + (last - ends.begin());
    if (to - from == 1) {
      if (!editor.can_replace(y, *from)) return false;
      patch.replace(y, *from);
      return editor.apply(std::move(patch));
    }
    if (!editor.single_use(joined)) return miss(editor, n, editor.consumers(joined, {n})), false;
    patch.remove(concat);
    patch.add_writing("Concat", {from, to}, {y}, {{"axis", static_cast<std::int64_t>(*axis)}});
    return editor.apply(std::move(patch));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto begin = ends[i].value(), end = ends[i + 1].value(), from = span->first.value(), to = span->last.value();
    if (!begin || !end || !from || !to) break;
    if (*from < *begin || *to > *end || *to < *from) continue;
    add_slice(patch, parts[i], {{*axis, *from - *begin, *to - *begin, 1}}, y);
    return editor.apply(std::move(patch));
  }
  return miss(editor, n, editor.id(n) + " takes parts of several inputs of " + editor.id(concat)), false;
}

/// Indices that follow each other, and one that keeps its axis.
bool gather(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto axis = axis_of(editor, n);
  const auto indices = editor.numbers(node.inputs[1]);
  const auto rank = editor.rank(node.inputs[1]);
  if (!axis || !indices || indices->empty() || !rank || *rank > 1) return false;
  const auto size = (*editor.shape(node.inputs[0]))[*axis].value();
  if (!size) return false;
  const std::int64_t first = (*indices)[0] < 0 ? (*indices)[0] + *size : (*indices)[0], count = static_cast<std::int64_t>(indices->size());
  if (first < 0 || first + count > *size) return false;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = (*indices)[static_cast<std::size_t>(i)];
    if ((at < 0 ? at + *size : at) != first + i) return false;
  }
  Patch patch(editor, kRule);
  ValueId y = node.outputs[0];
  if (*rank == 0) {
    if (!editor.single_use(y)) return false;
    const NodeIndex next = editor.uses(y)[0].node;
    if (!editor.is(next, "Unsqueeze") || editor.uses(y)[0].input != 0) return false;
    const auto axes = editor.numbers(editor.node(next).inputs[1]);
    if (!axes || axes->size() != 1 || axis_of((*axes)[0], *editor.rank(node.inputs[0])) != axis)
      return miss(editor, n, fmt::format("{} does not give axis {} back", editor.id(next), *axis)), false;
    patch.remove(next);
    y = editor.node(next).outputs[0];
  }
  patch.remove(n);
  add_slice(patch, node.inputs[0], {{*axis, first, first + count, 1}}, y);
  return editor.apply(std::move(patch));
}

/// A Split of which one output is read.
bool split(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  std::size_t read = node.outputs.size();
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNone || (editor.uses(v).empty() && !editor.is_output(v))) continue;
    if (read != node.outputs.size()) return false;
    read = i;
  }
  if (read == node.outputs.size() || node.outputs.size() == 1) return false;
  const auto axis = axis_of(editor, n);
  const auto sizes = split_sizes(editor, n);
  if (!axis || !sizes) return miss(editor, n, "the sizes of its outputs are not known"), false;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < read; ++i) first += (*sizes)[i];
  Patch patch(editor, kRule);
  patch.remove(n);
  add_slice(patch, node.inputs[0], {{*axis, first, first + (*sizes)[read], 1}}, node.outputs[read]);
  return editor.apply(std::move(patch));
}

}  // namespace

Pass simplify_slices() {
  return {kRule, "slices of slices and of concatenations, gathers of a range, splits of which one part is read", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (editor.is(n, "Slice")) slice_of_slice(editor, n) || slice_of_concat(editor, n);
              else if (editor.is(n, "Gather")) gather(editor, n);
              else if (editor.is(n, "Split")) split(editor, n);
            }
          }};
}

}  // namespace ashlar::optimizer
