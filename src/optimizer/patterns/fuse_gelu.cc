// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

// x * (1 + erf(x / sqrt(2))) / 2, with the half taken of the sum, of x or of the product.
constexpr const char* kErf = R"(
before
  d = Div(x, 1.41421356)
  ! e = Erf(d)
  s = Add(e, 1)
  h = Mul(s, 0.5)
  y = Mul(x, h)
before
  d = Div(x, 1.41421356)
  ! e = Erf(d)
  s = Add(e, 1)
  m = Mul(x, s)
  y = Mul(m, 0.5)
before
  d = Div(x, 1.41421356)
  ! e = Erf(d)
  s = Add(e, 1)
  h = Mul(x, 0.5)
  y = Mul(h, s)
before
  d = Mul(x, 0.70710678)
  ! e = Erf(d)
  s = Add(e, 1)
  h = Mul(s, 0.5)
  y = Mul(x, h)
before
  d = Mul(x, 0.70710678)
  ! e = Erf(d)
  s = Add(e, 1)
  m = Mul(x, s)
  y = Mul(m, 0.5)
before
  d = Mul(x, 0.70710678)
  ! e = Erf(d)
  s = Add(e, 1)
  h = Mul(x, 0.5)
  y = Mul(h, s)
after
  y = Gelu(x) {approximate="none"}
)";

// The approximation by tanh, the cube as a power or as products.
constexpr const char* kTanh = R"(
before
  c = Pow(x, 3)
  k = Mul(c, 0.044715)
  a = Add(x, k)
  i = Mul(a, 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  h = Mul(x, 0.5)
  y = Mul(h, s)
before
  c = Pow(x, 3)
  k = Mul(c, 0.044715)
  a = Add(x, k)
  i = Mul(a, 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  h = Mul(s, 0.5)
  y = Mul(x, h)
before
  c = Pow(x, 3)
  k = Mul(c, 0.044715)
  a = Add(x, k)
  i = Mul(a, 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  m = Mul(x, s)
  y = Mul(m, 0.5)
before
  q = Mul(x, x)
  c = Mul(x, q)
  k = Mul(c, 0.044715)
  a = Add(x, k)
  i = Mul(a, 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  h = Mul(x, 0.5)
  y = Mul(h, s)
before
  q = Mul(x, x)
  c = Mul(x, q)
  k = Mul(c, 0.044715)
  a = Add(x, k)
  i = Mul(a, 0.79788456)
  ! t = Tanh(i)
  s = Add(t, 1)
  h = Mul(s, 0.5)
  y = Mul(x, h)
after
  y = Gelu(x) {approximate="tanh"}
)";

}  // namespace

Pass fuse_gelu() { return pattern_pass("fuse-gelu", "Gelu and its approximation by tanh", {{kErf}, {kTanh}}); }

}  // namespace ashlar::optimizer
