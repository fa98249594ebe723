// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

// (x + 3) clipped to 0 to 6, a sixth of it. The last node is the anchor: such a Clip alone is an activation of its own.
constexpr const char* kHardSigmoid = R"(
before
  a = Add(x, 3)
  c = Clip(a, 0, 6) | Min(Relu(a), 6) | Min(Max(a, 0), 6) | Max(Min(a, 6), 0)
  ! y = Div(c, 6)
before
  a = Add(x, 3)
  c = Clip(a, 0, 6) | Min(Relu(a), 6) | Min(Max(a, 0), 6) | Max(Min(a, 6), 0)
  ! y = Mul(c, 0.16666667)
after
  y = HardSigmoid(x) {alpha=0.16666667, beta=0.5}
)";

}  // namespace

Pass fuse_hard_sigmoid() { return pattern_pass("fuse-hard-sigmoid", "a clipped line through 0 and 1 is HardSigmoid", {{kHardSigmoid}}); }

}  // namespace ashlar::optimizer
