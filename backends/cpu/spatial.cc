// SPDX-License-Identifier: Apache-2.0
#include "spatial.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "spatial.cc"
#include <hwy/foreach_target.h>

#include "simd.h"
#include "window.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr float kLowest = -std::numeric_limits<float>::infinity();
/// Taps added up before the sum joins the total, which keeps the rounding errors of large windows small.
constexpr std::int64_t kRun = 64;

template <bool kMax> V combine(V acc, V x) {
  if constexpr (!kMax) return hn::Add(acc, x);
  else return hn::IfThenElse(hn::IsNaN(acc), acc, hn::Max(acc, x));
}
template <bool kMax> float combine(float acc, float x) {
  if constexpr (!kMax) return acc + x;
  else return acc >= x || acc != acc ? acc : x;
}

/// The taps of one pixel that lie inside the image.
struct Taps {
  const float* x;
  std::int64_t count[3], step[3];
};

/// y[0, kVectors * lanes) for one pixel.
template <bool kMax, int kVectors> void pool_vectors(const Taps& taps, std::int64_t channel, float scale, float* y) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V start = hn::Set(d, kMax ? kLowest : 0.0f);
  V total[kVectors];
  for (int v = 0; v < kVectors; ++v) total[v] = start;
  for (std::int64_t i = 0; i < taps.count[0]; ++i) {
    for (std::int64_t j = 0; j < taps.count[1]; ++j) {
      const float* x = taps.x + channel + i * taps.step[0] + j * taps.step[1];
      for (std::int64_t k = 0; k < taps.count[2];) {
        const std::int64_t stop = std::min(taps.count[2], k + kRun);
        V sum[kVectors];
        for (int v = 0; v < kVectors; ++v) sum[v] = start;
        for (; k < stop; ++k, x += taps.step[2])
          for (int v = 0; v < kVectors; ++v) sum[v] = combine<kMax>(sum[v], hn::LoadU(d, x + v * lanes));
        for (int v = 0; v < kVectors; ++v) total[v] = combine<kMax>(total[v], sum[v]);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) hn::StoreU(kMax ? total[v] : hn::Mul(total[v], hn::Set(d, scale)), d, y + v * lanes);
}

template <bool kMax> float pool_one(const Taps& taps, std::int64_t channel, float scale) {
  float total = kMax ? kLowest : 0.0f;
  for (std::int64_t i = 0; i < taps.count[0]; ++i) {
    for (std::int64_t j = 0; j < taps.count[1]; ++j) {
      const float* x = taps.x + channel + i * taps.step[0] + j * taps.step[1];
      for (std::int64_t k = 0; k < taps.count[2];) {
        const std::int64_t stop = std::min(taps.count[2], k + kRun);
        float sum = kMax ? kLowest : 0.0f;
        for (; k < stop; ++k, x += taps.step[2]) sum = combine<kMax>(sum, *x);
        total = combine<kMax>(total, sum);
      }
    }
  }
  return kMax ? total : total * scale;
}

template <bool kMax> void pool_pixel(const Taps& taps, std::int64_t from, std::int64_t to, float scale, float* y) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
  std::int64_t c = from;
  for (; c + 4 * lanes <= to; c += 4 * lanes) pool_vectors<kMax, 4>(taps, c, scale, y + c);
  for (; c + lanes <= to; c += lanes) pool_vectors<kMax, 1>(taps, c, scale, y + c);
  for (; c < to; ++c) y[c] = pool_one<kMax>(taps, c, scale);
}

template <bool kMax> void pool_units(const PoolJob& p, std::int64_t first, std::int64_t last) {
  const std::int64_t blocks = p.blocks();
  const std::int64_t strides[3] = {p.input[1] * p.input[2] * p.channels, p.input[2] * p.channels, p.channels};
  Taps taps{nullptr, {}, {p.dilation[0] * strides[0], p.dilation[1] * strides[1], p.dilation[2] * strides[2]}};
  for (std::int64_t unit = first; unit < last; ++unit) {
    const std::int64_t row = unit / blocks, from = unit % blocks * p.block, to = std::min(p.channels, from + p.block);
    const std::int64_t position[3] = {row / p.output[1] % p.output[0], row % p.output[1], 0};
    const float* image = p.x + row / (p.output[0] * p.output[1]) * p.input[0] * strides[0];
    std::int64_t padded[3];
    const auto place = [&](int d, std::int64_t at) {
      const std::int64_t origin = at * p.stride[d] - p.begin[d];
      const TapRange inside(origin, p.dilation[d], p.kernel[d], 0, p.input[d]);
      taps.count[d] = inside.last - inside.first;
      padded[d] = taps.count[d];
      if (p.include_pad) {
        const TapRange all(origin, p.dilation[d], p.kernel[d], -p.begin[d], p.input[d] + p.end[d]);
        padded[d] = all.last - all.first;
      }
      return (origin + inside.first * p.dilation[d]) * strides[d];
    };
    const std::int64_t base = place(0, position[0]) + place(1, position[1]);
    for (std::int64_t o = 0; o < p.output[2]; ++o) {
      const std::int64_t offset = base + place(2, o);
      const bool any = taps.count[0] > 0 && taps.count[1] > 0 && taps.count[2] > 0;
      taps.x = any ? image + offset : image;
      const std::int64_t count = padded[0] * padded[1] * padded[2];
      const float scale = p.mode != Pooling::kAverage ? 1.0f : count == 0 ? 0.0f : 1.0f / static_cast<float>(count);
      pool_pixel<kMax>(taps, from, to, scale, p.y + (row * p.output[2] + o) * p.channels);
    }
  }
}

