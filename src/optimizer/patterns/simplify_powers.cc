// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "optimizer/pattern.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

constexpr std::int64_t kMostElements = 4096;  // of a divisor that is looked at

constexpr const char* kSquare = R"(
before
  ! y = Pow(x, 2)
after
  y = Mul(x, x)
)";

constexpr const char* kRoot = R"(
before
  ! y = Pow(x, 0.5)
after
  y = Sqrt(x)
)";

constexpr const char* kInverse = R"(
before
  ! y = Pow(x, -1)
after
  y = Reciprocal(x)
)";

constexpr const char* kInverseRoot = R"(
before
  ! y = Pow(x, -0.5)
after
  r = Sqrt(x)
  y = Reciprocal(r)
)";

constexpr const char* kDivision = R"(
before
  ! y = Div(x, Divisor)
after
  y = Mul(x, Factor)
)";

bool real(Match& match) {
  const DType dtype = match.editor.dtype(match.value("x"));
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 ||
         match.fail("x is not of real numbers");
}

/// Dividing by a power of two is multiplying by its inverse, to the bit.
bool power_of_two(Match& match) {
  const Tensor* divisor = match.editor.constant(match.value("Divisor"));
  if (!divisor || divisor->element_count() > kMostElements) return match.fail("the divisor is large");
  const auto elements = real_elements(*divisor);
  if (!elements) return match.fail("the divisor is not of real numbers");
  for (const double e : *elements) {
    int exponent = 0;
    if (std::fabs(std::frexp(e, &exponent)) != 0.5 || std::abs(exponent) > 12) return match.fail("the divisor is no power of two");
  }
  return true;
}

void invert(Match& match, Patch& patch) {
  const Tensor* divisor = match.editor.constant(match.value("Divisor"));
  std::vector<double> elements = *real_elements(*divisor);
  for (double& e : elements) e = 1 / e;
  match.set("Factor", patch.constant("factor", real_tensor(divisor->dtype(), divisor->shape(), elements)));
}

}  // namespace

Pass simplify_powers() {
  Pass pass = pattern_pass("simplify-powers", "powers and divisions that a cheaper operator computes",
                           {{kSquare}, {kRoot, &real}, {kInverse, &real}, {kInverseRoot, &real}, {kDivision, &power_of_two, &invert}});
  pass.late = true;
  return pass;
}

}  // namespace ashlar::optimizer
