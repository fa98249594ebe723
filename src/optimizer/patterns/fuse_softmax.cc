// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kSoftmax = R"(
before
  m = ReduceMax(x, MaxAxes) {keepdims=1}
  d = Sub(x, m)
  ! e = Exp(d)
  s = ReduceSum(e, SumAxes) {keepdims=1}
  y = Div(e, s)
after
  y = Softmax(x) {axis=$axis}
)";

constexpr const char* kLogSoftmax = R"(
before
  m = ReduceMax(x, MaxAxes) {keepdims=1}
  d = Sub(x, m)
  ! e = Exp(d)
  s = ReduceSum(e, SumAxes) {keepdims=1}
  l = Log(s)
  y = Sub(d, l)
after
  y = LogSoftmax(x) {axis=$axis}
)";

constexpr const char* kShifted = R"(
before
  & m = ReduceMax(x, MaxAxes) {keepdims=1}
  d = Sub(x, m)
  ! y = Softmax(d) {axis=$axis}
after
  y = Softmax(x) {axis=$axis}
)";

/// The one axis that a reduction's constant names, from the front; nothing where there are more or the rank is not known.
std::optional<std::int64_t> axis_of(const Match& match, const char* name) {
  const auto axes = match.editor.numbers(match.value(name));
  const auto rank = match.editor.rank(match.value("x"));
  if (!axes || axes->size() != 1 || !rank) return std::nullopt;
  return axes->front() < 0 ? axes->front() + static_cast<std::int64_t>(*rank) : axes->front();
}

bool same_axis(Match& match) {
  const auto of_maximum = axis_of(match, "MaxAxes"), of_sum = axis_of(match, "SumAxes");
  if (!of_maximum || !of_sum) return match.fail("the maximum and the sum are not over one axis that is known");
  if (*of_maximum != *of_sum)
    return match.fail("the maximum is over axis " + std::to_string(*of_maximum) + ", the sum over axis " + std::to_string(*of_sum));
  match.set_attribute("axis", *of_sum);
  return true;
}

/// Any maximum that is the same along the axis does.
bool covers_axis(Match& match) {
  const auto rank = match.editor.rank(match.value("x"));
  const auto of_maximum = axis_of(match, "MaxAxes");
  if (!of_maximum || !rank) return match.fail("the maximum is not over one axis that is known");
  const auto axis = match.attribute<std::int64_t>("axis", -1);
  const std::int64_t of_softmax = axis < 0 ? axis + static_cast<std::int64_t>(*rank) : axis;
  return *of_maximum == of_softmax ||
         match.fail("the maximum is over axis " + std::to_string(*of_maximum) + ", Softmax over axis " + std::to_string(of_softmax));
}

}  // namespace

Pass fuse_softmax() {
  return pattern_pass("fuse-softmax", "Softmax and LogSoftmax written out",
                      {{kSoftmax, &same_axis}, {kLogSoftmax, &same_axis}, {kShifted, &covers_axis}});
}

}  // namespace ashlar::optimizer
