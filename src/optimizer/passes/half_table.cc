// SPDX-License-Identifier: Apache-2.0
#include "optimizer/passes/half_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "optimizer/passes/walk.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

constexpr int kDeepest = 12;

bool among(const std::string& op, std::initializer_list<std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

bool keeps_last_axis(const Editor& editor, const Node& node) {
  const auto* in = editor.shape(node.inputs[0]);
  const auto* out = editor.shape(node.outputs[0]);
  if (!in || !out || in->empty() || out->empty() || in->back() != out->back()) return false;
  if (node.op_type == "Gather") return !is_last(integer(node, "axis"), in->size());
  if (node.op_type == "Slice") {
    const auto axes = node.inputs.size() > 3 ? editor.numbers(node.inputs[3]) : std::nullopt;
    return axes && std::none_of(axes->begin(), axes->end(), [&](std::int64_t a) { return is_last(a, in->size()); });
  }
  const auto axes = node.inputs.size() > 1 ? editor.numbers(node.inputs[1]) : std::nullopt;
  const std::size_t rank = node.op_type == "Unsqueeze" ? out->size() : in->size();
  return axes && std::none_of(axes->begin(), axes->end(), [&](std::int64_t a) { return is_last(a, rank); });
}

}  // namespace

ValueId HalfTable::failed(std::string reason) {
  if (reason_.empty()) reason_ = std::move(reason);
  return kNone;
}

ValueId HalfTable::half(ValueId v) { return find(v, 0); }

ValueId HalfTable::find(ValueId v, int depth) {
  const auto key = std::pair(v, doubled_);
  if (const auto at = known_.find(key); at != known_.end()) return at->second;
  const auto* shape = editor_.shape(v);
  if (!shape || shape->empty() || !shape->back().value() || *shape->back().value() % 2 != 0)
    return failed("the last dimension of " + maker(editor_, v) + " is no even number");
  ValueId out = kNone;
  if (editor_.constant(v)) out = of_constant(v);
  else if (const ValueId joined = of_joined(v); joined != kNone) out = joined;
  else if (made_by(editor_, v, "Reshape") != kNone && depth < kDeepest) out = of_reshaped(v, depth);
  else if (const NodeIndex n = editor_.producer(v); n != kNone && depth < kDeepest) {
    const Node node = editor_.node(n);
    const bool moves = node.domain.empty() && among(node.op_type, {"Unsqueeze", "Squeeze", "Gather", "Slice"});
    const bool computes = node.domain.empty() && among(node.op_type, {"Cos", "Sin", "Cast", "Identity", "Neg", "Mul", "Div", "Add", "Sub"});
    if (!computes && !(moves && keeps_last_axis(editor_, node))) return failed(maker(editor_, v) + " does not hold each number twice");
    std::vector<ValueId> inputs = node.inputs;
    for (std::size_t i = 0; i < (computes ? inputs.size() : 1); ++i) {
      const auto* s = editor_.shape(inputs[i]);
      if (!s) return failed("the shape of " + maker(editor_, inputs[i]) + " is not known");
      if (s->empty() || s->back().is(1)) continue;
      inputs[i] = find(inputs[i], depth + 1);
      if (inputs[i] == kNone) return kNone;
    }
    patch_.origins_of({n});
    out = patch_.add_one(node.op_type, inputs, node.attributes);
    patch_.origins_of({});
  } else {
    return failed(maker(editor_, v) + " does not hold each number twice");
  }
  if (out != kNone) known_[key] = out;
  return out;
}

