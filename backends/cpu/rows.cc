// SPDX-License-Identifier: Apache-2.0
#include "rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rows.cc"
#include <hwy/foreach_target.h>
#include "row_math-inl.h"
#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr D kD;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(D()));
constexpr std::int64_t kBlock = 4096;  // elements of a row whose sum stays in float
constexpr std::int64_t kStack = 128;   // rows of columns whose sum stays in one register
constexpr float kInfinity = std::numeric_limits<float>::infinity();

HWY_INLINE V load_part(const float* from, std::int64_t count, V fill) { return LoadPart(kD, from, count, fill); }
HWY_INLINE void store_part(V v, float* to, std::int64_t count) { StorePart(kD, v, to, count); }
HWY_INLINE V exponential(V x) { return ExpOfNegative(kD, x); }

struct Additive {
  static constexpr bool kBlocked = true;
  V start() const { return hn::Zero(kD); }
  V neutral() const { return hn::Zero(kD); }
  V merge(V a, V b) const { return hn::Add(a, b); }
  double lanes(V a) const { return static_cast<double>(hn::GetLane(hn::SumOfLanes(kD, a))); }
};
struct Sum : Additive {
  V step(V a, V v) const { return hn::Add(a, v); }
};
struct SumAbs : Additive {
  V step(V a, V v) const { return hn::Add(a, hn::Abs(v)); }
};
struct SumSquare : Additive {
  V step(V a, V v) const { return hn::MulAdd(v, v, a); }
};
struct ShiftedSquares : Additive {
  V shift;
  V neutral() const { return shift; }
  V step(V a, V v) const {
    const V d = hn::Sub(v, shift);
    return hn::MulAdd(d, d, a);
  }
};
/// Max, Min, Product: exact, or without an order that matters.
template <class Self> struct Plain {
  static constexpr bool kBlocked = false;
  V neutral() const { return static_cast<const Self*>(this)->start(); }
  V merge(V a, V b) const { return static_cast<const Self*>(this)->step(a, b); }
};
struct Max : Plain<Max> {
  V start() const { return hn::Set(kD, -kInfinity); }
  V step(V a, V v) const { return hn::IfThenElse(hn::Or(hn::Gt(v, a), hn::IsNaN(v)), v, a); }
  double lanes(V a) const {
    if (!hn::AllFalse(kD, hn::IsNaN(a))) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(hn::GetLane(hn::MaxOfLanes(kD, a)));
  }
};
struct Min : Plain<Min> {
  V start() const { return hn::Set(kD, kInfinity); }
  V step(V a, V v) const { return hn::IfThenElse(hn::Or(hn::Lt(v, a), hn::IsNaN(v)), v, a); }
  double lanes(V a) const {
    if (!hn::AllFalse(kD, hn::IsNaN(a))) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(hn::GetLane(hn::MinOfLanes(kD, a)));
  }
};
struct Product : Plain<Product> {
  V start() const { return hn::Set(kD, 1.0f); }
  V step(V a, V v) const { return hn::Mul(a, v); }
  double lanes(V a) const {
    HWY_ALIGN float part[kLanes];
    hn::Store(a, kD, part);
    double p = 1;
    for (const float f : part) p *= static_cast<double>(f);
    return p;
  }
};

