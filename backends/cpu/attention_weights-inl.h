// SPDX-License-Identifier: Apache-2.0
// From scores to weights: softmax along tiles of keys, for files compiled per instruction set (simd.h): included there between
// foreach_target.h and the use.
#ifndef ASHLAR_CPU_ATTENTION_WEIGHTS_ONCE
#define ASHLAR_CPU_ATTENTION_WEIGHTS_ONCE
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace ashlar::cpu {

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// The keys that a query may read, and what is known of its row so far.
struct QueryRow {
  std::int64_t low = 0, high = 0;
  const float* mask = nullptr;  // key j has mask[j]
  const std::uint8_t* keep = nullptr;
  float top = kMasked, sum = 0;
};

}  // namespace ashlar::cpu
#endif

#if defined(ASHLAR_CPU_ATTENTION_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASHLAR_CPU_ATTENTION_WEIGHTS_INL_H_
#undef ASHLAR_CPU_ATTENTION_WEIGHTS_INL_H_
#else
#define ASHLAR_CPU_ATTENTION_WEIGHTS_INL_H_
#endif

#include "product_tile-inl.h"
#include "row_math-inl.h"
#include "vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Makes weights of what queries and keys [first, last) score, in two steps, each for all rows of a block: one row's reductions hide behind
/// the next row's work.
class Weigh {
 public:
  explicit Weigh(float softcap)
      : capped_(softcap > 0), cap_(hn::Set(kTag, softcap)), inverse_(hn::Set(kTag, softcap > 0 ? 1 / softcap : 0.0f)) {}

  /// Caps and masks the scores; the largest of those that take part, and of all before.
  float top(const QueryRow& row, float* scores, std::int64_t first, std::int64_t last) const {
    const std::int64_t low = std::clamp(row.low, first, last), n = std::clamp(row.high, low, last) - low;
    float* const x = scores + (low - first);
    const float most = row.mask   ? add(x, n, FromFloats{row.mask + low})
                       : row.keep ? add(x, n, FromBytes{row.keep + low})
                       : capped_  ? add(x, n, None{})
                                  : maximum(x, n);
    return most > row.top || most != most ? most : row.top;
  }
  /// Scores become weights under that maximum, or 0 for keys that take no part. Gives the factor that older weights are to be multiplied
  /// with.
  float weights(QueryRow& row, float top, float* scores, std::int64_t first, std::int64_t last) const {
    const std::int64_t low = std::clamp(row.low, first, last), high = std::clamp(row.high, low, last);
    std::fill(scores, scores + (low - first), 0.0f);
    std::fill(scores + (high - first), scores + (last - first), 0.0f);
    const float factor = top == row.top ? 1.0f : row.top == kMasked ? 0.0f : std::exp(row.top - top);
    row.sum = row.sum * factor + exponentials(scores + (low - first), high - low, top == kMasked ? 0.0f : top);
    row.top = top;
    return factor;
  }

 private:
  struct None {
    HWY_INLINE Vector operator()(Vector v, std::int64_t, std::int64_t) const { return v; }
  };
  struct FromFloats {
    const float* mask;
    HWY_INLINE Vector operator()(Vector v, std::int64_t i, std::int64_t rest) const {
      const Vector masked = hn::Set(kTag, kMasked), m = LoadPart(kTag, mask + i, rest, masked);
      return hn::IfThenElse(hn::Eq(m, masked), masked, hn::Add(v, m));
    }
  };
  struct FromBytes {
    const std::uint8_t* keep;
    HWY_INLINE Vector operator()(Vector v, std::int64_t i, std::int64_t rest) const {
      const hn::Rebind<std::uint8_t, FloatTag> bytes;
      const hn::RebindToSigned<FloatTag> integers;
      HWY_ALIGN std::uint8_t part[kLanes] = {};
      const std::uint8_t* from = keep + i;
      if (rest < kLanes) {
        std::memcpy(part, from, static_cast<std::size_t>(rest));
        from = part;
      }
      const auto kept = hn::Ne(hn::PromoteTo(integers, hn::LoadU(bytes, from)), hn::Zero(integers));
      return hn::IfThenElse(hn::RebindMask(kTag, kept), v, hn::Set(kTag, kMasked));
    }
  };

  /// The largest element; NaN may be left out.
  static float maximum(const float* x, std::int64_t n) {
    Vector a = hn::Set(kTag, kMasked), b = a;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      a = hn::Max(a, hn::LoadU(kTag, x + i));
      b = hn::Max(b, hn::LoadU(kTag, x + i + kLanes));
    }
    for (; i < n; i += kLanes) a = hn::Max(a, LoadPart(kTag, x + i, n - i, b));
    return hn::GetLane(hn::MaxOfLanes(kTag, hn::Max(a, b)));
  }
  /// Caps x, adds the mask, and gives the largest element.
  template <class Mask> float add(float* x, std::int64_t n, Mask mask) const {
    Vector top = hn::Set(kTag, kMasked);
    for (std::int64_t i = 0; i < n; i += kLanes) {
      Vector v = LoadPart(kTag, x + i, n - i, top);
      if (capped_) v = hn::Mul(cap_, FloatTanh(kTag, hn::Mul(v, inverse_)));
      v = mask(v, i, n - i);
      StorePart(kTag, v, x + i, n - i);
      top = hn::Max(top, n - i >= kLanes ? v : hn::IfThenElse(hn::FirstN(kTag, static_cast<std::size_t>(n - i)), v, top));
    }
    return hn::GetLane(hn::MaxOfLanes(kTag, top));
  }
  /// x becomes e^(x - top); the sum of that.
  static float exponentials(float* x, std::int64_t n, float top) {
    const Vector shift = hn::Set(kTag, top);
    Vector a = hn::Zero(kTag), b = a;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      const Vector e = ExpOfNegative(kTag, hn::Sub(hn::LoadU(kTag, x + i), shift));
      const Vector f = ExpOfNegative(kTag, hn::Sub(hn::LoadU(kTag, x + i + kLanes), shift));
      hn::StoreU(e, kTag, x + i);
      hn::StoreU(f, kTag, x + i + kLanes);
      a = hn::Add(a, e);
      b = hn::Add(b, f);
    }
    for (; i < n; i += kLanes) {
      const std::int64_t rest = n - i;
      const Vector e = ExpOfNegative(kTag, hn::Sub(LoadPart(kTag, x + i, rest, hn::Set(kTag, kMasked)), shift));
      StorePart(kTag, e, x + i, rest);
      a = hn::Add(a, rest >= kLanes ? e : hn::IfThenElseZero(hn::FirstN(kTag, static_cast<std::size_t>(rest)), e));
    }
    return hn::GetLane(hn::SumOfLanes(kTag, hn::Add(a, b)));
  }

  bool capped_;
  Vector cap_, inverse_;
};

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
