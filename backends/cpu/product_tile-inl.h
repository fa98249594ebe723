// SPDX-License-Identifier: Apache-2.0
// The micro-kernel that float32 products are made of, for files compiled per instruction set (simd.h): included there between
// foreach_target.h and the use. It is defined in product_tile.cc.
#ifndef ASHLAR_CPU_PRODUCT_TILE_ONCE
#define ASHLAR_CPU_PRODUCT_TILE_ONCE
#include <array>
#include <cstdint>

#include "product.h"

namespace ashlar::cpu {

/// C = A B for a few rows of A and a few vectors of columns of B; rows of all three are dense.
struct TileOperands {
  const float* a;
  std::int64_t a_stride;
  const float* b;
  std::int64_t b_stride;
  std::int64_t depth;
  std::int64_t lines = 1, line_step = 0;  // the depth is so many times `depth`, in A so many elements from one to the next
  float* c;
  std::int64_t c_stride;
  std::int64_t last_lanes;  // elements of a row's last vector that exist
  bool add;                 // to what C holds
  const char* ahead;        // what later tiles read: fetched on the way, ahead_step bytes for each step of the depth
  std::int64_t ahead_step;
  int ahead_lines = 1;                 // of the cache, at each step
  const float* const* rows = nullptr;  // in the place of a and a_stride: where each row of A begins
  const Finish* finish = nullptr;      // of this tile, with the last of the depth
};
using TileFunction = void (*)(const TileOperands&);

}  // namespace ashlar::cpu
#endif

#if defined(ASHLAR_CPU_PRODUCT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASHLAR_CPU_PRODUCT_TILE_INL_H_
#undef ASHLAR_CPU_PRODUCT_TILE_INL_H_
#else
#define ASHLAR_CPU_PRODUCT_TILE_INL_H_
#endif

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using Vector = hn::Vec<FloatTag>;
constexpr FloatTag kTag;
constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(kTag));

#if HWY_MAX_BYTES == 64
constexpr int kBlockRows = 6, kPanelVectors = 4;
#elif HWY_MAX_BYTES == 32
constexpr int kBlockRows = 6, kPanelVectors = 2;
#else
constexpr int kBlockRows = 4, kPanelVectors = 2;
#endif

/// By rows - 1 and vectors of columns - 1.
using Tiles = std::array<std::array<TileFunction, kPanelVectors>, kBlockRows>;
extern const Tiles kTiles;

/// Panels of a matrix are as even as whole vectors make them.
struct Panels {
  std::int64_t vectors, count;
  explicit Panels(std::int64_t columns) : vectors((columns + kLanes - 1) / kLanes), count((vectors + kPanelVectors - 1) / kPanelVectors) {}
  std::int64_t first_vector(std::int64_t panel) const { return vectors * panel / count; }
};

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
