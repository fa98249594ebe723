// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kBias = R"(
before
  ! m = MatMul(x, W)
  y = Add(m, B)
after
  y = ashlar::Linear(x, W, bias) {transB=0}
)";

// A product of two-dimensional values between reshapes that fold the outer dimensions into one and back. `outer` is x, or a Reshape of it.
constexpr const char* kBiased = R"(
before
  & r = Reshape(x, to)
  ! g = Gemm(r, W, B) {alpha=1.0, beta=1.0, transA=0, transB=$transB}
  y = Reshape(g, back)
before
  & r = Reshape(x, to)
  ! g = ashlar::Linear(r, W, B) {transB=$transB}
  y = Reshape(g, back)
)";
constexpr const char* kUnbiased = R"(
before
  & r = Reshape(x, to)
  ! g = Gemm(r, W) {alpha=1.0, transA=0, transB=$transB}
  y = Reshape(g, back)
before
  & r = Reshape(x, to)
  ! g = ashlar::Linear(r, W) {transB=$transB}
  y = Reshape(g, back)
)";
constexpr const char* kMatMul = R"(
before
  & r = Reshape(x, to)
  ! g = MatMul(r, W)
  y = Reshape(g, back)
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

/// Whether y has the matrix' columns in its last dimension, and r the rows: what is in front of them holds the same rows then.
bool keeps_rows(Match& match) {
  if (!is_matrix(match)) return false;
  const Editor& editor = match.editor;
  const ops::SymbolicShape *x = editor.shape(match.value("x")), *r = editor.shape(match.value("r")), *y = editor.shape(match.value("y"));
  if (!x || !r || !y || y->size() < 2)
    return match.fail("the ranks of " + match.name_of("x") + " and " + match.name_of("y") + " are not known");
  if (r->size() != 2) return match.fail(with_shape(match, "r") + " has not two dimensions");
  const Shape& w = editor.constant(match.value("W"))->shape();
  if (w.element_count() == 0 || !y->back().is(columns(match)))
    return match.fail(with_shape(match, "y") + " does not keep the columns of " + match.name_of("g"));
  return true;
}

/// What the product reads, as a shape: y's dimensions, and the matrix' rows.
ops::SymbolicShape outer_shape(const Match& match) {
  ops::SymbolicShape out = *match.editor.shape(match.value("y"));
  out.back() = match.editor.shape(match.value("r"))->back();
  return out;
}

bool is_folded(Match& match) {
  return keeps_rows(match) && (*match.editor.shape(match.value("x")) == outer_shape(match) ||
                               match.fail(with_shape(match, "x") + " is no outer form of " + with_shape(match, "y")));
}

bool is_reshaped(Match& match) {
  if (!keeps_rows(match)) return false;
  if (match.editor.shape(match.value("y"))->size() == 2) return match.fail(match.name_of("y") + " has two dimensions as before");
  const auto target = reshape_target(*match.editor.shape(match.value("x")), outer_shape(match));
  if (!target) return match.fail("no constant shape makes " + with_shape(match, "y") + " of " + with_shape(match, "x"));
  match.set_attribute("target", *target);
  return true;
}

bool has_columns(Match& match) { return is_parameter(match, "B", 2, {1}, {columns(match)}); }
bool is_folded_with_bias(Match& match) { return is_folded(match) && has_columns(match); }
bool is_reshaped_with_bias(Match& match) { return is_reshaped(match) && has_columns(match); }

void set_bias(Match& match, Patch& patch) { reshape_constant(match, patch, "B", {columns(match)}, "bias"); }
void set_target(Match& match, Patch& patch) {
  match.set("target", patch.constant("shape", match.attribute<std::vector<std::int64_t>>("target")));
}
void set_target_and_bias(Match& match, Patch& patch) {
  set_target(match, patch);
  set_bias(match, patch);
}

}  // namespace

Pass fuse_linear() {
  static const auto text = [](const char* before, const char* after) { return std::string(before) + "after\n" + after; };
  static const std::string folded_biased = text(kBiased, "y = ashlar::Linear(x, W, bias) {transB=$transB}"),
                           folded = text(kUnbiased, "y = ashlar::Linear(x, W) {transB=$transB}"),
                           folded_matmul = text(kMatMul, "y = MatMul(x, W)"),
                           biased = text(kBiased, "o = Reshape(x, target) {allowzero=0}\n y = ashlar::Linear(o, W, bias) {transB=$transB}"),
                           unbiased = text(kUnbiased, "o = Reshape(x, target) {allowzero=0}\n y = ashlar::Linear(o, W) {transB=$transB}"),
                           matmul = text(kMatMul, "o = Reshape(x, target) {allowzero=0}\n y = MatMul(o, W)");
  return pattern_pass("fuse-linear", "a product with a constant matrix, and its bias",
                      {{kBias, &has_bias, &set_bias},
                       {folded_biased.c_str(), &is_folded_with_bias, &set_bias, true},
                       {folded.c_str(), &is_folded, nullptr, true},
                       {folded_matmul.c_str(), &is_folded, nullptr, true},
                       {biased.c_str(), &is_reshaped_with_bias, &set_target_and_bias, true},
                       {unbiased.c_str(), &is_reshaped, &set_target, true},
                       {matmul.c_str(), &is_reshaped, &set_target, true}});
}

}  // namespace ashlar::optimizer
