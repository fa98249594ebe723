// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/slicing.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "simplify-concats";

/// Inputs of an inner Concat on the same axis become inputs of the outer one.
bool flatten(Editor& editor, NodeIndex n) {
  const auto axis = axis_of(editor, n);
  if (!axis) return false;
  Patch patch(editor, kRule);
  std::vector<ValueId> inputs;
  std::vector<NodeIndex> inlined;
  for (const ValueId v : editor.node(n).inputs) {
    const NodeIndex inner = editor.producer(v);
    const bool nested = editor.is(inner, "Concat") && axis_of(editor, inner) == axis;
    const auto& uses = editor.uses(v);
    if (nested && !editor.is_output(v) && std::all_of(uses.begin(), uses.end(), [&](const Use& u) { return u.node == n; })) {
      const auto& parts = editor.node(inner).inputs;
      inputs.insert(inputs.end(), parts.begin(), parts.end());
      if (std::find(inlined.begin(), inlined.end(), inner) == inlined.end()) inlined.push_back(inner);
      continue;
    }
    if (nested) editor.near_miss(kRule, n, 1, 2, editor.consumers(v, {n}));
    inputs.push_back(v);
  }
  if (inlined.empty()) return false;
  for (const NodeIndex inner : inlined) patch.remove(inner);
  patch.remove(n);
  patch.add_writing("Concat", std::move(inputs), {editor.node(n).outputs[0]}, {{"axis", static_cast<std::int64_t>(*axis)}});
  return editor.apply(std::move(patch));
}

/// The value that all inputs together are; kNone.
ValueId whole(Editor& editor, NodeIndex n, std::string& reason) {
  const Node& node = editor.node(n);
  const auto axis = axis_of(editor, n);
  const NodeIndex first = editor.producer(node.inputs[0]);
  if (!axis) return kNone;
  if (editor.is(first, "Split") && axis_of(editor, first) == axis) {
    if (editor.node(first).outputs == node.inputs) return editor.node(first).inputs[0];
    reason = "its inputs are not all outputs of " + editor.id(first) + " in order";
    return kNone;
  }
  if (!editor.is(first, "Slice")) return kNone;
  const ValueId x = editor.node(first).inputs[0];
  ops::DimExpr at(0);
  for (const ValueId v : node.inputs) {
    const NodeIndex slice = editor.producer(v);
    if (!editor.is(slice, "Slice") || editor.node(slice).inputs[0] != x) return kNone;
    const auto span = span_of(editor, slice);
    if (!span || span->axis != *axis) return kNone;
    if (!(span->first == at)) {
      reason = editor.id(slice) + " does not begin where the input before it ends";
      return kNone;
    }
    // A part that may end before it begins repeats what stands before it, but for one that takes the rest.
    const auto length = editor.model().dims.subtract(span->last, span->first);
    if (!(length && length->at_least(0)) && !(span->last == (*editor.shape(x))[*axis])) {
      reason = editor.id(slice) + " may be empty";
      return kNone;
    }
    at = span->last;
  }
  if (at == (*editor.shape(x))[*axis]) return x;
  reason = "its inputs are not all of " + name_of(editor, x);
  return kNone;
}

bool join(Editor& editor, NodeIndex n) {
  if (editor.node(n).inputs.size() < 2) return false;
  std::string reason;
  const ValueId y = editor.node(n).outputs[0], x = whole(editor, n, reason);
  if (x != kNone && !editor.can_replace(y, x)) reason = editor.value(y).name + " is an output of the graph that would lose its name";
  if (!reason.empty()) editor.near_miss(kRule, n, 1, 2, std::move(reason));
  if (x == kNone || !editor.can_replace(y, x)) return false;
  Patch patch(editor, kRule);
  patch.remove(n);
  patch.replace(y, x);
  return editor.apply(std::move(patch));
}

}  // namespace

Pass simplify_concats() {
  return {kRule, "a concatenation of concatenations is one, and of all parts of a value that value", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Concat")) join(editor, n) || flatten(editor, n);
          }};
}

}  // namespace ashlar::optimizer
