// SPDX-License-Identifier: Apache-2.0
// Mul, Div, Add and Sub by a constant, one number or one a channel, go into the weights and the bias of the product beside them.
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fold-scales";
// Larger weights cost more to copy at each load than the operator costs.
constexpr std::size_t kMostBytes = 4 << 20;

/// One of the four operators with a constant: x * factor + shift.
struct Step {
  ValueId x = kNone, constant = kNone;
  bool constant_first = false;
};

std::optional<Step> step_at(const Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  if (!node.domain.empty() || node.inputs.size() != 2) return std::nullopt;
  if (node.op_type != "Mul" && node.op_type != "Div" && node.op_type != "Add" && node.op_type != "Sub") return std::nullopt;
  for (const std::size_t i : {1u, 0u}) {
    if (!editor.constant(node.inputs[i]) || editor.constant(node.inputs[1 - i])) continue;
    if (i == 0 && node.op_type == "Div") return std::nullopt;
    return Step{node.inputs[1 - i], node.inputs[i], i == 0};
  }
  return std::nullopt;
}

bool adds(const Node& node) { return node.op_type == "Add" || node.op_type == "Sub"; }

/// Turns the constant's elements into a factor and a shift; false where they are not finite.
bool affine(const Node& node, bool constant_first, std::vector<double> elements, std::vector<double>& factor, std::vector<double>& shift) {
  if (node.op_type == "Div")
    for (double& e : elements) e = 1 / e;
  if (node.op_type == "Sub" && !constant_first)
    for (double& e : elements) e = -e;
  if (node.op_type == "Sub" && constant_first) factor = {-1};
  (adds(node) ? shift : factor) = std::move(elements);
  return all_finite(factor);
}

bool pads_nothing(const Node& node) {
  const auto* pad = node.find_as<std::string>("auto_pad");
  const auto* pads = node.find_as<std::vector<std::int64_t>>("pads");
  if (pad && *pad != "NOTSET" && *pad != "VALID") return false;
  return !pads || std::all_of(pads->begin(), pads->end(), [](std::int64_t p) { return p == 0; });
}

class Fold {
 public:
  Fold(Editor& editor, NodeIndex n, const Step& step) : editor_(editor), n_(n), step_(step), node_(editor.node(n)) {}

  void run() {
    if (!behind() && !in_front() && !missed_.empty()) editor_.near_miss(kRule, n_, 1, 2, missed_);
  }

 private:
  /// Into the product that gives x.
  bool behind() {
    const NodeIndex at = editor_.producer(step_.x);
    if (!is_product(editor_, at)) return false;
    // Adding to a MatMul makes it a linear layer, which keeps the weights as they are.
    if (editor_.is(at, "MatMul") && adds(node_)) return false;
    // Without constant weights it is a product of activations, where nothing can go.
    if (!has_weights(at)) return false;
    if (!editor_.single_use(step_.x)) return miss(editor_.consumers(step_.x, {n_}));
    std::string reason;
    const auto product = product_at(editor_, at, reason);
    if (!product) return miss(reason);
    if (multiplies() && product->weights->bytes() > kMostBytes)
      return miss("the weights of " + editor_.id(at) + " are " + std::to_string(product->weights->bytes() >> 20) + " MiB");
    if (!product->bias) return miss("the bias of " + editor_.id(at) + " is no constant of one number a channel");
    auto elements = along_channels(editor_, *product, *editor_.constant(step_.constant), step_.x, product->outputs, reason);
    if (!elements) return miss(reason);
    std::vector<double> factor, shift;
    if (!affine(node_, step_.constant_first, std::move(*elements), factor, shift)) return miss("a factor is not finite");
    return editor_.apply(scaled_after(editor_, kRule, *product, n_, factor, shift)) || miss("no provider takes what it would become");
  }

  /// Into the product that alone reads the result.
  bool in_front() {
    const ValueId y = node_.outputs.at(0);
    if (editor_.uses(y).empty() || editor_.uses(y)[0].captured() || editor_.uses(y)[0].input != 0) return false;
    const NodeIndex at = editor_.uses(y)[0].node;
    if (!is_product(editor_, at)) return false;
    if (adds(node_) && !editor_.is(at, "Conv")) return false;
    if (!has_weights(at)) return false;
    if (!editor_.single_use(y)) return miss(editor_.consumers(y, {at}));
    std::string reason;
    const auto product = product_at(editor_, at, reason);
    if (!product) return miss(reason);
    if (multiplies() && product->weights->bytes() > kMostBytes)
      return miss("the weights of " + editor_.id(at) + " are " + std::to_string(product->weights->bytes() >> 20) + " MiB");
    const Node& reader = editor_.node(at);
    if (const auto* t = reader.find_as<std::int64_t>("transA"); t && *t) return miss(editor_.id(at) + " reads its input transposed");
    if (!editor_.same_shape(step_.x, y))
      return miss("the shape of " + editor_.value(y).name + " is not known to be that of " + editor_.value(step_.x).name);
    if (adds(node_) && !pads_nothing(reader)) return miss(editor_.id(at) + " pads its input");
    if (adds(node_) && !product->bias) return miss("the bias of " + editor_.id(at) + " is no constant of one number a channel");
    auto elements = along_channels(editor_, *product, *editor_.constant(step_.constant), y, product->inputs, reason);
    if (!elements) return miss(reason);
    std::vector<double> factor, shift;
    if (!affine(node_, step_.constant_first, std::move(*elements), factor, shift)) return miss("a factor is not finite");
    return editor_.apply(scaled_before(editor_, kRule, *product, n_, step_.x, factor, shift)) ||
           miss("no provider takes what it would become");
  }

  bool multiplies() const { return !adds(node_) || (node_.op_type == "Sub" && step_.constant_first); }
  bool has_weights(NodeIndex product) const { return editor_.constant(editor_.node(product).inputs.at(1)) != nullptr; }
  bool miss(std::string reason) {
    if (missed_.empty()) missed_ = std::move(reason);
    return false;
  }

  Editor& editor_;
  NodeIndex n_;
  Step step_;
  const Node& node_;
  std::string missed_;
};

}  // namespace

Pass fold_scales() {
  Pass pass;
  pass.name = kRule;
  pass.summary = "a constant factor or summand a channel goes into the weights beside it";
  pass.late = true;
  pass.run = [](Editor& editor) {
    for (NodeIndex n = 0; n < editor.node_count(); ++n) {
      if (editor.dead(n)) continue;
      const auto step = step_at(editor, n);
      if (step) Fold(editor, n, *step).run();
    }
  };
  return pass;
}

}  // namespace ashlar::optimizer
