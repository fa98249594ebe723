// SPDX-License-Identifier: Apache-2.0
// The reductions: one pass over the input gathers each output's value in the workspace, a second one makes the result of it.
// LogSumExp first needs the maximum, to stay in range.
#include <cmath>
#include <limits>
#include <span>

#include "convert.h"
#include "elementwise.h"

namespace ashlar::reference {
namespace {

/// Which axes of a shape are reduced. ONNX: none given means all, unless noop_with_empty_axes.
struct Reduction {
  std::array<bool, ASHLAR_MAX_RANK> reduced{};
  std::int64_t length = 1;  // elements for each output

  Reduction(const Dims& dims, const std::vector<std::int64_t>& axes, bool noop) {
    for (const std::int64_t axis : axes) reduced[static_cast<std::size_t>(provider::normalize_axis(axis, dims.rank()))] = true;
    if (axes.empty() && !noop) reduced.fill(true);
    for (int d = 0; d < dims.rank(); ++d)
      if (is_reduced(d)) length = dims[d] == 0 || length == 0 ? 0 : length * dims[d];
  }
  bool is_reduced(int d) const { return reduced[static_cast<std::size_t>(d)]; }
  /// The dimensions with 1 where reduced.
  Dims kept(Dims dims) const {
    for (int d = 0; d < dims.rank(); ++d)
      if (is_reduced(d)) dims[d] = 1;
    return dims;
  }
  Dims output(const Dims& dims, bool keepdims) const {
    if (keepdims) return kept(dims);
    Dims out;
    for (int d = 0; d < dims.rank(); ++d)
      if (!is_reduced(d)) out.push_back(dims[d]);
    return out;
  }
};

/// Sums of integers wrap; floats gather in double.
template <class T> using Gathered = std::conditional_t<is_float<T>, double, std::conditional_t<std::is_same_v<T, bool>, bool, T>>;

template <class T> T wrapping_add(T a, T b) { return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b)); }
template <class T> T wrapping_multiply(T a, T b) { return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b)); }
template <class T> T magnitude(T v) {
  if constexpr (std::is_floating_point_v<T>) return std::fabs(v);
  else return v < 0 ? static_cast<T>(Wrapping<T>{} - static_cast<Wrapping<T>>(v)) : v;
}
/// A calculation in double whose result an element of type T holds.
template <class T> T as_element(double v) {
  if constexpr (std::is_floating_point_v<T>) return v;
  else return convert<T>(v);
}

struct Reducer {
  template <class T> T start() const { return T{}; }
  template <class T> T finish(T a, std::int64_t) const { return a; }
};
struct Sum : Reducer {
  template <class T> T add(T a, T v) const { return wrapping_add(a, v); }
};
struct Mean : Sum {
  template <class T> T finish(T a, std::int64_t n) const {
    if constexpr (std::is_integral_v<T>) return n == 0 ? T{} : static_cast<T>(static_cast<__int128>(a) / n);
    else return a / static_cast<T>(n);
  }
};
struct Prod : Reducer {
  template <class T> T start() const { return T{1}; }
  template <class T> T add(T a, T v) const { return wrapping_multiply(a, v); }
};
struct Max : Reducer {
  template <class T> T start() const {
    if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::lowest();
  }
  template <class T> T add(T a, T v) const { return maximum(a, v); }
};
struct Min : Reducer {
  template <class T> T start() const {
    if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::max();
  }
  template <class T> T add(T a, T v) const { return minimum(a, v); }
};
struct L1 : Reducer {
  template <class T> T add(T a, T v) const { return wrapping_add(a, magnitude(v)); }
};
struct SumSquare : Reducer {
  template <class T> T add(T a, T v) const { return wrapping_add(a, wrapping_multiply(v, v)); }
};
struct L2 : SumSquare {
  template <class T> T finish(T a, std::int64_t) const { return as_element<T>(std::sqrt(static_cast<double>(a))); }
};
struct LogSum : Sum {
  template <class T> T finish(T a, std::int64_t) const { return as_element<T>(std::log(static_cast<double>(a))); }
};
struct LogSumExp : Sum {};

