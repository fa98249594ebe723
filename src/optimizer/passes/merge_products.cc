// SPDX-License-Identifier: Apache-2.0
// One product for those that an Attention reads of one value: x W_q, x W_k, x W_v become a Split of x [W_q W_k W_v].
#include <chrono>
#include <cstring>
#include <memory>

#include <ashlar/error.h>

#include "core/allocate.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kName = "merge-products";

/// x W + B, the weights [K, N], or [N, K] where they are transposed.
struct Product {
  NodeIndex node = kNone;
  ValueId x = kNone, weights = kNone, bias = kNone;
  bool transposed = false;
};

bool is_linear(const Node& node) { return node.domain == "ashlar" && node.op_type == "Linear"; }

/// The product that the value is made of by operators that treat heads alike.
NodeIndex product_of(const Editor& editor, ValueId v) {
  for (int steps = 0; steps < 4; ++steps) {
    const NodeIndex n = editor.producer(v);
    if (n == kNone) return kNone;
    if (editor.is(n, "MatMul") || is_linear(editor.node(n))) return n;
    if (!editor.is(n, "Reshape") && !editor.is(n, "Transpose") && !editor.is(n, "RotaryEmbedding")) return kNone;
    v = editor.node(n).inputs[0];
  }
  return kNone;
}

Product describe(const Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  Product out{.node = n, .x = node.inputs[0], .weights = node.inputs[1]};
  if (node.inputs.size() > 2) out.bias = node.inputs[2];
  if (const auto* transposed = node.find_as<std::int64_t>("transB")) out.transposed = *transposed != 0;
  return out;
}

std::int64_t columns(const Editor& editor, const Product& p) { return editor.constant(p.weights)->shape()[p.transposed ? 0 : 1]; }
std::int64_t rows(const Editor& editor, const Product& p) { return editor.constant(p.weights)->shape()[p.transposed ? 1 : 0]; }

/// Why the product cannot be one of several; "" where it can.
std::string refusal(const Editor& editor, const Product& p) {
  const Tensor* w = editor.constant(p.weights);
  if (!w || w->shape().rank() != 2) return "the weights of " + editor.id(p.node) + " are no constant matrix";
  if (w->dtype() != DType::kFloat32 && w->dtype() != DType::kFloat16 && w->dtype() != DType::kBFloat16)
    return "the weights of " + editor.id(p.node) + " are " + std::string(to_string(w->dtype()));
  if (!editor.single_use(p.weights) || editor.captured_from(p.weights) != kNone)
    return "the weights of " + editor.id(p.node) + " have other readers";
  if (p.bias == kNone) return "";
  const Tensor* b = editor.constant(p.bias);
  if (!b || b->dtype() != w->dtype() || b->shape() != Shape{columns(editor, p)})
    return "the bias of " + editor.id(p.node) + " is no constant vector";
  return "";
}

/// Matrices of the same rows side by side; `transposed` ones below each other.
Tensor joined(const Editor& editor, const std::vector<Product>& products, std::int64_t all) {
  const DType dtype = editor.constant(products[0].weights)->dtype();
  const bool transposed = products[0].transposed;
  const std::int64_t height = rows(editor, products[0]);
  const Shape shape = transposed ? Shape{all, height} : Shape{height, all};
  const std::shared_ptr<void> memory = core::allocate_aligned(byte_size(dtype, static_cast<std::size_t>(shape.element_count())));
  if (!memory) throw Error(ErrorCode::kOutOfMemory, "no memory for the weights of several products, " + shape.to_string());
  Tensor out = Tensor::adopt(dtype, shape, memory.get(), memory, false);
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  const std::size_t row = byte_size(dtype, static_cast<std::size_t>(all));
  std::size_t at = 0;
  for (const Product& p : products) {
    const Tensor& w = *editor.constant(p.weights);
    const auto* from = static_cast<const std::byte*>(w.raw());
    if (transposed) {
      std::memcpy(to + at, from, w.bytes());
      at += w.bytes();
      continue;
    }
    const std::size_t part = byte_size(dtype, static_cast<std::size_t>(columns(editor, p)));
    for (std::int64_t r = 0; r < height; ++r)
      std::memcpy(to + static_cast<std::size_t>(r) * row + at, from + static_cast<std::size_t>(r) * part, part);
    at += part;
  }
  return out;
}

