// SPDX-License-Identifier: Apache-2.0
// Operators that only move elements work on the quantised ones: DequantizeLinear goes below them, QuantizeLinear above, and where the two meet
// with equal parameters both go. https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
#include <algorithm>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "propagate-quantization";

ValueId input(const Node& node, std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; }

bool equal(const Editor& editor, ValueId a, ValueId b) {
  if (a == b) return true;
  const Tensor *x = editor.constant(a), *y = editor.constant(b);
  return x && y && same_bytes(*x, *y);
}

/// Whether two nodes have one scale and one zero point, and use them alike.
bool equal_parameters(const Editor& editor, const Node& a, const Node& b) {
  if (!equal(editor, input(a, 1), input(b, 1)) || !equal(editor, input(a, 2), input(b, 2))) return false;
  if (integer(a, "block_size", 0) != integer(b, "block_size", 0)) return false;
  return editor.rank(input(a, 1)) == std::size_t{0} || integer(a, "axis", 1) == integer(b, "axis", 1);
}

bool is_per_tensor(const Editor& editor, const Node& node) {
  return editor.rank(input(node, 1)) == std::size_t{0} && integer(node, "block_size", 0) == 0;
}

bool one_of(const Node& node, std::initializer_list<std::string_view> ops) {
  return node.domain.empty() && std::find(ops.begin(), ops.end(), node.op_type) != ops.end();
}

/// Takes elements from its first input alone, each as it is.
bool only_moves(const Node& node) {
  return node.outputs.size() == 1 && one_of(node, {"Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Flatten", "Gather",
                                                   "DepthToSpace", "SpaceToDepth", "MaxPool", "Concat"});
}

/// The same, and gives as many as it takes.
bool moves_all(const Node& node) {
  return node.outputs.size() == 1 &&
         one_of(node, {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "DepthToSpace", "SpaceToDepth"});
}

std::string text(const Editor& editor, NodeIndex n) { return editor.id(n) + " (" + editor.node(n).op_type + ")"; }

/// QuantizeLinear of what DequantizeLinear with the same parameters made of x is x.
void cancel(Editor& editor, NodeIndex q, NodeIndex d) {
  const Node &quantize = editor.node(q), &dequantize = editor.node(d);
  const auto miss = [&](std::string reason) { editor.near_miss(kRule, q, 1, 2, std::move(reason)); };
  const ValueId x = dequantize.inputs[0], y = quantize.outputs[0];
  if (!equal_parameters(editor, quantize, dequantize)) return miss(text(editor, d) + " has other parameters");
  if (editor.dtype(x) != editor.dtype(y)) return miss(text(editor, d) + " is of another type");
  // With 24 bits of precision dividing by the scale gives back the integer; with fewer it may not.
  if (editor.dtype(input(quantize, 1)) != DType::kFloat32) return miss("the scale is not float32");
  const Tensor* scale = editor.constant(input(quantize, 1));
  const auto scales = scale ? real_elements(*scale) : std::nullopt;
  if (!scales || !std::all_of(scales->begin(), scales->end(), [](double s) { return s > 1e-30 && s < 1e30; }))
    return miss("the scale is not known to be a normal number");
  if (!editor.can_replace(y, x)) return miss("an output of the graph would lose its name");
  Patch patch(editor, kRule);
  patch.remove(q);
  patch.replace(y, x);
  editor.apply(std::move(patch));
}

/// What `move` reads from DequantizeLinear in each of its data inputs; empty, and why, where it cannot work below them.
std::vector<NodeIndex> makers(const Editor& editor, NodeIndex move, std::string& reason) {
  const Node& node = editor.node(move);
  std::vector<NodeIndex> out;
  for (std::size_t i = 0; i < (node.op_type == "Concat" ? node.inputs.size() : 1); ++i) {
    const NodeIndex d = editor.producer(node.inputs[i]);
    if (!editor.is(d, "DequantizeLinear")) reason = "input " + std::to_string(i) + " of " + text(editor, move) + " is not dequantised";
    else if (!editor.single_use(node.inputs[i])) reason = editor.consumers(node.inputs[i], {move});
    else if (!out.empty() && !equal_parameters(editor, editor.node(d), editor.node(out[0])))
      reason = text(editor, d) + " has other parameters than " + text(editor, out[0]);
    else if (!out.empty() && editor.dtype(editor.node(d).inputs[0]) != editor.dtype(editor.node(out[0]).inputs[0]))
      reason = text(editor, d) + " is of another type than " + text(editor, out[0]);
    if (!reason.empty()) return {};
    out.push_back(d);
  }
  return out;
}

