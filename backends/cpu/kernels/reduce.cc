// SPDX-License-Identifier: Apache-2.0
// The reductions. Dims are merged into groups that are kept or reduced. Where the last group is reduced, every output is a fold of
// rows; where it is kept, neighbouring outputs are a fold of columns. float32 folds with vectors, other types with plain loops.
#include <span>

#include "elementwise_region.h"
#include "rows.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

constexpr std::int64_t kStrip = 256;      // columns that are folded together
constexpr std::int64_t kPiece = 1 << 15;  // elements of a long row that are folded together
constexpr std::int64_t kFewOutputs = 8;   // below: long rows are cut into pieces

template <class T> T magnitude(T v) {
  if constexpr (std::is_floating_point_v<T>) return std::fabs(v);
  else return v < 0 ? static_cast<T>(Wrapping<T>{} - static_cast<Wrapping<T>>(v)) : v;
}
template <class T> T wrapping_add(T a, T b) { return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b)); }
template <class T> T wrapping_multiply(T a, T b) { return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b)); }
/// A double as an element of type T. Integers drop the fraction and wrap; those that 64 bits do not hold, and NaN, are the lowest.
template <class T> T from_real(double v) {
  if constexpr (!std::is_integral_v<T>) return static_cast<T>(v);
  else if (v >= 0x1p63 && v < 0x1p64) return static_cast<T>(static_cast<std::uint64_t>(v));
  else return static_cast<T>(v >= -0x1p63 && v < 0x1p63 ? static_cast<std::int64_t>(v) : std::numeric_limits<std::int64_t>::min());
}

/// An operator: the fold, then what its result becomes.
struct Operator {
  Fold fold;
  enum class Finish { kNone, kMean, kRoot, kLog } finish;
};

template <class G> G identity(Fold fold) {
  using L = std::numeric_limits<G>;
  switch (fold) {
    case Fold::kMax: return L::has_infinity ? -L::infinity() : L::lowest();
    case Fold::kMin: return L::has_infinity ? L::infinity() : L::max();
    case Fold::kProduct: return G{1};
    default: return G{};
  }
}

/// How two partial results become one: magnitudes and squares are taken of elements alone.
constexpr Fold merge_of(Fold fold) { return fold == Fold::kSumAbs || fold == Fold::kSumSquare ? Fold::kSum : fold; }

template <class G> G step(Fold fold, G a, G v) {
  switch (fold) {
    case Fold::kSum: return wrapping_add(a, v);
    case Fold::kSumAbs: return wrapping_add(a, magnitude(v));
    case Fold::kSumSquare: return wrapping_add(a, wrapping_multiply(v, v));
    case Fold::kMax: return a != a || a >= v ? a : v;
    case Fold::kMin: return a != a || a <= v ? a : v;
    case Fold::kProduct: return wrapping_multiply(a, v);
  }
  return a;
}

template <class T, class G> T finish(const Operator& op, G value, std::int64_t length) {
  switch (op.finish) {
    case Operator::Finish::kNone: break;
    case Operator::Finish::kMean:
      if constexpr (std::is_integral_v<G>) return length == 0 ? T{} : static_cast<T>(static_cast<__int128>(value) / length);
      else return narrow<T>(value / static_cast<G>(length));
    case Operator::Finish::kRoot: return narrow<T>(from_real<G>(std::sqrt(static_cast<double>(value))));
    case Operator::Finish::kLog: return narrow<T>(from_real<G>(std::log(static_cast<double>(value))));
  }
  return narrow<T>(value);
}

/// Where the elements of each output lie.
struct Plan : provider::Binding {
  bool rows = true;                                   ///< the innermost group is reduced
  std::int64_t n = 1;                                 ///< elements of a row, or of a column
  std::int64_t inner = 1;                             ///< columns; they lie `inner` elements apart
  std::int64_t outer = 1;                             ///< rows kind: outputs; columns kind: outputs / inner
  std::int64_t segments = 1;                          ///< rows, or blocks of columns, for each of `outer`
  std::int64_t length = 1;                            ///< elements for each output
  bool empty = false;                                 ///< no elements: every output is the fold of nothing
  Dims kept, kept_strides, reduced, reduced_strides;  ///< the groups that `outer` and `segments` count

