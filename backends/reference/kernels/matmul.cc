// SPDX-License-Identifier: Apache-2.0
// MatMul, Gemm, MatMulInteger and QLinearMatMul.
#include <string_view>

#include "product.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

using MatMulTypes = Join<FloatTypes, Types<std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>>;

struct BatchedProduct : provider::BatchedProduct {
  using provider::BatchedProduct::BatchedProduct;

  /// a(i) and b(i) are elements of the operands as S; store(at, a_row, b_column, sum) takes element `at` of the output, the product of
  /// row a_row of all of A's rows and column b_column of all of B's columns.
  template <class S, class LoadA, class LoadB, class Store> void compute(const LoadA& a, const LoadB& b, const Store& store) const {
    if (output.count() == 0) return;
    const auto product = [&](std::int64_t first_row, std::int64_t row_count, std::int64_t b_matrix, std::int64_t first_out) {
      multiply<S>(
          row_count, columns, depth, [&](std::int64_t i, std::int64_t k) { return a((first_row + i) * depth + k); },
          [&](std::int64_t k, std::int64_t j) { return b((b_matrix * depth + k) * columns + j); },
          [&](std::int64_t i, std::int64_t j, S sum) { store((first_out + i) * columns + j, first_row + i, b_matrix * columns + j, sum); });
    };
    if (b_batch.count() == 1 && a_batch.count() == batch.count()) return product(0, batch.count() * rows, 0, 0);
    for_each_broadcast(batch, a_batch, b_batch,
                       [&](std::int64_t i, std::int64_t ai, std::int64_t bi) { product(ai * rows, rows, bi, i * rows); });
  }
};

template <class T> auto loader(const TensorView& view) {
  return [p = view.data<T>()](std::int64_t i) { return static_cast<Sum<T>>(p[i]); };
}

class MatMul : public Kernel {
 public:
  explicit MatMul(const NodeView&) {}
  void bind(BindContext& context) const override {
    context.set_output(0, BatchedProduct(context.input(0).dims(), context.input(1).dims()).output);
  }
  void run(const RunContext& context) const override {
    const BatchedProduct product(context.input(0).dims(), context.input(1).dims());
    dispatch<MatMulTypes>(context.output(0).dtype(), [&]<class T>() {
      T* y = context.output(0).mutable_data<T>();
      product.compute<Sum<T>>(loader<T>(context.input(0)), loader<T>(context.input(1)),
                              [y](std::int64_t at, std::int64_t, std::int64_t, Sum<T> sum) { y[at] = narrow<T>(sum); });
    });
  }
};

class Gemm : public Kernel {
 public:
  explicit Gemm(const NodeView& node)
      : alpha_(node.real("alpha", 1)), beta_(node.real("beta", 1)), trans_a_(node.integer("transA") != 0),
        trans_b_(node.integer("transB") != 0) {}

  void bind(BindContext& context) const override {
    const Dims a = context.input(0).dims(), b = context.input(1).dims();
    check(a.rank() == 2 && b.rank() == 2 && a[trans_a_ ? 0 : 1] == b[trans_b_ ? 1 : 0], "Gemm of the shapes ", a,
          trans_a_ ? " transposed" : "", " and ", b, trans_b_ ? " transposed" : "");
    const Dims y{a[trans_a_ ? 1 : 0], b[trans_b_ ? 0 : 1]};
    if (context.has_input(2)) {
      const Dims c = context.input(2).dims();
      check(c.rank() <= 2 && provider::broadcast(c, y) == y, "C of shape ", c, " does not broadcast to ", y);
    }
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    dispatch<MatMulTypes>(context.output(0).dtype(), [&]<class T>() { compute<T>(context); });
  }