void PoolRows(const PoolJob& job, std::int64_t first, std::int64_t last) {
  if (job.mode == Pooling::kMax) pool_units<true>(job, first, last);
  else pool_units<false>(job, first, last);
}

template <bool kMax> float reduce(const float* x, std::int64_t n) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float start = kMax ? kLowest : 0.0f;
  float total = start;
  std::int64_t i = 0;
  while (n - i >= 4 * lanes) {
    V acc[4] = {hn::Set(d, start), hn::Set(d, start), hn::Set(d, start), hn::Set(d, start)};
    for (const std::int64_t stop = std::min(n, i + kRun * 4 * lanes); i + 4 * lanes <= stop; i += 4 * lanes)
      for (int v = 0; v < 4; ++v) acc[v] = combine<kMax>(acc[v], hn::LoadU(d, x + i + v * lanes));
    const V all = combine<kMax>(combine<kMax>(acc[0], acc[1]), combine<kMax>(acc[2], acc[3]));
    float parts[HWY_MAX_BYTES / sizeof(float)];
    hn::StoreU(all, d, parts);
    float sum = start;
    for (std::int64_t l = 0; l < lanes; ++l) sum = combine<kMax>(sum, parts[l]);
    total = combine<kMax>(total, sum);
  }
  for (; i < n; ++i) total = combine<kMax>(total, x[i]);
  return total;
}
float ReduceRow(const float* x, std::int64_t n, Pooling mode) { return mode == Pooling::kMax ? reduce<true>(x, n) : reduce<false>(x, n); }

/// kTaps: their number where it is fixed, 0 where `taps` tells it.
template <int kTaps>
void blend(const float* HWY_RESTRICT x, const std::int64_t* HWY_RESTRICT offsets, const float* HWY_RESTRICT weights, std::int64_t taps,
           std::int64_t n, float* HWY_RESTRICT y) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if constexpr (kTaps > 0) taps = kTaps;
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    V sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, x + offsets[0] + i));
    for (std::int64_t t = 1; t < taps; ++t) sum = hn::MulAdd(hn::Set(d, weights[t]), hn::LoadU(d, x + offsets[t] + i), sum);
    hn::StoreU(sum, d, y + i);
  }
  for (; i < n; ++i) {
    float sum = weights[0] * x[offsets[0] + i];
    for (std::int64_t t = 1; t < taps; ++t) sum += weights[t] * x[offsets[t] + i];
    y[i] = sum;
  }
}
void BlendRows(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* y) {
  if (taps == 2) blend<2>(x, offsets, weights, taps, n, y);
  else if (taps == 4) blend<4>(x, offsets, weights, taps, n, y);
  else blend<0>(x, offsets, weights, taps, n, y);
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {
HWY_EXPORT(PoolRows);
HWY_EXPORT(ReduceRow);
HWY_EXPORT(BlendRows);

void pool_rows(const PoolJob& job, std::int64_t first, std::int64_t last) { HWY_DYNAMIC_DISPATCH(PoolRows)(job, first, last); }
float reduce_row(const float* x, std::int64_t n, Pooling mode) { return HWY_DYNAMIC_DISPATCH(ReduceRow)(x, n, mode); }
void blend_rows(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(BlendRows)(x, offsets, weights, taps, n, y);
}

namespace {
template <int kTaps>
void points(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* __restrict y) {
  if constexpr (kTaps > 0) taps = kTaps;
  for (std::int64_t j = 0; j < n; ++j, offsets += taps, weights += taps) {
    float sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) sum += weights[t] * x[offsets[t]];
    y[j] = sum;
  }
}
}  // namespace
void blend_points(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* y) {
  if (taps == 2) points<2>(x, offsets, weights, taps, n, y);
  else if (taps == 4) points<4>(x, offsets, weights, taps, n, y);
  else points<0>(x, offsets, weights, taps, n, y);
}
}  // namespace ashlar::cpu
#endif
