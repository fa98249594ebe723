// SPDX-License-Identifier: Apache-2.0
// LayerNormalization as exporters write it out: (x - mean) / sqrt(variance + epsilon) * scale + bias.
#include "optimizer/patterns/normalized.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kForms = R"(
# PyTorch: the deviation, made once or twice, over the deviation's root mean square.
before
  m = ReduceMean(x, Axes) {keepdims=1}
  d = Sub(x, m)
  p = Pow(d, 2) | Mul(d, d)
  ! v = ReduceMean(p, Axes2) {keepdims=1}
  e = Add(v, Eps)
  n = Div(d, Sqrt(e)) | Div(d, Pow(e, 0.5)) | Mul(d, Reciprocal(Sqrt(e))) | Mul(d, Div(1, Sqrt(e))) | Mul(d, Pow(e, -0.5))
  w = Mul?(n, Scale)
  y = Add?(w, Bias)
before
  m = ReduceMean(x, Axes) {keepdims=1}
  o = Sub(x, m)
  p = Pow(o, 2) | Mul(o, o)
  ! v = ReduceMean(p, Axes2) {keepdims=1}
  e = Add(v, Eps)
  d = Sub(x, m)
  n = Div(d, Sqrt(e)) | Div(d, Pow(e, 0.5)) | Mul(d, Reciprocal(Sqrt(e)))
  w = Mul?(n, Scale)
  y = Add?(w, Bias)
# The scale beside the reciprocal root.
before
  m = ReduceMean(x, Axes) {keepdims=1}
  d = Sub(x, m)
  p = Pow(d, 2) | Mul(d, d)
  ! v = ReduceMean(p, Axes2) {keepdims=1}
  s = Mul(Reciprocal(Sqrt(Add(v, Eps))), Scale)
  w = Mul(d, s)
  y = Add?(w, Bias)
# TensorFlow: x * s + (bias - mean * s).
before
  m = ReduceMean(x, Axes) {keepdims=1}
  d = Sub(x, m) | Sub(m, x)
  p = Mul(d, d) | Pow(d, 2)
  ! v = ReduceMean(p, Axes2) {keepdims=1}
  s = Mul?(Reciprocal(Sqrt(Add(v, Eps))), Scale)
  y = Add(Mul(x, s), Sub(Bias, Mul(m, s)))
# Flax: the variance from the mean of squares; what is reduced may get its dimension back later.
before
  mm = Mul(m, m)
  m = Mul(ReduceSum(x, Axes), Share) | ReduceMean(x, Axes)
  q = Mul(ReduceSum(Mul(x, x), Axes2), Share2) | Mul(ReduceSumSquare(x, Axes2), Share2) | ReduceMean(Mul(x, x), Axes2)
  ! f = Sub(q, mm)
  g = Max?(f, 0)
  v = Expand?(Reshape?(g, to), to2) | Unsqueeze(g, to)
  r = Sqrt(Add(v, Eps))
  s = Mul?(Reciprocal(r), Scale)
  b = Expand?(Reshape?(m, to3), to4) | Unsqueeze(m, to3)
  w = Mul(Sub(x, b), s)
  y = Add?(w, Bias)
)";

constexpr const char* kLast = R"(
after
  y = LayerNormalization(x, scale, bias) {axis=$axis, epsilon=$epsilon}
)";

// Along another axis: the standard normalises the last ones alone.
constexpr const char* kTransposed = R"(
after
  t = Transpose(x) {perm=$perm}
  u = LayerNormalization(t, scale, bias) {axis=-1, epsilon=$epsilon}
  y = Transpose(u) {perm=$back}
)";

/// Whether the name is a constant of 1 / size.
bool is_share(Match& match, std::string_view name, std::int64_t size) {
  if (match.value(name) == kNone) return true;
  const double product = match.scalar(name) * static_cast<double>(size);
  if (is_number(match, name, "m") && product > 1 - 1e-5 && product < 1 + 1e-5) return true;
  return match.fail(match.name_of(name) + " is not 1 / " + std::to_string(size));
}

/// Whether the name's value, x without its axis under another shape, has x's dimensions but 1 along the axis. One dimension may follow from the others,
/// for it has as many elements.
bool has_its_dimension(Match& match, std::string_view name, std::size_t axis) {
  const ops::SymbolicShape &x = *match.editor.shape(match.value("x")), *given = match.editor.shape(match.value(name));
  const bool known = given && given->size() == x.size() && (*given)[axis].is(1);
  std::size_t open = 0;
  bool filled = true;
  for (std::size_t i = 0; known && i < x.size(); ++i) {
    if (i == axis) continue;
    if ((*given)[i] == x[i]) filled = filled && x[i].at_least(1);
    else ++open;
  }
  if (known && (open == 0 || (open == 1 && filled))) return true;
  return match.fail(match.name_of(name) + " may not have the dimensions of " + match.name_of("x"));
}

std::optional<Normalized> find(Match& match) {
  auto found = normalized(match, "Axes");
  if (!found) return std::nullopt;
  const auto second = axes(match, "Axes2", found->rank);
  const auto fail = [&](std::string reason) {
    match.fail(std::move(reason));
    return std::nullopt;
  };
  if (second != found->axes) return fail("the mean and the variance are of different axes");
  if (!has_parameters(match, *found, {"Scale", "Bias"})) return std::nullopt;
  if (match.value("q") == kNone || match.value("b") == kNone) return found;
  // The form with reduced dimensions.
  if (found->axes.size() != 1) return fail("more than one axis is reduced");
  if (!is_share(match, "Share", found->sizes[0]) || !is_share(match, "Share2", found->sizes[0])) return std::nullopt;
  if (!has_its_dimension(match, "v", found->axes[0]) || !has_its_dimension(match, "b", found->axes[0])) return std::nullopt;
  return found;
}

bool is_last(Match& match) {
  const auto found = find(match);
  return found && (found->trailing || match.fail("the axes are not the last ones"));
}

bool is_elsewhere(Match& match) {
  const auto found = find(match);
  if (!found || found->trailing) return false;
  if (found->axes.size() > 1) return match.fail("the axes are not the last ones");
  std::vector<std::int64_t> perm, back(found->rank);
  for (std::size_t i = 0; i < found->rank; ++i)
    if (i != found->axes[0]) perm.push_back(static_cast<std::int64_t>(i));
  perm.push_back(static_cast<std::int64_t>(found->axes[0]));
  for (std::size_t i = 0; i < found->rank; ++i) back[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  match.set_attribute("perm", perm);
  match.set_attribute("back", back);
  return true;
}

void prepare(Match& match, Patch& patch) {
  const auto found = *normalized(match, "Axes");
  set_parameter(match, patch, found, "Scale", "scale", 1);
  if (match.value("Bias") != kNone) set_parameter(match, patch, found, "Bias", "bias", 0);
  match.set_attribute("axis", found.axis);
}

}  // namespace

Pass fuse_layer_norm() {
  static const std::string last = std::string(kForms) + kLast, transposed = std::string(kForms) + kTransposed;
  return pattern_pass("fuse-layer-norm", "LayerNormalization written as its parts",
                      {{last.c_str(), &is_last, &prepare}, {transposed.c_str(), &is_elsewhere, &prepare}});
}

}  // namespace ashlar::optimizer