 private:
  template <class T> void compute(const RunContext& context) const {
    const Dims a = context.input(0).dims(), y = context.output(0).dims();
    const std::int64_t rows = y[0], columns = y[1], depth = a[trans_a_ ? 0 : 1];
    const auto load_a = loader<T>(context.input(0)), load_b = loader<T>(context.input(1));
    const T* c = context.has_input(2) && beta_ != 0 ? context.input(2).data<T>() : nullptr;
    const Dims c_strides = c ? broadcast_strides(context.input(2).dims(), y) : Dims{0, 0};
    T* out = context.output(0).mutable_data<T>();
    multiply<Sum<T>>(
        rows, columns, depth, [&](std::int64_t i, std::int64_t k) { return load_a(trans_a_ ? k * rows + i : i * depth + k); },
        [&](std::int64_t k, std::int64_t j) { return load_b(trans_b_ ? j * depth + k : k * columns + j); },
        [&](std::int64_t i, std::int64_t j, Sum<T> sum) {
          Sum<T> value = scaled<T>(alpha_, sum);
          if (c) value += scaled<T>(beta_, static_cast<Sum<T>>(c[i * c_strides[0] + j * c_strides[1]]));
          out[i * columns + j] = narrow<T>(value);
        });
  }

  template <class T> static Sum<T> scaled(float factor, Sum<T> value) {
    if constexpr (is_float<T>) {
      return factor * value;
    } else {
      if (factor == 1) return value;
      return static_cast<Sum<T>>(saturate<T>(std::trunc(static_cast<double>(factor) * static_cast<double>(static_cast<T>(value)))));
    }
  }

  float alpha_, beta_;
  bool trans_a_, trans_b_;
};

using QuantizedTypes = Join<Types<std::int8_t, std::uint8_t>, Float8Types>;
using ScaleTypes = Types<float, Float16, BFloat16>;

/// The elements of a tensor as doubles, {otherwise} for an input that is left out.
std::vector<double> reals(const RunContext& context, int input, double otherwise) {
  if (!context.has_input(input)) return {otherwise};
  const TensorView view = context.input(input);
  std::vector<double> out(static_cast<std::size_t>(view.count()));
  dispatch<Join<QuantizedTypes, ScaleTypes>>(view.dtype(), [&]<class T>() {
    const T* p = view.data<T>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(p[i]);
  });
  return out;
}

/// Quantisation parameters are for the whole tensor, for each row of a matrix, or for each row of every matrix; columns alike.
double parameter(const std::vector<double>& values, std::int64_t line) { return values[static_cast<std::size_t>(line) % values.size()]; }

void check_parameter(const BindContext& context, int input, std::int64_t lines, std::int64_t matrices) {
  if (!context.has_input(input)) return;
  const std::int64_t n = context.input(input).count();
  check(n == 1 || n == lines || n == lines * matrices, "input ", input, " has ", n, " values for ", lines, " rows or columns");
}

/// Where the operands and their parameters are among the inputs; -1 where the operator has none.
struct QuantizedInputs {
  int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;
};
constexpr QuantizedInputs kInteger = {0, -1, 2, 1, -1, 3, -1, -1};
constexpr QuantizedInputs kLinear = {0, 1, 2, 3, 4, 5, 6, 7};

class QuantizedMatMul : public Kernel {
 public:
  explicit QuantizedMatMul(const NodeView& node) : in_(node.op_type() == "MatMulInteger" ? kInteger : kLinear) {}

  void bind(BindContext& context) const override {
    const BatchedProduct product(context.input(in_.a).dims(), context.input(in_.b).dims());
    const std::int64_t a_count = product.a_batch.count(), b_count = product.b_batch.count(), count = product.batch.count();
    for (const int i : {in_.a_scale, in_.a_zero})
      if (i >= 0) check_parameter(context, i, product.rows, a_count);
    for (const int i : {in_.b_scale, in_.b_zero})
      if (i >= 0) check_parameter(context, i, product.columns, b_count);
    for (const int i : {in_.y_scale, in_.y_zero})
      if (i >= 0) check_parameter(context, i, product.rows, count);
    context.set_output(0, product.output);
  }