  Plan(const Dims& dims, const std::array<bool, ASHLAR_MAX_RANK>& mask) {
    Dims size;
    std::array<bool, ASHLAR_MAX_RANK> is_reduced{};
    for (int d = 0; d < dims.rank(); ++d) {
      const bool reduce = mask[static_cast<std::size_t>(d)];
      if (dims[d] == 0) empty = true;
      if (reduce) length = length == 0 || dims[d] == 0 ? 0 : length * dims[d];
      if (dims[d] == 1) continue;
      if (size.rank() > 0 && is_reduced[size.size() - 1] == reduce) {
        if (!empty) size[size.rank() - 1] *= dims[d];
      } else {
        is_reduced[size.size()] = reduce;
        size.push_back(dims[d]);
      }
    }
    if (empty) return;
    int groups = size.rank();
    std::int64_t stride = 1;
    rows = groups == 0 || is_reduced[static_cast<std::size_t>(groups - 1)];
    if (!rows) stride = inner = size[--groups];
    if (groups > 0) stride *= n = size[--groups];
    for (int g = groups - 1; g >= 0; --g) {
      const bool reduce = is_reduced[static_cast<std::size_t>(g)];
      (reduce ? reduced : kept).insert(0, size[g]);
      (reduce ? reduced_strides : kept_strides).insert(0, stride);
      (reduce ? segments : outer) *= size[g];
      stride *= size[g];
    }
  }
  static std::int64_t offset(const Dims& dims, const Dims& strides, std::int64_t index) {
    if (dims.rank() == 1) return index * strides[0];
    std::int64_t at = 0;
    for (int d = dims.rank() - 1; d >= 0; --d) {
      at += index % dims[d] * strides[d];
      index /= dims[d];
    }
    return at;
  }
  std::int64_t start(std::int64_t o) const { return offset(kept, kept_strides, o); }
  std::int64_t segment(std::int64_t s) const { return offset(reduced, reduced_strides, s); }
  std::int64_t pieces() const { return rows && outer < kFewOutputs && n > 2 * kPiece ? (n + kPiece - 1) / kPiece : 1; }
};

template <class T> Accumulate<T> fold_elements(Fold fold, const T* x, std::int64_t n) {
  using G = Accumulate<T>;
  if constexpr (std::is_same_v<T, float>)
    if (n >= 8) return fold_row(fold, x, n);
  G value = identity<G>(fold);
  for (std::int64_t i = 0; i < n; ++i) value = step(fold, value, static_cast<G>(static_cast<Compute<T>>(x[i])));
  return value;
}

template <class T> void reduce_rows(const Operator& op, const Plan& plan, const T* x, T* y, const provider::RunContext& context) {
  using G = Accumulate<T>;
  const Fold merge = merge_of(op.fold);
  const std::int64_t pieces = plan.pieces(), parts = plan.segments * pieces;
  if (pieces > 1) {
    auto* partial = static_cast<G*>(context.workspace());
    context.parallel_for(plan.outer * parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i % pieces * kPiece;
        const std::int64_t at = plan.start(i / parts) + plan.segment(i / pieces % plan.segments) + first;
        partial[i] = fold_elements(op.fold, x + at, std::min(kPiece, plan.n - first));
      }
    });
    for (std::int64_t o = 0; o < plan.outer; ++o) {
      G value = identity<G>(op.fold);
      for (std::int64_t i = o * parts; i < (o + 1) * parts; ++i) value = step(merge, value, partial[i]);
      y[o] = finish<T>(op, value, plan.length);
    }
    return;
  }
  context.parallel_for(plan.outer, grain_of(plan.length / 4 + 8), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const T* from = x + plan.start(o);
      G value = fold_elements(op.fold, from, plan.n);
      for (std::int64_t s = 1; s < plan.segments; ++s) value = step(merge, value, fold_elements(op.fold, from + plan.segment(s), plan.n));
      y[o] = finish<T>(op, value, plan.length);
    }
  });
}

