// SPDX-License-Identifier: Apache-2.0
// Keys and values that are repeated for each query head of a group are taken once.
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fuse-grouped-heads";
using Dims = ops::SymbolicShape;

/// Whether `v` [batch, heads, 1, sequence, size] is `from` with an axis put in.
bool unsqueezed(const Editor& editor, ValueId v, ValueId from) {
  const auto *a = editor.shape(v), *b = editor.shape(from);
  return a && b && a->size() == 5 && b->size() == 4 && (*a)[2].is(1) && (*a)[0] == (*b)[0] && (*a)[1] == (*b)[1] && (*a)[3] == (*b)[2] &&
         (*a)[4] == (*b)[3];
}

/// What `v` [batch, heads * times, sequence, size] repeats, each head `times` times one after another; kNone.
ValueId repeated(const Editor& editor, ValueId v) {
  const auto* shape = editor.shape(v);
  const NodeIndex n = editor.producer(v);
  if (!shape || shape->size() != 4 || n == kNone) return kNone;
  const Node& node = editor.node(n);
  if (editor.is(n, "Gather") && integer(node, "axis") == 1) {
    const auto* from = editor.shape(node.inputs[0]);
    const auto indices = editor.numbers(node.inputs[1]);
    if (!from || !indices || from->size() != 4 || editor.rank(node.inputs[1]) != 1 || !(*from)[1].value()) return kNone;
    const std::int64_t heads = *(*from)[1].value(), count = static_cast<std::int64_t>(indices->size());
    if (heads < 1 || count <= heads || count % heads != 0) return kNone;
    for (std::int64_t i = 0; i < count; ++i)
      if ((*indices)[static_cast<std::size_t>(i)] != i / (count / heads)) return kNone;
    return node.inputs[0];
  }
  if (!editor.is(n, "Reshape")) return kNone;
  const ValueId wide = node.inputs[0];
  const auto* w = editor.shape(wide);
  const NodeIndex m = editor.producer(wide);
  if (!w || w->size() != 5 || m == kNone) return kNone;
  const auto heads = ops::DimExpr::multiply((*w)[1], (*w)[2]);
  if (!heads || (*w)[2].is(1) || *heads != (*shape)[1] || (*w)[0] != (*shape)[0] || (*w)[3] != (*shape)[2] || (*w)[4] != (*shape)[3])
    return kNone;
  const Node& repeat = editor.node(m);
  const bool joins = editor.is(m, "Concat") && integer(repeat, "axis") == 2 &&
                     std::all_of(repeat.inputs.begin(), repeat.inputs.end(), [&](ValueId i) { return i == repeat.inputs[0]; });
  if (!editor.is(m, "Expand") && !editor.is(m, "Tile") && !joins) return kNone;
  const ValueId narrow = repeat.inputs[0];
  const NodeIndex u = editor.producer(narrow);
  if (!editor.is(u, "Unsqueeze") && !editor.is(u, "Reshape")) return kNone;
  const ValueId from = editor.node(u).inputs[0];
  const auto* s = editor.shape(narrow);
  // All of the other dimensions are as they were: it is the heads that repeat.
  if (!unsqueezed(editor, narrow, from) || (*s)[0] != (*w)[0] || (*s)[1] != (*w)[1] || (*s)[3] != (*w)[3] || (*s)[4] != (*w)[4])
    return kNone;
  return from;
}

void fuse(Editor& editor, NodeIndex attention) {
  const Node node = editor.node(attention);
  if (editor.rank(node.inputs[0]) != 4 || (node.inputs.size() > 4 && node.inputs[4] != kNone)) return;
  const ValueId k = repeated(editor, node.inputs[1]), v = repeated(editor, node.inputs[2]);
  if (k == kNone && v == kNone) return;
  const auto miss = [&](int matched, const std::string& reason) { editor.near_miss(kRule, attention, matched, 4, reason); };
  if (k == kNone || v == kNone)
    return miss(2, std::string(k == kNone ? "the keys" : "the values") + ", from " + maker(editor, node.inputs[k == kNone ? 1 : 2]) +
                       ", do not repeat their heads as the " + (k == kNone ? "values" : "keys") + " do");
  const auto *q = editor.shape(node.inputs[0]), *a = editor.shape(node.inputs[1]), *sk = editor.shape(k), *sv = editor.shape(v);
  if ((*sk)[1] != (*sv)[1])
    return miss(3, "keys " + shape_text(editor, k) + " and values " + shape_text(editor, v) + " have not the same heads");
  if ((*q)[1] != (*a)[1])
    return miss(3,
                "queries " + shape_text(editor, node.inputs[0]) + " have not the heads of the keys " + shape_text(editor, node.inputs[1]));
  Patch patch(editor, kRule);
  std::vector<NodeIndex> nodes = {attention};
  for (ValueId i : {node.inputs[1], node.inputs[2]})
    for (; i != k && i != v; i = editor.node(editor.producer(i)).inputs[0]) nodes.push_back(editor.producer(i));
  remove_with(editor, patch, nodes);
  std::vector<ValueId> inputs = node.inputs;
  inputs[1] = k;
  inputs[2] = v;
  patch.add_writing("Attention", inputs, node.outputs, node.attributes);
  std::string refusal;
  if (!editor.taken(patch, &refusal)) return miss(4, refusal);
  editor.apply(std::move(patch));
}

}  // namespace

Pass fuse_grouped_heads() {
  return {kRule, "Attention takes keys and values once for all query heads of a group", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Attention")) fuse(editor, n);
          }};
}

}  // namespace ashlar::optimizer
