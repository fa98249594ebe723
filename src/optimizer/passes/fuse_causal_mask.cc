// SPDX-License-Identifier: Apache-2.0
// A mask of Attention that keeps key j of query i when j <= i + (earlier keys), and says nothing else, is its attribute is_causal.
#include <algorithm>
#include <cstring>

#include "optimizer/pass.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fuse-causal-mask";
constexpr std::int64_t kMostElements = 1 << 22;  // of a constant mask that is looked through
constexpr double kLow = -1e4;                    // an addend at least so low takes a key away from a row that has others

/// What a mask does below and on the diagonal, and what above it.
enum class Form { kNone, kKeeps, kDrops, kAdds };

class Causal {
 public:
  Causal(Editor& editor, ops::DimExpr queries, ops::DimExpr keys, ops::DimExpr past)
      : e_(editor), queries_(std::move(queries)), keys_(std::move(keys)), past_(std::move(past)) {}

  Form form(ValueId v, int depth = 0) {
    const NodeIndex n = e_.producer(v);
    if (e_.constant(v)) return of_constant(v);
    if (n == kNone || depth > 12) return other();
    const Node& node = e_.node(n);
    const auto input = [&](std::size_t i) { return node.inputs[i]; };
    if (e_.is(n, "Unsqueeze") || e_.is(n, "Reshape") || e_.is(n, "Expand") || e_.is(n, "Identity"))
      return in_shape(input(0)) ? form(input(0), depth + 1) : other();
    if (e_.is(n, "Cast")) return e_.dtype(v) == DType::kBool && e_.dtype(input(0)) != DType::kFloat32 ? form(input(0), depth + 1) : other();
    if (e_.is(n, "Not")) return negated(form(input(0), depth + 1));
    if (e_.is(n, "And")) {
      const Form a = form(input(0), depth + 1), b = form(input(1), depth + 1);
      if (a == Form::kKeeps || b == Form::kKeeps)
        return failed(e_.id(n) + " hides more keys than the causal " + maker(e_, input(a == Form::kKeeps ? 0 : 1)));
      return Form::kNone;
    }
    if (e_.is(n, "Where")) return of_choice(n, depth);
    if (e_.is(n, "Trilu")) return of_triangle(n);
    if (e_.is(n, "LessOrEqual")) return compared(n, 0, 1, 0);
    if (e_.is(n, "GreaterOrEqual")) return compared(n, 1, 0, 0);
    if (e_.is(n, "Less")) return compared(n, 0, 1, -1);
    if (e_.is(n, "Greater")) return compared(n, 1, 0, -1);
    return other();
  }
  /// Why a mask that looks causal is not; empty for another.
  const std::string& reason() const { return reason_; }

 private:
  /// Nothing speaks for a causal mask.
  static Form other() { return Form::kNone; }
  Form failed(std::string reason) {
    reason_ = std::move(reason);
    return Form::kNone;
  }
  static Form negated(Form f) { return f == Form::kKeeps ? Form::kDrops : f == Form::kDrops ? Form::kKeeps : Form::kNone; }

  /// Whether `v` has one row for each query, one column for each key and nothing else.
  bool in_shape(ValueId v) const {
    const auto* s = e_.shape(v);
    return s && s->size() >= 2 && s->back() == keys_ && (*s)[s->size() - 2] == queries_ &&
           std::all_of(s->begin(), s->end() - 2, [](const auto& d) { return d.is(1); });
  }

  Form of_constant(ValueId v) {
    const Tensor& t = *e_.constant(v);
    const auto past = past_.value();
    if (!past || !in_shape(v) || t.element_count() > kMostElements) return other();
    const std::int64_t rows = *queries_.value(), columns = *keys_.value();
    const auto all = [&](auto good) {
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
          if (!good(i * columns + j, j <= i + *past)) {
            if (i > 0)
              failed("element [" + std::to_string(i) + "," + std::to_string(j) + "] of " + e_.value(v).name +
                     " is not that of a causal mask");
            return false;
          }
      return true;
    };
    if (t.dtype() == DType::kBool) {
      const auto* bytes = static_cast<const std::uint8_t*>(t.raw());
      const bool keeps = t.element_count() > 0 && bytes[0] != 0;
      if (!all([&](std::int64_t at, bool kept) { return (bytes[at] != 0) == (kept == keeps); })) return Form::kNone;
      return keeps ? Form::kKeeps : Form::kDrops;
    }
    if (t.dtype() != DType::kFloat32) return other();
    const auto* bytes = static_cast<const char*>(t.raw());
    const bool adds = all([&](std::int64_t at, bool kept) {
      float element;
      std::memcpy(&element, bytes + static_cast<std::size_t>(at) * sizeof(float), sizeof(float));
      return kept ? element == 0 : element <= kLow;
    });
    return adds ? Form::kAdds : Form::kNone;
  }

