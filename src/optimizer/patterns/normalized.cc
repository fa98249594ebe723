// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/normalized.h"

namespace ashlar::optimizer {
namespace {

constexpr std::int64_t kMostFilled = 1 << 16;  // elements of a constant that is made

}  // namespace

std::optional<Normalized> normalized(Match& match, std::string_view axes_name) {
  const auto fail = [&](std::string reason) {
    match.fail(std::move(reason));
    return std::nullopt;
  };
  if (!is_float(match, "x")) return std::nullopt;
  const ops::SymbolicShape* shape = match.editor.shape(match.value("x"));
  if (!shape) return fail("the rank of " + match.name_of("x") + " is not known");
  const auto along = axes(match, axes_name, shape->size());
  if (!along) return fail(match.name_of(axes_name) + " names no axes of " + match.name_of("x"));
  Normalized out;
  out.axes = *along;
  out.rank = shape->size();
  out.trailing = along->front() + along->size() == out.rank;
  out.axis = static_cast<std::int64_t>(along->front()) - static_cast<std::int64_t>(out.rank);
  for (const std::size_t a : *along)
    if (const auto size = (*shape)[a].value()) out.sizes.push_back(*size);
  if (out.sizes.size() != along->size()) out.sizes.clear();
  if (!is_number(match, "Eps", "v")) return std::nullopt;
  match.set_attribute("epsilon", static_cast<float>(match.scalar("Eps")));
  return out;
}

bool has_parameters(Match& match, const Normalized& found, std::initializer_list<std::string_view> names) {
  if (found.sizes.empty()) return match.fail("the size of what is normalised, in " + match.name_of("x") + ", is not known");
  std::int64_t count = 1;
  for (const std::int64_t size : found.sizes) count *= size;
  for (const std::string_view name : names) {
    if (match.value(name) != kNone) {
      if (!is_parameter(match, name, found.rank, found.axes, found.sizes)) return false;
    } else if (count > kMostFilled) {
      return match.fail("a constant of " + std::to_string(count) + " ones would be made");
    }
  }
  return true;
}

void set_parameter(Match& match, Patch& patch, const Normalized& found, std::string_view name, std::string as, int fill) {
  if (match.value(name) != kNone) return reshape_constant(match, patch, name, found.sizes, std::move(as));
  const DType dtype = match.editor.dtype(match.value("x"));
  match.set(std::move(as), patch.constant(std::string(name), fill ? ones(dtype, found.sizes) : Tensor::zeros(dtype, Shape(found.sizes))));
}

}  // namespace ashlar::optimizer
