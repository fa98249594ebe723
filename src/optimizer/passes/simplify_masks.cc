// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/reshaping.h"
#include "optimizer/slicing.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "simplify-masks";
constexpr int kDeepest = 12;

/// Where(c, true, false) is c, and the other way round Not(c).
void where(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const ValueId y = node.outputs[0], condition = node.inputs[0];
  if (editor.dtype(y) != DType::kBool) return;
  const bool same = all_equal(editor, node.inputs[1], 1) && all_equal(editor, node.inputs[2], 0);
  const bool inverse = all_equal(editor, node.inputs[1], 0) && all_equal(editor, node.inputs[2], 1);
  if (!same && !inverse) return;
  if (!editor.same_shape(condition, y))
    return editor.near_miss(kRule, n, 1, 2, name_of(editor, condition) + " has another shape than the result");
  Patch patch(editor, kRule);
  patch.remove(n);
  if (inverse) patch.add_writing("Not", {condition}, {y});
  else if (editor.can_replace(y, condition)) patch.replace(y, condition);
  else return editor.near_miss(kRule, n, 1, 2, editor.value(y).name + " is an output of the graph that would lose its name");
  editor.apply(std::move(patch));
}

/// The numbers from 0 along one axis of a value, the same along all others.
struct Count {
  std::size_t axis = 0;
  DimExpr size;
  ValueId limit = kNone;  ///< a scalar that is the size
};

std::optional<Count> counted(const Editor& editor, ValueId v, int depth = 0) {
  const NodeIndex n = editor.producer(v);
  const SymbolicShape* shape = editor.shape(v);
  if (n == kNone || !shape || depth > kDeepest) return std::nullopt;
  const Node& node = editor.node(n);
  if (editor.is(n, "Range")) {
    if (!all_equal(editor, node.inputs[0], 0) || !all_equal(editor, node.inputs[2], 1) || editor.dtype(v) != DType::kInt64)
      return std::nullopt;
    return Count{0, (*shape)[0], node.inputs[1]};
  }
  const bool reshape = is_reshape(editor, n);
  const auto perm = perm_of(editor, n);
  if (!reshape && !perm && !editor.is(n, "Expand")) return std::nullopt;
  auto count = counted(editor, node.inputs[0], depth + 1);
  if (!count) return std::nullopt;
  const SymbolicShape& from = *editor.shape(node.inputs[0]);
  if (perm) {
    count->axis = static_cast<std::size_t>(std::find(perm->begin(), perm->end(), static_cast<std::int64_t>(count->axis)) - perm->begin());
  } else if (reshape) {
    // Only dimensions of 1 come and go.
    const std::vector<std::size_t> before = long_axes(from), after = long_axes(*shape);
    const auto at = std::find(before.begin(), before.end(), count->axis);
    if (at == before.end() || before.size() != after.size()) return std::nullopt;
    for (std::size_t i = 0; i < before.size(); ++i)
      if (!(from[before[i]] == (*shape)[after[i]])) return std::nullopt;
    count->axis = after[static_cast<std::size_t>(at - before.begin())];
  } else {
    count->axis += shape->size() - from.size();
  }
  if (!((*shape)[count->axis] == count->size)) return std::nullopt;
  return count;
}

/// A look-up by a grid of indices that follow each other takes the value itself, transposed and with dimensions of 1 between.
class Grid {
 public:
  Grid(Editor& editor, NodeIndex n) : editor_(editor), anchor_(n), data_(editor.node(n).inputs[0]) {}

  /// GatherND(m, Concat(i, j)) by indices along all axes.
  void by_coordinates() {
    const ValueId indices = editor_.node(anchor_).inputs[1];
    const NodeIndex concat = editor_.producer(indices);
    const SymbolicShape *shape = editor_.shape(data_), *grid = editor_.shape(indices);
    if (!editor_.is(concat, "Concat") || !shape || !grid || integer(editor_.node(anchor_), "batch_dims") != 0) return;
    const auto axis = ashlar::optimizer::axis_of(editor_, concat);
    if (!axis || *axis + 1 != grid->size() || editor_.node(concat).inputs.size() != shape->size()) return;
    std::vector<Count> counts;
    for (const ValueId v : editor_.node(concat).inputs) {
      const auto count = counted(editor_, v);
      if (!count || count->axis == *axis) return miss(2, editor_.value(v).name + " does not count along an axis");
      counts.push_back(*count);
    }
    rewrite(counts);
  }