template <class T> void reduce_columns(const Operator& op, const Plan& plan, const T* x, T* y, const provider::RunContext& context) {
  using G = std::conditional_t<std::is_same_v<T, float>, float, Accumulate<T>>;
  const std::int64_t strips = (plan.inner + kStrip - 1) / kStrip;
  context.parallel_for(plan.outer * strips, grain_of(plan.length * std::min(kStrip, plan.inner) / 4),
                       [&](std::int64_t begin, std::int64_t end) {
                         G values[kStrip];
                         for (std::int64_t i = begin; i < end; ++i) {
                           const std::int64_t o = i / strips, first = i % strips * kStrip, columns = std::min(kStrip, plan.inner - first);
                           std::fill_n(values, columns, identity<G>(op.fold));
                           for (std::int64_t s = 0; s < plan.segments; ++s) {
                             const T* from = x + plan.start(o) + plan.segment(s) + first;
                             if constexpr (std::is_same_v<T, float>) {
                               fold_columns(op.fold, from, plan.n, plan.inner, columns, values);
                             } else {
                               for (std::int64_t r = 0; r < plan.n; ++r, from += plan.inner)
                                 for (std::int64_t c = 0; c < columns; ++c)
                                   values[c] = step(op.fold, values[c], static_cast<G>(static_cast<Compute<T>>(from[c])));
                             }
                           }
                           T* to = y + o * plan.inner + first;
                           for (std::int64_t c = 0; c < columns; ++c) to[c] = finish<T>(op, values[c], plan.length);
                         }
                       });
}

/// log(sum(exp(x))), kept in range by the largest element.
template <class T> void log_sum_exp(const Plan& plan, const T* x, T* y, const provider::RunContext& context) {
  const std::int64_t outputs = plan.outer * plan.inner;
  context.parallel_for(outputs, grain_of(plan.length * 8), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const T* from = x + plan.start(o / plan.inner) + o % plan.inner;
      const auto each = [&](auto f) {
        for (std::int64_t s = 0; s < plan.segments; ++s)
          for (std::int64_t i = 0; i < plan.n; ++i) f(static_cast<double>(static_cast<Compute<T>>(from[plan.segment(s) + i * plan.inner])));
      };
      double top = identity<double>(Fold::kMax), sum = 0;
      each([&](double v) { top = step(Fold::kMax, top, v); });
      if (std::isinf(top)) top = 0;
      each([&](double v) { sum += std::exp(v - top); });
      y[o] = narrow<T>(std::log(sum) + top);
    }
  });
}

