// SPDX-License-Identifier: Apache-2.0
#include "optimizer/passes/score_mask.h"

#include <cmath>

#include <fmt/format.h>

#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

using Kind = ScoreMask::Kind;

/// Below this, adding a score to it gives it again: a row that is masked throughout stays uniform.
double lowest_score(DType t) {
  if (t == DType::kFloat16) return -6e4;
  return t == DType::kBFloat16 ? -8192 : -1e9;
}

/// What is added instead of filled in: so low that a kernel which adds in more digits than the dtype has gets a uniform row too, and that two of them are
/// no infinity.
double added_instead(DType t) {
  if (t == DType::kFloat16) return -3e4;
  return t == DType::kFloat64 ? -8e307 : -1.5e38;
}

}  // namespace

std::optional<ScoreMask> chosen_mask(const Editor& editor, NodeIndex where, ValueId& scores, std::string& reason) {
  const Node& node = editor.node(where);
  const auto low = [&](std::size_t i) { return editor.scalar(node.inputs[i]).value_or(0) < -1e3; };
  const std::size_t fill = low(1) || (!low(2) && editor.scalar(node.inputs[1])) ? 1 : 2;
  const auto value = editor.scalar(node.inputs[fill]);
  if (!value || !low(fill)) {
    reason = fmt::format("{} fills in {}, not a constant far below the scores", editor.id(where),
                         value ? fmt::to_string(*value) : maker(editor, node.inputs[fill]));
    return std::nullopt;
  }
  if (*value > lowest_score(editor.dtype(node.outputs[0]))) {
    reason = fmt::format("{} fills in {}, which a row that is masked throughout would show", editor.id(where), *value);
    return std::nullopt;
  }
  scores = node.inputs[3 - fill];
  const bool infinite = std::isinf(*value);
  const Kind kept = infinite ? Kind::kKept : Kind::kKeptElseLow, dropped = infinite ? Kind::kDropped : Kind::kDroppedElseLow;
  return ScoreMask{.kind = fill == 2 ? kept : dropped, .value = node.inputs[0], .fill = node.inputs[fill]};
}

ValueId joined_mask(Patch& patch, const std::vector<ScoreMask>& masks, DType dtype) {
  if (masks.size() == 1 && masks[0].kind == Kind::kKept) return masks[0].value;
  if (masks.size() == 1 && masks[0].kind == Kind::kDropped) return patch.add_one("Not", {masks[0].value});
  ValueId sum = kNone;
  for (const ScoreMask& m : masks) {
    ValueId addend = m.value;
    if (m.kind != Kind::kAdded) {
      const ValueId zero = patch.scalar("zero", dtype, 0);
      const bool kept = m.kind == Kind::kKept || m.kind == Kind::kKeptElseLow;
      const bool finite = m.kind == Kind::kKeptElseLow || m.kind == Kind::kDroppedElseLow;
      const ValueId low = finite ? patch.scalar("low", dtype, added_instead(dtype)) : m.fill;
      addend = patch.add_one("Where", {m.value, kept ? zero : low, kept ? low : zero});
    }
    sum = sum == kNone ? addend : patch.add_one("Add", {sum, addend});
  }
  return sum;
}

}  // namespace ashlar::optimizer
