// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "eliminate-identity";

/// A node, and why it does something after all.
struct Call {
  Editor& editor;
  const Node& node;
  std::string reason = {};

  ValueId input(std::size_t i) const { return i < node.inputs.size() ? node.inputs[i] : kNone; }
  ValueId output() const { return node.outputs[0]; }
  /// `v`, where its shape is the output's in every run.
  ValueId if_same_shape(ValueId v) {
    if (v == kNone) return kNone;
    if (editor.same_shape(v, output())) return v;
    if (editor.shape(v) && editor.shape(output())) reason = name_of(editor, v) + " has another shape than the result";
    else reason = "the shape of " + name_of(editor, editor.shape(v) ? output() : v) + " is not known";
    return kNone;
  }
  ValueId not_read(ValueId v, std::size_t other) {
    if (other >= node.outputs.size() || node.outputs[other] == kNone) return v;
    const ValueId o = node.outputs[other];
    if (editor.uses(o).empty() && !editor.is_output(o)) return v;
    reason = editor.value(o).name + " is read";
    return kNone;
  }
};

// Each gives the input that the node's first output equals, or kNone.

ValueId first(Call& c) { return c.input(0); }
ValueId only(Call& c) { return c.node.inputs.size() == 1 ? c.input(0) : kNone; }

/// Moves no element where the shape stays.
ValueId reshaping(Call& c) {
  const ValueId v = c.if_same_shape(c.input(0));
  c.reason.clear();
  return v;
}

ValueId dropout(Call& c) {
  if (c.input(2) != kNone && !all_equal(c.editor, c.input(2), 0)) {
    c.reason = "it may train: " + name_of(c.editor, c.input(2)) + " is not known to be false";
    return kNone;
  }
  return c.not_read(c.input(0), 1);
}

ValueId cast(Call& c) { return static_cast<DType>(integer(c.node, "to")) == c.editor.dtype(c.input(0)) ? c.input(0) : kNone; }

ValueId transpose(Call& c) {
  const auto* perm = c.node.find_as<std::vector<std::int64_t>>("perm");
  const auto rank = c.editor.rank(c.input(0));
  if (!perm) return rank && *rank < 2 ? c.input(0) : kNone;
  for (std::size_t i = 0; i < perm->size(); ++i)
    if ((*perm)[i] != static_cast<std::int64_t>(i)) return kNone;
  return c.input(0);
}

ValueId slice(Call& c) {
  if (c.input(4) != kNone && !all_equal(c.editor, c.input(4), 1)) return kNone;
  return reshaping(c);
}

ValueId pad(Call& c) { return all_equal(c.editor, c.input(1), 0) ? c.input(0) : kNone; }
ValueId tile(Call& c) { return all_equal(c.editor, c.input(1), 1) ? c.input(0) : kNone; }

/// One input beside others without elements on the axis.
ValueId concat(Call& c) {
  ValueId whole = kNone;
  for (const ValueId v : c.node.inputs) {
    const auto* shape = c.editor.shape(v);
    const auto axis = shape ? axis_of(integer(c.node, "axis"), shape->size()) : std::nullopt;
    if (c.node.inputs.size() > 1 && !axis) return kNone;
    if (axis && (*shape)[*axis].is(0) && c.node.inputs.size() > 1) continue;
    if (whole != kNone) return kNone;
    whole = v;
  }
  return whole;
}

ValueId split(Call& c) {
  if (c.node.outputs.size() != 1) return kNone;
  return reshaping(c);
}

/// x op neutral, where the neutral number does not make x larger.
ValueId neutral_right(Call& c, double neutral) { return all_equal(c.editor, c.input(1), neutral) ? c.if_same_shape(c.input(0)) : kNone; }
ValueId neutral(Call& c, double number) {
  if (all_equal(c.editor, c.input(1), number)) return c.if_same_shape(c.input(0));
  if (all_equal(c.editor, c.input(0), number)) return c.if_same_shape(c.input(1));
  return kNone;
}
ValueId add(Call& c) { return neutral(c, 0); }
ValueId subtract(Call& c) { return neutral_right(c, 0); }
ValueId one_factor(Call& c) { return neutral(c, 1); }
ValueId one_right(Call& c) {
  // Pow's exponent has a dtype of its own; the result has the base's.
  return neutral_right(c, 1);
}
ValueId all_of(Call& c) { return c.input(0) == c.input(1) ? c.input(0) : neutral(c, 1); }
ValueId any_of(Call& c) { return c.input(0) == c.input(1) ? c.input(0) : neutral(c, 0); }

