// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kBias = R"(
before
  ! m = MatMul(x, W)
  y = Add(m, B)
after
  y = ashlar::Linear(x, W, bias) {transB=0}
)";

// A product of two-dimensional values between reshapes that fold the outer dimensions into one and back.
constexpr const char* kGemm = R"(
before
  & r = Reshape(x, to)
  ! g = Gemm(r, W, B) {alpha=1.0, beta=1.0, transA=0, transB=$transB}
  y = Reshape(g, back)
before
  & r = Reshape(x, to)
  ! g = ashlar::Linear(r, W, B) {transB=$transB}
  y = Reshape(g, back)
after
  y = ashlar::Linear(x, W, bias) {transB=$transB}
)";
constexpr const char* kUnbiasedGemm = R"(
before
  & r = Reshape(x, to)
  ! g = Gemm(r, W) {alpha=1.0, transA=0, transB=$transB}
  y = Reshape(g, back)
after
  y = ashlar::Linear(x, W) {transB=$transB}
)";
constexpr const char* kMatMul = R"(
before
  & r = Reshape(x, to)
  ! g = MatMul(r, W)
  y = Reshape(g, back)
after
  y = MatMul(x, W)
)";

bool is_matrix(Match& match) {
  if (match.editor.constant(match.value("W"))->shape().size() != 2) return match.fail(match.name_of("W") + " is no matrix");
  const DType dtype = match.editor.dtype(match.value("W"));
  if (dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16) return true;
  return match.fail(match.name_of("W") + " is " + std::string(to_string(dtype)));
}

std::int64_t columns(const Match& match) {
  const Shape& w = match.editor.constant(match.value("W"))->shape();
  return w[match.attribute<std::int64_t>("transB") ? 0 : 1];
}

bool has_bias(Match& match) {
  if (!is_matrix(match)) return false;
  const std::optional<std::size_t> rank = match.editor.rank(match.value("x"));
  if (!rank || *rank < 2) return match.fail(match.name_of("x") + " may be a vector");
  return is_parameter(match, "B", *rank, {*rank - 1}, {columns(match)});
}

/// Whether y has x's dimensions but the last, and the matrix' columns there.
bool folds(Match& match) {
  if (!is_matrix(match)) return false;
  const Editor& editor = match.editor;
  const ops::SymbolicShape *x = editor.shape(match.value("x")), *r = editor.shape(match.value("r")), *y = editor.shape(match.value("y"));
  if (!x || !r || !y || x->size() < 2) return match.fail("the ranks of " + match.name_of("x") + " and " + match.name_of("y") + " are not known");
  if (r->size() != 2 || x->back() != r->back()) return match.fail(match.name_of("r") + " may move elements between rows");
  ops::SymbolicShape wanted = *x;
  wanted.back() = ops::DimExpr(columns(match));
  if (*y != wanted) return match.fail(match.name_of("y") + " does not restore the dimensions of " + match.name_of("x"));
  return true;
}

bool folds_with_bias(Match& match) { return folds(match) && is_parameter(match, "B", 2, {1}, {columns(match)}); }

void prepare_bias(Match& match, Patch& patch) { reshape_constant(match, patch, "B", {columns(match)}, "bias"); }

}  // namespace

Pass fuse_linear() {
  return pattern_pass("fuse-linear", "a product with a constant matrix, and its bias",
                      {{kBias, &has_bias, &prepare_bias}, {kGemm, &folds_with_bias, &prepare_bias}, {kUnbiasedGemm, &folds}, {kMatMul, &folds}});
}

}  // namespace ashlar::optimizer
