// SPDX-License-Identifier: Apache-2.0
// Parts of vectors, and the exponential of softmax, for files compiled per instruction set (simd.h): included there between
// foreach_target.h and the use.
#if defined(ASHLAR_CPU_ROW_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASHLAR_CPU_ROW_MATH_INL_H_
#undef ASHLAR_CPU_ROW_MATH_INL_H_
#else
#define ASHLAR_CPU_ROW_MATH_INL_H_
#endif

#include <cstdint>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The first `count` floats, at most a vector; the other lanes are `fill`.
template <class D, class V = hn::Vec<D>> HWY_INLINE V LoadPart(D d, const float* from, std::int64_t count, V fill) {
  constexpr auto kWidth = static_cast<std::int64_t>(hn::MaxLanes(D()));
  if (count >= kWidth) return hn::LoadU(d, from);
#if HWY_TARGET <= HWY_AVX3 && !HWY_MEM_OPS_MIGHT_FAULT
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(count));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, from), fill);
#else
  HWY_ALIGN float part[kWidth];
  hn::Store(fill, d, part);
  for (std::int64_t i = 0; i < count; ++i) part[i] = from[i];
  return hn::Load(d, part);
#endif
}
template <class D, class V> HWY_INLINE void StorePart(D d, V v, float* to, std::int64_t count) {
  constexpr auto kWidth = static_cast<std::int64_t>(hn::MaxLanes(D()));
  if (count >= kWidth) return hn::StoreU(v, d, to);
#if HWY_TARGET <= HWY_AVX3 && !HWY_MEM_OPS_MIGHT_FAULT
  hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(count)), d, to);
#else
  HWY_ALIGN float part[kWidth];
  hn::Store(v, d, part);
  for (std::int64_t i = 0; i < count; ++i) to[i] = part[i];
#endif
}

/// The part of Finish (product.h) that follows the sums, by vectors.
template <class D> class Finishing {
 public:
  using V = hn::Vec<D>;
  template <class F>
  explicit Finishing(const F& f)
      : low_(hn::Set(D(), f.low)), high_(hn::Set(D(), f.high)), slope_(hn::Set(D(), f.slope)), offset_(hn::Set(D(), f.offset)),
        gates_(f.slope != 0) {}
  HWY_INLINE V operator()(V y) const {
    y = hn::Min(high_, hn::Max(low_, y));  // in this order NaN stays
    if (!gates_) return y;
    const V gate = hn::Min(hn::Set(D(), 1.0f), hn::Max(hn::Zero(D()), hn::MulAdd(slope_, y, offset_)));
    return hn::Mul(y, gate);
  }

 private:
  V low_, high_, slope_, offset_;
  bool gates_;
};

/// e^x for x <= 0 and NaN; Cephes' expf (S. Moshier): x = k ln 2 + r, a polynomial for e^r, 2^k by adding to the exponent.
template <class D, class V> HWY_INLINE V ExpOfNegative(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V magic = hn::Set(d, 0x1.8p23f);
  const V t = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), magic);
  const V k = hn::Sub(t, magic);
  V r = hn::NegMulAdd(k, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(k, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto scaled = hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, t)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0f)), hn::BitCast(d, scaled));
}

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
