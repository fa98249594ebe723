// SPDX-License-Identifier: Apache-2.0
// Functions of float vectors, for files compiled per instruction set (simd.h): included there between foreach_target.h and the use.
// Each takes every float; NaN gives NaN. Errors are relative, of the function on the argument as given, unless said otherwise.
//
// Polynomials are minimax fits (weighted least squares at Chebyshev nodes, reweighted) of
//   (e^r - 1 - r) / r^2       |r| <= ln 2 / 2
//   erf(x) / x - 1 in x^2     |x| <= 0.95
//   -ln(erfc(t)) / t          0.94 <= t <= 4
#if defined(ASHLAR_CPU_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASHLAR_CPU_VECTOR_MATH_INL_H_
#undef ASHLAR_CPU_VECTOR_MATH_INL_H_
#else
#define ASHLAR_CPU_VECTOR_MATH_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// numpy's maximum and minimum: NaN where either is NaN.
template <class D, class V> HWY_INLINE V Maximum(D, V a, V b) { return hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Ge(a, b)), a, b); }
template <class D, class V> HWY_INLINE V Minimum(D, V a, V b) { return hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Le(a, b)), a, b); }

/// x held to [low, high]; NaN stays: x86's min and max give their second operand then, other targets compare.
template <class D, class V> HWY_INLINE V ClampKeepNan(D d, V x, float low, float high) {
#if HWY_TARGET <= HWY_AVX2
  return hn::Max(hn::Set(d, low), hn::Min(hn::Set(d, high), x));
#else
  const V below = hn::Set(d, low), above = hn::Set(d, high);
  return hn::IfThenElse(hn::Lt(x, below), below, hn::IfThenElse(hn::Gt(x, above), above, x));
#endif
}

/// e^x = 2^n (1 + p): n, an integer, is left in the low bits of a float.
template <class V> struct ReducedExp {
  V p;
  V shifted;
};
constexpr float kRoundingShift = 12582912.0f;  // 1.5 * 2^23: a float this large has no fraction

template <class D, class V> HWY_INLINE ReducedExp<V> ReduceExp(D d, V x) {
  const V shift = hn::Set(d, kRoundingShift);
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), shift);
  const V n = hn::Sub(shifted, shift);
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693145751953125f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.428606765330187045e-6f), r);
  V p = hn::MulAdd(r, hn::Set(d, 0.0013950547884f), hn::Set(d, 0.008368929925f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.041666204939f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.166665185f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.50000000955f));
  return {hn::MulAdd(hn::Mul(r, r), p, r), shifted};
}
/// 2^n for -126 <= n <= 127.
template <class D, class VI> HWY_INLINE hn::Vec<D> PowerOfTwo(D d, VI n) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}
template <class D, class V> HWY_INLINE auto IntegerOf(D d, V shifted) {
  const hn::RebindToSigned<D> di;
  return hn::Sub(hn::BitCast(di, shifted), hn::BitCast(di, hn::Set(d, kRoundingShift)));
}

/// e^x: 1e-7; 0 and infinity beyond the range of floats.
template <class D, class V> HWY_INLINE V FloatExp(D d, V x) {
  const auto e = ReduceExp(d, ClampKeepNan(d, x, -104.0f, 89.0f));
  const auto n = IntegerOf(d, e.shifted);
  const auto half = hn::ShiftRight<1>(n);
  return hn::Mul(hn::Mul(hn::Add(e.p, hn::Set(d, 1.0f)), PowerOfTwo(d, half)), PowerOfTwo(d, hn::Sub(n, half)));
}
/// e^x with x held to [-87.3, 88.3] first: 1e-7.
template <class D, class V> HWY_INLINE V FloatExpInRange(D d, V x) {
  const auto e = ReduceExp(d, ClampKeepNan(d, x, -87.3f, 88.3f));
  const V scale = PowerOfTwo(d, IntegerOf(d, e.shifted));
  return hn::MulAdd(e.p, scale, scale);
}
/// e^x - 1 for x <= 88.3: 2e-7.
template <class D, class V> HWY_INLINE V FloatExpMinusOne(D d, V x) {
  const auto e = ReduceExp(d, ClampKeepNan(d, x, -87.3f, 88.3f));
  const V scale = PowerOfTwo(d, IntegerOf(d, e.shifted));
  return hn::MulAdd(e.p, scale, hn::Sub(scale, hn::Set(d, 1.0f)));
}