  Form of_choice(NodeIndex n, int depth) {
    const Node& node = e_.node(n);
    const auto yes = e_.scalar(node.inputs[1]), no = e_.scalar(node.inputs[2]);
    if (!yes || !no) return other();
    const Form f = form(node.inputs[0], depth + 1);
    if ((f == Form::kKeeps && *yes == 0 && *no <= kLow) || (f == Form::kDrops && *no == 0 && *yes <= kLow)) return Form::kAdds;
    return f == Form::kNone ? f : other();
  }

  /// A triangle of a matrix whose elements are all one number.
  Form of_triangle(NodeIndex n) {
    const Node& node = e_.node(n);
    const ValueId y = node.outputs[0];
    if (!in_shape(y)) return other();
    const auto fill = filled(node.inputs[0]);
    ops::DimExpr k(0);
    if (node.inputs.size() > 1 && node.inputs[1] != kNone) {
      const auto& elements = e_.facts(node.inputs[1]).elements;
      if (!elements || elements->size() != 1) return other();
      k = (*elements)[0];
    }
    const bool upper = integer(node, "upper", 1) != 0;
    const auto diagonal = upper ? ops::DimExpr::add(past_, ops::DimExpr(1)) : std::optional(past_);
    if (!fill || !diagonal || k != *diagonal) return failed(e_.id(n) + " is not the triangle of a causal mask");
    if (*fill == 1) return upper ? Form::kDrops : Form::kKeeps;
    return upper && *fill <= kLow ? Form::kAdds : other();
  }
  std::optional<double> filled(ValueId v) const {
    for (int depth = 0; depth < 6; ++depth) {
      if (const auto number = e_.scalar(v)) return number;
      if (const auto bits = e_.numbers(v); bits && bits->size() == 1) return static_cast<double>((*bits)[0]);
      const NodeIndex n = e_.producer(v);
      if (e_.is(n, "ConstantOfShape")) {
        const Tensor* t = e_.node(n).find_as<Tensor>("value");
        if (!t || t->element_count() != 1) return std::nullopt;
        if (t->dtype() == DType::kBool || t->dtype() == DType::kInt64)
          return static_cast<double>((*ops::facts_of(*t).elements)[0].value().value_or(0));
        float element = 0;
        if (t->dtype() != DType::kFloat32) return std::nullopt;
        std::memcpy(&element, t->raw(), sizeof(float));
        return element;
      }
      if (!e_.is(n, "Expand") && !e_.is(n, "Identity") && !e_.is(n, "Cast")) return std::nullopt;
      v = e_.node(n).inputs[0];
    }
    return std::nullopt;
  }

