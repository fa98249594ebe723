// SPDX-License-Identifier: Apache-2.0
// Gemm: alpha A B + beta C, A and B transposed or not.
#include <cmath>

#include "plain_product.h"
#include "row_ops.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

struct Attributes {
  float alpha, beta;
  bool trans_a, trans_b;
  explicit Attributes(const NodeView& node)
      : alpha(node.real("alpha", 1)), beta(node.real("beta", 1)), trans_a(node.integer("transA") != 0),
        trans_b(node.integer("transB") != 0) {}

  struct Sizes {
    std::int64_t rows, columns, depth;
  };
  /// A Failure for shapes that do not go together.
  Sizes sizes(const Dims& a, const Dims& b) const {
    check(a.rank() == 2 && b.rank() == 2 && a[trans_a ? 0 : 1] == b[trans_b ? 1 : 0], "Gemm of the shapes ", a,
          trans_a ? " transposed" : "", " and ", b, trans_b ? " transposed" : "");
    return {a[trans_a ? 1 : 0], b[trans_b ? 0 : 1], a[trans_a ? 0 : 1]};
  }
};

class FloatGemm : public CpuKernel {
 public:
  explicit FloatGemm(const NodeView& node) : attributes_(node), host_(node.host()) {
    const auto b = node.input(1).constant();
    if (b && b->rank() == 2 && b->count() > 0) {
      const std::int64_t columns = b->dim(attributes_.trans_b ? 0 : 1), depth = b->dim(attributes_.trans_b ? 1 : 0);
      const std::string packing = provider::concat(panel_layout(), attributes_.trans_b ? " transposed" : "", " times ", attributes_.alpha);
      const auto fill = [&](void* to) {
        pack_panels(b->raw(), attributes_.trans_b ? 1 : columns, attributes_.trans_b ? depth : 1, depth, columns, attributes_.alpha, to);
      };
      const bool plain = !attributes_.trans_b && attributes_.alpha == 1;
      packed_ = static_cast<const float*>(
          provider::packed(host_, *b, plain ? panel_layout() : packing.c_str(), packed_panel_bytes(depth, columns), fill));
    } else if (attributes_.alpha != 1) {
      row_ops_.scale(attributes_.alpha);
    }
    if (node.has_input(2) && attributes_.beta != 0) row_ops_.add(2, attributes_.beta);
  }

  bool fuse(const PostOp& op) override { return row_ops_.append(op); }
  std::uint64_t shape_only() const override { return packed_ ? 2 : 0; }

  void bind(BindContext& context) const override {
    auto plan = std::make_unique<Plan>();
    plan->sizes = attributes_.sizes(context.input(0).dims(), context.input(1).dims());
    const auto [rows, columns, depth] = plan->sizes;
    const Dims output{rows, columns};
    context.set_output(0, output);
    if (context.has_input(2)) {
      const Dims c = context.input(2).dims();
      check(c.rank() <= 2 && provider::broadcast(c, output) == output, "C of shape ", c, " does not broadcast to ", output);
    }
    plan->product = ProductPlan(1, rows, columns, depth, packed_ != nullptr, host_->threads);
    plan->row_operands = RowOperands(row_ops_, context, output);
    plan->product_bytes = (plan->product.workspace_bytes() + 63) / 64 * 64;
    context.set_workspace(plan->product_bytes + (attributes_.trans_a ? context.input(0).bytes() : 0));
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const auto [rows, columns, depth] = plan.sizes;
    const float* a = context.input(0).data<float>();
    if (attributes_.trans_a) {
      auto* rows_of_a = reinterpret_cast<float*>(static_cast<char*>(context.workspace()) + plan.product_bytes);
      transpose(a, rows, depth, rows_of_a);
      a = rows_of_a;
    }
    const RowRun row_run(row_ops_, plan.row_operands, context);
    plan.product.run(host_,
                     {.a = a,
                      .a_stride = depth,
                      .b = packed_ ? packed_ : context.input(1).data<float>(),
                      .b_row = attributes_.trans_b ? 1 : columns,
                      .b_column = attributes_.trans_b ? depth : 1,
                      .c = context.output(0).mutable_data<float>(),
                      .c_stride = columns,
                      .finish = row_run.finish(),
                      .epilogue = row_run.epilogue()},
                     context.workspace());
  }

 private:
  struct Plan : provider::Binding {
    Attributes::Sizes sizes{};
    ProductPlan product;
    RowOperands row_operands;
    std::uint64_t product_bytes = 0;
  };