  void run(const RunContext& context) const override {
    const BatchedProduct product(context.input(in_.a).dims(), context.input(in_.b).dims());
    const auto columns = static_cast<std::size_t>(product.columns), depth = static_cast<std::size_t>(product.depth);
    std::vector<double> a = reals(context, in_.a, 0), b = reals(context, in_.b, 0);
    const std::vector<double> a_zero = reals(context, in_.a_zero, 0), b_zero = reals(context, in_.b_zero, 0);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] -= parameter(a_zero, static_cast<std::int64_t>(i / depth));
    for (std::size_t i = 0; i < b.size(); ++i)
      b[i] -= parameter(b_zero, static_cast<std::int64_t>(i / (depth * columns) * columns + i % columns));
    const auto load = [](const std::vector<double>& v) { return [p = v.data()](std::int64_t i) { return p[i]; }; };
    if (in_.y_scale < 0) {
      auto* y = context.output(0).mutable_data<std::int32_t>();
      product.compute<double>(load(a), load(b), [y](std::int64_t at, std::int64_t, std::int64_t, double sum) {
        y[at] = static_cast<std::int32_t>(static_cast<std::int64_t>(sum));
      });
      return;
    }
    const std::vector<double> a_scale = reals(context, in_.a_scale, 1), b_scale = reals(context, in_.b_scale, 1);
    const std::vector<double> y_scale = reals(context, in_.y_scale, 1), y_zero = reals(context, in_.y_zero, 0);
    dispatch<QuantizedTypes>(context.output(0).dtype(), [&]<class T>() {
      T* y = context.output(0).mutable_data<T>();
      product.compute<double>(load(a), load(b), [&](std::int64_t at, std::int64_t a_row, std::int64_t b_column, double sum) {
        const std::int64_t row = at / product.columns;
        const double scaled = sum * parameter(a_scale, a_row) * parameter(b_scale, b_column) / parameter(y_scale, row);
        if constexpr (is_float<T>) y[at] = T::saturated(static_cast<float>(scaled + parameter(y_zero, row)));
        else y[at] = saturate<T>(std::nearbyint(scaled) + parameter(y_zero, row));
      });
    });
  }

  static provider::Verdict verdict(const NodeView& node) {
    const QuantizedInputs in = node.op_type() == "MatMulInteger" ? kInteger : kLinear;
    for (const auto [data, zero] : {std::array{in.a, in.a_zero}, std::array{in.b, in.b_zero}}) {
      const DType dtype = node.input(data).dtype();
      ASHLAR_REQUIRE(contains<QuantizedTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype),
                     " has no kernel");
      ASHLAR_REQUIRE(!node.has_input(zero) || node.input(zero).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "the zero point of input ", data,
                     " is not ", provider::dtype_name(dtype));
    }
    if (in.y_scale < 0) return provider::accept();
    for (const int i : {in.a_scale, in.b_scale, in.y_scale})
      ASHLAR_REQUIRE(contains<ScaleTypes>(node.input(i).dtype()), ASHLAR_NO_KERNEL_DTYPE, "scales of ",
                     provider::dtype_name(node.input(i).dtype()), " have no kernel");
    ASHLAR_REQUIRE(contains<QuantizedTypes>(node.output(0).dtype()) && node.input(in.y_zero).dtype() == node.output(0).dtype(),
                   ASHLAR_NO_KERNEL_DTYPE, "the output of QLinearMatMul is of its zero point's type, 8 bits wide");
    return provider::accept();
  }

 private:
  QuantizedInputs in_;
};

constexpr KernelEntry kKernels[] = {
    {"MatMul", 1, provider::kLatest, &takes_same<MatMulTypes, 1>, &provider::make<MatMul>},
    {"Gemm", 7, provider::kLatest, &takes_same<MatMulTypes, 1, 2>, &provider::make<Gemm>},
    {"MatMulInteger", 10, provider::kLatest, &QuantizedMatMul::verdict, &provider::make<QuantizedMatMul>},
    {"QLinearMatMul", 10, provider::kLatest, &QuantizedMatMul::verdict, &provider::make<QuantizedMatMul>},
};

}  // namespace

std::span<const KernelEntry> matmul_kernels() { return kKernels; }

}  // namespace ashlar::reference
