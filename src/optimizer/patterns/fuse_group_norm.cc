// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

#include "ops/rewriter.h"

namespace ashlar::optimizer {
namespace {

// Groups of channels as channels of an InstanceNormalization without scale and bias, which come after it.
constexpr const char* kGroups = R"(
before
  r = Reshape(x, to)
  ! n = InstanceNormalization(r, Ones, Zeros) {epsilon=$epsilon}
  c = Reshape(n, back)
  w = Mul?(c, Scale)
  y = Add?(w, Bias)
after
  y = GroupNormalization(x, scale, bias) {num_groups=$groups, epsilon=$epsilon}
)";

/// Whether all elements of the constant are that number.
bool is_full_of(Match& match, std::string_view name, int number) {
  const Tensor& t = *match.editor.constant(match.value(name));
  const std::optional<Tensor> one = ops::scalar_of(t.dtype(), number);
  const std::string_view bytes(static_cast<const char*>(t.raw()), t.bytes());
  for (std::size_t at = 0; one && at < bytes.size(); at += one->bytes())
    if (bytes.substr(at, one->bytes()) != std::string_view(static_cast<const char*>(one->raw()), one->bytes()))
      return match.fail(match.name_of(name) + " is not all " + std::to_string(number));
  return one || match.fail(match.name_of(name) + " is " + t.type_string());
}

bool accept(Match& match) {
  const Editor& editor = match.editor;
  if (!is_float(match, "x") || !is_full_of(match, "Ones", 1) || !is_full_of(match, "Zeros", 0)) return false;
  const ops::SymbolicShape *x = editor.shape(match.value("x")), *r = editor.shape(match.value("r"));
  if (!x || !r || x->size() < 3 || r->size() < 3)
    return match.fail("the ranks of " + match.name_of("x") + " and " + match.name_of("r") + " are not known");
  const auto channels = (*x)[1].value(), groups = (*r)[1].value();
  if (!channels || !groups || *groups < 1 || *channels % *groups != 0 || !((*x)[0] == (*r)[0]))
    return match.fail(match.name_of("r") + " does not split the channels of " + match.name_of("x") + " into groups");
  if (!editor.same_shape(match.value("x"), match.value("c")))
    return match.fail(match.name_of("c") + " does not restore the shape of " + match.name_of("x"));
  for (const char* name : {"Scale", "Bias"})
    if (match.value(name) != kNone && !is_parameter(match, name, x->size(), {1}, {*channels})) return false;
  match.set_attribute("groups", *groups);
  return true;
}

void prepare(Match& match, Patch& patch) {
  const std::int64_t channels = *(*match.editor.shape(match.value("x")))[1].value();
  const DType dtype = match.editor.dtype(match.value("x"));
  if (match.value("Scale") != kNone) reshape_constant(match, patch, "Scale", {channels}, "scale");
  else match.set("scale", patch.constant("Scale", ones(dtype, {channels})));
  if (match.value("Bias") != kNone) reshape_constant(match, patch, "Bias", {channels}, "bias");
  else match.set("bias", patch.constant("Bias", Tensor::zeros(dtype, {channels})));
}

}  // namespace

Pass fuse_group_norm() {
  return pattern_pass("fuse-group-norm", "InstanceNormalization of groups of channels is GroupNormalization",
                      {{kGroups, &accept, &prepare}});
}

}  // namespace ashlar::optimizer