template <class Op> HWY_INLINE V fold_block(Op op, const float* x, std::int64_t n) {
  V a = op.start(), b = op.start(), c = op.start(), e = op.start();
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = op.step(a, hn::LoadU(kD, x + i));
    b = op.step(b, hn::LoadU(kD, x + i + kLanes));
    c = op.step(c, hn::LoadU(kD, x + i + 2 * kLanes));
    e = op.step(e, hn::LoadU(kD, x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) a = op.step(a, hn::LoadU(kD, x + i));
  if (i < n) b = op.step(b, load_part(x + i, n - i, op.neutral()));
  return op.merge(op.merge(a, b), op.merge(c, e));
}

template <class Op> HWY_INLINE double fold(Op op, const float* x, std::int64_t n) {
  if constexpr (Op::kBlocked) {
    double total = 0;
    for (std::int64_t i = 0; i < n; i += kBlock) total += op.lanes(fold_block(op, x + i, std::min(kBlock, n - i)));
    return total;
  } else {
    return op.lanes(fold_block(op, x, n));
  }
}

/// One or four vectors of columns. op(k) is the operation for the k-th of them.
template <int kVectors, class OpAt>
HWY_INLINE void fold_strip(OpAt op, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  const auto load = [&](const float* from, int k, V fill) {
    return kVectors > 1 ? hn::LoadU(kD, from + k * kLanes) : load_part(from, columns, fill);
  };
  for (std::int64_t first = 0; first < n; first += kStack) {
    const std::int64_t last = std::min(n, first + kStack);
    V a[kVectors];
    for (int k = 0; k < kVectors; ++k) a[k] = op(k).start();
    for (std::int64_t r = first; r < last; ++r)
      for (int k = 0; k < kVectors; ++k) a[k] = op(k).step(a[k], load(x + r * stride, k, op(k).neutral()));
    for (int k = 0; k < kVectors; ++k) {
      const V sum = op(k).merge(load(y, k, op(k).start()), a[k]);
      if (kVectors > 1) hn::StoreU(sum, kD, y + k * kLanes);
      else store_part(sum, y, columns);
    }
  }
}

/// make(c) is the operation for the vector of columns from c on.
template <class Make>
HWY_INLINE void fold_all_columns(Make make, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  std::int64_t c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes)
    fold_strip<4>([&](int k) { return make(c + k * kLanes); }, x + c, n, stride, columns - c, y + c);
  for (; c < columns; c += kLanes) fold_strip<1>([&](int) { return make(c); }, x + c, n, stride, columns - c, y + c);
}

template <class F> HWY_INLINE void with_op(Fold which, F f) {
  switch (which) {
    case Fold::kSum: return f(Sum{});
    case Fold::kSumAbs: return f(SumAbs{});
    case Fold::kSumSquare: return f(SumSquare{});
    case Fold::kMax: return f(Max{});
    case Fold::kMin: return f(Min{});
    case Fold::kProduct: return f(Product{});
  }
}

double FoldRow(Fold which, const float* x, std::int64_t n) {
  double result = 0;
  with_op(which, [&](auto op) HWY_ATTR { result = fold(op, x, n); });
  return result;
}
void FoldColumns(Fold which, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  with_op(which, [&](auto op) HWY_ATTR { fold_all_columns([op](std::int64_t) HWY_ATTR { return op; }, x, n, stride, columns, y); });
}

HWY_INLINE ShiftedSquares squares_about(V shift) {
  ShiftedSquares op;
  op.shift = shift;
  return op;
}
double SquaresRow(const float* x, std::int64_t n, float shift) { return fold(squares_about(hn::Set(kD, shift)), x, n); }
void SquaresColumns(const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, const float* shift, float* y) {
  const auto make = [&](std::int64_t c) HWY_ATTR { return squares_about(load_part(shift + c, columns - c, hn::Zero(kD))); };
  fold_all_columns(make, x, n, stride, columns, y);
}

/// The sum of exp(x - top); the terms go to y where kStore.
template <bool kStore> HWY_INLINE double exp_row(const float* x, std::int64_t n, V top, float* y) {
  const auto step = [&](std::int64_t i, V v) HWY_ATTR {
    const V e = exponential(hn::Sub(v, top));
    if (kStore) hn::StoreU(e, kD, y + i);
    return e;
  };
  double total = 0;
  for (std::int64_t first = 0; first < n; first += kBlock) {
    const std::int64_t last = std::min(n, first + kBlock);
    V a = hn::Zero(kD), b = hn::Zero(kD);
    std::int64_t i = first;
    for (; i + 2 * kLanes <= last; i += 2 * kLanes) {
      a = hn::Add(a, step(i, hn::LoadU(kD, x + i)));
      b = hn::Add(b, step(i + kLanes, hn::LoadU(kD, x + i + kLanes)));
    }
    for (; i < last; i += kLanes) {
      const V e = exponential(hn::Sub(load_part(x + i, last - i, hn::Set(kD, -kInfinity)), top));
      if (kStore) store_part(e, y + i, last - i);
      if (last - i >= kLanes) a = hn::Add(a, e);
      else b = hn::Add(b, hn::IfThenElseZero(hn::FirstN(kD, static_cast<std::size_t>(last - i)), e));
    }
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(kD, hn::Add(a, b))));
  }
  return total;
}

