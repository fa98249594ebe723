// SPDX-License-Identifier: Apache-2.0
// The micro-kernel for every number of rows and of vectors of columns. Sums stay in registers for all of the depth.
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "product_tile.cc"
#include <hwy/foreach_target.h>

#include "product_tile-inl.h"
#include "row_math-inl.h"
#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {

/// The first `lanes` elements of v to `to`, added to what it holds or not; touches nothing behind them.
HWY_INLINE void StoreLast(Vector v, float* to, std::int64_t lanes, bool add) {
#if HWY_TARGET <= HWY_AVX2
  const auto some = hn::FirstN(kTag, static_cast<std::size_t>(lanes));
  hn::BlendedStore(add ? hn::Add(v, hn::MaskedLoad(some, kTag, to)) : v, some, kTag, to);
#else
  HWY_ALIGN float all[kLanes];
  hn::Store(v, kTag, all);
  for (std::int64_t j = 0; j < lanes; ++j) to[j] = add ? all[j] + to[j] : all[j];
#endif
}

/// Stores clip(sums + bias + residual), what C holds added where the tile says so.
template <int R, int V> HWY_INLINE void StoreFinished(const Vector (&sums)[R][V], const TileOperands& t) {
  const Finish& f = *t.finish;
  const Finishing<FloatTag> finished(f);
  const Vector zero = hn::Zero(kTag);
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t lanes = v + 1 < V ? kLanes : t.last_lanes;
    const Vector bias = f.bias ? LoadPart(kTag, f.bias + v * kLanes, lanes, zero) : zero;
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      float* to = t.c + r * t.c_stride + v * kLanes;
      Vector y = hn::Add(sums[r][v], bias);
      if (t.add) y = hn::Add(y, LoadPart(kTag, to, lanes, zero));
      if (f.residual) y = hn::Add(y, LoadPart(kTag, f.residual + r * t.c_stride + v * kLanes, lanes, zero));
      StorePart(kTag, finished(y), to, lanes);
    }
  }
}

template <int R, int V> void Tile(const TileOperands& t) {
  // Few sums would wait for themselves: each is added up in two, of even and of odd steps, which rounds less too.
  constexpr int kChains = 2 * R * V <= kBlockRows * kPanelVectors ? 2 : 1;
  Vector chains[kChains][R][V];
  HWY_UNROLL(8)
  for (int n = 0; n < kChains; ++n) {
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) chains[n][r][v] = hn::Zero(kTag);
    }
  }
  const float* a[R];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) a[r] = t.rows ? t.rows[r] : t.a + r * t.a_stride;
  for (int r = 0; r < R && (t.finish || !t.add); ++r)
    for (int v = 0; v < V; ++v) {
      __builtin_prefetch(t.c + r * t.c_stride + v * kLanes, 1);
      if (t.finish && t.finish->residual) __builtin_prefetch(t.finish->residual + r * t.c_stride + v * kLanes);
    }
  const float* b = t.b;
  const char* ahead = t.ahead;
  const std::int64_t ahead_step = t.ahead_step;
  const int ahead_lines = t.ahead_lines;
  const std::int64_t b_stride = t.b_stride, depth = t.depth;
  const auto step = [&](std::int64_t k, Vector(&sums)[R][V]) HWY_ATTR {
    for (int l = 0; l < ahead_lines; ++l) __builtin_prefetch(ahead + l * 64, 0, 2);
    Vector x[V];
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) x[v] = hn::LoadU(kTag, b + v * kLanes);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      const Vector y = hn::Set(kTag, a[r][k]);
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sums[r][v] = hn::MulAdd(y, x[v], sums[r][v]);
    }
    b += b_stride;
    ahead += ahead_step;
  };
  for (std::int64_t line = 0; line < t.lines; ++line) {
    std::int64_t k = 0;
    if constexpr (kChains == 2) {
      for (; k + 2 <= depth; k += 2) {
        step(k, chains[0]);
        step(k + 1, chains[1]);
      }
    }
    for (; k < depth; ++k) step(k, chains[0]);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) a[r] += t.line_step;
  }
  auto& sums = chains[0];
  if constexpr (kChains == 2) {
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sums[r][v] = hn::Add(sums[r][v], chains[1][r][v]);
    }
  }
  if (t.finish) return StoreFinished<R, V>(sums, t);
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    float* c = t.c + r * t.c_stride;
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) {
      float* to = c + v * kLanes;
      if (v + 1 < V || t.last_lanes == kLanes) {
        hn::StoreU(t.add ? hn::Add(sums[r][v], hn::LoadU(kTag, to)) : sums[r][v], kTag, to);
      } else {
        StoreLast(sums[r][v], to, t.last_lanes, t.add);
      }
    }
  }
}

template <int R, std::size_t... V> constexpr std::array<TileFunction, kPanelVectors> TileRow(std::index_sequence<V...>) {
  return {&Tile<R, static_cast<int>(V) + 1>...};
}
template <std::size_t... R> constexpr Tiles TileTable(std::index_sequence<R...>) {
  return {TileRow<static_cast<int>(R) + 1>(std::make_index_sequence<kPanelVectors>())...};
}
constinit const Tiles kTiles = TileTable(std::make_index_sequence<kBlockRows>());

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
