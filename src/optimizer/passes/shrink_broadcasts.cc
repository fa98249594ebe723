// SPDX-License-Identifier: Apache-2.0
// A node whose result only repeats one of its inputs goes where all that read the result would repeat the input themselves:
//
//   before: e = Expand(m, s); w = Where(e, a, b); y = Add(x, w)
//   after:  w = Where(m, a, b), which is smaller; y = Add(x, w), whose shape is that of x as before
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "shrink-broadcasts";
constexpr int kMostSteps = 64;
constexpr int kDeepest = 8;

ValueId input(const Node& node, std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; }

template <std::size_t N> bool one_of(const Editor& editor, NodeIndex n, const std::array<std::string_view, N>& ops) {
  return n != kNone && !editor.dead(n) && editor.node(n).domain.empty() &&
         std::find(ops.begin(), ops.end(), editor.node(n).op_type) != ops.end();
}

/// Element-wise operators whose inputs all broadcast to the shape of the result.
bool broadcasts(const Editor& editor, NodeIndex n) {
  constexpr auto kOps = std::to_array<std::string_view>(
      {"Add",  "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max",
       "Mean", "Min", "Mod",        "Mul",       "Or",         "Pow", "Sub",   "Sum",     "Where",          "Xor"});
  return one_of(editor, n, kOps);
}
/// Of one input and its shape.
bool keeps_shape(const Editor& editor, NodeIndex n) {
  constexpr auto kOps = std::to_array<std::string_view>(
      {"Abs", "BitwiseNot", "Cast", "Cos", "Exp", "Log", "Neg", "Not", "Relu", "Sigmoid", "Sin", "Sqrt", "Tanh"});
  return one_of(editor, n, kOps);
}

/// What moves or repeats elements of its first input.
bool only_moves(const Editor& editor, NodeIndex n) {
  constexpr auto kOps = std::to_array<std::string_view>({"Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape",
                                                         "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"});
  return one_of(editor, n, kOps);
}

/// The one number that all elements are, of an integer value.
std::optional<std::int64_t> uniform(const Editor& editor, ValueId v, int depth = 0) {
  if (v == kNone || depth > kDeepest) return std::nullopt;
  if (const auto numbers = editor.numbers(v)) {
    if (numbers->empty() || std::any_of(numbers->begin(), numbers->end(), [&](std::int64_t i) { return i != (*numbers)[0]; }))
      return std::nullopt;
    return (*numbers)[0];
  }
  if (const Tensor* t = editor.constant(v)) {
    if (t->dtype() != DType::kInt64 || t->element_count() == 0) return std::nullopt;
    std::int64_t first;
    std::memcpy(&first, t->raw(), sizeof(first));
    return all_equal(*t, static_cast<double>(first)) ? std::optional(first) : std::nullopt;
  }
  const NodeIndex n = editor.producer(v);
  return only_moves(editor, n) ? uniform(editor, editor.node(n).inputs[0], depth + 1) : std::nullopt;
}

/// Whether no element is below 0, of an integer value.
bool at_least_zero(const Editor& editor, ValueId v, int depth = 0) {
  if (v == kNone || depth > kDeepest) return false;
  if (const auto& elements = editor.facts(v).elements)
    return std::all_of(elements->begin(), elements->end(), [](const ops::DimExpr& e) { return e.at_least(0); });
  const NodeIndex n = editor.producer(v);
  if (editor.is(n, "Range")) {
    const Node& range = editor.node(n);
    return editor.dtype(v) == DType::kInt64 && at_least_zero(editor, range.inputs[0], depth + 1) &&
           at_least_zero(editor, range.inputs[2], depth + 1);
  }
  return only_moves(editor, n) && at_least_zero(editor, editor.node(n).inputs[0], depth + 1);
}

bool at_most_zero(const Editor& editor, ValueId v) {
  const auto numbers = editor.numbers(v);
  return numbers && std::all_of(numbers->begin(), numbers->end(), [](std::int64_t i) { return i <= 0; });
}

/// Whether every element is true.
bool always(const Editor& editor, ValueId v) {
  if (all_equal(editor, v, 1)) return true;
  const NodeIndex n = editor.producer(v);
  if (editor.is(n, "GreaterOrEqual"))
    return at_least_zero(editor, editor.node(n).inputs[0]) && at_most_zero(editor, editor.node(n).inputs[1]);
  if (editor.is(n, "LessOrEqual")) return at_least_zero(editor, editor.node(n).inputs[1]) && at_most_zero(editor, editor.node(n).inputs[0]);
  return only_moves(editor, n) && always(editor, editor.node(n).inputs[0]);
}

/// The input of which the node's result is a broadcast; kNone.
ValueId repeated(const Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto neutral = [&](auto&& is) { return is(input(node, 1)) ? node.inputs[0] : is(node.inputs[0]) ? input(node, 1) : kNone; };
  if (editor.is(n, "Expand")) return node.inputs[0];
  if (editor.is(n, "And")) return neutral([&](ValueId v) { return always(editor, v); });
  if (editor.is(n, "Or")) return neutral([&](ValueId v) { return all_equal(editor, v, 0); });
  if (editor.is(n, "Add")) return neutral([&](ValueId v) { return editor.constant(v) && all_equal(editor, v, 0); });
  if (editor.is(n, "Mul")) return neutral([&](ValueId v) { return editor.constant(v) && all_equal(editor, v, 1); });
  return kNone;
}

class Shrinker {
 public:
  Shrinker(Editor& editor, NodeIndex n) : editor_(editor), anchor_(n), y_(editor.node(n).outputs[0]) {}