template <class F> HWY_INLINE void map_row(const float* x, std::int64_t n, float* y, F f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(i, hn::LoadU(kD, x + i)), kD, y + i);
  if (i < n) store_part(f(i, load_part(x + i, n - i, hn::Zero(kD))), y + i, n - i);
}

void SoftmaxRows(bool logarithm, const float* x, std::int64_t rows, std::int64_t n, float* y) {
  for (; rows > 0; --rows, x += n, y += n) {
    V top = hn::Set(kD, -kInfinity), other = top;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      top = hn::Max(top, hn::LoadU(kD, x + i));
      other = hn::Max(other, hn::LoadU(kD, x + i + kLanes));
    }
    for (; i < n; i += kLanes) top = hn::Max(top, load_part(x + i, n - i, other));
    top = hn::MaxOfLanes(kD, hn::Max(top, other));
    if (logarithm) {
      const double sum = exp_row<false>(x, n, top, y);
      const V shift = hn::Set(kD, static_cast<float>(std::log(sum)));
      map_row(x, n, y, [&](std::int64_t, V v) HWY_ATTR { return hn::Sub(hn::Sub(v, top), shift); });
    } else {
      const double sum = exp_row<true>(x, n, top, y);
      const V factor = hn::Set(kD, static_cast<float>(1 / sum));
      map_row(y, n, y, [&](std::int64_t, V v) HWY_ATTR { return hn::Mul(v, factor); });
    }
  }
}

void SoftmaxColumns(bool logarithm, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  for (std::int64_t c = 0; c < columns; c += kLanes, x += kLanes, y += kLanes) {
    const std::int64_t rest = columns - c;
    V top = hn::Set(kD, -kInfinity);
    for (std::int64_t r = 0; r < n; ++r) top = hn::Max(top, load_part(x + r * stride, rest, hn::Zero(kD)));
    V sum = hn::Zero(kD);
    for (std::int64_t first = 0; first < n; first += kStack) {
      V part = hn::Zero(kD);
      for (std::int64_t r = first; r < std::min(n, first + kStack); ++r) {
        const V e = exponential(hn::Sub(load_part(x + r * stride, rest, top), top));
        if (!logarithm) store_part(e, y + r * stride, rest);
        part = hn::Add(part, e);
      }
      sum = hn::Add(sum, part);
    }
    if (logarithm) {
      HWY_ALIGN float part[kLanes];
      hn::Store(sum, kD, part);
      for (float& f : part) f = std::log(f);
      sum = hn::Load(kD, part);
      for (std::int64_t r = 0; r < n; ++r)
        store_part(hn::Sub(hn::Sub(load_part(x + r * stride, rest, top), top), sum), y + r * stride, rest);
    } else {
      const V factor = hn::Div(hn::Set(kD, 1.0f), sum);
      for (std::int64_t r = 0; r < n; ++r) store_part(hn::Mul(load_part(y + r * stride, rest, top), factor), y + r * stride, rest);
    }
  }
}

void NormalizeRows(bool centered, const float* x, std::int64_t rows, std::int64_t n, const float* scale, const float* bias, float epsilon,
                   float* y, float* means, float* inverses) {
  const double count = static_cast<double>(n);
  const V zero = hn::Zero(kD), one = hn::Set(kD, 1.0f);
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    const float mean = centered ? static_cast<float>(fold(Sum{}, x, n) / count) : 0.0f;
    const V shift = hn::Set(kD, mean);
    const float variance = static_cast<float>((centered ? fold(squares_about(shift), x, n) : fold(SumSquare{}, x, n)) / count);
    const float inverse = 1.0f / std::sqrt(variance + epsilon);
    if (means) means[r] = mean;
    if (inverses) inverses[r] = inverse;
    if (!y) continue;
    const V factor = hn::Set(kD, inverse);
    const auto normal = [&](V v) HWY_ATTR { return hn::Mul(hn::Sub(v, shift), factor); };
    if (scale && bias)
      map_row(x, n, y, [&](std::int64_t i, V v) HWY_ATTR {
        return hn::MulAdd(normal(v), load_part(scale + i, n - i, one), load_part(bias + i, n - i, zero));
      });
    else if (scale) map_row(x, n, y, [&](std::int64_t i, V v) HWY_ATTR { return hn::Mul(normal(v), load_part(scale + i, n - i, one)); });
    else map_row(x, n, y, [&](std::int64_t i, V v) HWY_ATTR { return hn::Add(normal(v), bias ? load_part(bias + i, n - i, zero) : zero); });
    y += n;
  }
}

