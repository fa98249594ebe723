// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ashlar::cpu {

/// Corners and area of a box.
struct Box {
  float x0, y0, x1, y1, area;
};

/// Boxes one coordinate after the other, in memory of the caller for `capacity` boxes (KeptBoxes::capacity).
class KeptBoxes {
 public:
  KeptBoxes(float* memory, std::int64_t capacity)
      : x0_(memory), y0_(x0_ + capacity), x1_(y0_ + capacity), y1_(x1_ + capacity), area_(y1_ + capacity) {}
  /// Floats a coordinate takes for that many boxes: whole vectors of any instruction set.
  static std::int64_t capacity(std::int64_t boxes) { return (boxes + kTogether - 1) / kTogether * kTogether; }
  std::int64_t size() const { return size_; }

  void add(const Box& box);
  /// Whether intersection over union with one of them exceeds the limit; boxes of no area overlap nothing.
  bool overlap(const Box& box, float limit) const;

 private:
  static constexpr std::int64_t kTogether = 16;
  float *x0_, *y0_, *x1_, *y1_, *area_;
  std::int64_t size_ = 0;
};

}  // namespace ashlar::cpu
