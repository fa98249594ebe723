// SPDX-License-Identifier: Apache-2.0
// Steps that passes over attention take along values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "optimizer/constants.h"
#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// The node that makes `v` when it is that operator of ONNX; kNone.
NodeIndex made_by(const Editor& editor, ValueId v, std::string_view op);
/// "Mul_3 (Mul)": the node that makes `v`, or the value's name.
std::string maker(const Editor& editor, ValueId v);
/// "[batch,12,seq,64]", "of unknown rank".
std::string shape_text(Editor& editor, ValueId v);

/// A Transpose's permutation; empty for another node.
std::vector<std::int64_t> permutation(const Editor& editor, NodeIndex n);
/// Whether that axis, which may count from the end, is the last of `rank`.
bool is_last(std::int64_t axis, std::size_t rank);
/// The input a node gives on unchanged (Identity, Cast to the same type, Dropout outside training); kNone.
ValueId passed_on(const Editor& editor, NodeIndex n);
/// `v`, or what it is when nodes that change nothing are left out.
ValueId behind_no_ops(const Editor& editor, ValueId v);

/// A product with or quotient by a positive constant of one element that keeps the shape.
struct Scaling {
  NodeIndex node = kNone;
  ValueId input = kNone;
  double factor = 1;
};
std::optional<Scaling> scaling(const Editor& editor, ValueId v);

/// Part of a value along its last axis.
struct Part {
  ValueId whole = kNone;
  std::int64_t begin = 0, end = 0, step = 1, size = 0;  ///< `size`: of the whole axis
};
/// What a Slice or Split of the last axis, whose size is fixed, gives; the whole value for anything else. Nothing where the last dimension is not fixed.
std::optional<Part> last_axis_part(const Editor& editor, ValueId v);

/// Takes away the first `certain` of the nodes, and of the rest those that nobody else reads. `nodes`: readers before what they read, kNone is skipped.
void remove_with(const Editor& editor, Patch& patch, const std::vector<NodeIndex>& nodes, std::size_t certain = 1);

}  // namespace ashlar::optimizer