  /// Positions that count up by one, along rows (queries) or columns (keys).
  struct Positions {
    ops::DimExpr start;
    bool columns = false;
  };
  std::optional<Positions> positions(ValueId v) const {
    const auto* s = e_.shape(v);
    if (!s || s->empty()) return std::nullopt;
    const auto others = std::count_if(s->begin(), s->end(), [](const auto& d) { return !d.is(1); });
    const bool columns = s->back() == keys_ && others == (keys_.is(1) ? 0 : 1);
    const bool rows = s->size() > 1 && s->back().is(1) && (*s)[s->size() - 2] == queries_ && others == (queries_.is(1) ? 0 : 1);
    if (columns == rows) return std::nullopt;
    ops::DimExpr start(0);
    for (int depth = 0; depth < 12; ++depth) {
      if (const auto& elements = e_.facts(v).elements; elements && !elements->empty()) {
        for (std::size_t i = 0; i < elements->size(); ++i)
          if (ops::DimExpr::add((*elements)[0], ops::DimExpr(static_cast<std::int64_t>(i))) != (*elements)[i]) return std::nullopt;
        const auto sum = ops::DimExpr::add(start, (*elements)[0]);
        return sum ? std::optional(Positions{*sum, columns}) : std::nullopt;
      }
      const NodeIndex n = e_.producer(v);
      if (n == kNone) return std::nullopt;
      const auto& inputs = e_.node(n).inputs;
      const auto one = [&](ValueId i) -> std::optional<ops::DimExpr> {
        const auto& elements = e_.facts(i).elements;
        return elements && elements->size() == 1 ? std::optional((*elements)[0]) : std::nullopt;
      };
      if (e_.is(n, "Range")) {
        const auto from = one(inputs[0]), step = one(inputs[2]);
        const auto sum = from && step && step->is(1) ? ops::DimExpr::add(start, *from) : std::nullopt;
        return sum ? std::optional(Positions{*sum, columns}) : std::nullopt;
      }
      if (e_.is(n, "Add")) {
        const std::size_t i = one(inputs[1]) ? 1 : 0;
        const auto shift = one(inputs[i]);
        const auto sum = shift ? ops::DimExpr::add(start, *shift) : std::nullopt;
        if (!sum) return std::nullopt;
        start = *sum;
        v = inputs[1 - i];
      } else if (e_.is(n, "Unsqueeze") || e_.is(n, "Reshape") || e_.is(n, "Identity") ||
                 (e_.is(n, "Cast") && e_.dtype(v) == DType::kInt64)) {
        v = inputs[0];
      } else {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  /// input a <= input b + shift, of keys and queries.
  Form compared(NodeIndex n, std::size_t a, std::size_t b, std::int64_t shift) {
    const Node& node = e_.node(n);
    const auto left = positions(node.inputs[a]), right = positions(node.inputs[b]);
    if (!in_shape(node.outputs[0]) || !left || !right || left->columns == right->columns) return other();
    // keys: j + left <= i + right + shift. Queries on the left: i + left <= j + right + shift, the negation of j <= i + left - right - shift - 1.
    const auto& [minus, plus] = left->columns ? std::pair(left->start, right->start) : std::pair(right->start, left->start);
    const auto negative = ops::DimExpr::multiply(minus, ops::DimExpr(-1));
    const auto difference = negative ? ops::DimExpr::add(plus, *negative) : std::nullopt;
    const auto offset = difference ? ops::DimExpr::add(*difference, ops::DimExpr(left->columns ? shift : -shift - 1)) : std::nullopt;
    if (!offset || *offset != past_) return failed(e_.id(n) + " compares other positions than those of a causal mask");
    return left->columns ? Form::kKeeps : Form::kDrops;
  }

  Editor& e_;
  ops::DimExpr queries_, keys_, past_;
  std::string reason_;
};

void fuse(Editor& editor, NodeIndex attention) {
  const Node node = editor.node(attention);
  const auto input = [&](std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; };
  const ValueId mask = input(3);
  if (mask == kNone || integer(node, "is_causal") != 0 || input(6) != kNone) return;
  const auto *q = editor.shape(input(0)), *k = editor.shape(input(1)), *past = input(4) == kNone ? nullptr : editor.shape(input(4));
  if (!q || !k || q->size() != k->size() || (q->size() != 3 && q->size() != 4) || (input(4) != kNone && (!past || past->size() != 4)))
    return;
  const std::size_t sequence = q->size() - 2;
  const ops::DimExpr earlier = past ? (*past)[2] : ops::DimExpr(0);
  const auto keys = ops::DimExpr::add(earlier, (*k)[q->size() == 3 ? 1 : 2]);
  if (!keys) return;
  Causal causal(editor, (*q)[q->size() == 3 ? 1 : sequence], *keys, earlier);
  const Form form = causal.form(mask);
  const bool is_bool = editor.dtype(mask) == DType::kBool;
  std::string refusal = causal.reason();
  if ((is_bool && form == Form::kKeeps) || (!is_bool && form == Form::kAdds)) {
    Patch patch(editor, kRule);
    patch.remove(attention);
    std::vector<ValueId> inputs = node.inputs;
    inputs[3] = kNone;
    Attributes attributes = node.attributes;
    attributes["is_causal"] = std::int64_t{1};
    patch.add_writing("Attention", inputs, node.outputs, std::move(attributes));
    if (editor.taken(patch, &refusal) && editor.apply(std::move(patch))) return;
  } else if (form != Form::kNone) {
    refusal = "the mask " + editor.value(mask).name + " keeps the keys that a causal mask drops";
  }
  if (!refusal.empty()) editor.near_miss(kRule, attention, 1, 2, refusal);
}

}  // namespace

Pass fuse_causal_mask() {
  return {kRule, "a mask that only hides later keys is the attribute is_causal of Attention", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Attention")) fuse(editor, n);
          }};
}

}  // namespace ashlar::optimizer
