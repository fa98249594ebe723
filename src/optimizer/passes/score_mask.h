// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// What is added to scores of attention, or decides which of them count.
struct ScoreMask {
  enum class Kind { kAdded, kKept, kDropped, kKeptElseLow, kDroppedElseLow };
  Kind kind = Kind::kAdded;
  ValueId value = kNone;  ///< the addend, or the condition
  ValueId fill = kNone;   ///< of the last two kinds: what scores that do not count become
};

/// The mask that a Where applies to `scores`: those that do not count become minus infinity, or so low that the score itself no longer shows.
/// Nothing, with the reason, for another Where.
std::optional<ScoreMask> chosen_mask(const Editor& editor, NodeIndex where, ValueId& scores, std::string& reason);

/// All of the masks, at least one, as Attention takes them: of bool where that is one that keeps or drops, else their sum.
ValueId joined_mask(Patch& patch, const std::vector<ScoreMask>& masks, DType dtype);

}  // namespace ashlar::optimizer
