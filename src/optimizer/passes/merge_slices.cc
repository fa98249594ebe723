// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/slicing.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "merge-slices";

struct Piece {
  NodeIndex node;
  std::int64_t first, last;
};

/// The slices that take x apart along the axis of one of them, in order; nothing unless each takes a piece of one axis by whole numbers.
void merge(Editor& editor, ValueId x, std::size_t axis, std::int64_t size) {
  std::vector<Piece> pieces;
  for (const Use& use : editor.uses(x)) {
    if (use.captured() || use.input != 0 || !editor.is(use.node, "Slice")) continue;
    const auto slices = slices_of(editor, use.node);
    if (!slices || slices->size() != 1 || (*slices)[0].axis != axis || (*slices)[0].step != 1) continue;
    const auto [first, last] = interval((*slices)[0], size);
    pieces.push_back({use.node, first, last});
  }
  if (pieces.size() < 2) return;
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.first < b.first; });
  std::vector<std::int64_t> sizes;
  std::int64_t at = 0;
  for (const Piece& p : pieces) {
    if (p.first != at || p.last == p.first) {
      editor.near_miss(kRule, p.node, static_cast<int>(sizes.size()) + 1, static_cast<int>(pieces.size()) + 1,
                       fmt::format("it begins at {}, where {} are taken before", p.first, at));
      return;
    }
    sizes.push_back(p.last - p.first);
    at = p.last;
  }
  if (at != size) {
    editor.near_miss(kRule, pieces[0].node, static_cast<int>(pieces.size()), static_cast<int>(pieces.size()) + 1,
                     fmt::format("{} of {} along axis {} of {} are taken", at, size, axis, name_of(editor, x)));
    return;
  }
  Patch patch(editor, kRule);
  std::vector<ValueId> outputs;
  for (const Piece& p : pieces) {
    patch.remove(p.node);
    outputs.push_back(editor.node(p.node).outputs[0]);
  }
  patch.add_writing("Split", {x, patch.constant("sizes", sizes)}, std::move(outputs), {{"axis", static_cast<std::int64_t>(axis)}});
  editor.apply(std::move(patch));
}

}  // namespace

Pass merge_slices() {
  return {kRule, "slices that take a value apart along an axis become one Split",
          [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (!editor.is(n, "Slice")) continue;
              const ValueId x = editor.node(n).inputs[0];
              const auto first = std::find_if(editor.uses(x).begin(), editor.uses(x).end(),
                                              [&](const Use& u) { return !u.captured() && editor.is(u.node, "Slice"); });
              if (first->node != n || editor.uses(x).size() < 2) continue;
              const auto slices = slices_of(editor, n);
              if (!slices || slices->size() != 1) continue;
              const auto size = (*editor.shape(x))[(*slices)[0].axis].value();
              if (size) merge(editor, x, (*slices)[0].axis, *size);
            }
          },
          true};
}

}  // namespace ashlar::optimizer