  /// Makes the readers of y read a value of that shape whose broadcast y is: `w`, or that row of what the node gathers from.
  bool shrink(ValueId w, const ops::SymbolicShape& shape, std::optional<std::int64_t> row = {}) {
    if (editor_.is_output(y_)) return fail(editor_.value(y_).name + " is an output of the graph");
    if (!editor_.shape(y_)) return fail("the shape of " + editor_.value(y_).name + " is not known");
    shapes_[y_] = shape;
    std::vector<ValueId> pending = {y_};
    for (int steps = 0; !pending.empty(); ++steps) {
      if (steps > kMostSteps) return fail("too many nodes read it");
      const ValueId v = pending.back();
      pending.pop_back();
      for (const Use& use : editor_.uses(v))
        if (!follow(use, pending)) return false;
    }
    Patch patch(editor_, kRule);
    patch.remove(anchor_);
    patch.origins_of({anchor_});
    if (row)
      w = patch.add_one("Gather", {editor_.node(anchor_).inputs[0], patch.constant("index", Tensor::scalar(*row))},
                        {{"axis", std::int64_t{0}}});
    made_[y_] = w;
    for (const auto& [v, smaller] : shapes_)
      if (v != y_) patch.remove(editor_.producer(v));
    for (const auto& [v, smaller] : shapes_) patch.replace(v, make(patch, v));
    return editor_.apply(std::move(patch));
  }

 private:
  bool fail(std::string reason) {
    editor_.near_miss(kRule, anchor_, 1, 2, std::move(reason));
    return false;
  }

  /// Whether a reader can read the smaller value: its result stays as it is, or is smaller too and can be.
  bool follow(const Use& use, std::vector<ValueId>& pending) {
    const std::string who = use.captured() ? "a body of " + editor_.id(use.node) : editor_.id(use.node);
    if (use.captured()) return fail(who + " reads it");
    const Node& node = editor_.node(use.node);
    // A mask is broadcast to the scores.
    if (node.domain == "ashlar" && node.op_type == "ScaledMaskedSoftmax" && use.input == 1) return true;
    if (editor_.is(use.node, "Attention") && use.input == 3 && shapes_.at(node.inputs[3]).size() == 4) return true;
    if ((!broadcasts(editor_, use.node) && !keeps_shape(editor_, use.node)) || node.outputs.size() != 1)
      return fail(who + " needs all of it");
    const ValueId out = node.outputs[0];
    std::optional<ops::SymbolicShape> now = ops::SymbolicShape();
    for (const ValueId v : node.inputs) {
      const auto at = shapes_.find(v);
      const ops::SymbolicShape* other = at != shapes_.end() ? &at->second : editor_.shape(v);
      if (!other || !editor_.shape(out)) return fail("the shape of what " + who + " reads is not known");
      now = broadcast(*now, *other);
    }
    const auto before = shapes_.find(out);
    if (*now == (before != shapes_.end() ? before->second : *editor_.shape(out))) return true;
    if (editor_.is_output(out)) return fail(editor_.value(out).name + ", which is an output of the graph, would be smaller");
    shapes_[out] = *now;
    pending.push_back(out);
    return true;
  }

  ops::SymbolicShape broadcast(const ops::SymbolicShape& a, const ops::SymbolicShape& b) {
    const auto &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
    ops::SymbolicShape out = longer;
    const std::size_t skip = longer.size() - shorter.size();
    for (std::size_t i = 0; i < shorter.size(); ++i) out[skip + i] = editor_.model().dims.broadcast(longer[skip + i], shorter[i]);
    return out;
  }

  /// The smaller value that stands for v.
  ValueId make(Patch& patch, ValueId v) {
    if (const auto at = made_.find(v); at != made_.end()) return at->second;
    if (!shapes_.contains(v)) return v;
    const NodeIndex n = editor_.producer(v);
    std::vector<ValueId> inputs;
    for (const ValueId i : editor_.node(n).inputs) inputs.push_back(make(patch, i));
    patch.origins_of({n});
    return made_[v] = patch.add_one(editor_.node(n).op_type, std::move(inputs), Attributes(editor_.node(n).attributes));
  }

  Editor& editor_;
  NodeIndex anchor_;
  ValueId y_;
  std::map<ValueId, ops::SymbolicShape> shapes_;  ///< of the values that become smaller
  std::map<ValueId, ValueId> made_;
};

/// Rows of a table by indices that are all one number: that row.
void one_row(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto* table = editor.shape(node.inputs[0]);
  const auto* indices = editor.shape(node.inputs[1]);
  if (integer(node, "axis") != 0 || !table || table->empty() || !indices) return;
  if (std::all_of(indices->begin(), indices->end(), [](const ops::DimExpr& d) { return d.is(1); })) return;
  if (const auto index = uniform(editor, node.inputs[1])) Shrinker(editor, n).shrink(kNone, {table->begin() + 1, table->end()}, index);
}

}  // namespace

Pass shrink_broadcasts() {
  return {kRule, "what only repeats a value goes where its readers would repeat it themselves", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (editor.dead(n) || !editor.node(n).domain.empty() || editor.node(n).outputs.size() != 1) continue;
              if (editor.is(n, "Gather")) {
                one_row(editor, n);
                continue;
              }
              const ValueId w = repeated(editor, n);
              if (w != kNone && editor.shape(w)) Shrinker(editor, n).shrink(w, *editor.shape(w));
            }
          }};
}

}  // namespace ashlar::optimizer