/// Concat(a, a) for halves; for pairs, Unsqueeze, Concat or Expand to two columns, Reshape.
ValueId HalfTable::of_joined(ValueId v) {
  const auto* shape = editor_.shape(v);
  const NodeIndex n = editor_.producer(v);
  if (n == kNone) return kNone;
  const Node& node = editor_.node(n);
  const auto twice = [&](NodeIndex m, std::size_t rank) {
    if (!editor_.is(m, "Concat")) return false;
    const Node& c = editor_.node(m);
    return is_last(integer(c, "axis"), rank) && c.inputs.size() == 2 && c.inputs[0] == c.inputs[1];
  };
  if (doubled_ == Doubled::kHalves) {
    if (twice(n, shape->size())) return node.inputs[0];
    if (!editor_.is(n, "Tile")) return kNone;
    const auto repeats = editor_.numbers(node.inputs[1]);
    const bool last = repeats && !repeats->empty() && repeats->back() == 2 &&
                      std::all_of(repeats->begin(), repeats->end() - 1, [](std::int64_t r) { return r == 1; });
    return last ? node.inputs[0] : kNone;
  }
  if (!editor_.is(n, "Reshape")) return kNone;
  const NodeIndex pair = editor_.producer(node.inputs[0]);
  const auto* wide = editor_.shape(node.inputs[0]);
  if (!wide || wide->size() != shape->size() + 1 || !wide->back().is(2) || pair == kNone) return kNone;
  if (!twice(pair, wide->size()) && !editor_.is(pair, "Expand") && !editor_.is(pair, "Tile")) return kNone;
  const ValueId column = editor_.node(pair).inputs[0];
  const auto* narrow = editor_.shape(column);
  if (!narrow || narrow->size() != wide->size() || !narrow->back().is(1)) return kNone;
  for (std::size_t i = 0; i + 1 < wide->size(); ++i)
    if ((*narrow)[i] != (*wide)[i] || (i + 2 < wide->size() && (*wide)[i] != (*shape)[i])) return kNone;
  ops::SymbolicShape target(wide->begin(), wide->end() - 1);
  const NodeIndex unsqueeze = editor_.producer(column);
  const ValueId from = editor_.is(unsqueeze, "Unsqueeze") || editor_.is(unsqueeze, "Reshape") ? editor_.node(unsqueeze).inputs[0] : column;
  const auto* s = editor_.shape(from);
  if (s && *s == target) return from;
  return s ? reshaped(from, target) : kNone;
}

/// A Reshape that puts in or takes out dimensions of 1 in front of the last.
ValueId HalfTable::of_reshaped(ValueId v, int depth) {
  const ValueId x = editor_.node(editor_.producer(v)).inputs[0];
  const auto *from = editor_.shape(x), *to = editor_.shape(v);
  const auto without_ones = [](ops::SymbolicShape shape) {
    std::erase_if(shape, [](const ops::DimExpr& d) { return d.is(1); });
    return shape;
  };
  if (!from || from->empty() || from->back() != to->back() || without_ones(*from) != without_ones(*to))
    return failed(maker(editor_, v) + " does not hold each number twice");
  ops::SymbolicShape target = *to;
  target.back() = ops::DimExpr(*target.back().value() / 2);
  const ValueId half = find(x, depth + 1);
  return half == kNone ? kNone : reshaped(half, target);
}

ValueId HalfTable::reshaped(ValueId v, const ops::SymbolicShape& target) {
  const auto* from = editor_.shape(v);
  const auto numbers = from ? reshape_target(*from, target) : std::nullopt;
  if (!numbers) return failed("no constant shape makes halves of " + maker(editor_, v));
  return patch_.add_one("Reshape", {v, patch_.constant("shape", *numbers)}, {{"allowzero", std::int64_t{0}}});
}

ValueId HalfTable::of_constant(ValueId v) {
  const Tensor& table = *editor_.constant(v);
  std::vector<std::int64_t> dims(table.shape().dims().begin(), table.shape().dims().end());
  const auto columns = static_cast<std::size_t>(dims.back()), half = columns / 2;
  const std::size_t rows = columns == 0 ? 0 : static_cast<std::size_t>(table.element_count()) / columns;
  const std::size_t size = rows == 0 ? 0 : table.bytes() / rows / columns;
  dims.back() = static_cast<std::int64_t>(half);
  Tensor out = Tensor::zeros(table.dtype(), Shape(dims));
  const auto* from = static_cast<const std::byte*>(table.raw());
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < half; ++i, to += size) {
      const std::byte* at = from + row * columns * size;
      const std::size_t a = doubled_ == Doubled::kHalves ? i : 2 * i, b = doubled_ == Doubled::kHalves ? half + i : 2 * i + 1;
      if (std::memcmp(at + a * size, at + b * size, size) != 0)
        return failed("the columns " + std::to_string(a) + " and " + std::to_string(b) + " of " + editor_.value(v).name + " differ");
      std::memcpy(to, at + a * size, size);
    }
  return patch_.constant("half", std::move(out));
}

}  // namespace ashlar::optimizer
