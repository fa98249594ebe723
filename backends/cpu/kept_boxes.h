// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace ashlar::cpu {

/// Corners and area of a box.
struct Box {
  float x0, y0, x1, y1, area;
};

/// Boxes that were kept, so placed that a new one is compared with those near it. Boxes lie in strips along x, about as wide as a box is; one
/// that spans many strips, or whose corners are no numbers, is near all.
class KeptBoxes {
 public:
  /// For boxes like these.
  KeptBoxes(const Box* boxes, std::int64_t count);
  std::int64_t size() const { return size_; }
  void add(const Box& box);
  /// Whether intersection over union with one of them exceeds the limit; boxes of no area overlap nothing.
  bool overlap(const Box& box, float limit) const;
  void clear();

  static constexpr std::size_t kTogether = 16;
  struct alignas(64) Block {
    float x0[kTogether], y0[kTogether], x1[kTogether], y1[kTogether], area[kTogether];
  };

 private:
  static constexpr std::int64_t kMostStrips = 256, kFewBoxes = 128, kMostSpanned = 4;
  struct List {
    std::vector<Block> blocks;
    std::size_t size = 0;
    void add(const Box& box);
    bool overlap(const Box& box, float limit) const;
  };
  struct Strips {
    std::int64_t first, last;
  };
  /// All of them for a box whose corners are no numbers.
  Strips strips_of(const Box& box) const;

  float low_ = 0, per_strip_ = 0;  ///< strips a unit
  std::vector<List> strips_;
  List wide_;
  std::int64_t size_ = 0;
};

}  // namespace ashlar::cpu
