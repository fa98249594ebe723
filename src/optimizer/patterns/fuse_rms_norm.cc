// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/normalized.h"

namespace ashlar::optimizer {
namespace {

// The casts stand around what is computed in float32 for halves.
constexpr const char* kRms = R"(
before
  & c = Cast?(x)
  p = Pow(c, 2) | Mul(c, c)
  ! v = ReduceMean(p, Axes) {keepdims=1}
  e = Add(v, Eps)
  n = Mul(c, Reciprocal(Sqrt(e))) | Div(c, Sqrt(e)) | Mul(c, Div(1, Sqrt(e))) | Mul(c, Pow(e, -0.5)) | Div(c, Pow(e, 0.5))
  k = Cast?(n)
  y = Mul?(k, Scale)
after
  y = RMSNormalization(x, scale) {axis=$axis, epsilon=$epsilon}
)";

bool accept(Match& match) {
  const Editor& editor = match.editor;
  const bool in = match.value("c") != match.value("x"), out = match.value("k") != match.value("n");
  if (in && editor.dtype(match.value("c")) != DType::kFloat32) return match.fail(match.name_of("c") + " does not cast to float32");
  if (editor.dtype(match.value("k")) != editor.dtype(match.value("x")))
    return match.fail(match.name_of("k") + " has another dtype than " + match.name_of("x"));
  if (in != out) return match.fail("a cast stands on one side alone");
  const auto found = normalized(match, "Axes");
  if (!found) return false;
  if (!found->trailing) return match.fail("the axes of " + match.name_of("v") + " are not the last ones");
  return has_parameters(match, *found, {"Scale"});
}

void prepare(Match& match, Patch& patch) {
  const auto found = *normalized(match, "Axes");
  set_parameter(match, patch, found, "Scale", "scale", 1);
  match.set_attribute("axis", found.axis);
}

}  // namespace

Pass fuse_rms_norm() { return pattern_pass("fuse-rms-norm", "RMSNormalization written as its parts", {{kRms, &accept, &prepare}}); }

}  // namespace ashlar::optimizer
