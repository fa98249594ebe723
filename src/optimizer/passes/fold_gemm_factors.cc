// SPDX-License-Identifier: Apache-2.0
// Gemm's alpha goes into constant weights and beta into a constant bias.
#include "optimizer/pass.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

void fold(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto factor = [&](const char* name) {
    const auto* v = node.find_as<float>(name);
    return v ? *v : 1.0f;
  };
  const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNone;
  if (factor("alpha") == 1 && (factor("beta") == 1 || !has_bias)) return;
  const auto miss = [&](const std::string& reason) { editor.near_miss("fold-gemm-factors", n, 1, 2, reason); };
  std::string reason;
  const auto product = product_at(editor, n, reason);
  if (!product) return miss(reason);
  if (factor("alpha") == 1 && !product->bias) return miss("the bias of " + editor.id(n) + " is no constant of one number a channel");
  if (!editor.apply(scaled_after(editor, "fold-gemm-factors", *product, n, {}, {}))) miss("no provider takes what it would become");
}

}  // namespace

Pass fold_gemm_factors() {
  return {"fold-gemm-factors", "Gemm's alpha and beta go into constant weights and bias", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Gemm")) fold(editor, n);
          }};
}

}  // namespace ashlar::optimizer