void AffineRow(const float* x, std::int64_t n, float shift, float factor, float bias, float* y) {
  const V s = hn::Set(kD, shift), f = hn::Set(kD, factor), b = hn::Set(kD, bias);
  map_row(x, n, y, [&](std::int64_t, V v) HWY_ATTR { return hn::MulAdd(hn::Sub(v, s), f, b); });
}
void AffineColumns(const float* x, std::int64_t rows, std::int64_t columns, const float* shift, const float* factor, const float* bias,
                   float* y) {
  const V zero = hn::Zero(kD);
  for (; rows > 0; --rows, x += columns, y += columns)
    map_row(x, columns, y, [&](std::int64_t i, V v) HWY_ATTR {
      const std::int64_t rest = columns - i;
      return hn::MulAdd(hn::Sub(v, load_part(shift + i, rest, zero)), load_part(factor + i, rest, zero), load_part(bias + i, rest, zero));
    });
}

std::int64_t ExtremeRow(bool largest, bool last, const float* x, std::int64_t n) {
  const float best = static_cast<float>(largest ? fold(Max{}, x, n) : fold(Min{}, x, n));
  const V wanted = hn::Set(kD, best);
  const auto found = [&](V v) HWY_ATTR { return best == best ? hn::Eq(v, wanted) : hn::IsNaN(v); };
  const std::int64_t whole = n / kLanes * kLanes;
  const auto is = [&](float f) { return best == best ? f == best : f != f; };
  if (!last) {
    std::int64_t i = 0;
    while (i < whole && hn::AllFalse(kD, found(hn::LoadU(kD, x + i)))) i += kLanes;
    while (i < n - 1 && !is(x[i])) ++i;
    return i;
  }
  std::int64_t i = n - 1;
  for (; i >= whole; --i)
    if (is(x[i])) return i;
  while (i >= kLanes && hn::AllFalse(kD, found(hn::LoadU(kD, x + i + 1 - kLanes)))) i -= kLanes;
  while (i > 0 && !is(x[i])) --i;
  return i;
}

void ExtremeColumns(bool largest, bool last, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, std::int64_t* y) {
  const hn::RebindToSigned<D> di;
  for (std::int64_t c = 0; c < columns; c += kLanes, x += kLanes, y += kLanes) {
    const std::int64_t rest = columns - c;
    V best = load_part(x, rest, hn::Zero(kD));
    auto place = hn::Zero(di);
    for (std::int64_t r = 1; r < n; ++r) {
      const V v = load_part(x + r * stride, rest, hn::Zero(kD));
      auto better = largest ? hn::Gt(v, best) : hn::Lt(v, best);
      const auto nan = hn::IsNaN(v), was_nan = hn::IsNaN(best);
      if (last) better = hn::Or(hn::Or(better, hn::Eq(v, best)), nan);
      else better = hn::Or(better, hn::AndNot(was_nan, nan));
      best = hn::IfThenElse(better, v, best);
      place = hn::IfThenElse(hn::RebindMask(di, better), hn::Set(di, static_cast<std::int32_t>(r)), place);
    }
    HWY_ALIGN std::int32_t part[kLanes];
    hn::Store(place, di, part);
    for (std::int64_t i = 0; i < std::min(kLanes, rest); ++i) y[i] = part[i];
  }
}

