// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

#include <limits>

namespace ashlar::optimizer {
namespace {

constexpr const char* kMasked = R"(
before
  s = Mul?(x, Scale)
  a = Add(s, mask)
  ! y = Softmax(a) {axis=$axis}
before
  s = Div(x, Divisor)
  a = Add(s, mask)
  ! y = Softmax(a) {axis=$axis}
after
  y = ashlar::ScaledMaskedSoftmax(x, mask) {scale=$scale}
)";
constexpr const char* kScaled = R"(
before
  s = Mul(x, Scale) | Div(x, Divisor)
  ! y = Softmax(s) {axis=$axis}
after
  y = ashlar::ScaledMaskedSoftmax(x) {scale=$scale}
)";

// A mask of truth values: what is not kept counts nothing.
constexpr const char* kKept = R"(
before
  s = Mul?(x, Scale)
  a = Where(keep, s, Low)
  ! y = Softmax(a) {axis=$axis}
after
  mask = Where(keep, zero, Low)
  y = ashlar::ScaledMaskedSoftmax(x, mask) {scale=$scale}
)";

bool is_last(Match& match) {
  if (!is_float(match, "x")) return false;
  const std::optional<std::size_t> rank = match.editor.rank(match.value("x"));
  if (!rank) return match.fail("the rank of " + match.name_of("x") + " is not known");
  const auto axis = match.attribute<std::int64_t>("axis", -1);
  return axis == -1 || axis == static_cast<std::int64_t>(*rank) - 1 ||
         match.fail("the axis of " + match.name_of("y") + " is not the last one");
}

bool is_scaled(Match& match) {
  if (!is_last(match)) return false;
  match.set_attribute("scale", 1.0f);
  const bool divides = match.value("Divisor") != kNone;
  if (!divides && match.value("Scale") == kNone) return true;
  if (!is_number(match, divides ? "Divisor" : "Scale", "x")) return false;
  const double scale = divides ? 1 / match.scalar("Divisor") : match.scalar("Scale");
  match.set_attribute("scale", static_cast<float>(scale));
  return true;
}

/// Whether the name's value fits x as it is, with no dimension of its own.
bool broadcasts(Match& match, std::string_view name) {
  const ops::SymbolicShape *x = match.editor.shape(match.value("x")), *mask = match.editor.shape(match.value(name));
  bool good = x && mask && mask->size() <= x->size();
  for (std::size_t i = 1; good && i <= mask->size(); ++i)
    good = (*mask)[mask->size() - i].is(1) || (*mask)[mask->size() - i] == (*x)[x->size() - i];
  return good || match.fail(with_shape(match, name) + " may not fit " + with_shape(match, "x") + " as it is");
}

bool is_masked(Match& match) { return is_scaled(match) && broadcasts(match, "mask"); }

bool is_kept(Match& match) {
  if (!is_scaled(match) || !broadcasts(match, "keep")) return false;
  if (match.editor.same_shape(match.value("keep"), match.value("x")))
    return match.fail("a mask as large as " + match.name_of("x") + " would be made");
  const auto low = match.editor.scalar(match.value("Low"));
  if (!low || !(*low <= -1e30)) return match.fail(match.name_of("Low") + " is not low enough to be no weight in every row");
  return match.editor.rank(match.value("Low")) == 0u || match.fail(match.name_of("Low") + " may add dimensions");
}

void prepare_mask(Match& match, Patch& patch) { match.set("zero", patch.scalar("zero", match.editor.dtype(match.value("x")), 0)); }

}  // namespace

Pass fuse_masked_softmax() {
  Pass pass = pattern_pass("fuse-masked-softmax", "Softmax of what is scaled and masked",
                           {{kMasked, &is_masked}, {kScaled, &is_scaled}, {kKept, &is_kept, &prepare_mask}});
  pass.late = true;  // attention is found by its Softmax
  return pass;
}

}  // namespace ashlar::optimizer
