// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {
namespace {

// The sum is written out where others read it too.
constexpr const char* kLayerNorm = R"(
before
  s = Add(x, skip)
  ! y = LayerNormalization(s, scale, bias) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y = ashlar::SkipLayerNormalization(x, skip, scale, bias) {epsilon=$epsilon}
)";
constexpr const char* kLayerNormAndSum = R"(
before
  s = Add(x, skip)
  ! y = LayerNormalization(s, scale, bias) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y, s = ashlar::SkipLayerNormalization(x, skip, scale, bias) {epsilon=$epsilon}
)";
constexpr const char* kUnbiased = R"(
before
  s = Add(x, skip)
  ! y = LayerNormalization(s, scale) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y = ashlar::SkipLayerNormalization(x, skip, scale) {epsilon=$epsilon}
)";
constexpr const char* kUnbiasedAndSum = R"(
before
  s = Add(x, skip)
  ! y = LayerNormalization(s, scale) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y, s = ashlar::SkipLayerNormalization(x, skip, scale) {epsilon=$epsilon}
)";
constexpr const char* kRmsNorm = R"(
before
  s = Add(x, skip)
  ! y = RMSNormalization(s, scale) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y = ashlar::SkipRMSNormalization(x, skip, scale) {epsilon=$epsilon}
)";
constexpr const char* kRmsNormAndSum = R"(
before
  s = Add(x, skip)
  ! y = RMSNormalization(s, scale) {axis=$axis, epsilon=$epsilon, stash_type=1}
after
  y, s = ashlar::SkipRMSNormalization(x, skip, scale) {epsilon=$epsilon}
)";

bool accept(Match& match) {
  const Editor& editor = match.editor;
  const ValueId x = match.value("x"), skip = match.value("skip");
  if (editor.constant(x) || editor.constant(skip)) return match.fail("an operand of " + match.name_of("s") + " is constant");
  if (!editor.same_shape(x, skip))
    return match.fail(with_shape(match, "x") + " and " + with_shape(match, "skip") + " may have different shapes");
  const auto axis = match.attribute<std::int64_t>("axis", -1), rank = static_cast<std::int64_t>(*editor.rank(x));
  if (axis != -1 && axis != rank - 1) return match.fail("the axis of " + match.name_of("y") + " is not the last one");
  const ops::SymbolicShape* scale = editor.shape(match.value("scale"));
  if (!scale || scale->size() != 1 || (*scale)[0] != editor.shape(x)->back())
    return match.fail("the scale of " + match.name_of("y") + " may have another size than its axis");
  const ValueId bias = match.value("bias");
  if (bias != kNone && !editor.same_shape(bias, match.value("scale")))
    return match.fail("the bias of " + match.name_of("y") + " may have another size than its axis");
  return true;
}

}  // namespace

Pass fuse_skip_norm() {
  Pass pass = pattern_pass("fuse-skip-norm", "a sum that is normalised",
                           {{kLayerNorm, &accept},
                            {kLayerNormAndSum, &accept},
                            {kUnbiased, &accept},
                            {kUnbiasedAndSum, &accept},
                            {kRmsNorm, &accept},
                            {kRmsNormAndSum, &accept}});
  pass.late = true;  // what moves through sums comes first
  return pass;
}

}  // namespace ashlar::optimizer
