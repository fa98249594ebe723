// SPDX-License-Identifier: Apache-2.0
// What a body of Loop or Scan computes anew each trip from captured values and constants alone moves in front of it. The body may never run, so that
// only operators move that cannot fail on what is known of their inputs.
#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "hoist-invariant";

bool is_real(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

/// Whether two shapes broadcast in every run.
bool broadcast(const ops::SymbolicShape& a, const ops::SymbolicShape& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const ops::DimExpr &x = a[a.size() - 1 - i], &y = b[b.size() - 1 - i];
    if (!(x == y) && !x.is(1) && !y.is(1)) return false;
  }
  return true;
}

/// Whether the node gives a result for every value of its inputs.
bool cannot_fail(const Editor& body, const Node& node) {
  static const std::unordered_set<std::string_view> unary = {
      "Abs", "Ceil", "Cos",  "Exp",  "Floor", "Identity", "Neg",   "Not",  "Reciprocal", "Relu",     "Sign",     "Sigmoid",
      "Sin", "Size", "Sqrt", "Tanh", "Erf",   "Log",      "Shape", "Gelu", "Swish",      "Softplus", "Transpose"};
  static const std::unordered_set<std::string_view> binary = {"Add",         "Sub", "Mul", "Equal", "Greater", "Less", "GreaterOrEqual",
                                                              "LessOrEqual", "And", "Or"};
  if (!node.domain.empty() || node.outputs.size() != 1 || node.inputs.empty() ||
      std::find(node.inputs.begin(), node.inputs.end(), kNone) != node.inputs.end())
    return false;
  const DType dtype = body.dtype(node.inputs[0]);
  if (dtype == DType::kUndefined || dtype == DType::kString || body.dtype(node.outputs[0]) == DType::kUndefined) return false;
  if (unary.contains(node.op_type)) return body.shape(node.inputs[0]) != nullptr;
  if (node.op_type == "Cast") return body.dtype(node.outputs[0]) != DType::kString;
  const ops::SymbolicShape* a = body.shape(node.inputs[0]);
  const ops::SymbolicShape* b = node.inputs.size() > 1 ? body.shape(node.inputs[1]) : nullptr;
  if (!a || !b) return false;
  if (binary.contains(node.op_type) || (node.op_type == "Div" && is_real(dtype))) return broadcast(*a, *b);
  if (node.op_type == "Unsqueeze") return body.numbers(node.inputs[1]).has_value();
  if (node.op_type == "MatMul" && is_real(dtype)) return a->size() >= 2 && b->size() == 2 && a->back() == b->front();
  return false;
}

struct Found {
  std::vector<NodeIndex> nodes;
  std::unordered_set<ValueId> values;  ///< that they write
};

/// `quiet`: what may fail is said at another visit.
Found find(Editor& editor, NodeIndex owner, const Editor& body, bool quiet) {
  Found found;
  for (const NodeIndex n : body.nodes()) {
    const Node& node = body.node(n);
    const auto outside = [&](ValueId v) { return body.captured_from(v) != kNone || found.values.contains(v); };
    const auto fixed = [&](ValueId v) { return v == kNone || outside(v) || body.constant(v); };
    // Of constants alone it is no business of the loop.
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), fixed) ||
        !std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v != kNone && outside(v); }))
      continue;
    if (!node.captures.empty() || !cannot_fail(body, node)) {
      if (!quiet) editor.near_miss(kRule, owner, 1, 2, body.id(n) + " (" + node.op_name() + ") may fail where the body would not have run");
      continue;
    }
    found.nodes.push_back(n);
    found.values.insert(node.outputs[0]);
  }
  return found;
}

void hoist(Editor& editor, NodeIndex owner, Editor& body, bool quiet) {
  const std::int64_t left = editor.model().rewrites_left;
  if (left == 0 || left == 1) return;
  const Found found = find(editor, owner, body, quiet);
  if (found.nodes.empty()) return;
  Patch front(editor, kRule), inside(body, kRule);
  std::unordered_map<ValueId, ValueId> to;
  const auto outer = [&](ValueId v) {
    if (v == kNone) return kNone;
    if (body.captured_from(v) != kNone) return body.captured_from(v);
    const auto [at, is_new] = to.try_emplace(v, kNone);
    if (is_new) at->second = editor.adopt(body, v);
    return at->second;
  };
  for (const NodeIndex n : found.nodes) {
    Node node = body.node(n);
    for (auto* ids : {&node.inputs, &node.outputs})
      for (ValueId& v : *ids) v = outer(v);
    front.move_in(std::move(node));
    inside.remove(n);
  }
  for (const NodeIndex n : found.nodes) {
    const ValueId v = body.node(n).outputs[0];
    const auto read_inside = [&](const Use& u) {
      return u.captured() || std::find(found.nodes.begin(), found.nodes.end(), u.node) == found.nodes.end();
    };
    if (!body.is_output(v) && std::none_of(body.uses(v).begin(), body.uses(v).end(), read_inside)) continue;
    inside.replace(v, body.capture(outer(v)));
  }
  // Both or neither: what moves is never asked about, and there are rewrites left for the two.
  editor.apply(std::move(front));
  body.apply(std::move(inside));
}

/// Bodies within bodies first: what leaves one may leave the next.
void hoist_all(Editor& editor, bool quiet) {
  const NodeIndex count = editor.node_count();
  for (NodeIndex n = 0; n < count; ++n) {
    const bool loop = editor.is(n, "Loop") || editor.is(n, "Scan");
    if (!loop && !editor.is(n, "If")) continue;
    for (const auto& [name, body] : editor.bodies(n)) {
      hoist_all(*body, true);
      if (loop) hoist(editor, n, *body, quiet);
      body->commit();
    }
  }
}

}  // namespace

Pass hoist_invariant() {
  return {kRule, "what a loop computes anew each trip though nothing changes", [](Editor& editor) { hoist_all(editor, false); }};
}

}  // namespace ashlar::optimizer