template <class List, class R> class Reduce : public provider::Kernel {
 public:
  explicit Reduce(const provider::NodeView& node)
      : keepdims_(node.integer("keepdims", 1) != 0), noop_(node.integer("noop_with_empty_axes") != 0) {}
  std::uint64_t bind_reads() const override { return 2; }
  void bind(provider::BindContext& context) const override {
    const Dims dims = context.input(0).dims();
    const Reduction reduction(dims, axes(context), noop_);
    const Dims out = reduction.output(dims, keepdims_);
    context.set_output(0, out);
    context.set_workspace(static_cast<std::uint64_t>(checked_count(out, 2 * sizeof(double))));
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    const Reduction reduction(x.dims(), axes(context), noop_);
    dispatch<List>(x.dtype(), [&]<class T>() {
      using G = Gathered<T>;
      auto* gathered = static_cast<G*>(context.workspace());
      T* out = y.template mutable_data<T>();
      if constexpr (std::is_same_v<R, LogSumExp>) {
        auto* top = gathered + y.count();
        gather<T>(Max{}, x, reduction, y.count(), top);
        for (std::int64_t i = 0; i < y.count(); ++i)
          if (std::isinf(top[i])) top[i] = 0;
        gather<T>(Sum{}, x, reduction, y.count(), gathered, [&](std::int64_t i, G v) { return std::exp(v - top[i]); });
        for (std::int64_t i = 0; i < y.count(); ++i) out[i] = convert<T>(std::log(gathered[i]) + top[i]);
      } else {
        gather<T>(R{}, x, reduction, y.count(), gathered);
        for (std::int64_t i = 0; i < y.count(); ++i) out[i] = convert<T>(R{}.finish(gathered[i], reduction.length));
      }
    });
  }

 private:
  template <class Context> static std::vector<std::int64_t> axes(const Context& context) {
    return context.has_input(1) ? context.input(1).indices() : std::vector<std::int64_t>();
  }
  struct Same {
    template <class G> G operator()(std::int64_t, G v) const { return v; }
  };
  template <class T, class Op, class Map = Same>
  static void gather(Op op, const provider::TensorView& x, const Reduction& reduction, std::int64_t outputs, Gathered<T>* gathered,
                     Map map = {}) {
    using G = Gathered<T>;
    std::fill_n(gathered, outputs, op.template start<G>());
    for_each_index<1>(x.dims(), {broadcast_strides(reduction.kept(x.dims()), x.dims())},
                      [&](std::int64_t i, const std::array<std::int64_t, 1>& at) {
                        G& g = gathered[at[0]];
                        g = op.add(g, map(at[0], static_cast<G>(load<T>(x.raw(), i))));
                      });
  }
  bool keepdims_, noop_;
};

template <class List, class R> constexpr provider::KernelEntry row(const char* op, int since) {
  return {op, since, provider::kLatest, &uniform<List, 1>, &provider::make<Reduce<List, R>>};
}

using OrderedTypes = Join<NumericTypes, Types<bool>>;
constexpr provider::KernelEntry kRows[] = {
    row<NumericTypes, Sum>("ReduceSum", 13),       row<NumericTypes, Mean>("ReduceMean", 18),
    row<NumericTypes, Prod>("ReduceProd", 18),     row<OrderedTypes, Max>("ReduceMax", 18),
    row<OrderedTypes, Min>("ReduceMin", 18),       row<NumericTypes, L1>("ReduceL1", 18),
    row<NumericTypes, L2>("ReduceL2", 18),         row<NumericTypes, SumSquare>("ReduceSumSquare", 18),
    row<NumericTypes, LogSum>("ReduceLogSum", 18), row<FloatTypes, LogSumExp>("ReduceLogSumExp", 18),
};

}  // namespace

std::span<const provider::KernelEntry> reduce_kernels() { return kRows; }

}  // namespace ashlar::reference
