// SPDX-License-Identifier: Apache-2.0
// Rows that are added up and then normalised or weighed, while they lie in the cache: ashlar::SkipLayerNormalization,
// ashlar::SkipRMSNormalization, ashlar::ScaledMaskedSoftmax. float32.
#include "elementwise.h"
#include "rows.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

/// The rows of a tensor's last dimension.
struct RowsOf {
  std::int64_t rows, n;
  explicit RowsOf(const Dims& dims) : rows(dims.product(0, dims.rank() - 1)), n(dims[dims.rank() - 1]) {}
};

enum SkipInput { kX, kSkip, kScale, kBias };

class SkipNormalization final : public CpuKernel {
 public:
  explicit SkipNormalization(const NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), centered_(node.op_type() == "SkipLayerNormalization"), add_("Add", DType::kFloat32) {}
  std::uint64_t in_place() const override { return 0b11; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(kX).dims();
    check(x.rank() >= 1 && context.input(kSkip).dims() == x, "the shapes ", x, " and ", context.input(kSkip).dims(), " are not the same");
    for (const int i : {kScale, kBias})
      if (context.has_input(i))
        check(context.input(i).dims() == Dims{x[x.rank() - 1]}, "input ", i, " of shape ", context.input(i).dims(), " for rows of ",
              x[x.rank() - 1]);
    context.set_output(0, x);
    context.set_output(1, x);
  }
  void run(const RunContext& context) const override {
    const auto data = [&](int i) { return context.has_input(i) ? context.input(i).data<float>() : nullptr; };
    const RowsOf of(context.input(kX).dims());
    const float *x = data(kX), *skip = data(kSkip), *scale = data(kScale), *bias = data(kBias);
    float* const y = context.has_output(0) ? context.output(0).mutable_data<float>() : nullptr;
    float* const sum = context.has_output(1) ? context.output(1).mutable_data<float>() : nullptr;
    if (of.n == 0 || (!y && !sum)) return;
    context.parallel_for(of.rows, grain_of(of.n * 2), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const void* terms[] = {x + r * of.n, skip + r * of.n};
        float* const row = (sum ? sum : y) + r * of.n;
        add_(terms, 0, row, of.n);
        if (y) normalize_rows(centered_, row, 1, of.n, scale, bias, epsilon_, y + r * of.n, nullptr, nullptr);
      }
    });
  }

 private:
  float epsilon_;
  bool centered_;
  TileOp add_;
};

class ScaledMaskedSoftmax final : public CpuKernel {
 public:
  explicit ScaledMaskedSoftmax(const NodeView& node)
      : scale_(node.real("scale", 1)), scaled_("Mul", DType::kFloat32), add_("Add", DType::kFloat32) {}
  std::uint64_t in_place() const override { return 1; }

  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    check(x.rank() >= 1, "the scores are a scalar");
    context.set_output(0, x);
    auto plan = std::make_unique<Plan>();
    if (context.has_input(1)) {
      const Dims mask = context.input(1).dims();
      check(mask.rank() <= x.rank() && provider::broadcast(mask, x) == x, "a mask of shape ", mask, " does not broadcast to ", x);
      std::int64_t step = 1;
      for (int i = mask.rank() - 1, d = x.rank() - 1; i >= 0; --i, --d) {
        if (d < x.rank() - 1) plan->loops.push_back({x[d], mask[i] == 1 ? 0 : step});
        else plan->single = mask[i] == 1 && x[d] != 1;
        step *= mask[i];
      }
      plan->single = plan->single || mask.rank() == 0;
    }
    context.set_binding(std::move(plan));
  }
  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const RowsOf of(context.input(0).dims());
    if (of.rows * of.n == 0) return;
    const float *x = context.input(0).data<float>(), *mask = context.has_input(1) ? context.input(1).data<float>() : nullptr;
    float* const y = context.output(0).mutable_data<float>();
    context.parallel_for(of.rows, grain_of(of.n * 4), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const float* from = x + r * of.n;
        float* const to = y + r * of.n;
        if (scale_ != 1) {
          const void* in[] = {from, &scale_};
          scaled_(in, of.n == 1 ? 0u : 2u, to, of.n);
          from = to;
        }
        if (mask) {
          const void* in[] = {from, mask + plan.offset(r)};
          add_(in, plan.single ? 2u : 0u, to, of.n);
          from = to;
        }
        softmax_rows(false, from, 1, of.n, to);
      }
    });
  }

 private:
  struct Plan : provider::Binding {
    struct Loop {
      std::int64_t length, step;
    };
    std::vector<Loop> loops;  ///< over rows, innermost first: where the mask's row is
    bool single = false;      ///< one element for a whole row
    std::int64_t offset(std::int64_t row) const {
      std::int64_t at = 0;
      for (const Loop& loop : loops) {
        at += row % loop.length * loop.step;
        row /= loop.length;
      }
      return at;
    }
  };
  float scale_;
  TileOp scaled_, add_;
};

constexpr provider::KernelEntry kRows[] = {
    {"SkipLayerNormalization", 1, provider::kLatest, &uniform<Types<float>>, &provider::make<SkipNormalization>, "ashlar"},
    {"SkipRMSNormalization", 1, provider::kLatest, &uniform<Types<float>>, &provider::make<SkipNormalization>, "ashlar"},
    {"ScaledMaskedSoftmax", 1, provider::kLatest, &uniform<Types<float>>, &provider::make<ScaledMaskedSoftmax>, "ashlar"},
};

}  // namespace

std::span<const provider::KernelEntry> fused_rows_kernels() { return kRows; }

}  // namespace ashlar::cpu