Tensor joined_biases(const Editor& editor, const std::vector<Product>& products, std::int64_t all) {
  const DType dtype = editor.constant(products[0].weights)->dtype();
  Tensor out = Tensor::zeros(dtype, {all});
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  for (const Product& p : products) {
    const std::size_t bytes = byte_size(dtype, static_cast<std::size_t>(columns(editor, p)));
    if (p.bias != kNone && bytes) std::memcpy(to, editor.constant(p.bias)->raw(), bytes);
    to += bytes;
  }
  return out;
}

void merge(Editor& editor, const std::vector<Product>& products) {
  Patch patch(editor, kName);
  const auto start = std::chrono::steady_clock::now();
  const bool transposed = products[0].transposed;
  std::int64_t all = 0;
  std::vector<std::int64_t> parts;
  std::vector<ValueId> outputs;
  bool biased = false;
  for (const Product& p : products) {
    patch.remove(p.node);
    parts.push_back(columns(editor, p));
    all += parts.back();
    outputs.push_back(editor.node(p.node).outputs[0]);
    biased = biased || p.bias != kNone;
  }
  const ValueId weights = patch.constant("weights", joined(editor, products, all));
  ValueId y = kNone;
  if (biased || transposed) {
    const ValueId bias = biased ? patch.constant("bias", joined_biases(editor, products, all)) : kNone;
    y = patch.add_one("ashlar::Linear", {products[0].x, weights, bias}, {{"transB", std::int64_t{transposed}}});
  } else {
    y = patch.add_one("MatMul", {products[0].x, weights});
  }
  patch.add_writing("Split", {y, patch.constant("columns", parts)}, outputs, {{"axis", std::int64_t{-1}}});
  editor.apply(std::move(patch));
  editor.model().report.folding_nanoseconds +=
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
}

void run(Editor& editor) {
  for (NodeIndex n = 0; n < editor.node_count(); ++n) {
    if (!editor.is(n, "Attention") || editor.node(n).inputs.size() < 3) continue;
    std::vector<Product> found;
    for (std::size_t i = 0; i < 3; ++i)
      if (const NodeIndex p = product_of(editor, editor.node(n).inputs[i]); p != kNone) found.push_back(describe(editor, p));
    if (found.size() == 3 && found[0].x != found[1].x && found[1].x == found[2].x)
      found.erase(found.begin());  // the keys and values of another text
    const auto differs = [&](const Product& p) {
      return p.x != found[0].x || p.transposed != found[0].transposed || rows(editor, p) != rows(editor, found[0]) ||
             editor.dtype(p.weights) != editor.dtype(found[0].weights);
    };
    const auto repeats = [&](std::size_t i) {
      for (std::size_t k = 0; k < i; ++k)
        if (found[k].node == found[i].node) return true;
      return false;
    };
    std::string reason;
    for (std::size_t i = 0; i < found.size() && reason.empty(); ++i) {
      reason = refusal(editor, found[i]);
      if (reason.empty() && differs(found[i]))
        reason = editor.id(found[i].node) + " is of another value or form than " + editor.id(found[0].node);
      if (reason.empty() && repeats(i)) reason = editor.id(found[i].node) + " makes two of them";
    }
    if (found.size() >= 2 && reason.empty()) merge(editor, found);
    else if (found.size() >= 2) editor.near_miss(kName, n, static_cast<int>(found.size()), 3, reason);
  }
}

}  // namespace

Pass merge_products() { return {kName, "one product for the queries, keys and values of an Attention", run, true}; }

}  // namespace ashlar::optimizer