/// Where the axis of one scale a slice goes; nothing where it does not stay an axis.
std::optional<std::int64_t> moved_axis(const Editor& editor, const Node& move, const Node& dequantize) {
  if (move.op_type != "Transpose" || integer(dequantize, "block_size", 0) != 0 || editor.rank(input(dequantize, 1)) != std::size_t{1})
    return std::nullopt;
  const auto* perm = move.find_as<std::vector<std::int64_t>>("perm");
  if (!perm) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(perm->size());
  const std::int64_t axis = integer(dequantize, "axis", 1);
  const auto at = std::find(perm->begin(), perm->end(), axis < 0 ? axis + rank : axis);
  if (at == perm->end()) return std::nullopt;
  return at - perm->begin();
}

/// DequantizeLinear goes below an operator that moves elements.
void sink(Editor& editor, NodeIndex move) {
  const Node& node = editor.node(move);
  if (!editor.is(editor.producer(input(node, 0)), "DequantizeLinear")) return;
  std::string reason;
  const std::vector<NodeIndex> from = makers(editor, move, reason);
  const auto miss = [&](std::string why) { editor.near_miss(kRule, move, 1, 2, std::move(why)); };
  if (from.empty()) return miss(reason);
  const Node& dequantize = editor.node(from[0]);
  Attributes attributes = dequantize.attributes;
  if (!is_per_tensor(editor, dequantize)) {
    const auto axis = moved_axis(editor, node, dequantize);
    if (!axis) return miss("the parameters of " + text(editor, from[0]) + " are one a slice, which the operator mixes");
    attributes["axis"] = *axis;
  }
  if (node.op_type == "MaxPool") {
    const auto scale = editor.scalar(input(dequantize, 1));
    if (!scale || *scale <= 0) return miss("the scale is not known to be above 0");
  }
  Patch patch(editor, kRule);
  Node moved = node;
  for (std::size_t i = 0; i < from.size(); ++i) {
    patch.remove(from[i]);
    moved.inputs[i] = editor.node(from[i]).inputs[0];
  }
  patch.remove(move);
  patch.origins_of({move});
  const ValueId below = patch.add_one(node.op_name(), moved.inputs, node.attributes);
  patch.origins_of(from);
  patch.add_writing("DequantizeLinear", {below, input(dequantize, 1), input(dequantize, 2)}, {node.outputs[0]}, std::move(attributes));
  std::string refusal;
  if (!editor.taken(patch, &refusal)) return miss(refusal);
  editor.apply(std::move(patch));
}

/// QuantizeLinear goes above an operator that moves elements.
void lift(Editor& editor, NodeIndex q, NodeIndex move) {
  const Node &quantize = editor.node(q), &node = editor.node(move);
  const auto miss = [&](std::string why) { editor.near_miss(kRule, q, 1, 2, std::move(why)); };
  if (!editor.single_use(quantize.inputs[0])) return miss(editor.consumers(quantize.inputs[0], {q}));
  if (!is_per_tensor(editor, quantize)) return miss("its parameters are not one number");
  Patch patch(editor, kRule);
  patch.remove(move);
  patch.remove(q);
  patch.origins_of({q});
  const ValueId above = patch.add_one("QuantizeLinear", {node.inputs[0], input(quantize, 1), input(quantize, 2)}, quantize.attributes);
  patch.origins_of({move});
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = above;
  patch.add_writing(node.op_name(), std::move(inputs), {quantize.outputs[0]}, node.attributes);
  std::string refusal;
  if (!editor.taken(patch, &refusal)) return miss(refusal);
  editor.apply(std::move(patch));
}

void visit(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  if (!node.domain.empty()) return;
  if (node.op_type != "QuantizeLinear") {
    if (only_moves(node)) sink(editor, n);
    return;
  }
  const NodeIndex maker = editor.producer(node.inputs.at(0));
  if (editor.is(maker, "DequantizeLinear")) cancel(editor, n, maker);
  else if (maker != kNone && moves_all(editor.node(maker)) && editor.dtype(editor.node(maker).inputs[0]) == editor.dtype(node.inputs[0]))
    lift(editor, n, maker);
}

}  // namespace

Pass propagate_quantization() {
  return {kRule, "operators that only move elements work on the quantised ones", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (!editor.dead(n)) visit(editor, n);
          }};
}

}  // namespace ashlar::optimizer
