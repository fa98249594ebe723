// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "simplify-casts";

/// What numbers a dtype holds exactly.
struct Range {
  bool known = false, real = false, negative = false;
  int bits = 0;      ///< of magnitude: all whole numbers of so many bits are exact
  int exponent = 0;  ///< of a real one
};

Range range_of(DType dtype) {
  switch (dtype) {
    case DType::kBool: return {true, false, false, 1, 0};
    case DType::kUint8: return {true, false, false, 8, 0};
    case DType::kUint16: return {true, false, false, 16, 0};
    case DType::kUint32: return {true, false, false, 32, 0};
    case DType::kUint64: return {true, false, false, 64, 0};
    case DType::kInt8: return {true, false, true, 7, 0};
    case DType::kInt16: return {true, false, true, 15, 0};
    case DType::kInt32: return {true, false, true, 31, 0};
    case DType::kInt64: return {true, false, true, 63, 0};
    case DType::kFloat16: return {true, true, true, 11, 5};
    case DType::kBFloat16: return {true, true, true, 8, 8};
    case DType::kFloat32: return {true, true, true, 24, 8};
    case DType::kFloat64: return {true, true, true, 53, 11};
    default: return {};
  }
}

/// Whether every number of `from` is one of `to`.
bool exact(DType from, DType to) {
  if (from == to) return true;
  const Range a = range_of(from), b = range_of(to);
  if (!a.known || !b.known || to == DType::kBool || (a.real && !b.real) || (a.negative && !b.negative)) return false;
  return a.bits <= b.bits && a.exponent <= b.exponent;
}

/// Whether a cast from `a` to `c` by way of `b` gives what one from `a` to `c` gives. Real numbers outside of an integer's range have no defined cast,
/// so an integer that went through a real dtype must fit.
bool by_way_of(DType a, DType b, DType c) {
  if (!exact(a, b) || !range_of(c).known) return false;
  return range_of(a).real || !range_of(b).real || range_of(c).real || c == DType::kBool || exact(a, c);
}

void merge(Editor& editor, NodeIndex n) {
  const Node& outer = editor.node(n);
  const NodeIndex inner = editor.producer(outer.inputs[0]);
  if (!editor.is(inner, "Cast")) return;
  const ValueId x = editor.node(inner).inputs[0];
  const DType a = editor.dtype(x), b = editor.dtype(outer.inputs[0]), c = editor.dtype(outer.outputs[0]);
  if (!by_way_of(a, b, c)) {
    editor.near_miss(kRule, n, 1, 2,
                     fmt::format("{} from {} to {} may lose digits that a cast to {} keeps", editor.id(inner), to_string(a), to_string(b),
                                 to_string(c)));
    return;
  }
  Patch patch(editor, kRule);
  if (a == c && editor.can_replace(outer.outputs[0], x)) {
    patch.remove(n);
    patch.replace(outer.outputs[0], x);
  } else if (editor.single_use(outer.inputs[0])) {
    patch.remove(inner);
    patch.remove(n);
    Attributes attributes = outer.attributes;
    patch.add_writing("Cast", {x}, {outer.outputs[0]}, std::move(attributes));
  } else {
    editor.near_miss(kRule, n, 1, 2, editor.consumers(outer.inputs[0], {inner, n}));
    return;
  }
  editor.apply(std::move(patch));
}

/// Indices may be of both integer dtypes.
void drop_from_indices(Editor& editor, NodeIndex n) {
  const Node& cast = editor.node(n);
  const ValueId x = cast.inputs[0], y = cast.outputs[0];
  if (editor.dtype(x) != DType::kInt32 || editor.dtype(y) != DType::kInt64 || editor.is_output(y) || editor.uses(y).empty()) return;
  for (const Use& use : editor.uses(y)) {
    const bool index = !use.captured() && use.input == 1 && (editor.is(use.node, "Gather") || editor.is(use.node, "GatherElements"));
    if (index) continue;
    if (editor.uses(y).size() > 1) editor.near_miss(kRule, n, 1, 2, editor.id(use.node) + " needs int64");
    return;
  }
  Patch patch(editor, kRule);
  patch.remove(n);
  patch.replace(y, x);
  editor.apply(std::move(patch));
}

}  // namespace

Pass simplify_casts() {
  return {kRule, "casts of casts that lose nothing become one or none", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (!editor.is(n, "Cast")) continue;
              merge(editor, n);
              if (editor.is(n, "Cast")) drop_from_indices(editor, n);
            }
          }};
}

}  // namespace ashlar::optimizer
