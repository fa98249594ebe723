// SPDX-License-Identifier: Apache-2.0
// BatchNormalization behind a product with constant weights goes into the weights and the bias.
#include <cmath>

#include "optimizer/pass.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fold-batch-normalization";

/// y = x * factor + shift, for each channel.
struct Affine {
  std::vector<double> factor, shift;
};

std::optional<Affine> affine_of(const Editor& editor, const Node& node, std::string& reason) {
  std::vector<std::vector<double>> parameters;
  for (std::size_t i = 1; i < 5; ++i) {
    const Tensor* constant = editor.constant(node.inputs.at(i));
    auto elements = constant ? real_elements(*constant) : std::nullopt;
    if (!elements) {
      reason = "input " + editor.value(node.inputs[i]).name + " is no constant of real numbers";
      return std::nullopt;
    }
    parameters.push_back(std::move(*elements));
  }
  const auto* epsilon = node.find_as<float>("epsilon");
  Affine out;
  for (std::size_t c = 0; c < parameters[0].size(); ++c) {
    out.factor.push_back(parameters[0][c] / std::sqrt(parameters[3].at(c) + static_cast<double>(epsilon ? *epsilon : 1e-5f)));
    out.shift.push_back(parameters[1].at(c) - parameters[2].at(c) * out.factor.back());
  }
  if (all_finite(out.factor) && all_finite(out.shift)) return out;
  reason = "a channel's factor is not finite";
  return std::nullopt;
}

void fold(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const NodeIndex product_node = editor.producer(node.inputs.at(0));
  if (!is_product(editor, product_node)) return;
  const auto miss = [&](const std::string& reason) { editor.near_miss(kRule, n, 1, 2, reason); };
  const auto* training = node.find_as<std::int64_t>("training_mode");
  if ((training && *training) || node.outputs.size() != 1) return miss(editor.id(n) + " is in training mode");
  if (!editor.single_use(node.inputs[0])) return miss(editor.consumers(node.inputs[0], {n}));
  std::string reason;
  const auto product = product_at(editor, product_node, reason);
  if (!product) return miss(reason);
  if (!product->bias) return miss("the bias of " + editor.id(product_node) + " is no constant of one number a channel");
  // The channels of BatchNormalization are the second axis.
  if (!product->spatial && editor.rank(node.inputs[0]) != std::size_t{2}) return miss(editor.id(product_node) + " does not give a matrix");
  const auto affine = affine_of(editor, node, reason);
  if (!affine) return miss(reason);
  if (static_cast<std::int64_t>(affine->factor.size()) != product->outputs)
    return miss(editor.id(n) + " has " + std::to_string(affine->factor.size()) + " channels, " + editor.id(product_node) + " " +
                std::to_string(product->outputs));
  if (!editor.apply(scaled_after(editor, kRule, *product, n, affine->factor, affine->shift)))
    miss("no provider takes what it would become");
}

}  // namespace

Pass fold_batch_normalization() {
  return {kRule, "BatchNormalization goes into the weights in front of it", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "BatchNormalization")) fold(editor, n);
          }};
}

}  // namespace ashlar::optimizer
