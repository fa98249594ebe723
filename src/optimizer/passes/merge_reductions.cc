// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

bool is_reduction(const Editor& editor, NodeIndex n) {
  return !editor.dead(n) && editor.node(n).domain.empty() && editor.node(n).op_type.starts_with("Reduce");
}

/// The shape of `in` with the reduced axes dropped, or kept as 1.
std::optional<SymbolicShape> reduced(const Editor& editor, const Node& node, bool keep) {
  const SymbolicShape* in = editor.shape(node.inputs[0]);
  if (!in) return std::nullopt;
  std::vector<char> gone(in->size(), 0);
  const bool given = node.inputs.size() > 1 && node.inputs[1] != kNone;
  const auto axes = given ? editor.numbers(node.inputs[1]) : std::nullopt;
  if (given && !axes) return std::nullopt;
  const auto* noop = node.find_as<std::int64_t>("noop_with_empty_axes");
  if (axes && !axes->empty()) {
    for (const std::int64_t a : *axes) {
      const std::int64_t axis = a < 0 ? a + static_cast<std::int64_t>(in->size()) : a;
      if (axis < 0 || axis >= static_cast<std::int64_t>(in->size())) return std::nullopt;
      gone[static_cast<std::size_t>(axis)] = 1;
    }
  } else if (!noop || *noop == 0) {
    std::fill(gone.begin(), gone.end(), 1);
  }
  SymbolicShape out;
  for (std::size_t i = 0; i < in->size(); ++i)
    if (!gone[i]) out.push_back((*in)[i]);
    else if (keep) out.emplace_back(1);
  return out;
}

/// A reduction and what drops, or puts back, the dimensions of 1 behind it.
///   ReduceMean(x) {keepdims=1} -> Reshape [N, C, 1, 1] to [N, C]   is   ReduceMean(x) {keepdims=0}
void merge(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  if (!is_reshape(editor, n)) return;
  const NodeIndex before = editor.producer(node.inputs[0]);
  if (before == kNone || !is_reduction(editor, before)) return;
  const Node& reduction = editor.node(before);
  const auto* keep = reduction.find_as<std::int64_t>("keepdims");
  const bool keeps = !keep || *keep != 0;
  const auto other = reduced(editor, reduction, !keeps);
  if (!other || *other != *editor.shape(node.outputs[0]) || *other == *editor.shape(node.inputs[0])) return;
  if (!editor.single_use(node.inputs[0])) {
    editor.near_miss("merge-reductions", n, 1, 2, editor.consumers(node.inputs[0], {n}));
    return;
  }
  Attributes attributes = reduction.attributes;
  attributes["keepdims"] = std::int64_t{keeps ? 0 : 1};
  Patch patch(editor, "merge-reductions");
  patch.remove(before);
  patch.remove(n);
  patch.add_writing(reduction.op_type, reduction.inputs, {node.outputs[0]}, std::move(attributes));
  editor.apply(std::move(patch));
}

}  // namespace

Pass merge_reductions() {
  return {"merge-reductions", "a reduction keeps or drops its dimensions itself, where a Reshape behind it does", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (!editor.dead(n)) merge(editor, n);
          }};
}

}  // namespace ashlar::optimizer
