// SPDX-License-Identifier: Apache-2.0
#include "optimizer/passes/walk.h"

#include <algorithm>
#include <cmath>

namespace ashlar::optimizer {

NodeIndex made_by(const Editor& editor, ValueId v, std::string_view op) {
  const NodeIndex n = editor.producer(v);
  return editor.is(n, op) ? n : kNone;
}

std::string maker(const Editor& editor, ValueId v) {
  if (v == kNone) return "nothing";
  const NodeIndex n = editor.producer(v);
  return n == kNone ? editor.value(v).name : editor.id(n) + " (" + editor.node(n).op_name() + ")";
}

std::string shape_text(Editor& editor, ValueId v) {
  const ops::SymbolicShape* shape = editor.shape(v);
  if (!shape) return "of unknown rank";
  std::string out = "[";
  for (const ops::DimExpr& d : *shape) out += (out.size() > 1 ? "," : "") + editor.model().dims.to_string(d);
  return out + "]";
}

std::vector<std::int64_t> permutation(const Editor& editor, NodeIndex n) {
  if (!editor.is(n, "Transpose")) return {};
  const auto* perm = editor.node(n).find_as<std::vector<std::int64_t>>("perm");
  return perm ? *perm : std::vector<std::int64_t>();
}

bool is_last(std::int64_t axis, std::size_t rank) { return axis == -1 || axis + 1 == static_cast<std::int64_t>(rank); }

ValueId passed_on(const Editor& editor, NodeIndex n) {
  if (n == kNone || editor.dead(n)) return kNone;
  const Node& node = editor.node(n);
  if (editor.is(n, "Identity")) return node.inputs[0];
  if (editor.is(n, "Cast"))
    return editor.dtype(node.inputs[0]) != DType::kUndefined && editor.dtype(node.inputs[0]) == editor.dtype(node.outputs[0])
               ? node.inputs[0]
               : kNone;
  if (!editor.is(n, "Dropout") || (node.outputs.size() > 1 && node.outputs[1] != kNone)) return kNone;
  if (node.inputs.size() < 3 || node.inputs[2] == kNone) return node.inputs[0];
  const auto training = editor.numbers(node.inputs[2]);
  return training && *training == std::vector<std::int64_t>{0} ? node.inputs[0] : kNone;
}

ValueId behind_no_ops(const Editor& editor, ValueId v) {
  while (v != kNone) {
    const ValueId before = passed_on(editor, editor.producer(v));
    if (before == kNone) break;
    v = before;
  }
  return v;
}

std::optional<Scaling> scaling(const Editor& editor, ValueId v) {
  const NodeIndex n = editor.producer(v);
  const bool product = editor.is(n, "Mul");
  if (!product && !editor.is(n, "Div")) return std::nullopt;
  for (std::size_t i = product ? 0 : 1; i < 2; ++i) {
    const auto factor = editor.scalar(editor.node(n).inputs[i]);
    const ValueId other = editor.node(n).inputs[1 - i];
    if (!factor || !std::isfinite(*factor) || *factor <= 0 || !editor.same_shape(other, v)) continue;
    return Scaling{n, other, product ? *factor : 1 / *factor};
  }
  return std::nullopt;
}

std::optional<Part> last_axis_part(const Editor& editor, ValueId v) {
  const ops::SymbolicShape* shape = editor.shape(v);
  if (!shape || shape->empty() || !shape->back().value()) return std::nullopt;
  const std::int64_t count = *shape->back().value();
  const Part whole{v, 0, count, 1, count};
  const NodeIndex n = editor.producer(v);
  const bool slice = editor.is(n, "Slice");
  if (!slice && !editor.is(n, "Split")) return whole;
  const Node& node = editor.node(n);
  const ops::SymbolicShape* from = editor.shape(node.inputs[0]);
  if (!from || !from->back().value()) return whole;
  Part part{node.inputs[0], 0, 0, 1, *from->back().value()};
  if (slice) {
    const auto one = [&](std::size_t i, std::int64_t otherwise) -> std::optional<std::int64_t> {
      if (i >= node.inputs.size() || node.inputs[i] == kNone) return otherwise;
      const auto numbers = editor.numbers(node.inputs[i]);
      return numbers && numbers->size() == 1 ? std::optional((*numbers)[0]) : std::nullopt;
    };
    const auto begin = one(1, 0), axis = one(3, 0), step = one(4, 1);
    if (!begin || !axis || !step || *step < 1 || !is_last(*axis, from->size())) return whole;
    part.begin = std::clamp<std::int64_t>(*begin < 0 ? *begin + part.size : *begin, 0, part.size);
    part.step = *step;
    part.end = part.step == 1 ? part.begin + count : part.size;
    return part;
  }
  if (!is_last(integer(node, "axis"), from->size())) return whole;
  for (const ValueId o : node.outputs) {
    const ops::SymbolicShape* s = o == kNone ? nullptr : editor.shape(o);
    if (!s || !s->back().value()) return whole;
    part.end = part.begin + *s->back().value();
    if (o == v) return part;
    part.begin = part.end;
  }
  return whole;
}

void remove_with(const Editor& editor, Patch& patch, const std::vector<NodeIndex>& nodes, std::size_t certain) {
  std::vector<NodeIndex> gone;
  const auto inside = [&](NodeIndex n) { return std::find(gone.begin(), gone.end(), n) != gone.end(); };
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const NodeIndex n = nodes[i];
    if (n == kNone || inside(n)) continue;
    const auto& outputs = editor.node(n).outputs;
    const bool unread = std::all_of(outputs.begin(), outputs.end(), [&](ValueId v) {
      const auto goes = [&](const Use& u) { return !u.captured() && inside(u.node); };
      return v == kNone || (!editor.is_output(v) && std::all_of(editor.uses(v).begin(), editor.uses(v).end(), goes));
    });
    if (i < certain || unread) gone.push_back(n);
  }
  for (auto n = gone.rbegin(); n != gone.rend(); ++n) patch.remove(*n);
}

}  // namespace ashlar::optimizer
