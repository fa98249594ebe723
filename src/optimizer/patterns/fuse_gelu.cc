// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

// x * (1 + erf(x / sqrt(2))) / 2, with the half taken of the sum, of x or of the product.
constexpr const char* kErf = R"(
before
  d = Div(x, 1.41421356) | Mul(x, 0.70710678)
  ! e = Erf(d)
  s = Add(e, 1)
  y = Mul(x, Mul(s, 0.5)) | Mul(Mul(x, s), 0.5) | Mul(Mul(x, 0.5), s) | Mul(x, Div(s, 2)) | Div(Mul(x, s), 2) | Mul(Div(x, 2), s)
after
  y = Gelu(x) {approximate="none"}
)";

// x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2, the cube as a power or as products, x in front or within.
constexpr const char* kTanh = R"(
before
  k = Mul(Pow(x, 3), 0.044715) | Mul(Mul(x, Mul(x, x)), 0.044715) | Mul(x, Mul(x, Mul(x, 0.044715)))
  i = Mul(Add(x, k), 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  y = Mul(x, Mul(s, 0.5)) | Mul(Mul(x, s), 0.5) | Mul(Mul(x, 0.5), s)
before
  i = Mul(Mul(x, 0.79788456), Add(Mul(x, Mul(x, 0.044715)), 1)) | Mul(Mul(x, 0.79788456), Add(Mul(Mul(x, x), 0.044715), 1))
  ! t = Tanh(i)
  s = Add(t, 1)
  y = Mul(x, Mul(s, 0.5)) | Mul(Mul(x, s), 0.5) | Mul(Mul(x, 0.5), s)
after
  y = Gelu(x) {approximate="tanh"}
)";

}  // namespace

Pass fuse_gelu() { return pattern_pass("fuse-gelu", "Gelu and its approximation by tanh", {{kErf}, {kTanh}}); }

}  // namespace ashlar::optimizer
