// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <optional>
#include <span>
#include <string>

#include "convert.h"

namespace ashlar::reference {
namespace {

/// NegativeLogLikelihoodLoss of log-probabilities [N, C, d...], and SoftmaxCrossEntropyLoss, which makes them from scores first.
class Loss : public provider::Kernel {
 public:
  explicit Loss(const provider::NodeView& node)
      : softmax_(node.op_type() == "SoftmaxCrossEntropyLoss"), reduction_(node.text("reduction", "mean")) {
    if (node.has("ignore_index")) ignored_ = node.integer("ignore_index");
  }
  static provider::Verdict verdict(const provider::NodeView& node) {
    const std::string reduction = node.text("reduction", "mean");
    ASHLAR_REQUIRE(reduction == "none" || reduction == "mean" || reduction == "sum", ASHLAR_ATTRIBUTE, "reduction \"", reduction,
                   "\" is not none, mean or sum");
    const auto labels = require_dtype<Types<std::int32_t, std::int64_t>>(node, node.input(1));
    if (labels.code != ASHLAR_ACCEPTED) return labels;
    const DType dtype = node.input(0).dtype();
    ASHLAR_REQUIRE(!node.has_input(2) || node.input(2).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                   provider::dtype_name(dtype), " has no kernel for weights of ", provider::dtype_name(node.input(2).dtype()));
    return uniform<FloatTypes, 1>(node);
  }
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims(), labels = context.input(1).dims();
    provider::check(x.rank() >= 2, "scores of shape ", x, " have no classes");
    Dims expected = x;
    expected.erase(1);
    provider::check(labels == expected, "labels of shape ", labels, " for scores of shape ", x);
    if (context.has_input(2))
      provider::check(context.input(2).dims() == Dims{x[1]}, "weights of shape ", context.input(2).dims(), " for ", x[1], " classes");
    context.set_output(0, reduction_ == "none" ? labels : Dims{});
    context.set_output(1, x);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const AxisView v(x.dims(), 1);
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(x.dtype());
    const auto read_label = reader<std::int64_t>(context.input(1).dtype());
    double total = 0, weights = 0;
    for (std::int64_t k = 0; k < v.outer * v.inner; ++k) {
      const std::int64_t first = k / v.inner * v.size * v.inner + k % v.inner;
      const double shift = softmax_ && v.size > 0 ? log_sum(read, x.raw(), first, v) : 0;
      if (softmax_ && context.has_output(1))
        for (std::int64_t c = 0; c < v.size; ++c)
          write(context.output(1).raw(), first + c * v.inner, read(x.raw(), first + c * v.inner) - shift);
      const std::int64_t label = read_label(context.input(1).raw(), k);
      double weight = 0, loss = 0;
      if (label != ignored_) {
        provider::check(label >= 0 && label < v.size, "label ", label, " is not one of ", v.size, " classes");
        weight = context.has_input(2) ? read(context.input(2).raw(), label) : 1;
        loss = weight * (shift - read(x.raw(), first + label * v.inner));
      }
      if (reduction_ == "none" && context.has_output(0)) write(context.output(0).raw(), k, loss);
      total += loss;
      weights += weight;
    }
    if (reduction_ != "none" && context.has_output(0)) write(context.output(0).raw(), 0, reduction_ == "mean" ? total / weights : total);
  }

 private:
  static double log_sum(Reader<double> read, const void* data, std::int64_t first, const AxisView& v) {
    double top = read(data, first), sum = 0;
    for (std::int64_t c = 1; c < v.size; ++c) top = std::max(top, read(data, first + c * v.inner));
    for (std::int64_t c = 0; c < v.size; ++c) sum += std::exp(read(data, first + c * v.inner) - top);
    return top + std::log(sum);
  }
  bool softmax_;
  std::string reduction_;
  std::optional<std::int64_t> ignored_;
};

constexpr provider::KernelEntry kRows[] = {
    {"NegativeLogLikelihoodLoss", 12, provider::kLatest, &Loss::verdict, &provider::make<Loss>},
    {"SoftmaxCrossEntropyLoss", 12, provider::kLatest, &Loss::verdict, &provider::make<Loss>},
};

}  // namespace

std::span<const provider::KernelEntry> loss_kernels() { return kRows; }

}  // namespace ashlar::reference