/// Of one value, twice the same, or beside a number that is never taken.
ValueId extreme(Call& c) {
  if (c.node.inputs.size() != 2) return only(c);
  if (c.input(0) == c.input(1)) return c.input(0);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return neutral(c, c.node.op_type == "Max" ? -kInfinity : kInfinity);
}

ValueId where(Call& c) {
  if (c.input(1) == c.input(2)) return c.if_same_shape(c.input(1));
  if (all_equal(c.editor, c.input(0), 1)) return c.if_same_shape(c.input(1));
  if (all_equal(c.editor, c.input(0), 0)) return c.if_same_shape(c.input(2));
  return kNone;
}

/// Its own inverse.
ValueId twice(Call& c) {
  const NodeIndex inner = c.editor.producer(c.input(0));
  return c.editor.is(inner, c.node.op_type) ? c.editor.node(inner).inputs[0] : kNone;
}

/// Done twice is done once.
ValueId again(Call& c) { return c.editor.is(c.editor.producer(c.input(0)), c.node.op_type) ? c.input(0) : kNone; }

using Rule = ValueId (*)(Call&);

const std::unordered_map<std::string_view, Rule>& rules() {
  static const std::unordered_map<std::string_view, Rule> table = {
      {"Abs", &again},        {"Add", &add},           {"And", &all_of},          {"BitwiseNot", &twice},    {"Cast", &cast},
      {"Ceil", &again},       {"Clip", &only},         {"Concat", &concat},       {"Div", &one_right},       {"Dropout", &dropout},
      {"Expand", &reshaping}, {"Flatten", &reshaping}, {"Floor", &again},         {"Identity", &first},      {"Max", &extreme},
      {"Mean", &only},        {"Min", &extreme},       {"Mul", &one_factor},      {"Neg", &twice},           {"Not", &twice},
      {"Or", &any_of},        {"Pad", &pad},           {"Pow", &one_right},       {"Relu", &again},          {"Reshape", &reshaping},
      {"Round", &again},      {"Slice", &slice},       {"Split", &split},         {"Squeeze", &reshaping},   {"Sub", &subtract},
      {"Sum", &only},         {"Tile", &tile},         {"Transpose", &transpose}, {"Unsqueeze", &reshaping}, {"Where", &where},
  };
  return table;
}

void eliminate(Editor& editor, NodeIndex n, Rule rule) {
  Call call{editor, editor.node(n)};
  const ValueId gone = call.output();
  const ValueId same = gone == kNone ? kNone : rule(call);
  if (same == kNone) {
    if (!call.reason.empty()) editor.near_miss(kRule, n, 1, 2, std::move(call.reason));
    return;
  }
  if (!editor.can_replace(gone, same)) {
    editor.near_miss(kRule, n, 1, 2,
                     editor.value(gone).name + " is an output of the graph and " + editor.value(same).name +
                         (editor.is_output(same)  ? " is another"
                          : editor.is_input(same) ? " is an input"
                                                  : " is a constant"));
    return;
  }
  Patch patch(editor, kRule);
  patch.remove(n);
  patch.replace(gone, same);
  editor.apply(std::move(patch));
}

}  // namespace

Pass eliminate_identity() {
  return {kRule, "nodes whose result is one of their inputs go", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (editor.dead(n) || !editor.node(n).domain.empty() || editor.node(n).outputs.empty() || editor.node(n).inputs.empty())
                continue;
              const auto rule = rules().find(editor.node(n).op_type);
              if (rule == rules().end() || editor.node(n).inputs[0] == kNone) continue;
              if (editor.value(editor.node(n).inputs[0]).type.kind == ValueType::Kind::kTensor) eliminate(editor, n, rule->second);
            }
          }};
}

}  // namespace ashlar::optimizer
