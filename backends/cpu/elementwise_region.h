// SPDX-License-Identifier: Apache-2.0
// Several element-wise operators as one kernel: each piece of the output goes through all of them while it is in the cache.
#pragma once

#include <memory>
#include <vector>

#include "elementwise.h"
#include "kernel.h"
#include "rows.h"

namespace ashlar::cpu {

/// A step that is one call of a tile: its operands are inputs of the step, by number, or one of the constants.
struct TileCall {
  TileOp op;
  std::vector<int> operands;  ///< an input, or -1 - c for constants[c]
  std::vector<float> constants = {};
};

/// Null where the operator is not of float32.
std::unique_ptr<TileCall> tile_call_of(const TileOp& op, std::vector<int> operands, std::vector<float> constants = {});

/// A float32 value of a region: an input of the step, or what an earlier operator gave.
struct RegionOperand {
  enum class Kind { kInput, kResult, kConstant } kind;
  std::size_t index;  ///< of the input, of the operator
  float constant = 0;
};
struct RegionOp {
  TileOp op;
  std::vector<RegionOperand> operands;
};

/// A reduction of float32 over the last `axes` dimensions, row by row.
struct RowFold {
  Fold fold;
  int axes;
  bool keepdims;
  double identity;
  double (*merge)(double a, double b);  ///< of two parts of a row
  float (*finish)(double value, std::int64_t length);
};

/// The most inputs of a region, operators in it, and results that are wanted at one time.
inline constexpr std::size_t kRegionInputs = 8, kRegionOps = 32, kRegionResults = 6;
/// Results that are wanted at one time when the operators are done in this order, the last one's not counted.
std::size_t results_at_once(const std::vector<RegionOp>& ops);

/// A kernel of so many inputs that broadcast together: the operators in order, the last of which gives output 0.
std::unique_ptr<provider::Kernel> elementwise_region(std::vector<RegionOp> ops, int inputs);
/// The same with rows of the last one's results reduced, which are not written out. All operands are plain.
std::unique_ptr<provider::Kernel> elementwise_region(std::vector<RegionOp> ops, int inputs, const RowFold& fold);

}  // namespace ashlar::cpu
