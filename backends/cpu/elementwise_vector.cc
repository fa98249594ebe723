// SPDX-License-Identifier: Apache-2.0
// Element-wise functions of float32 in vectors: a row of the table at the end is an operator over one of the loops here.
#include <cmath>
#include <cstring>
#include <span>

#include "elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "elementwise_vector.cc"
#include <hwy/foreach_target.h>

#include "simd.h"
#include "vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;

/// The first `n` of a vector's elements, fewer than all.
HWY_INLINE Floats LoadSome(const float* x, std::size_t n) {
  const FloatTag d;
#if HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, n), d, x);
#else
  HWY_ALIGN float all[hn::MaxLanes(d)] = {};
  for (std::size_t i = 0; i < n; ++i) all[i] = x[i];
  return hn::Load(d, all);
#endif
}
HWY_INLINE void StoreSome(Floats v, float* y, std::size_t n) {
  const FloatTag d;
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, n), d, y);
#else
  HWY_ALIGN float all[hn::MaxLanes(d)];
  hn::Store(v, d, all);
  for (std::size_t i = 0; i < n; ++i) y[i] = all[i];
#endif
}

/// An operand of one element for each i, and one that is the same for all.
struct Many {
  const float* x;
  HWY_INLINE Floats all(std::int64_t i) const { return hn::LoadU(FloatTag(), x + i); }
  HWY_INLINE Floats some(std::int64_t i, std::size_t n) const { return LoadSome(x + i, n); }
};
struct One {
  Floats v;
  explicit HWY_INLINE One(const float* x) : v(hn::Set(FloatTag(), *x)) {}
  HWY_INLINE Floats all(std::int64_t) const { return v; }
  HWY_INLINE Floats some(std::int64_t, std::size_t) const { return v; }
};

/// Where results go: floats, or bools made of masks.
struct ToFloats {
  float* y;
  HWY_INLINE void all(Floats v, std::int64_t i) const { hn::StoreU(v, FloatTag(), y + i); }
  HWY_INLINE void some(Floats v, std::int64_t i, std::size_t n) const { StoreSome(v, y + i, n); }
};
struct ToBools {
  std::uint8_t* y;
  HWY_INLINE static auto bytes(hn::Mask<FloatTag> m) {
    const hn::RebindToSigned<FloatTag> di;
    const hn::Rebind<std::uint8_t, FloatTag> d8;
    return hn::DemoteTo(d8, hn::BitCast(di, hn::IfThenElseZero(m, hn::BitCast(FloatTag(), hn::Set(di, 1)))));
  }
  HWY_INLINE void all(hn::Mask<FloatTag> m, std::int64_t i) const {
    const hn::Rebind<std::uint8_t, FloatTag> d8;
    hn::StoreU(bytes(m), d8, y + i);
  }
  HWY_INLINE void some(hn::Mask<FloatTag> m, std::int64_t i, std::size_t n) const {
    const hn::Rebind<std::uint8_t, FloatTag> d8;
    HWY_ALIGN std::uint8_t wide[hn::MaxLanes(d8)];
    hn::Store(bytes(m), d8, wide);
    for (std::size_t k = 0; k < n; ++k) y[i + static_cast<std::int64_t>(k)] = wide[k];
  }
};

struct Params {
  float a, b;
};

template <class F, class To, class... Operands> HWY_INLINE void Loop(To to, std::int64_t n, const Params& p, Operands... x) {
  const FloatTag d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + step <= n; i += step) to.all(F::of(d, p, x.all(i)...), i);
  if (const auto rest = static_cast<std::size_t>(n - i)) to.some(F::of(d, p, x.some(i, rest)...), i, rest);
}

template <class F> void Unary(const void* const* in, unsigned, void* out, std::int64_t n, const float* params) {
  Loop<F>(ToFloats{static_cast<float*>(out)}, n, Params{params[0], params[1]}, Many{static_cast<const float*>(in[0])});
}
template <class F, class To> HWY_INLINE void Pairs(const void* const* in, unsigned single, To to, std::int64_t n, const float* params) {
  const float* a = static_cast<const float*>(in[0]);
  const float* b = static_cast<const float*>(in[1]);
  const Params p{params[0], params[1]};
  if (single & 1) Loop<F>(to, n, p, One(a), Many{b});
  else if (single & 2) Loop<F>(to, n, p, Many{a}, One(b));
  else Loop<F>(to, n, p, Many{a}, Many{b});
}
template <class F> void Binary(const void* const* in, unsigned single, void* out, std::int64_t n, const float* params) {
  Pairs<F>(in, single, ToFloats{static_cast<float*>(out)}, n, params);
}
template <class F> void Compare(const void* const* in, unsigned single, void* out, std::int64_t n, const float* params) {
  Pairs<F>(in, single, ToBools{static_cast<std::uint8_t*>(out)}, n, params);
}

