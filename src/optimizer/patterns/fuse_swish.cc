// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kSwish = R"(
before
  ! s = Sigmoid(x)
  y = Mul(x, s)
after
  y = Swish(x) {alpha=1.0}
)";

// With alpha = 1.702 this is the approximation of Gelu that is called QuickGelu.
constexpr const char* kScaled = R"(
before
  a = Mul(x, Alpha)
  ! s = Sigmoid(a)
  y = Mul(x, s)
after
  y = Swish(x) {alpha=$alpha}
)";

bool is_scaled(Match& match) {
  if (!is_number(match, "Alpha", "x")) return false;
  match.set_attribute("alpha", static_cast<float>(match.scalar("Alpha")));
  return true;
}

}  // namespace

Pass fuse_swish() { return pattern_pass("fuse-swish", "x * Sigmoid(alpha * x) is Swish", {{kSwish}, {kScaled, &is_scaled}}); }

}  // namespace ashlar::optimizer
