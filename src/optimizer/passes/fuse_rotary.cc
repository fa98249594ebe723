// SPDX-License-Identifier: Apache-2.0
// Rotary embeddings written out:
//   x * cos + Concat(-x[n/2:], x[:n/2]) * sin                        halves
//   x * cos + Reshape(Concat(-x[1::2, None], x[0::2, None])) * sin    pairs
//   Concat(a * cos - b * sin, b * cos + a * sin), a and b the halves of x
// and of a part of the heads alone: Concat(RotaryEmbedding(x[:n]), x[n:]).
#include <algorithm>
#include <map>

#include "optimizer/pass.h"
#include "optimizer/passes/half_table.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

using Perm = std::vector<std::int64_t>;
using Dims = ops::SymbolicShape;
constexpr const char* kRule = "fuse-rotary";
const Perm kSwap = {0, 2, 1, 3};
constexpr int kSteps = 6;  // the pair, its negation, the product with sines, the sum, the product with cosines, the tables

bool rotates(DType t) { return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16; }

/// What a value is the negation of; kNone.
ValueId negated(const Editor& editor, ValueId v) {
  const NodeIndex n = editor.producer(v);
  if (editor.is(n, "Neg")) return editor.node(n).inputs[0];
  if (!editor.is(n, "Mul")) return kNone;
  for (std::size_t i = 0; i < 2; ++i)
    if (editor.scalar(editor.node(n).inputs[i]) == -1.0 && editor.same_shape(editor.node(n).inputs[1 - i], v))
      return editor.node(n).inputs[1 - i];
  return kNone;
}

/// What all rotations of one graph share.
struct Tables {
  std::map<std::pair<ValueId, Doubled>, ValueId> halves;
  std::map<std::pair<ValueId, std::string>, ValueId> shaped;  ///< [batch, sequence, half], by what it was made of and the batch
  std::map<std::string, ValueId> batches;                     ///< [batch, 1, 1], by the batch
};

class Rotation {
 public:
  Rotation(Editor& editor, Tables& tables, NodeIndex anchor) : e_(editor), tables_(tables), anchor_(anchor) {}

  /// Applies the rewrite, or says why not.
  void run() {
    const Node& node = e_.node(anchor_);
    if (node.inputs.size() != 2 || !e_.shape(node.outputs[0])) return;
    if (!is_last(integer(node, "axis"), e_.shape(node.outputs[0])->size())) return;
    if (rotary_behind(node.inputs[0]) != kNone) return partial();
    const bool found = e_.is(e_.producer(node.inputs[0]), "Sub") ? from_halves() : from_whole();
    std::string refusal = reason_;
    if (found) {
      Tables made = tables_;
      Patch patch(e_, kRule);
      if (build(patch, made)) {
        if (e_.taken(patch, &refusal) && e_.apply(std::move(patch))) {
          tables_ = std::move(made);
          return;
        }
      } else {
        refusal = reason_;
      }
    }
    if (matched_ >= 2 && !refusal.empty()) e_.near_miss(kRule, anchor_, matched_, kSteps, refusal);
  }

