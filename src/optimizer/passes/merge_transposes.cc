// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

/// Transpose of Transpose.
bool merge(Editor& editor, NodeIndex n) {
  const auto second = perm_of(editor, n), first = perm_of(editor, editor.producer(editor.node(n).inputs[0]));
  if (!first || !second) return false;
  const Node& node = editor.node(n);
  const NodeIndex before = editor.producer(node.inputs[0]);
  const ValueId x = editor.node(before).inputs[0], y = node.outputs[0];
  const Perm both = compose(*first, *second);
  Patch patch(editor, "merge-transposes");
  patch.remove(n);
  if (editor.single_use(node.inputs[0])) patch.remove(before);
  else patch.origins_of({before, n});
  if (is_identity(both) && editor.can_replace(y, x)) patch.replace(y, x);
  else patch.add_writing("Transpose", {x}, {y}, {{"perm", both}});
  return editor.apply(std::move(patch));
}

/// A Transpose that moves only dimensions of 1 is a Reshape.
bool to_reshape(Editor& editor, NodeIndex n, const Perm& perm) {
  const Node& node = editor.node(n);
  const SymbolicShape& shape = *editor.shape(node.inputs[0]);
  std::int64_t last = -1;
  for (const std::int64_t p : perm) {
    if (shape[static_cast<std::size_t>(p)].is(1)) continue;
    if (p < last) return false;
    last = p;
  }
  const auto target = reshape_target(shape, permuted(shape, perm));
  if (!target) return false;
  Patch patch(editor, "transpose-of-ones");
  patch.remove(n);
  patch.add_writing("Reshape", {node.inputs[0], patch.constant(node.id + "/shape", *target)}, {node.outputs[0]},
                    {{"allowzero", std::int64_t{0}}});
  return editor.apply(std::move(patch));
}

