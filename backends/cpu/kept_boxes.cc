// SPDX-License-Identifier: Apache-2.0
#include "kept_boxes.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kept_boxes.cc"
#include <hwy/foreach_target.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Whether `box` overlaps one of `count` boxes, a multiple of 16. Most boxes are apart, so the area is looked at only where they meet.
bool Overlaps(const float* x0, const float* y0, const float* x1, const float* y1, const float* area, std::int64_t count, const Box& box,
              float limit) {
  const hn::CappedTag<float, 16> d;
  const auto zero = hn::Zero(d), most = hn::Set(d, limit), own = hn::Set(d, box.area);
  const auto left = hn::Set(d, box.x0), top = hn::Set(d, box.y0), right = hn::Set(d, box.x1), bottom = hn::Set(d, box.y1);
  for (std::int64_t i = 0; i < count; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto width = hn::Sub(hn::Min(right, hn::Load(d, x1 + i)), hn::Max(left, hn::Load(d, x0 + i)));
    const auto height = hn::Sub(hn::Min(bottom, hn::Load(d, y1 + i)), hn::Max(top, hn::Load(d, y0 + i)));
    const auto meets = hn::And(hn::Gt(width, zero), hn::Gt(height, zero));
    if (hn::AllFalse(d, meets)) continue;
    const auto both = hn::Mul(width, height), either = hn::Sub(hn::Add(own, hn::Load(d, area + i)), both);
    const auto beyond = hn::And(hn::Gt(either, zero), hn::Gt(hn::Div(both, either), most));
    if (!hn::AllFalse(d, hn::And(meets, beyond))) return true;
  }
  return false;
}

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(Overlaps);

void KeptBoxes::add(const Box& box) {
  if (size_ % kTogether == 0) {
    // Boxes that meet nothing fill the last vector.
    for (float* low : {x0_, y0_}) std::fill_n(low + size_, kTogether, std::numeric_limits<float>::infinity());
    for (float* high : {x1_, y1_, area_}) std::fill_n(high + size_, kTogether, 0.0f);
  }
  x0_[size_] = box.x0, y0_[size_] = box.y0, x1_[size_] = box.x1, y1_[size_] = box.y1, area_[size_] = box.area;
  ++size_;
}

bool KeptBoxes::overlap(const Box& box, float limit) const {
  return HWY_DYNAMIC_DISPATCH(Overlaps)(x0_, y0_, x1_, y1_, area_, capacity(size_), box, limit);
}

}  // namespace ashlar::cpu
#endif