  /// Gather(Reshape(m, [-1]), i * columns + j).
  void by_position() {
    const NodeIndex flat = editor_.producer(data_), sum = editor_.producer(editor_.node(anchor_).inputs[1]);
    if (!is_reshape(editor_, flat) || !editor_.is(sum, "Add") || integer(editor_.node(anchor_), "axis") != 0) return;
    const ValueId matrix = editor_.node(flat).inputs[0];
    const SymbolicShape &shape = *editor_.shape(matrix), &line = *editor_.shape(data_);
    const auto rank = editor_.rank(editor_.node(sum).outputs[0]);
    if (shape.size() != 2 || line.empty() || !rank) return;
    const auto all = DimExpr::multiply(shape[0], shape[1]);
    if (!all || !(line[0] == *all)) return;
    for (const bool first : {true, false}) {
      const ValueId column = editor_.node(sum).inputs[first ? 0 : 1], offset = editor_.node(sum).inputs[first ? 1 : 0];
      const NodeIndex product = editor_.producer(offset);
      if (!editor_.is(product, "Mul")) continue;
      for (const bool left : {true, false}) {
        const ValueId row = editor_.node(product).inputs[left ? 0 : 1], width = editor_.node(product).inputs[left ? 1 : 0];
        const auto& factor = editor_.facts(width).elements;
        if (!factor || factor->size() != 1 || !((*factor)[0] == shape[1])) continue;
        auto i = counted(editor_, row), j = counted(editor_, column);
        if (!i || !j) return miss(3, editor_.value(i ? column : row).name + " does not count along an axis");
        i->axis += *rank - *editor_.rank(row);
        j->axis += *rank - *editor_.rank(column);
        data_ = matrix;
        return rewrite({*i, *j});
      }
      return miss(2, editor_.id(product) + " does not multiply by the columns of " + editor_.value(matrix).name);
    }
  }

 private:
  void miss(int matched, std::string reason) { editor_.near_miss(kRule, anchor_, matched, 4, std::move(reason)); }

  void rewrite(const std::vector<Count>& counts) {
    const ValueId y = editor_.node(anchor_).outputs[0];
    if (!editor_.shape(y)) return;
    const SymbolicShape shape = *editor_.shape(data_), to = *editor_.shape(y);
    SymbolicShape taken;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      taken.push_back(counts[i].size);
      for (std::size_t k = 0; k < i; ++k)
        if (counts[k].axis == counts[i].axis)
          return miss(3, fmt::format("two indices of {} count along axis {}", editor_.id(anchor_), counts[i].axis));
    }
    for (std::size_t i = 0; i < to.size(); ++i) {
      const bool is_counted = std::any_of(counts.begin(), counts.end(), [&](const Count& c) { return c.axis == i; });
      if (!is_counted && !to[i].is(1)) return miss(3, fmt::format("axis {} of {} repeats what is taken", i, editor_.value(y).name));
    }
    Perm perm(counts.size());
    for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
    std::sort(perm.begin(), perm.end(), [&](std::int64_t a, std::int64_t b) {
      return counts[static_cast<std::size_t>(a)].axis < counts[static_cast<std::size_t>(b)].axis;
    });
    const SymbolicShape ordered = permuted(taken, perm);
    const auto target = reshape_target(ordered, to);
    if (!target) return miss(3, "no constant shape makes " + editor_.value(y).name + " of " + editor_.value(data_).name);
    Patch patch(editor_, kRule);
    patch.remove(anchor_);
    ValueId at = data_;
    // More may be there than is counted.
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (taken[i] == shape[i]) continue;
      const ValueId end = patch.add_one("Reshape", {counts[i].limit, patch.constant("one", {1})}, {{"allowzero", std::int64_t{0}}});
      at = patch.add_one("Slice", {at, patch.constant("start", {0}), end, patch.constant("axis", {static_cast<std::int64_t>(i)})});
    }
    if (!is_identity(perm)) at = patch.add_one("Transpose", {at}, {{"perm", std::vector<std::int64_t>(perm)}});
    patch.add_writing("Reshape", {at, patch.constant("shape", *target)}, {y}, {{"allowzero", std::int64_t{0}}});
    editor_.apply(std::move(patch));
  }

  Editor& editor_;
  NodeIndex anchor_;
  ValueId data_;
};

}  // namespace

Pass simplify_masks() {
  return {kRule, "masks that are looked up by their own coordinates are taken as they are; Where of true and false is its condition",
          [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (editor.is(n, "Where")) where(editor, n);
              else if (editor.is(n, "GatherND")) Grid(editor, n).by_coordinates();
              else if (editor.is(n, "Gather")) Grid(editor, n).by_position();
            }
          }};
}

}  // namespace ashlar::optimizer