struct AbsOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Abs(x); }
};
struct NegOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Neg(x); }
};
struct SignOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) {
    const V one = hn::Set(d, 1.0f), zero = hn::Zero(d);
    return hn::IfThenElse(hn::Gt(x, zero), one, hn::IfThenElse(hn::Lt(x, zero), hn::Neg(one), x));
  }
};
struct CeilOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Ceil(x); }
};
struct FloorOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Floor(x); }
};
struct RoundOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Round(x); }
};
struct SqrtOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Sqrt(x); }
};
struct ReciprocalOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return hn::Div(hn::Set(d, 1.0f), x); }
};
struct SoftsignOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return hn::Div(x, hn::Add(hn::Set(d, 1.0f), hn::Abs(x))); }
};
struct ExpOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatExp(d, x); }
};
struct LogOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatLog(d, x); }
};
struct TanhOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatTanh(d, x); }
};
struct SigmoidOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatSigmoid(d, x); }
};
struct ErfOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatErf(d, x); }
};
struct GeluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatGelu(d, x); }
};
struct GeluTanhOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatGeluTanh(d, x); }
};
struct SwishOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    return hn::Mul(x, FloatSigmoid(d, hn::Mul(x, hn::Set(d, p.a))));
  }
};
struct MishOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatMish(d, x); }
};
struct SoftplusOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return FloatSoftplus(d, x); }
};
struct ReluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) { return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x); }
};
struct LeakyReluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(x, hn::Set(d, p.a)), x);
  }
};
struct EluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(hn::Set(d, p.a), FloatExpMinusOne(d, x)), x);
  }
};
struct SeluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    const V y = hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, hn::Mul(hn::Set(d, p.a), FloatExpMinusOne(d, x)));
    return hn::Mul(hn::Set(d, p.b), y);
  }
};
struct CeluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    const V alpha = hn::Set(d, p.a), zero = hn::Zero(d);
    return hn::Add(Maximum(d, x, zero), Minimum(d, hn::Mul(alpha, FloatExpMinusOne(d, hn::Div(x, alpha))), zero));
  }
};
struct HardSigmoidOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    return ClampKeepNan(d, hn::MulAdd(x, hn::Set(d, p.a), hn::Set(d, p.b)), 0.0f, 1.0f);
  }
};
struct HardSwishOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) {
    return hn::Mul(x, ClampKeepNan(d, hn::MulAdd(x, hn::Set(d, 1.0f / 6), hn::Set(d, 0.5f)), 0.0f, 1.0f));
  }
};
struct ThresholdedReluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Set(d, p.a)), x);
  }
};
struct ShrinkOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) {
    const V lambda = hn::Set(d, p.a), bias = hn::Set(d, p.b);
    const V above = hn::IfThenElseZero(hn::Gt(x, lambda), hn::Sub(x, bias));
    return hn::IfThenElse(hn::Lt(x, hn::Neg(lambda)), hn::Add(x, bias), above);
  }
};

struct AddOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V a, V b) { return hn::Add(a, b); }
};
struct SubOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V a, V b) { return hn::Sub(a, b); }
};
struct MulOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V a, V b) { return hn::Mul(a, b); }
};
struct DivOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V a, V b) { return hn::Div(a, b); }
};
struct MaxOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V a, V b) { return Maximum(d, a, b); }
};
struct MinOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V a, V b) { return Minimum(d, a, b); }
};
struct PReluOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x, V slope) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(x, slope), x);
  }
};
struct EqualOf {
  template <class D, class V> static HWY_INLINE hn::Mask<D> of(D, const Params&, V a, V b) { return hn::Eq(a, b); }
};
struct GreaterOf {
  template <class D, class V> static HWY_INLINE hn::Mask<D> of(D, const Params&, V a, V b) { return hn::Gt(a, b); }
};
struct GreaterOrEqualOf {
  template <class D, class V> static HWY_INLINE hn::Mask<D> of(D, const Params&, V a, V b) { return hn::Ge(a, b); }
};
struct LessOf {
  template <class D, class V> static HWY_INLINE hn::Mask<D> of(D, const Params&, V a, V b) { return hn::Lt(a, b); }
};
struct LessOrEqualOf {
  template <class D, class V> static HWY_INLINE hn::Mask<D> of(D, const Params&, V a, V b) { return hn::Le(a, b); }
};
struct ClipOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x, V low, V high) {
    return Minimum(d, Maximum(d, x, low), high);
  }
};