/// (e^2x - 1) / (e^2x + 1): 3e-7.
template <class D, class V> HWY_INLINE V FloatTanh(D d, V x) {
  const V e = FloatExpMinusOne(d, ClampKeepNan(d, hn::Add(x, x), -20.0f, 20.0f));
  return hn::Div(e, hn::Add(e, hn::Set(d, 2.0f)));
}
/// 1 / (1 + e^-x): 2e-7; 0 below -88.
template <class D, class V> HWY_INLINE V FloatSigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -88.0f)), hn::Div(one, hn::Add(one, FloatExpInRange(d, hn::Neg(x)))));
}
/// The error function: 2e-7.
template <class D, class V> HWY_INLINE V FloatErf(D d, V x) {
  const V t = ClampKeepNan(d, hn::Abs(x), 0.0f, 4.0f);
  V q = hn::MulAdd(t, hn::Set(d, -0.00021282745676f), hn::Set(d, 0.0032054453213f));
  q = hn::MulAdd(t, q, hn::Set(d, -0.022859577644f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.10521462918f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.63575401415f));
  q = hn::MulAdd(t, q, hn::Set(d, 1.1285038429f));
  const V large = hn::CopySign(hn::Neg(FloatExpMinusOne(d, hn::Neg(hn::Mul(t, q)))), x);
  const V s = hn::Mul(x, x);
  V p = hn::MulAdd(s, hn::Set(d, -0.00058867605633f), hn::Set(d, 0.0049731137545f));
  p = hn::MulAdd(s, p, hn::Set(d, -0.026753332082f));
  p = hn::MulAdd(s, p, hn::Set(d, 0.11281466457f));
  p = hn::MulAdd(s, p, hn::Set(d, -0.37612462668f));
  p = hn::MulAdd(s, p, hn::Set(d, 0.12837914542f));
  return hn::IfThenElse(hn::Lt(t, hn::Set(d, 0.945f)), hn::MulAdd(x, p, x), large);
}
/// The natural logarithm: 3e-7; -infinity of 0, NaN of what is below.
template <class D, class V> HWY_INLINE V FloatLog(D d, V x) {
  const V zero = hn::Zero(d), infinity = hn::Inf(d);
  V y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Lt(x, infinity), y, x);
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  return hn::IfThenElse(hn::Lt(x, zero), hn::NaN(d), y);
}
/// ln(1 + e^x): 3e-7.
template <class D, class V> HWY_INLINE V FloatSoftplus(D d, V x) {
  const V tail = hn::Log1p(d, FloatExpInRange(d, hn::Neg(hn::Abs(x))));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Add(hn::Max(x, hn::Zero(d)), tail));
}
/// x * tanh(ln(1 + e^x)) = x * w / (w + 2), w = e^x (e^x + 2); 0 below -88.
template <class D, class V> HWY_INLINE V FloatMish(D d, V x) {
  const V two = hn::Set(d, 2.0f);
  const V e = FloatExpInRange(d, ClampKeepNan(d, x, -87.3f, 30.0f));
  const V w = hn::Mul(e, hn::Add(e, two));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -88.0f)), hn::Mul(x, hn::Div(w, hn::Add(w, two))));
}
/// x / 2 * (1 + erf(x / sqrt(2))). https://arxiv.org/abs/1606.08415
template <class D, class V> HWY_INLINE V FloatGelu(D d, V x) {
  const V half = hn::Mul(x, hn::Set(d, 0.5f));
  return hn::MulAdd(half, FloatErf(d, hn::Mul(x, hn::Set(d, 0.70710678118654752f))), half);
}
/// x / 2 * (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class D, class V> HWY_INLINE V FloatGeluTanh(D d, V x) {
  const V cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.044715f * 1.5957691216057308f), hn::Set(d, 1.5957691216057308f));
  return hn::Mul(x, FloatSigmoid(d, hn::Mul(x, cubic)));
}

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
