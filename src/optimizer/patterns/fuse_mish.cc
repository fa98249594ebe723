// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kMish = R"(
before
  p = Softplus(x)
  ! t = Tanh(p)
  y = Mul(x, t)
after
  y = Mish(x)
)";

}  // namespace

Pass fuse_mish() { return pattern_pass("fuse-mish", "x * Tanh(Softplus(x)) is Mish", {{kMish}}); }

}  // namespace ashlar::optimizer