class Reduce : public CpuKernel {
 public:
  explicit Reduce(const provider::NodeView& node)
      : keepdims_(node.integer("keepdims", 1) != 0), noop_(node.integer("noop_with_empty_axes") != 0), dtype_(node.input(0).dtype()) {
    if (!node.has_input(1)) axes_.emplace();
    else if (const auto constant = node.input(1).constant()) axes_ = constant->indices();
    reads_ = !keepdims_ && axes_ && keeps_order(*axes_, node.input(0).rank());
  }
  std::uint64_t bind_reads() const override { return axes_ ? 0 : 2; }
  bool keepdims() const { return keepdims_; }
  /// How many dimensions it reduces, where those are the last of a tensor of that rank, known before a run, and of float32; else 0.
  int last_axes(int rank) const {
    if (!axes_ || dtype_ != DType::kFloat32 || rank < 1) return 0;
    std::vector<bool> gone(static_cast<std::size_t>(rank), axes_->empty() && !noop_);
    for (const std::int64_t axis : *axes_) {
      if (axis < -rank || axis >= rank) return 0;
      gone[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
    }
    const auto first = std::find(gone.begin(), gone.end(), true);
    return std::find(first, gone.end(), false) == gone.end() ? static_cast<int>(gone.end() - first) : 0;
  }
  LayoutRule layout_rule() const override { return keepdims_ ? LayoutRule::kFollows : reads_ ? LayoutRule::kReads : LayoutRule::kPlain; }

  void bind(provider::BindContext& context) const override {
    const auto x = context.input(0);
    const Dims dims = x.dims();
    const std::vector<std::int64_t> axes = axes_ ? *axes_ : context.input(1).indices();
    std::array<bool, ASHLAR_MAX_RANK> mask{}, physical{};
    for (const std::int64_t axis : axes) mask[static_cast<std::size_t>(provider::normalize_axis(axis, dims.rank()))] = true;
    if (axes.empty() && !noop_) mask.fill(true);
    Dims out;
    for (int d = 0; d < dims.rank(); ++d) {
      const bool reduced = mask[static_cast<std::size_t>(d)];
      physical[static_cast<std::size_t>(physical_axis(d, dims.rank(), x.layout()))] = reduced;
      if (keepdims_ || !reduced) out.push_back(reduced ? 1 : dims[d]);
    }
    context.set_output(0, out);
    if (keepdims_) context.set_layout(0, x.layout());
    auto plan = std::make_unique<Plan>(physical_dims(dims, x.layout()), physical);
    if (plan->pieces() > 1) context.set_workspace(static_cast<std::uint64_t>(plan->outer * plan->segments * plan->pieces()) * 8);
    context.set_binding(std::move(plan));
  }

 protected:
  template <class T, class Body> static void guard_empty(const Operator& op, const provider::RunContext& context, Body body) {
    const Plan& plan = context.binding<Plan>();
    T* y = context.output(0).mutable_data<T>();
    T nothing = finish<T>(op, identity<Accumulate<T>>(op.fold), plan.length);
    if (context.input(0).dtype() == DType::kBool) nothing = narrow<T>(op.fold == Fold::kMin ? 1 : 0);
    if (plan.empty) std::fill_n(y, context.output(0).count(), nothing);
    else body(plan, context.input(0).data<T>(), y);
  }

 private:
  /// Whether the dimensions that are left have one order in both layouts: channels go, or all behind them.
  static bool keeps_order(const std::vector<std::int64_t>& axes, int rank) {
    if (rank < 3) return false;
    std::array<bool, ASHLAR_MAX_RANK> gone{};
    for (const std::int64_t axis : axes) {
      if (axis < -rank || axis >= rank) return false;
      gone[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
    }
    return gone[1] || std::all_of(gone.begin() + 2, gone.begin() + rank, [](bool g) { return g; });
  }

  std::optional<std::vector<std::int64_t>> axes_;  ///< known before any run
  bool keepdims_, noop_, reads_ = false;
  DType dtype_;
};

template <Fold kFold, Operator::Finish kFinish> class FoldKernel final : public Reduce {
 public:
  using Reduce::Reduce;
  void run(const provider::RunContext& context) const override {
    constexpr Operator kOp{kFold, kFinish};
    const DType dtype = context.input(0).dtype();
    dispatch<NumericTypes>(dtype == DType::kBool ? DType::kUint8 : dtype, [&]<class T>() {
      guard_empty<T>(kOp, context, [&](const Plan& plan, const T* x, T* y) {
        if (plan.rows) reduce_rows(kOp, plan, x, y, context);
        else reduce_columns(kOp, plan, x, y, context);
      });
    });
  }
  std::unique_ptr<RowFold> row_fold(int rank) const override {
    const int axes = last_axes(rank);
    if (axes == 0) return nullptr;
    return std::make_unique<RowFold>(RowFold{.fold = kFold,
                                             .axes = axes,
                                             .keepdims = keepdims(),
                                             .identity = identity<double>(kFold),
                                             .merge = [](double a, double b) { return step(merge_of(kFold), a, b); },
                                             .finish =
                                                 [](double value, std::int64_t length) {
                                                   return finish<float>(Operator{kFold, kFinish}, value, length);
                                                 }});
  }
};

class LogSumExp final : public Reduce {
 public:
  using Reduce::Reduce;
  void run(const provider::RunContext& context) const override {
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      guard_empty<T>({Fold::kSum, Operator::Finish::kLog}, context,
                     [&](const Plan& plan, const T* x, T* y) { log_sum_exp(plan, x, y, context); });
    });
  }
};

template <class List, Fold kFold, Operator::Finish kFinish = Operator::Finish::kNone>
constexpr provider::KernelEntry row(const char* op, int since) {
  return {op, since, provider::kLatest, &uniform<List, 1>, &provider::make<FoldKernel<kFold, kFinish>>};
}

using Finish = Operator::Finish;
using OrderedTypes = Join<NumericTypes, Types<bool>>;
constexpr provider::KernelEntry kRows[] = {
    row<NumericTypes, Fold::kSum>("ReduceSum", 13),
    row<NumericTypes, Fold::kSum, Finish::kMean>("ReduceMean", 18),
    row<NumericTypes, Fold::kProduct>("ReduceProd", 18),
    row<OrderedTypes, Fold::kMax>("ReduceMax", 18),
    row<OrderedTypes, Fold::kMin>("ReduceMin", 18),
    row<NumericTypes, Fold::kSumAbs>("ReduceL1", 18),
    row<NumericTypes, Fold::kSumSquare, Finish::kRoot>("ReduceL2", 18),
    row<NumericTypes, Fold::kSumSquare>("ReduceSumSquare", 18),
    row<NumericTypes, Fold::kSum, Finish::kLog>("ReduceLogSum", 18),
    {"ReduceLogSumExp", 18, provider::kLatest, &uniform<FloatTypes, 1>, &provider::make<LogSumExp>},
};

}  // namespace

std::span<const provider::KernelEntry> reduce_kernels() { return kRows; }

}  // namespace ashlar::cpu
