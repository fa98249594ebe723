// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kSigmoid = R"(
before
  ! e = Exp(Neg(x)) | Exp(Mul(x, -1))
  s = Add(e, 1)
  y = Div(1, s) | Reciprocal(s) | Pow(s, -1)
after
  y = Sigmoid(x)
)";

// A quotient where the standard would have a product: x / (1 + exp(-x)).
constexpr const char* kQuotient = R"(
before
  ! e = Exp(Neg(x)) | Exp(Mul(x, -1))
  s = Add(e, 1)
  y = Div(z, s)
after
  y = Mul(z, Sigmoid(x))
)";

// The standard's Softplus does not overflow where exp does.
constexpr const char* kSoftplus = R"(
before
  ! e = Exp(x)
  s = Add(e, 1)
  y = Log(s)
after
  y = Softplus(x)
)";

}  // namespace

Pass fuse_sigmoid() {
  return pattern_pass("fuse-sigmoid", "Sigmoid and Softplus written with Exp", {{kSigmoid}, {kQuotient}, {kSoftplus}});
}

}  // namespace ashlar::optimizer