void Respond(const float* x, std::int64_t count, std::int64_t begin, std::int64_t end, std::int64_t step, std::int64_t below,
             std::int64_t above, float bias, float alpha, float beta, float* y) {
  const V zero = hn::Zero(kD), one = hn::Set(kD, 1.0f);
  for (std::int64_t j = begin; j < end; j += kLanes) {
    const std::int64_t rest = std::min(kLanes, end - j);
    V sum = zero;
    for (std::int64_t k = -below; k <= above; ++k) {
      const std::int64_t at = j + k * step;
      if (at <= -rest || at >= count) continue;
      V v;
      if (at < 0) {
        HWY_ALIGN float part[kLanes] = {};
        for (std::int64_t i = -at; i < rest && at + i < count; ++i) part[i] = x[at + i];
        v = hn::Load(kD, part);
      } else {
        v = load_part(x + at, std::min(rest, count - at), zero);
      }
      sum = hn::MulAdd(v, v, sum);
    }
    const V base = hn::MulAdd(sum, hn::Set(kD, alpha), hn::Set(kD, bias));
    V factor;
    if (beta == 0.75f) {
      const V root = hn::Sqrt(base);
      factor = hn::Div(one, hn::Mul(root, hn::Sqrt(root)));
    } else {
      HWY_ALIGN float part[kLanes];
      hn::Store(base, kD, part);
      for (float& f : part) f = std::pow(f, -beta);
      factor = hn::Load(kD, part);
    }
    store_part(hn::Mul(load_part(x + j, rest, zero), factor), y + j, rest);
  }
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {
namespace {

HWY_EXPORT(FoldRow);
HWY_EXPORT(FoldColumns);
HWY_EXPORT(SquaresRow);
HWY_EXPORT(SquaresColumns);
HWY_EXPORT(SoftmaxRows);
HWY_EXPORT(SoftmaxColumns);
HWY_EXPORT(NormalizeRows);
HWY_EXPORT(AffineRow);
HWY_EXPORT(AffineColumns);
HWY_EXPORT(ExtremeRow);
HWY_EXPORT(ExtremeColumns);
HWY_EXPORT(Respond);

}  // namespace

double fold_row(Fold fold, const float* x, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(FoldRow)(fold, x, n); }
void fold_columns(Fold fold, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(FoldColumns)(fold, x, n, stride, columns, y);
}
double squares_row(const float* x, std::int64_t n, float shift) { return HWY_DYNAMIC_DISPATCH(SquaresRow)(x, n, shift); }
void squares_columns(const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, const float* shift, float* y) {
  HWY_DYNAMIC_DISPATCH(SquaresColumns)(x, n, stride, columns, shift, y);
}
void softmax_rows(bool logarithm, const float* x, std::int64_t rows, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(SoftmaxRows)(logarithm, x, rows, n, y);
}
void softmax_columns(bool logarithm, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(SoftmaxColumns)(logarithm, x, n, stride, columns, y);
}
void normalize_rows(bool centered, const float* x, std::int64_t rows, std::int64_t n, const float* scale, const float* bias, float epsilon,
                    float* y, float* means, float* inverses) {
  HWY_DYNAMIC_DISPATCH(NormalizeRows)(centered, x, rows, n, scale, bias, epsilon, y, means, inverses);
}
void affine_row(const float* x, std::int64_t n, float shift, float factor, float bias, float* y) {
  HWY_DYNAMIC_DISPATCH(AffineRow)(x, n, shift, factor, bias, y);
}
void affine_columns(const float* x, std::int64_t rows, std::int64_t columns, const float* shift, const float* factor, const float* bias,
                    float* y) {
  HWY_DYNAMIC_DISPATCH(AffineColumns)(x, rows, columns, shift, factor, bias, y);
}
std::int64_t extreme_row(bool largest, bool last, const float* x, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(ExtremeRow)(largest, last, x, n);
}
void extreme_columns(bool largest, bool last, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, std::int64_t* y) {
  HWY_DYNAMIC_DISPATCH(ExtremeColumns)(largest, last, x, n, stride, columns, y);
}
void respond(const float* x, std::int64_t count, std::int64_t begin, std::int64_t end, std::int64_t step, std::int64_t below,
             std::int64_t above, float bias, float alpha, float beta, float* y) {
  HWY_DYNAMIC_DISPATCH(Respond)(x, count, begin, end, step, below, above, bias, alpha, beta, y);
}

}  // namespace ashlar::cpu
#endif
