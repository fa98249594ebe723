// SPDX-License-Identifier: Apache-2.0
// MatMul. float32 products of a constant B read it packed.
#include "plain_product.h"
#include "row_ops.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

class FloatMatMul : public CpuKernel {
 public:
  explicit FloatMatMul(const NodeView& node) : host_(node.host()) {
    const auto b = node.input(1).constant();
    if (!b || b->rank() == 0 || b->count() == 0) return;
    const Dims dims = b->dims();
    const int rank = dims.rank();
    const std::int64_t columns = rank == 1 ? 1 : dims[rank - 1], depth = rank == 1 ? dims[0] : dims[rank - 2];
    const std::int64_t matrices = rank <= 2 ? 1 : dims.product(0, rank - 2);
    const std::uint64_t bytes = packed_panel_bytes(depth, columns);
    const auto total = static_cast<std::uint64_t>(Dims{matrices, static_cast<std::int64_t>(bytes)}.count());
    const auto fill = [&](void* to) {
      for (std::int64_t m = 0; m < matrices; ++m)
        pack_panels(b->data<char>() + m * depth * columns * static_cast<std::int64_t>(sizeof(float)), columns, 1, depth, columns, 1,
                    static_cast<char*>(to) + static_cast<std::uint64_t>(m) * bytes);
    };
    packed_ = static_cast<const float*>(provider::packed(host_, *b, panel_layout(), total, fill));
    packed_matrix_ = static_cast<std::int64_t>(bytes / sizeof(float));
  }

  bool fuse(const PostOp& op) override { return row_ops_.append(op); }
  std::uint64_t shape_only() const override { return packed_ ? 2 : 0; }

  void bind(BindContext& context) const override {
    auto plan = std::make_unique<Plan>();
    const MatMulShape shape(context.input(0).dims(), context.input(1).dims());
    context.set_output(0, shape.output);
    const std::int64_t columns = shape.columns;
    std::int64_t batch = shape.batch.count(), rows = shape.rows;
    if (shape.one_b()) {
      rows = Dims{batch, rows}.count();
      batch = 1;
    } else {
      plan->loops = shape.loops(packed_ ? packed_matrix_ : shape.depth * columns);
    }
    plan->depth = shape.depth;
    plan->columns = columns;
    plan->product = ProductPlan(batch, rows, columns, shape.depth, packed_ != nullptr, host_->threads);
    Dims rows_and_columns = shape.output;
    if (shape.vector_b) rows_and_columns.push_back(1);
    plan->row_operands = RowOperands(row_ops_, context, rows_and_columns, shape.vector_b ? 1 : 0);
    context.set_workspace(plan->product.workspace_bytes());
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const RowRun row_run(row_ops_, plan.row_operands, context);
    plan.product.run(host_,
                     {.a = context.input(0).data<float>(),
                      .a_stride = plan.depth,
                      .b = packed_ ? packed_ : context.input(1).data<float>(),
                      .b_row = plan.columns,
                      .b_column = 1,
                      .c = context.output(0).mutable_data<float>(),
                      .c_stride = plan.columns,
                      .loops = plan.loops,
                      .finish = row_run.finish(),
                      .epilogue = row_run.epilogue()},
                     context.workspace());
  }

 private:
  struct Plan : provider::Binding {
    ProductPlan product;
    std::vector<BatchLoop> loops;
    RowOperands row_operands;
    std::int64_t depth = 0, columns = 0;
  };
  const AshlarHost* host_;
  const float* packed_ = nullptr;
  std::int64_t packed_matrix_ = 0;  ///< elements from one packed matrix to the next
  RowOps row_ops_;
};

class PlainMatMul : public provider::Kernel {
 public:
  explicit PlainMatMul(const NodeView&) {}
  void bind(BindContext& context) const override {
    context.set_output(0, MatMulShape(context.input(0).dims(), context.input(1).dims()).output);
  }
  void run(const RunContext& context) const override {
    const MatMulShape shape(context.input(0).dims(), context.input(1).dims());
    if (context.output(0).count() == 0) return;
    const std::vector<BatchLoop> loops = shape.loops();
    dispatch<ProductTypes>(context.output(0).dtype(), [&]<class T>() {
      const T *a = context.input(0).data<T>(), *b = context.input(1).data<T>();
      T* y = context.output(0).mutable_data<T>();
      const std::int64_t rows = shape.rows, columns = shape.columns, depth = shape.depth;
      context.parallel_for(
          shape.batch.count() * rows, grain_of(columns * std::max<std::int64_t>(1, depth)), [&](std::int64_t begin, std::int64_t end) {
            while (begin < end) {
              const std::int64_t matrix = begin / rows, first = begin % rows, last = std::min(rows, first + end - begin);
              const BatchOffsets at(loops, matrix);
              plain_product<T>(
                  {a + at.a, depth, 1}, {b + at.b, columns, 1}, first, last, columns, depth,
                  [&](std::int64_t i, std::int64_t j, ProductSum<T> sum) { y[(matrix * rows + i) * columns + j] = narrow<T>(sum); });
              begin += last - first;
            }
          });
    });
  }
};

provider::Verdict float_verdict(const NodeView& node) { return uniform<Types<float>, 2>(node); }
provider::Verdict plain_verdict(const NodeView& node) { return uniform<ProductTypes, 2>(node); }

constexpr provider::KernelEntry kKernels[] = {
    {"MatMul", 1, provider::kLatest, &float_verdict, &provider::make<FloatMatMul>},
    {"MatMul", 1, provider::kLatest, &plain_verdict, &provider::make<PlainMatMul>},
};

}  // namespace

std::span<const provider::KernelEntry> matmul_kernels() { return kKernels; }

}  // namespace ashlar::cpu
