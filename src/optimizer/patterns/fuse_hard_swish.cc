// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kOfHardSigmoid = R"(
before
  ! s = HardSigmoid(x) {alpha=0.16666667, beta=0.5}
  y = Mul(x, s)
after
  y = HardSwish(x)
)";

// x times the clipped sum, a sixth of the product or of x.
constexpr const char* kOfClip = R"(
before
  a = Add(x, 3)
  ! c = Clip(a, 0, 6)
  y = Div(Mul(x, c), 6) | Mul(Mul(x, c), 0.16666667) | Mul(Div(x, 6), c) | Mul(Mul(x, 0.16666667), c)
before
  a = Add(x, 3)
  ! c = Min(Relu(a), 6) | Min(Max(a, 0), 6)
  y = Div(Mul(x, c), 6) | Mul(Mul(x, c), 0.16666667) | Mul(Div(x, 6), c) | Mul(Mul(x, 0.16666667), c)
after
  y = HardSwish(x)
)";

}  // namespace

Pass fuse_hard_swish() { return pattern_pass("fuse-hard-swish", "x * HardSigmoid(x) is HardSwish", {{kOfHardSigmoid}, {kOfClip}}); }

}  // namespace ashlar::optimizer
