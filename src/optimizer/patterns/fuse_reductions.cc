// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kSumSquare = R"(
before
  p = Mul(x, x) | Pow(x, 2)
  ! y = ReduceSum(p, axes) {keepdims=$keepdims, noop_with_empty_axes=$noop}
after
  y = ReduceSumSquare(x, axes) {keepdims=$keepdims, noop_with_empty_axes=$noop}
)";

constexpr const char* kNorm = R"(
before
  p = ReduceSumSquare(x, axes) {keepdims=$keepdims, noop_with_empty_axes=$noop}
  ! y = Sqrt(p) | Pow(p, 0.5)
after
  y = ReduceL2(x, axes) {keepdims=$keepdims, noop_with_empty_axes=$noop}
)";

/// Whether the axes are some: without any, what an operator does to its elements differs.
bool has_axes(Match& match) {
  if (!is_float(match, "x")) return false;
  const ops::ValueFacts& facts = match.editor.facts(match.value("axes"));
  if (facts.shape && facts.shape->size() == 1 && (*facts.shape)[0].at_least(1)) return true;
  return match.fail(match.name_of("axes") + " may be empty");
}

}  // namespace

Pass fuse_reductions() {
  return pattern_pass("fuse-reductions", "ReduceSumSquare and ReduceL2 written as their parts",
                      {{kSumSquare, &has_axes}, {kNorm, &has_axes}});
}

}  // namespace ashlar::optimizer