  /// to[i * depth + k] = from[k * rows + i]
  static void transpose(const float* from, std::int64_t rows, std::int64_t depth, float* to) {
    constexpr std::int64_t kBlock = 16;
    for (std::int64_t k = 0; k < depth; k += kBlock)
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t d = k; d < std::min(depth, k + kBlock); ++d) to[i * depth + d] = from[d * rows + i];
  }

  Attributes attributes_;
  const AshlarHost* host_;
  const float* packed_ = nullptr;  ///< alpha B
  RowOps row_ops_;
};

class PlainGemm : public provider::Kernel {
 public:
  explicit PlainGemm(const NodeView& node) : attributes_(node) {}

  void bind(BindContext& context) const override {
    const auto [rows, columns, depth] = attributes_.sizes(context.input(0).dims(), context.input(1).dims());
    const Dims output{rows, columns};
    if (context.has_input(2)) {
      const Dims c = context.input(2).dims();
      check(c.rank() <= 2 && provider::broadcast(c, output) == output, "C of shape ", c, " does not broadcast to ", output);
    }
    context.set_output(0, output);
  }

  void run(const RunContext& context) const override {
    dispatch<ProductTypes>(context.output(0).dtype(), [&]<class T>() { compute<T>(context); });
  }

 private:
  template <class T> void compute(const RunContext& context) const {
    using S = ProductSum<T>;
    const auto [rows, columns, depth] = attributes_.sizes(context.input(0).dims(), context.input(1).dims());
    const T* c = context.has_input(2) && attributes_.beta != 0 ? context.input(2).data<T>() : nullptr;
    std::int64_t c_row = 0, c_column = 0;
    if (c) {
      const Dims dims = context.input(2).dims();
      const std::int64_t width = dims.rank() == 0 ? 1 : dims[dims.rank() - 1];
      c_column = width == 1 ? 0 : 1;
      c_row = dims.rank() < 2 || dims[0] == 1 ? 0 : width;
    }
    const MatrixView<T> a{context.input(0).data<T>(), attributes_.trans_a ? 1 : depth, attributes_.trans_a ? rows : 1};
    const MatrixView<T> b{context.input(1).data<T>(), attributes_.trans_b ? 1 : columns, attributes_.trans_b ? depth : 1};
    T* y = context.output(0).mutable_data<T>();
    const std::int64_t width = columns;
    context.parallel_for(rows, grain_of(std::max<std::int64_t>(1, columns) * std::max<std::int64_t>(1, depth)),
                         [&, this](std::int64_t begin, std::int64_t end) {
                           plain_product<T>(a, b, begin, end, width, a_depth(context), [&](std::int64_t i, std::int64_t j, S sum) {
                             S value = scaled<T>(attributes_.alpha, sum);
                             if (c) value += scaled<T>(attributes_.beta, static_cast<S>(c[i * c_row + j * c_column]));
                             y[i * width + j] = narrow<T>(value);
                           });
                         });
  }

  std::int64_t a_depth(const RunContext& context) const { return context.input(0).dim(attributes_.trans_a ? 0 : 1); }

  /// Integers lose the fraction of a scaled value, and stay in the range of T.
  template <class T> static ProductSum<T> scaled(float factor, ProductSum<T> value) {
    if constexpr (is_float<T>) {
      return static_cast<ProductSum<T>>(factor) * value;
    } else {
      if (factor == 1) return value;
      const double real = std::trunc(static_cast<double>(factor) * static_cast<double>(static_cast<T>(value)));
      if (std::isnan(real)) return 0;
      constexpr T kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
      if (real <= static_cast<double>(kLow)) return static_cast<ProductSum<T>>(kLow);
      if (real >= static_cast<double>(kHigh)) return static_cast<ProductSum<T>>(kHigh);
      return static_cast<ProductSum<T>>(static_cast<T>(real));
    }
  }

  Attributes attributes_;
};

provider::Verdict float_verdict(const NodeView& node) { return uniform<Types<float>, 3>(node); }
provider::Verdict plain_verdict(const NodeView& node) { return uniform<ProductTypes, 3>(node); }

constexpr provider::KernelEntry kKernels[] = {
    {"Gemm", 7, provider::kLatest, &float_verdict, &provider::make<FloatGemm>},
    {"Gemm", 7, provider::kLatest, &plain_verdict, &provider::make<PlainGemm>},
};

}  // namespace

std::span<const provider::KernelEntry> gemm_kernels() { return kKernels; }

}  // namespace ashlar::cpu