void Clip(const void* const* in, unsigned single, void* out, std::int64_t n, const float*) {
  const float *x = static_cast<const float*>(in[0]), *low = static_cast<const float*>(in[1]), *high = static_cast<const float*>(in[2]);
  float* y = static_cast<float*>(out);
  if ((single & 6) == 6) return Loop<ClipOf>(ToFloats{y}, n, Params{}, Many{x}, One(low), One(high));
  for (std::int64_t i = 0; i < n; ++i)
    Loop<ClipOf>(ToFloats{y + i}, 1, Params{}, Many{single & 1 ? x : x + i}, Many{single & 2 ? low : low + i},
                 Many{single & 4 ? high : high + i});
}

/// Powers with an exponent that is multiplications or roots are calculated so; pow(-infinity, 1/2) is infinity, and no root of -0 is -0.
struct SquareOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Mul(x, x); }
};
struct CubeOf {
  template <class D, class V> static HWY_INLINE V of(D, const Params&, V x) { return hn::Mul(hn::Mul(x, x), x); }
};
struct RootOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params&, V x) {
    return hn::IfThenElse(hn::Eq(x, hn::Neg(hn::Inf(d))), hn::Inf(d), hn::Sqrt(hn::Add(x, hn::Zero(d))));
  }
};
struct ReciprocalRootOf {
  template <class D, class V> static HWY_INLINE V of(D d, const Params& p, V x) { return hn::Div(hn::Set(d, 1.0f), RootOf::of(d, p, x)); }
};
void Pow(const void* const* in, unsigned single, void* out, std::int64_t n, const float* params) {
  const float exponent = single & 2 ? *static_cast<const float*>(in[1]) : 0.0f;
  if (exponent == 2.0f) return Unary<SquareOf>(in, 0, out, n, params);
  if (exponent == 3.0f) return Unary<CubeOf>(in, 0, out, n, params);
  if (exponent == 0.5f) return Unary<RootOf>(in, 0, out, n, params);
  if (exponent == -0.5f) return Unary<ReciprocalRootOf>(in, 0, out, n, params);
  if (exponent == -1.0f) return Unary<ReciprocalOf>(in, 0, out, n, params);
  const float *a = static_cast<const float*>(in[0]), *b = static_cast<const float*>(in[1]);
  float* y = static_cast<float*>(out);
  for (std::int64_t i = 0; i < n; ++i) y[i] = ::powf(single & 1 ? *a : a[i], single & 2 ? *b : b[i]);
}

/// Sine and cosine: vectors where every argument is small enough for them, else the C library.
constexpr float kLargestAngle = 39000.0f;
template <class F> void Periodic(const void* const* in, unsigned, void* out, std::int64_t n, const float*) {
  const FloatTag d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const float* x = static_cast<const float*>(in[0]);
  float* y = static_cast<float*>(out);
  for (std::int64_t i = 0; i < n; i += step) {
    const auto count = static_cast<std::size_t>(n - i < step ? n - i : step);
    const bool whole = count == hn::Lanes(d);
    const Floats v = whole ? hn::LoadU(d, x + i) : LoadSome(x + i, count);
    if (hn::AllTrue(d, hn::Le(hn::Abs(v), hn::Set(d, kLargestAngle)))) {
      if (whole) hn::StoreU(F::of(d, v), d, y + i);
      else StoreSome(F::of(d, v), y + i, count);
    } else {
      for (std::size_t k = 0; k < count; ++k) y[i + static_cast<std::int64_t>(k)] = F::of(x[i + static_cast<std::int64_t>(k)]);
    }
  }
}
struct SinOf {
  template <class D, class V> static HWY_INLINE V of(D d, V x) { return hn::Sin(d, x); }
  static HWY_INLINE float of(float x) { return ::sinf(x); }
};
struct CosOf {
  template <class D, class V> static HWY_INLINE V of(D d, V x) { return hn::Cos(d, x); }
  static HWY_INLINE float of(float x) { return ::cosf(x); }
};

void WidenFloat16(const void* from, float* to, std::int64_t n) {
  const auto* x = static_cast<const hwy::float16_t*>(from);
  std::int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2
  const FloatTag d;
  const hn::Rebind<hwy::float16_t, FloatTag> d16;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (; i + step <= n; i += step) hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, x + i)), d, to + i);
#endif
  for (; i < n; ++i) to[i] = static_cast<float>(reinterpret_cast<const Float16*>(x)[i]);
}
void RoundToFloat16(const float* from, void* to, std::int64_t n) {
  auto* y = static_cast<hwy::float16_t*>(to);
  std::int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2
  const FloatTag d;
  const hn::Rebind<hwy::float16_t, FloatTag> d16;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (; i + step <= n; i += step) hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, from + i)), d16, y + i);
#endif
  for (; i < n; ++i) reinterpret_cast<Float16*>(y)[i] = Float16(from[i]);
}

