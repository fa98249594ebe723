// SPDX-License-Identifier: Apache-2.0
#include "kept_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kept_boxes.cc"
#include <hwy/foreach_target.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Whether `box` overlaps one of the blocks'. Most boxes are apart, so the area is looked at only where they meet.
bool Overlaps(const KeptBoxes::Block* blocks, std::size_t count, const Box& box, float limit) {
  const hn::CappedTag<float, KeptBoxes::kTogether> d;
  const auto zero = hn::Zero(d), most = hn::Set(d, limit), own = hn::Set(d, box.area);
  const auto left = hn::Set(d, box.x0), top = hn::Set(d, box.y0), right = hn::Set(d, box.x1), bottom = hn::Set(d, box.y1);
  for (std::size_t b = 0; b < count; ++b)
    for (std::size_t i = 0; i < KeptBoxes::kTogether; i += hn::Lanes(d)) {
      const KeptBoxes::Block& k = blocks[b];
      const auto width = hn::Sub(hn::Min(right, hn::Load(d, k.x1 + i)), hn::Max(left, hn::Load(d, k.x0 + i)));
      const auto height = hn::Sub(hn::Min(bottom, hn::Load(d, k.y1 + i)), hn::Max(top, hn::Load(d, k.y0 + i)));
      const auto meets = hn::And(hn::Gt(width, zero), hn::Gt(height, zero));
      if (hn::AllFalse(d, meets)) continue;
      const auto both = hn::Mul(width, height), either = hn::Sub(hn::Add(own, hn::Load(d, k.area + i)), both);
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

KeptBoxes::KeptBoxes(const Box* boxes, std::int64_t count) {
  float low = std::numeric_limits<float>::infinity(), high = -low;
  double widths = 0;
  std::int64_t whole = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Box& b = boxes[i];
    if (!std::isfinite(b.x0) || !std::isfinite(b.x1)) continue;
    low = std::min(low, b.x0);
    high = std::max(high, b.x1);
    widths += std::max(0.0, static_cast<double>(b.x1) - static_cast<double>(b.x0));
    ++whole;
  }
  const double range = static_cast<double>(high) - static_cast<double>(low);
  if (count > kFewBoxes && whole > 0 && range > 0 && std::isfinite(range)) {
    const double strip = std::max(range / static_cast<double>(kMostStrips), widths / static_cast<double>(whole));
    low_ = low;
    per_strip_ = static_cast<float>(1 / strip);
    strips_.resize(static_cast<std::size_t>(std::clamp<double>(std::ceil(range / strip), 1, static_cast<double>(kMostStrips))));
  } else {
    strips_.resize(1);
  }
}

void KeptBoxes::clear() {
  for (List& strip : strips_) strip.size = 0;
  wide_.size = 0;
  size_ = 0;
}

KeptBoxes::Strips KeptBoxes::strips_of(const Box& box) const {
  const auto last = static_cast<std::int64_t>(strips_.size()) - 1;
  if (!std::isfinite(box.x0) || !std::isfinite(box.x1)) return {0, last};
  // Never less for a larger x, so that boxes which meet have a strip in common.
  const auto strip = [&](float x) {
    return static_cast<std::int64_t>(std::clamp((x - low_) * per_strip_, 0.0f, static_cast<float>(last)));
  };
  return {strip(box.x0), strip(box.x1)};
}

void KeptBoxes::add(const Box& box) {
  ++size_;
  const Strips at = strips_of(box);
  const bool numbers = std::isfinite(box.x0) && std::isfinite(box.x1);
  if (!numbers || at.last - at.first >= kMostSpanned) return wide_.add(box);
  for (std::int64_t i = at.first; i <= at.last; ++i) strips_[static_cast<std::size_t>(i)].add(box);
}

bool KeptBoxes::overlap(const Box& box, float limit) const {
  if (wide_.overlap(box, limit)) return true;
  const Strips at = strips_of(box);
  for (std::int64_t i = at.first; i <= at.last; ++i)
    if (strips_[static_cast<std::size_t>(i)].overlap(box, limit)) return true;
  return false;
}

void KeptBoxes::List::add(const Box& box) {
  const std::size_t block = size / kTogether, place = size % kTogether;
  if (place == 0) {
    if (block == blocks.size()) blocks.emplace_back();
    // Boxes that meet nothing fill the last block.
    Block& empty = blocks[block];
    for (float* low : {empty.x0, empty.y0}) std::fill_n(low, kTogether, std::numeric_limits<float>::infinity());
    for (float* high : {empty.x1, empty.y1, empty.area}) std::fill_n(high, kTogether, 0.0f);
  }
  Block& to = blocks[block];
  to.x0[place] = box.x0, to.y0[place] = box.y0, to.x1[place] = box.x1, to.y1[place] = box.y1, to.area[place] = box.area;
  ++size;
}

bool KeptBoxes::List::overlap(const Box& box, float limit) const {
  return size > 0 && HWY_DYNAMIC_DISPATCH(Overlaps)(blocks.data(), (size + kTogether - 1) / kTogether, box, limit);
}

}  // namespace ashlar::cpu
#endif