/// Reshape, Transpose, Reshape that come to fewer: dimensions are only grouped differently around the Transpose.
///   x [b,h,s,d] -> [b*h,s,d] -> [b*h,d,s] -> [b,h,d,s]   is   Transpose(x) {perm=[0,1,3,2]}
bool regroup(Editor& editor, NodeIndex n, const Perm& perm) {
  const Node& node = editor.node(n);
  const NodeIndex before = editor.producer(node.inputs[0]);
  if (!is_reshape(editor, before) || !editor.single_use(node.inputs[0])) return false;
  if (editor.is_output(node.outputs[0]) || editor.uses(node.outputs[0]).size() != 1) return false;
  const NodeIndex after = editor.uses(node.outputs[0])[0].node;
  if (editor.uses(node.outputs[0])[0].captured() || !is_reshape(editor, after)) return false;
  const ValueId x = editor.node(before).inputs[0], y = editor.node(after).outputs[0];
  const SymbolicShape &from = *editor.shape(x), &middle = *editor.shape(node.inputs[0]), &moved = *editor.shape(node.outputs[0]),
                      &to = *editor.shape(y);
  const auto first = refine(from, middle), second = refine(moved, to);
  const auto miss = [&](const std::string& why) {
    editor.near_miss("regroup", n, 3, 4, why);
    return false;
  };
  if (!first || !second) return miss("the dimensions of " + editor.id(first ? after : before) + " have no common factors");
  // The finest dimensions: those of `first`, each cut further where `second` cuts it.
  std::vector<std::vector<DimExpr>> parts;  // by dimension of `middle`
  for (std::size_t d = 0; d < middle.size(); ++d) {
    SymbolicShape coarse, fine;
    for (const std::size_t f : first->b[d]) coarse.push_back(first->factors[f]);
    const auto at = static_cast<std::size_t>(std::find(perm.begin(), perm.end(), static_cast<std::int64_t>(d)) - perm.begin());
    for (const std::size_t f : second->a[at]) fine.push_back(second->factors[f]);
    const auto both = refine(coarse, fine);
    if (!both) return miss("the dimensions of " + editor.id(after) + " cut those of " + editor.id(before));
    parts.push_back(both->factors);
  }
  SymbolicShape in_order, out_order;
  std::vector<std::int64_t> start;
  for (const auto& p : parts) {
    start.push_back(static_cast<std::int64_t>(in_order.size()));
    in_order.insert(in_order.end(), p.begin(), p.end());
  }
  Perm fine_perm;
  for (const std::int64_t p : perm)
    for (std::size_t k = 0; k < parts[static_cast<std::size_t>(p)].size(); ++k) {
      fine_perm.push_back(start[static_cast<std::size_t>(p)] + static_cast<std::int64_t>(k));
      out_order.push_back(parts[static_cast<std::size_t>(p)][k]);
    }
  // Dimensions of 1 have no factors: they stand where the outer shapes have them.
  const auto ones = [](const SymbolicShape& shape) {
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (shape[i].is(1)) axes.push_back(static_cast<std::int64_t>(i));
    return axes;
  };
  const auto longer = [](SymbolicShape shape) {
    std::erase_if(shape, [](const DimExpr& d) { return d.is(1); });
    return shape;
  };
  const bool no_first = in_order == longer(from), no_second = out_order == longer(to);
  if (!no_first && !no_second) return miss(editor.id(before) + " and " + editor.id(after) + " both group dimensions that move");
  const std::vector<std::int64_t> from_ones = ones(from), to_ones = ones(to);
  const bool direct = no_first && no_second && from_ones.size() == to_ones.size();
  // Axes of the Transpose's input: those of x, or ones in front and then the factors.
  const std::size_t front = no_first ? 0 : to_ones.size();
  const auto axis_of = [&](std::int64_t factor) {
    if (!no_first) return static_cast<std::int64_t>(front) + factor;
    std::int64_t at = -1;
    for (std::size_t i = 0; i < from.size(); ++i)
      if (!from[i].is(1) && ++at == factor) return static_cast<std::int64_t>(i);
    return std::int64_t{0};
  };
  SymbolicShape in_shape = from;
  if (!no_first) {
    in_shape.assign(front, DimExpr(1));
    in_shape.insert(in_shape.end(), in_order.begin(), in_order.end());
  }
  Perm full;
  const bool shaped = direct || !no_first;  // the Transpose gives y itself
  std::size_t next = 0, next_one = 0;
  if (shaped) {
    for (const DimExpr& d : to) {
      if (!d.is(1)) full.push_back(axis_of(fine_perm[next++]));
      else full.push_back(no_first ? from_ones[next_one++] : static_cast<std::int64_t>(next_one++));
    }
  } else {
    full = from_ones;
    for (const std::int64_t f : fine_perm) full.push_back(axis_of(f));
  }
  const SymbolicShape out_shape = permuted(in_shape, full);
  const auto in_target = reshape_target(from, in_shape), out_target = reshape_target(out_shape, to);
  if ((!no_first && !in_target) || (!shaped && !out_target))
    return miss("no constant shape says what " + editor.id(no_first ? after : before) + " does");
  Patch patch(editor, "regroup");
  for (const NodeIndex i : {before, n, after}) patch.remove(i);
  const Attributes zero = {{"allowzero", std::int64_t{0}}};
  const ValueId in = no_first ? x : patch.add_one("Reshape", {x, patch.constant(node.id + "/in", *in_target)}, zero);
  if (shaped) {
    patch.add_writing("Transpose", {in}, {y}, {{"perm", full}});
  } else {
    const ValueId out = patch.add_one("Transpose", {in}, {{"perm", full}});
    patch.add_writing("Reshape", {out, patch.constant(node.id + "/out", *out_target)}, {y}, zero);
  }
  return editor.apply(std::move(patch));
}

}  // namespace

Pass merge_transposes() {
  return {"merge-transposes", "Transposes of Transposes become one; those among Reshapes that only regroup dimensions lose them",
          [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (!editor.is(n, "Transpose") || merge(editor, n)) continue;
              const auto perm = perm_of(editor, n);
              if (!perm || is_identity(*perm) || !editor.shape(editor.node(n).outputs[0])) continue;
              if (!to_reshape(editor, n, *perm)) regroup(editor, n, *perm);
            }
          }};
}

}  // namespace ashlar::optimizer
