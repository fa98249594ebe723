// SPDX-License-Identifier: Apache-2.0
// The operators that follow a float32 product in one step: absorbed ones (PostOp), and what Gemm itself adds. A bias, a residual, a clip and a HardSwish that
// come first are done to sums as they are stored (Finish), the others to pieces of rows while those are in the cache (Epilogue).
#pragma once

#include <array>
#include <vector>

#include "elementwise.h"
#include "product.h"

namespace ashlar::cpu {

/// Known when the kernel is made.
class RowOps {
 public:
  static constexpr std::size_t kMost = 8;

  struct Op {
    PostOp::Kind kind;
    TileOp tile;
    int input = -1;     ///< the step's input that is the second operand
    int constants = 0;  ///< operands that are `values`
    std::array<float, 2> values{};
    bool by_column = false;  ///< the operand has one element a column
  };

  /// x * factor
  void scale(float factor);
  /// x + factor * input
  void add(int input, float factor);
  /// x + input, which has one element a column.
  void add_bias(int input);
  /// False when there are too many.
  bool append(const PostOp& op);
  const std::vector<Op>& ops() const { return ops_; }

 private:
  std::vector<Op> ops_;
};

/// For one set of shapes: where the operands' elements lie.
class RowOperands {
 public:
  RowOperands() = default;
  /// `output` is [..., columns]. An operand may be anything that broadcasts to it, after `appended` dimensions of 1 were put behind its
  /// own. In channels-last layout columns are channels, and so the operands' elements lie.
  RowOperands(const RowOps& ops, const provider::BindContext& context, const Dims& output, int appended = 0, std::uint64_t layout = kPlain);

 private:
  friend class RowRun;
  struct Loop {
    std::int64_t length, step;
  };
  struct Operand {
    std::vector<Loop> loops;  // over rows, innermost first
    bool single = false;      // one element for all columns
    bool bias = false;        // the same for all rows
    bool whole = false;       // as C lies
  };
  std::vector<Operand> operands_;                          // one an op
  std::size_t finished_ = 0;                               // ops that are Finish's
  int bias_ = -1, residual_ = -1, clip_ = -1, gate_ = -1;  // which those are
};

/// One run of them. Lives on the stack of run.
class RowRun {
 public:
  RowRun(const RowOps& ops, const RowOperands& operands, const provider::RunContext& context);
  /// Both are valid while this is.
  Finish finish() const;
  Epilogue epilogue() const;

 private:
  static void apply(const void* self, float* c, std::int64_t row, std::int64_t column, std::int64_t count);
  const RowOps& ops_;
  const RowOperands& operands_;
  std::array<const float*, RowOps::kMost> pointers_{};
};

}  // namespace ashlar::cpu
