// SPDX-License-Identifier: Apache-2.0
// ashlar::Linear: X W + B in float32, W transposed or not. A constant W is packed.
#include "row_ops.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

class Linear final : public CpuKernel {
 public:
  explicit Linear(const NodeView& node) : host_(node.host()), transposed_(node.integer("transB") != 0) {
    const auto w = node.input(1).constant();
    if (w && w->rank() == 2 && w->count() > 0) {
      const std::int64_t columns = w->dim(transposed_ ? 0 : 1), depth = w->dim(transposed_ ? 1 : 0);
      const std::string packing = std::string(panel_layout()) + (transposed_ ? " transposed" : "");
      packed_ = static_cast<const float*>(provider::packed(host_, *w, packing.c_str(), packed_panel_bytes(depth, columns), [&](void* to) {
        pack_panels(w->raw(), transposed_ ? 1 : columns, transposed_ ? depth : 1, depth, columns, 1, to);
      }));
    }
    if (node.has_input(2)) row_ops_.add_bias(2);
  }

  bool fuse(const PostOp& op) override { return row_ops_.append(op); }
  std::uint64_t shape_only() const override { return packed_ ? 2 : 0; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims(), w = context.input(1).dims();
    check(x.rank() >= 1 && w.rank() == 2 && x[x.rank() - 1] == w[transposed_ ? 1 : 0], "Linear of the shapes ", x, " and ", w,
          transposed_ ? " transposed" : "");
    auto plan = std::make_unique<Plan>();
    plan->depth = w[transposed_ ? 1 : 0];
    plan->columns = w[transposed_ ? 0 : 1];
    if (context.has_input(2))
      check(context.input(2).dims() == Dims{plan->columns}, "a bias of shape ", context.input(2).dims(), " for ", plan->columns,
            " columns");
    Dims output = x;
    output[x.rank() - 1] = plan->columns;
    context.set_output(0, output);
    plan->product = ProductPlan(1, x.product(0, x.rank() - 1), plan->columns, plan->depth, packed_ != nullptr, host_->threads);
    plan->row_operands = RowOperands(row_ops_, context, output);
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
                      .b_row = transposed_ ? 1 : plan.columns,
                      .b_column = transposed_ ? plan.depth : 1,
                      .c = context.output(0).mutable_data<float>(),
                      .c_stride = plan.columns,
                      .finish = row_run.finish(),
                      .epilogue = row_run.epilogue()},
                     context.workspace());
  }

 private:
  struct Plan : provider::Binding {
    ProductPlan product;
    RowOperands row_operands;
    std::int64_t depth = 0, columns = 0;
  };
  const AshlarHost* host_;
  bool transposed_;
  const float* packed_ = nullptr;
  RowOps row_ops_;
};

constexpr provider::KernelEntry kRows[] = {
    {"Linear", 1, provider::kLatest, &uniform<Types<float>, 3>, &provider::make<Linear>, "ashlar"},
};

}  // namespace

std::span<const provider::KernelEntry> linear_kernels() { return kRows; }

}  // namespace ashlar::cpu
