// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pass.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

/// Reshape, Squeeze, Unsqueeze or Flatten of another becomes one Reshape.
void merge(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const NodeIndex before = editor.producer(node.inputs[0]);
  if (!is_reshape(editor, n) || !is_reshape(editor, before)) return;
  const ValueId x = editor.node(before).inputs[0], y = node.outputs[0];
  const auto target = reshape_target(*editor.shape(x), *editor.shape(y));
  if (!target) {
    editor.near_miss("merge-reshapes", n, 2, 3, "no constant shape makes " + editor.value(y).name + " of " + editor.value(x).name);
    return;
  }
  Patch patch(editor, "merge-reshapes");
  patch.remove(n);
  if (editor.single_use(node.inputs[0])) patch.remove(before);
  else patch.origins_of({before, n});
  if (*editor.shape(x) == *editor.shape(y) && editor.can_replace(y, x)) patch.replace(y, x);
  else patch.add_writing("Reshape", {x, patch.constant(node.id + "/shape", *target)}, {y}, {{"allowzero", std::int64_t{0}}});
  editor.apply(std::move(patch));
}

}  // namespace

Pass merge_reshapes() {
  return {"merge-reshapes", "chains of Reshape, Squeeze, Unsqueeze and Flatten become one Reshape, or nothing", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (!editor.dead(n) && !editor.node(n).inputs.empty() && editor.node(n).inputs[0] != kNone) merge(editor, n);
          }};
}

}  // namespace ashlar::optimizer
