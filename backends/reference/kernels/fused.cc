// SPDX-License-Identifier: Apache-2.0
// The internal operators of domain "ashlar", each of which is an expression over ONNX's operators:
//   Linear                  MatMul(X, W or its transpose) + B
//   SkipLayerNormalization  LayerNormalization over the last axis of X + Skip, and that sum
//   SkipRMSNormalization    RMSNormalization of the same
//   ScaledMaskedSoftmax     Softmax over the last axis of scale * X + Mask
#include <cmath>

#include "indexing.h"
#include "product.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;

/// The elements of a tensor; none of an input that is left out.
std::vector<double> reals(const RunContext& context, int input) {
  if (!context.has_input(input)) return {};
  std::vector<double> out(static_cast<std::size_t>(context.input(input).count()));
  load_reals(context.input(input), 0, context.input(input).count(), out.data());
  return out;
}

/// Rounds elements to an output's type, as an operator of their own would; writes them there.
void round_to_output(const RunContext& context, int output, std::int64_t first, std::int64_t count, double* elements) {
  store_reals(context.output(output), first, count, elements);
  load_reals(context.output(output), first, count, elements);
}

std::int64_t last_of(const Dims& dims) {
  check(dims.rank() >= 1, "a scalar has no rows");
  return dims[dims.rank() - 1];
}

class Linear : public Kernel {
 public:
  explicit Linear(const NodeView& node) : transposed_(node.integer("transB") != 0) {}
  void bind(BindContext& context) const override {
    Dims x = context.input(0).dims();
    const Dims w = context.input(1).dims();
    check(w.rank() == 2 && last_of(x) == w[transposed_ ? 1 : 0], "Linear of the shapes ", x, " and ", w, transposed_ ? " transposed" : "");
    const std::int64_t columns = w[transposed_ ? 0 : 1];
    if (context.has_input(2))
      check(context.input(2).dims() == Dims{columns}, "a bias of shape ", context.input(2).dims(), " for ", columns, " columns");
    x[x.rank() - 1] = columns;
    context.set_output(0, x);
  }
  void run(const RunContext& context) const override {
    const Dims x = context.input(0).dims(), w = context.input(1).dims();
    const std::int64_t rows = x.product(0, x.rank() - 1), depth = w[transposed_ ? 1 : 0], columns = w[transposed_ ? 0 : 1];
    const std::vector<double> a = reals(context, 0), b = reals(context, 1), bias = reals(context, 2);
    multiply<double>(
        rows, columns, depth, [&](std::int64_t i, std::int64_t k) { return a[static_cast<std::size_t>(i * depth + k)]; },
        [&](std::int64_t k, std::int64_t j) { return b[static_cast<std::size_t>(transposed_ ? j * depth + k : k * columns + j)]; },
        [&](std::int64_t i, std::int64_t j, double sum) {
          if (!bias.empty()) sum += bias[static_cast<std::size_t>(j)];
          store_reals(context.output(0), i * columns + j, 1, &sum);
        });
  }

 private:
  bool transposed_;
};

class SkipNormalization : public Kernel {
 public:
  explicit SkipNormalization(const NodeView& node)
      : epsilon_(node.real("epsilon", 1e-5f)), centered_(node.op_type() == "SkipLayerNormalization") {}
  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    const std::int64_t n = last_of(x);
    check(context.input(1).dims() == x, "the shapes ", x, " and ", context.input(1).dims(), " are not the same");
    for (int i = 2; i < 4; ++i)
      if (context.has_input(i))
        check(context.input(i).dims() == Dims{n}, "input ", i, " of shape ", context.input(i).dims(), " for rows of ", n);
    context.set_output(0, x);
    context.set_output(1, x);
  }
  void run(const RunContext& context) const override {
    const std::int64_t n = last_of(context.input(0).dims());
    const std::vector<double> x = reals(context, 0), skip = reals(context, 1), scale = reals(context, 2), bias = reals(context, 3);
    std::vector<double> row(static_cast<std::size_t>(n));
    for (std::int64_t first = 0; first < static_cast<std::int64_t>(x.size()); first += n) {
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = x[static_cast<std::size_t>(first) + i] + skip[static_cast<std::size_t>(first) + i];
      round_to_output(context, context.has_output(1) ? 1 : 0, first, n, row.data());
      double mean = 0, variance = 0;
      for (const double v : row) mean += centered_ ? v / static_cast<double>(n) : 0;
      for (const double v : row) variance += (v - mean) * (v - mean) / static_cast<double>(n);
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = (row[i] - mean) / std::sqrt(variance + epsilon_);
        if (!scale.empty()) row[i] *= scale[i];
        if (!bias.empty()) row[i] += bias[i];
      }
      if (context.has_output(0)) store_reals(context.output(0), first, n, row.data());
    }
  }

 private:
  double epsilon_;
  bool centered_;
};

class ScaledMaskedSoftmax : public Kernel {
 public:
  explicit ScaledMaskedSoftmax(const NodeView& node) : scale_(node.real("scale", 1)) {}
  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    last_of(x);
    if (context.has_input(1)) {
      const Dims mask = context.input(1).dims();
      check(mask.rank() <= x.rank() && provider::broadcast(mask, x) == x, "a mask of shape ", mask, " does not broadcast to ", x);
    }
    context.set_output(0, x);
  }
  void run(const RunContext& context) const override {
    const Dims dims = context.input(0).dims();
    const std::int64_t n = last_of(dims);
    std::vector<double> x = reals(context, 0);
    const std::vector<double> mask = reals(context, 1);
    if (x.empty()) return;
    const auto count = static_cast<std::int64_t>(x.size());
    for (double& v : x) v *= scale_;
    round_to_output(context, 0, 0, count, x.data());
    if (context.has_input(1)) {
      for_each_index<1>(dims, {broadcast_strides(context.input(1).dims(), dims)},
                        [&](std::int64_t i, const auto& at) { x[static_cast<std::size_t>(i)] += mask[static_cast<std::size_t>(at[0])]; });
      round_to_output(context, 0, 0, count, x.data());
    }
    for (std::size_t first = 0; first < x.size(); first += static_cast<std::size_t>(n)) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(first), end = begin + n;
      const double top = *std::max_element(begin, end);
      double sum = 0;
      for (auto v = begin; v != end; ++v) sum += * v = std::exp(*v - top);
      for (auto v = begin; v != end; ++v) *v /= sum;
    }
    store_reals(context.output(0), 0, count, x.data());
  }

 private:
  double scale_;
};

constexpr KernelEntry kKernels[] = {
    {"Linear", 1, provider::kLatest, &takes_same<FloatTypes, 1, 2>, &provider::make<Linear>, "ashlar"},
    {"SkipLayerNormalization", 1, provider::kLatest, &takes_same<FloatTypes, 1, 2, 3>, &provider::make<SkipNormalization>, "ashlar"},
    {"SkipRMSNormalization", 1, provider::kLatest, &takes_same<FloatTypes, 1, 2>, &provider::make<SkipNormalization>, "ashlar"},
    {"ScaledMaskedSoftmax", 1, provider::kLatest, &takes_same<FloatTypes, 1>, &provider::make<ScaledMaskedSoftmax>, "ashlar"},
};

}  // namespace

std::span<const KernelEntry> fused_kernels() { return kKernels; }

}  // namespace ashlar::reference
