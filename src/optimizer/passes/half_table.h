// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// How cosines and sines of a rotation stand in a row: [a b c a b c] or [a a b b c c].
enum class Doubled { kHalves, kPairs };

/// Rows of cosines or sines that hold each number twice, without the repetition: proved from how they are computed, or from a constant's elements.
class HalfTable {
 public:
  HalfTable(Editor& editor, Patch& patch, Doubled doubled, std::map<std::pair<ValueId, Doubled>, ValueId>& known)
      : editor_(editor), patch_(patch), doubled_(doubled), known_(known) {}

  /// A value with half as many columns as `v`; kNone, with reason(), where it is not proved. What is made goes into the patch and into `known`.
  ValueId half(ValueId v);
  const std::string& reason() const { return reason_; }

 private:
  ValueId find(ValueId v, int depth);
  ValueId of_constant(ValueId v);
  ValueId of_joined(ValueId v);
  ValueId of_reshaped(ValueId v, int depth);
  ValueId reshaped(ValueId v, const ops::SymbolicShape& target);
  ValueId failed(std::string reason);

  Editor& editor_;
  Patch& patch_;
  Doubled doubled_;
  std::map<std::pair<ValueId, Doubled>, ValueId>& known_;
  std::string reason_;
};

}  // namespace ashlar::optimizer