 private:
  bool failed(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  /// The one reader of `v`, when it is that operator.
  NodeIndex reader(ValueId v, std::string_view op) {
    if (!e_.single_use(v)) return failed(e_.consumers(v, {anchor_})), kNone;
    const NodeIndex n = e_.uses(v)[0].node;
    if (e_.is(n, op)) return n;
    return failed(e_.id(n) + " (" + e_.node(n).op_name() + ") is no " + std::string(op)), kNone;
  }
  ValueId other(NodeIndex n, ValueId v) const { return e_.node(n).inputs[e_.node(n).inputs[0] == v ? 1 : 0]; }

  /// Whether the two are the first and second half, or the even and odd columns, of one value.
  bool halves_of(ValueId first, ValueId second) {
    const auto a = last_axis_part(e_, first), b = last_axis_part(e_, second);
    if (!a || !b || a->whole != b->whole || a->whole == first)
      return failed(maker(e_, first) + " and " + maker(e_, second) + " are not parts of one value");
    const std::int64_t columns = *e_.shape(first)->back().value();
    if (2 * columns != a->size || 2 * *e_.shape(second)->back().value() != a->size)
      return failed(maker(e_, first) + " is not half of " + maker(e_, a->whole));
    const bool halves = a->step == 1 && b->step == 1 && a->begin == 0 && b->begin == columns;
    const bool pairs = a->step == 2 && b->step == 2 && a->begin == 0 && b->begin == 1;
    if (halves == pairs) return failed(maker(e_, first) + " and " + maker(e_, second) + " are not the halves of " + maker(e_, a->whole));
    doubled_ = halves ? Doubled::kHalves : Doubled::kPairs;
    x_ = a->whole;
    return true;
  }

  /// x * cos + rotated * sin.
  bool from_whole() {
    const Node& node = e_.node(anchor_);
    ValueId first = node.inputs[0], second = node.inputs[1], rotated = node.outputs[0];
    const auto columns = [&](ValueId v) {
      const NodeIndex n = e_.producer(v);
      const auto* s = e_.shape(v);
      if (!s || s->size() != 5 || !s->back().is(1) || !(e_.is(n, "Unsqueeze") || e_.is(n, "Reshape"))) return kNone;
      const auto* from = e_.shape(e_.node(n).inputs[0]);
      return from && from->size() == 4 && std::equal(from->begin(), from->end(), s->begin()) ? e_.node(n).inputs[0] : kNone;
    };
    const bool stacked = columns(first) != kNone && columns(second) != kNone;
    if (stacked) first = columns(first), second = columns(second);
    first = negated(e_, first);
    if (first == kNone) return false;
    matched_ = 2;
    const NodeIndex negation = e_.producer(stacked ? columns(node.inputs[0]) : node.inputs[0]);
    if (!halves_of(second, first)) return false;
    if (stacked != (doubled_ == Doubled::kPairs))
      return failed(e_.id(anchor_) + " puts the parts of " + maker(e_, x_) + " elsewhere than they were");
    inside_ = {anchor_, negation, e_.producer(second), e_.producer(first)};
    if (stacked) {
      const NodeIndex flat = reader(rotated, "Reshape");
      if (flat == kNone) return false;
      rotated = e_.node(flat).outputs[0];
      if (!e_.same_shape(rotated, x_)) return failed(e_.id(flat) + " does not give the shape of " + maker(e_, x_));
      inside_.insert(inside_.begin(), flat);
      inside_.insert(inside_.begin() + 2, {e_.producer(node.inputs[0]), e_.producer(node.inputs[1])});
    }
    const NodeIndex by_sin = reader(rotated, "Mul");
    if (by_sin == kNone) return false;
    matched_ = 3;
    sin_ = other(by_sin, rotated);
    const NodeIndex sum = reader(e_.node(by_sin).outputs[0], "Add");
    if (sum == kNone) return false;
    matched_ = 4;
    const ValueId direct = other(sum, e_.node(by_sin).outputs[0]);
    const NodeIndex by_cos = made_by(e_, direct, "Mul");
    if (by_cos == kNone || (e_.node(by_cos).inputs[0] != x_ && e_.node(by_cos).inputs[1] != x_))
      return failed(maker(e_, direct) + " is no product with " + maker(e_, x_));
    if (!e_.single_use(direct)) return failed(e_.consumers(direct, {sum}));
    matched_ = 5;
    cos_ = other(by_cos, x_);
    y_ = e_.node(sum).outputs[0];
    inside_.insert(inside_.begin(), {sum, by_sin, by_cos});
    return check();
  }

  /// Concat(a * cos - b * sin, b * cos + a * sin).
  bool from_halves() {
    const Node& node = e_.node(anchor_);
    const NodeIndex low = e_.producer(node.inputs[0]), high = made_by(e_, node.inputs[1], "Add");
    if (high == kNone) return false;
    const auto product = [&](ValueId v) { return made_by(e_, v, "Mul"); };
    const NodeIndex ac = product(e_.node(low).inputs[0]), bs = product(e_.node(low).inputs[1]);
    NodeIndex bc = product(e_.node(high).inputs[0]), as = product(e_.node(high).inputs[1]);
    if (ac == kNone || bs == kNone || bc == kNone || as == kNone) return false;
    const auto shared = [&](NodeIndex p, NodeIndex q) {
      for (const ValueId v : e_.node(p).inputs)
        if (v == e_.node(q).inputs[0] || v == e_.node(q).inputs[1]) return v;
      return kNone;
    };
    ValueId a = kNone, b = kNone, cos = kNone, sin = kNone;
    for (int order = 0; order < 2; ++order, std::swap(bc, as)) {
      a = shared(ac, as), b = shared(bs, bc), cos = shared(ac, bc), sin = shared(bs, as);
      if (a == kNone || b == kNone || cos == kNone || sin == kNone || a == cos || b == sin) continue;
      matched_ = 4;
      if (halves_of(a, b)) break;
    }
    if (x_ == kNone) return false;
    if (doubled_ == Doubled::kPairs) return failed(e_.id(anchor_) + " puts even and odd columns side by side");
    inside_ = {anchor_, low, high, ac, bs, bc, as, e_.producer(a), e_.producer(b)};
    for (const NodeIndex n : {low, high, ac, bs, bc, as})
      if (!e_.single_use(e_.node(n).outputs[0])) return failed(e_.consumers(e_.node(n).outputs[0], inside_));
    matched_ = 5;
    cos_ = cos;
    sin_ = sin;
    y_ = node.outputs[0];
    is_half_ = true;
    return check();
  }

  bool check() {
    const auto* x = e_.shape(x_);
    if (x->size() != 4) return failed(maker(e_, x_) + " has " + std::to_string(x->size()) + " dimensions, not [batch,heads,sequence,size]");
    if (!rotates(e_.dtype(x_))) return failed("RotaryEmbedding is not for the type of " + maker(e_, x_));
    if (e_.dtype(cos_) != e_.dtype(x_) || e_.dtype(sin_) != e_.dtype(x_))
      return failed("the tables have another type than " + maker(e_, x_));
    if (!e_.same_shape(y_, x_)) return failed("the result has another shape than " + maker(e_, x_));
    for (const std::size_t sequence : {2u, 1u}) {
      sequence_ = sequence;
      if (table(cos_) && table(sin_)) return true;
    }
    return failed("the tables " + shape_text(e_, cos_) + " and " + shape_text(e_, sin_) + " are not one row for each position of " +
                  shape_text(e_, x_));
  }

  /// Whether `v` is [batch or 1, sequence, columns] but for dimensions of 1 where heads are.
  bool table(ValueId v) const {
    const auto *t = e_.shape(v), *x = e_.shape(x_);
    if (!t || t->empty() || t->size() > 4) return false;
    Dims dims(4 - t->size(), ops::DimExpr(1));
    dims.insert(dims.end(), t->begin(), t->end());
    if (!(dims[0].is(1) || dims[0] == (*x)[0]) || !dims[3 - sequence_].is(1) || dims[sequence_] != (*x)[sequence_]) return false;
    const auto columns = ops::DimExpr::multiply(dims[3], ops::DimExpr(is_half_ ? 2 : 1));
    return columns && *columns == (*x)[3];
  }

  /// `v` without dimensions of 1 that were put in, as far as it still has [sequence, columns].
  ValueId before_ones(ValueId v) const {
    const auto rows = [](const Dims& s) {
      Dims out;
      for (const auto& d : s)
        if (!d.is(1)) out.push_back(d);
      return out;
    };
    for (;;) {
      const NodeIndex n = e_.producer(v);
      if (!e_.is(n, "Unsqueeze") && !e_.is(n, "Reshape")) return v;
      const auto *from = e_.shape(e_.node(n).inputs[0]), *to = e_.shape(v);
      if (!from || from->size() < 2 || from->size() >= to->size() || from->back() != to->back() || rows(*from) != rows(*to)) return v;
      v = e_.node(n).inputs[0];
    }
  }

  /// Cosines or sines as [batch, sequence, columns / 2].
  ValueId shaped(Patch& patch, Tables& made, ValueId v) {
    const Dims x = *e_.shape(x_);
    const auto key = std::pair(v, e_.model().dims.to_string(x[0]) + "," + e_.model().dims.to_string(x[sequence_]) +
                                      (doubled_ == Doubled::kHalves ? "" : " pairs"));
    if (const auto at = made.shaped.find(key); at != made.shaped.end()) return at->second;
    ValueId out = before_ones(v);
    if (!is_half_) {
      HalfTable table(e_, patch, doubled_, made.halves);
      out = table.half(out);
      if (out == kNone) return failed(table.reason()), kNone;
    }
    const ValueId half = out;
    Dims dims = *e_.shape(half);
    if (dims.size() == 2) {
      out = patch.add_one("Unsqueeze", {out, patch.constant("axes", Perm{0})});
    } else if (dims.size() == 4) {
      out = patch.add_one("Squeeze", {out, patch.constant("axes", Perm{static_cast<std::int64_t>(3 - sequence_)})});
    } else if (dims.size() != 3 || dims[1] != x[sequence_]) {
      return failed(maker(e_, v) + " comes from rows of shape " + shape_text(e_, half)), kNone;
    }
    if ((*e_.shape(out))[0] != x[0]) out = patch.add_one("Expand", {out, batch(patch, made)});
    made.shaped[key] = out;
    return out;
  }

  /// The shape [batch, 1, 1]; the batch of an input of the graph where there is one, so that all layers share it.
  ValueId batch(Patch& patch, Tables& made) {
    const ops::DimExpr size = (*e_.shape(x_))[0];
    ValueId& out = made.batches.try_emplace(e_.model().dims.to_string(size), kNone).first->second;
    if (out != kNone) return out;
    if (size.value()) return out = patch.constant("batch", Perm{*size.value(), 1, 1});
    ValueId from = x_;
    std::int64_t axis = 0;
    for (const ValueId v : e_.graph().inputs)
      if (const auto* s = e_.shape(v); s && from == x_)
        for (std::size_t i = 0; i < s->size() && from == x_; ++i)
          if ((*s)[i] == size) from = v, axis = static_cast<std::int64_t>(i);
    const ValueId count = patch.value(std::string(kRule) + "/batch");
    patch.add_writing("Shape", {from}, {count}, {{"start", axis}, {"end", axis + 1}});
    return out = patch.add_one("Concat", {count, patch.constant("ones", Perm{1, 1})}, {{"axis", std::int64_t{0}}});
  }

  bool build(Patch& patch, Tables& made) {
    remove_with(e_, patch, inside_);
    const ValueId cos = shaped(patch, made, cos_), sin = cos == kNone ? kNone : shaped(patch, made, sin_);
    if (sin == kNone) return false;
    matched_ = kSteps;
    const Attributes attributes = {{"interleaved", std::int64_t{doubled_ == Doubled::kPairs}}};
    if (sequence_ == 2) {
      patch.add_writing("RotaryEmbedding", {x_, cos, sin}, {y_}, attributes);
      return true;
    }
    const ValueId heads = patch.add_one("Transpose", {x_}, {{"perm", kSwap}});
    patch.add_writing("Transpose", {patch.add_one("RotaryEmbedding", {heads, cos, sin}, attributes)}, {y_}, {{"perm", kSwap}});
    return true;
  }

  /// The RotaryEmbedding that gives `v`, as it is or as [batch, sequence, heads, size].
  NodeIndex rotary_behind(ValueId v) const {
    if (permutation(e_, e_.producer(v)) == kSwap && e_.single_use(v)) v = e_.node(e_.producer(v)).inputs[0];
    return made_by(e_, v, "RotaryEmbedding");
  }

  /// Concat(RotaryEmbedding(x[:n]), x[n:]).
  void partial() {
    const Node& node = e_.node(anchor_);
    const NodeIndex rotary = rotary_behind(node.inputs[0]), back = e_.producer(node.inputs[0]);
    const bool swapped = back != rotary;
    const Node inner = e_.node(rotary);
    const auto miss = [&](int matched, const std::string& reason) { e_.near_miss(kRule, anchor_, matched, 3, reason); };
    const NodeIndex swap = e_.producer(inner.inputs[0]);
    if (swapped && permutation(e_, swap) != kSwap)
      return miss(2, maker(e_, inner.inputs[0]) + " does not move heads as " + e_.id(back) + " does");
    const ValueId rotated = swapped ? e_.node(swap).inputs[0] : inner.inputs[0];
    const auto a = last_axis_part(e_, rotated), b = last_axis_part(e_, node.inputs[1]);
    if (!a || !b || a->whole != b->whole || a->step != 1 || b->step != 1 || a->begin != 0 || a->end != b->begin || b->end != b->size)
      return miss(2, maker(e_, rotated) + " and " + maker(e_, node.inputs[1]) + " are not all of one value");
    if (e_.rank(a->whole) != 4) return miss(2, maker(e_, a->whole) + " is not [batch,heads,sequence,size]");
    for (const ValueId v : {node.inputs[0], inner.outputs[0]})
      if (!e_.single_use(v)) return miss(2, e_.consumers(v, {anchor_, back}));
    Patch patch(e_, kRule);
    remove_with(e_, patch, {anchor_, back, rotary, swapped ? swap : kNone, e_.producer(node.inputs[1]), e_.producer(rotated)});
    std::vector<ValueId> inputs = inner.inputs;
    const ValueId y = node.outputs[0];
    inputs[0] = swapped ? patch.add_one("Transpose", {a->whole}, {{"perm", kSwap}}) : a->whole;
    Attributes attributes = inner.attributes;
    if (integer(inner, "rotary_embedding_dim") == 0) attributes["rotary_embedding_dim"] = a->end;
    if (swapped) patch.add_writing("Transpose", {patch.add_one("RotaryEmbedding", inputs, std::move(attributes))}, {y}, {{"perm", kSwap}});
    else patch.add_writing("RotaryEmbedding", inputs, {y}, std::move(attributes));
    std::string refusal;
    if (!e_.taken(patch, &refusal)) return miss(3, refusal);
    e_.apply(std::move(patch));
  }

  Editor& e_;
  Tables& tables_;
  NodeIndex anchor_;
  ValueId x_ = kNone, cos_ = kNone, sin_ = kNone, y_ = kNone;
  Doubled doubled_ = Doubled::kHalves;
  bool is_half_ = false;  ///< the tables hold each number once
  std::size_t sequence_ = 2;
  std::vector<NodeIndex> inside_;
  int matched_ = 1;
  std::string reason_;
};

}  // namespace

Pass fuse_rotary() {
  return {kRule, "rotations of queries and keys by their positions are RotaryEmbedding", [](Editor& editor) {
            Tables tables;
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Concat")) Rotation(editor, tables, n).run();
          }};
}

}  // namespace ashlar::optimizer