constexpr TileRow UnaryRow(std::string_view name, std::int64_t grain, Tile tile) { return {name, 1, false, grain, {nullptr, tile}}; }
constexpr TileRow BinaryRow(std::string_view name, Tile tile, bool predicate = false, std::int64_t grain = kCheapGrain) {
  return {name, 2, predicate, grain, {nullptr, tile}};
}

constexpr TileRow kRows[] = {
    UnaryRow("Abs", kCheapGrain, &Unary<AbsOf>),
    UnaryRow("Neg", kCheapGrain, &Unary<NegOf>),
    UnaryRow("Sign", kCheapGrain, &Unary<SignOf>),
    UnaryRow("Ceil", kCheapGrain, &Unary<CeilOf>),
    UnaryRow("Floor", kCheapGrain, &Unary<FloorOf>),
    UnaryRow("Round", kCheapGrain, &Unary<RoundOf>),
    UnaryRow("Sqrt", kCheapGrain, &Unary<SqrtOf>),
    UnaryRow("Reciprocal", kCheapGrain, &Unary<ReciprocalOf>),
    UnaryRow("Softsign", kCheapGrain, &Unary<SoftsignOf>),
    UnaryRow("Relu", kCheapGrain, &Unary<ReluOf>),
    UnaryRow("LeakyRelu", kCheapGrain, &Unary<LeakyReluOf>),
    UnaryRow("HardSigmoid", kCheapGrain, &Unary<HardSigmoidOf>),
    UnaryRow("HardSwish", kCheapGrain, &Unary<HardSwishOf>),
    UnaryRow("ThresholdedRelu", kCheapGrain, &Unary<ThresholdedReluOf>),
    UnaryRow("Shrink", kCheapGrain, &Unary<ShrinkOf>),
    UnaryRow("Exp", kMathGrain, &Unary<ExpOf>),
    UnaryRow("Log", kMathGrain, &Unary<LogOf>),
    UnaryRow("Tanh", kMathGrain, &Unary<TanhOf>),
    UnaryRow("Sigmoid", kMathGrain, &Unary<SigmoidOf>),
    UnaryRow("Erf", kMathGrain, &Unary<ErfOf>),
    UnaryRow("Gelu", kMathGrain, &Unary<GeluOf>),
    UnaryRow("GeluTanh", kMathGrain, &Unary<GeluTanhOf>),
    UnaryRow("Swish", kMathGrain, &Unary<SwishOf>),
    UnaryRow("Mish", kMathGrain, &Unary<MishOf>),
    UnaryRow("Softplus", kMathGrain, &Unary<SoftplusOf>),
    UnaryRow("Elu", kMathGrain, &Unary<EluOf>),
    UnaryRow("Selu", kMathGrain, &Unary<SeluOf>),
    UnaryRow("Celu", kMathGrain, &Unary<CeluOf>),
    UnaryRow("Sin", kMathGrain, &Periodic<SinOf>),
    UnaryRow("Cos", kMathGrain, &Periodic<CosOf>),
    BinaryRow("Add", &Binary<AddOf>),
    BinaryRow("Sub", &Binary<SubOf>),
    BinaryRow("Mul", &Binary<MulOf>),
    BinaryRow("Div", &Binary<DivOf>),
    BinaryRow("Max", &Binary<MaxOf>),
    BinaryRow("Min", &Binary<MinOf>),
    BinaryRow("PRelu", &Binary<PReluOf>),
    BinaryRow("Pow", &Pow, false, kMathGrain),
    BinaryRow("Equal", &Compare<EqualOf>, true),
    BinaryRow("Greater", &Compare<GreaterOf>, true),
    BinaryRow("GreaterOrEqual", &Compare<GreaterOrEqualOf>, true),
    BinaryRow("Less", &Compare<LessOf>, true),
    BinaryRow("LessOrEqual", &Compare<LessOrEqualOf>, true),
    {"Clip", 3, false, kCheapGrain, {nullptr, &Clip}},
};

std::span<const TileRow> Rows() { return kRows; }

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(Rows);
HWY_EXPORT(WidenFloat16);
HWY_EXPORT(RoundToFloat16);

std::span<const TileRow> vector_tiles() { return HWY_DYNAMIC_DISPATCH(Rows)(); }

void widen(DType half, const void* from, float* to, std::int64_t n) {
  if (half == DType::kFloat16) return HWY_DYNAMIC_DISPATCH(WidenFloat16)(from, to, n);
  const auto* x = static_cast<const BFloat16*>(from);
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(x[i]);
}
void round_to(DType half, const float* from, void* to, std::int64_t n) {
  if (half == DType::kFloat16) return HWY_DYNAMIC_DISPATCH(RoundToFloat16)(from, to, n);
  auto* y = static_cast<BFloat16*>(to);
  for (std::int64_t i = 0; i < n; ++i) y[i] = BFloat16(from[i]);
}

}  // namespace ashlar::cpu
#endif
