// SPDX-License-Identifier: Apache-2.0
// Softmax(q k^T * scale + mask) v as Attention, wherever the scale is applied and however the mask is.
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/passes/score_mask.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

using Perm = std::vector<std::int64_t>;
constexpr const char* kRule = "fuse-attention";
constexpr int kSteps = 6;  // the softmax, the product behind it, mask and scale, the product before it, keys, shapes

bool is_float(DType t) { return t == DType::kFloat32 || t == DType::kFloat64 || t == DType::kFloat16 || t == DType::kBFloat16; }

class Finder {
 public:
  Finder(Editor& editor, NodeIndex softmax) : e_(editor), softmax_(softmax) {}

  bool find() {
    const Node& node = e_.node(softmax_);
    x_ = node.inputs[0];
    const auto rank = e_.rank(x_);
    if (!rank || (*rank != 3 && *rank != 4) || !is_float(e_.dtype(x_))) return false;
    softmax_rank_ = *rank;
    p_ = node.outputs[0];
    below_ = {softmax_};
    if (!product_behind()) return failed();
    matched_ = 2;
    if (!is_last(integer(node, "axis", -1), softmax_rank_))
      return failed(e_.id(softmax_) + " is over axis " + std::to_string(integer(node, "axis", -1)) + ", not the last");
    if (!precise()) return failed();
    if (!scores(x_)) return failed();
    matched_ = 4;
    keys_ = key_of(e_.node(product_).inputs[1]);
    matched_ = 5;
    return check_shapes() || failed();
  }

  /// What was found, as a patch.
  Patch patch() {
    Patch patch(e_, kRule);
    std::vector<NodeIndex> nodes = {last_};
    nodes.insert(nodes.end(), below_.rbegin(), below_.rend());
    nodes.insert(nodes.end(), above_.begin(), above_.end());
    double scale = scale_;
    for (const ValueId operand : {e_.node(product_).inputs[0], e_.node(product_).inputs[1]})
      if (const auto s = scaling_behind(operand)) {
        const ValueId out = e_.node(s->node).outputs[0];
        scale *= s->factor;
        if (std::find(nodes.begin(), nodes.end(), s->node) == nodes.end()) {
          patch.remove(s->node);
          patch.replace(out, s->input);
        }
      }
    remove_with(e_, patch, nodes);
    std::vector<ValueId> inputs = operands(patch);
    if (!masks_.empty()) inputs.push_back(joined_mask(patch, masks_, e_.dtype(e_.node(product_).inputs[0])));
    Attributes attributes = {{"scale", static_cast<float>(scale)}};
    if (softcap_ != 0) attributes["softcap"] = static_cast<float>(softcap_);
    if (precision_ != 0) attributes["softmax_precision"] = precision_;
    const ValueId y = e_.node(last_).outputs[0];
    if (rank_ == 4 || merged_) {
      patch.add_writing("Attention", inputs, {merged_ ? merged_output_ : y}, std::move(attributes));
    } else {
      const ValueId wide = patch.add_one("Attention", inputs, std::move(attributes));
      patch.add_writing("Squeeze", {wide, first_axis_}, {y});
    }
    return patch;
  }

  int matched() const { return matched_; }
  const std::string& reason() const { return reason_; }
  NodeIndex softmax() const { return softmax_; }

 private:
  bool failed(std::string reason = "") {
    if (!reason.empty()) reason_ = std::move(reason);
    return false;
  }

  /// From the softmax to the product with the values.
  bool product_behind() {
    for (int steps = 0; steps < 8; ++steps) {
      const std::vector<Use>& uses = e_.uses(p_);
      const auto reads = [&](std::string_view op) {
        return std::find_if(uses.begin(), uses.end(), [&](const Use& u) { return !u.captured() && u.input == 0 && e_.is(u.node, op); });
      };
      if (const auto u = reads("MatMul"); u != uses.end()) {
        if (!e_.single_use(p_)) return matched_ = 2, failed(e_.consumers(p_, {u->node}));
        const auto rank = e_.rank(p_);
        last_ = u->node;
        rank_ = rank.value_or(0);
        below_.push_back(last_);
        return rank.has_value();
      }
      if (const auto u = reads("IsNaN"); u != uses.end()) {
        if (!skip_guard(u->node)) return false;
        continue;
      }
      if (uses.size() != 1 || uses[0].captured() || e_.is_output(p_)) return false;
      const NodeIndex n = uses[0].node;
      if (e_.is(n, "Reshape") && regroups(e_.node(n).inputs[0], e_.node(n).outputs[0])) {
        below_.push_back(n);
        p_ = e_.node(n).outputs[0];
        continue;
      }
      if (passed_on(e_, n) == kNone && !(e_.is(n, "Cast") && cast_back_ == kNone && is_float(e_.dtype(e_.node(n).outputs[0]))))
        return false;
      if (passed_on(e_, n) == kNone) cast_back_ = n;
      below_.push_back(n);
      p_ = e_.node(n).outputs[0];
    }
    return false;
  }

  /// Where(IsNaN(p), 0, p): rows that are masked throughout give 0, as Attention does.
  bool skip_guard(NodeIndex is_nan) {
    const ValueId test = e_.node(is_nan).outputs[0];
    if (e_.uses(p_).size() != 2 || e_.is_output(p_) || !e_.single_use(test)) return false;
    const NodeIndex where = e_.uses(test)[0].node;
    if (!e_.is(where, "Where") || e_.node(where).inputs[0] != test || e_.node(where).inputs[2] != p_) return false;
    if (e_.scalar(e_.node(where).inputs[1]) != 0.0) return false;
    below_.push_back(is_nan);
    below_.push_back(where);
    p_ = e_.node(where).outputs[0];
    return true;
  }

  /// Casts around the softmax.
  bool precise() {
    const NodeIndex n = e_.producer(x_);
    const bool casts = e_.is(n, "Cast") && passed_on(e_, n) == kNone;
    if (cast_back_ == kNone) return true;
    const DType from = casts ? e_.dtype(e_.node(n).inputs[0]) : DType::kUndefined;
    if (from != e_.dtype(e_.node(cast_back_).outputs[0]) || e_.dtype(x_) != DType::kFloat32)
      return failed(e_.id(cast_back_) + " casts the weights to another type than the scores have");
    if (!own(x_)) return false;
    precision_ = 1;  // TensorProto.FLOAT
    above_.push_back(n);
    x_ = e_.node(n).inputs[0];
    return true;
  }

  /// Whether the pattern alone reads the value.
  bool own(ValueId v) {
    if (e_.single_use(v)) return true;
    std::vector<NodeIndex> inside = below_;
    inside.insert(inside.end(), above_.begin(), above_.end());
    return failed(e_.consumers(v, inside));
  }

  /// From the softmax's input up to the product of queries and keys, through masks and scales.
  bool scores(ValueId v) {
    for (;;) {
      const NodeIndex n = e_.producer(v);
      if (n == kNone) return failed("the scores " + e_.value(v).name + " are not made by MatMul");
      if (!own(v)) return false;
      if (e_.is(n, "MatMul")) {
        matched_ = 3;
        product_ = n;
        above_.push_back(n);
        return !e_.rank(v) || *e_.rank(v) == rank_ || failed("the rank of " + e_.id(n) + " is not that of " + e_.id(softmax_));
      }
      if (const ValueId before = passed_on(e_, n); before != kNone) {
        above_.push_back(n);
        v = before;
        continue;
      }
      if (const auto s = scaling(e_, v)) {
        above_.push_back(n);
        scale_ *= s->factor;
        scaled_ = true;
        v = s->input;
        continue;
      }
      if (e_.is(n, "Tanh") && softcap_ == 0) {
        // softcap * tanh(scores / softcap)
        softcap_ = scale_;
        above_.push_back(n);
        scaled_ = true;
        v = e_.node(n).inputs[0];
        continue;
      }
      if (e_.is(n, "Reshape")) {
        if (!regroups(e_.node(n).inputs[0], v)) return failed(e_.id(n) + " changes the scores' shape");
        above_.push_back(n);
        v = e_.node(n).inputs[0];
        continue;
      }
      if (e_.is(n, "Add") || e_.is(n, "Where")) {
        // A scale behind the mask would scale the mask too.
        if (scaled_) return failed(e_.id(n) + " stands before the scale");
        const ValueId next = e_.is(n, "Add") ? added(n) : chosen(n);
        if (next == kNone) return false;
        above_.push_back(n);
        v = next;
        continue;
      }
      return failed(maker(e_, v) + " is no MatMul");
    }
  }

  /// Whether one of the two is [batch, heads, a, b] and the other [batch * heads, a, b].
  bool regroups(ValueId from, ValueId to) {
    const auto *a = e_.shape(from), *b = e_.shape(to);
    if (!a || !b || std::min(a->size(), b->size()) != 3 || std::max(a->size(), b->size()) != 4 || !same_matrix(*a, *b)) return false;
    apart_ = a->size() == 4 ? *a : *b;
    return true;
  }
  static bool same_matrix(const ops::SymbolicShape& a, const ops::SymbolicShape& b) {
    return a.back() == b.back() && a[a.size() - 2] == b[b.size() - 2];
  }

  /// How far above `v` a product of computed matrices is; 100 and more where there is none.
  int distance(ValueId v, int depth = 0) const {
    for (int d = 0; d < 6; ++d) {
      const NodeIndex n = e_.producer(v);
      if (n == kNone) break;
      const auto& inputs = e_.node(n).inputs;
      if (e_.is(n, "MatMul")) return e_.constant(inputs[1]) ? 100 : d;
      if (const auto s = scaling(e_, v)) v = s->input;
      else if (e_.is(n, "Reshape") || passed_on(e_, n) != kNone) v = inputs[0];
      else if (depth < 2 && e_.is(n, "Add")) return d + 1 + std::min(distance(inputs[0], depth + 1), distance(inputs[1], depth + 1));
      else if (depth < 2 && e_.is(n, "Where")) return d + 1 + std::min(distance(inputs[1], depth + 1), distance(inputs[2], depth + 1));
      else break;
    }
    return 1000;
  }

  ValueId added(NodeIndex n) {
    const Node& node = e_.node(n);
    const ValueId y = node.outputs[0];
    const std::size_t i = distance(node.inputs[0]) <= distance(node.inputs[1]) ? 0 : 1;
    const ValueId from = node.inputs[i], addend = node.inputs[1 - i];
    if (!e_.same_shape(from, y)) {
      failed(e_.id(n) + " gives the scores, of shape " + shape_text(e_, from) + ", the shape " + shape_text(e_, y));
      return kNone;
    }
    if (!fits(addend, y)) return kNone;
    masks_.push_back({.value = addend});
    return from;
  }

  ValueId chosen(NodeIndex n) {
    const ValueId y = e_.node(n).outputs[0];
    ValueId from = kNone;
    const auto mask = chosen_mask(e_, n, from, reason_);
    if (!mask) return kNone;
    if (!e_.same_shape(from, y)) {
      failed(e_.id(n) + " gives the scores, of shape " + shape_text(e_, from) + ", the shape " + shape_text(e_, y));
      return kNone;
    }
    if (!fits(mask->value, y)) return kNone;
    masks_.push_back(*mask);
    return from;
  }

  /// Attention pads a mask that has fewer keys instead of broadcasting it.
  bool fits(ValueId mask, ValueId scores) {
    const auto *m = e_.shape(mask), *s = e_.shape(scores);
    if (!m || !s) return failed("the shape of the mask " + e_.value(mask).name + " is not known");
    if (m->empty() || m->size() > s->size() || m->back() != s->back())
      return failed("the mask " + e_.value(mask).name + " " + shape_text(e_, mask) + " has not a column for each key of " +
                    shape_text(e_, scores));
    return true;
  }

  /// A scale of queries or keys, in front of what only moves elements.
  std::optional<Scaling> scaling_behind(ValueId v) const {
    for (int steps = 0; steps < 6 && v != kNone && e_.single_use(v); ++steps) {
      if (const auto s = scaling(e_, v)) return s;
      const NodeIndex n = e_.producer(v);
      if (!e_.is(n, "Reshape") && !e_.is(n, "Transpose") && !e_.is(n, "Unsqueeze") && !e_.is(n, "Squeeze") && passed_on(e_, n) == kNone)
        break;
      v = e_.node(n).inputs[0];
    }
    return std::nullopt;
  }

  /// Keys, or what gives them by a Transpose.
  struct Keys {
    ValueId from = kNone;
    Perm perm;  ///< empty: they are `from`
  };
  Keys key_of(ValueId transposed) const {
    if (const auto s = scaling(e_, transposed); s && e_.single_use(transposed)) transposed = s->input;
    transposed = behind_no_ops(e_, transposed);
    Perm perm = permutation(e_, e_.producer(transposed));
    const bool moved = !perm.empty();
    const auto rank = static_cast<std::int64_t>(moved ? perm.size() : rank_);
    if (!moved)
      for (std::int64_t i = 0; i < rank; ++i) perm.push_back(i);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    const bool same = std::is_sorted(perm.begin(), perm.end());
    return {moved ? e_.node(e_.producer(transposed)).inputs[0] : transposed, same ? Perm() : perm};
  }

  using Dims = ops::SymbolicShape;
  std::optional<Dims> key_shape(const Keys& keys) const {
    const auto* from = e_.shape(keys.from);
    if (!from || keys.perm.empty()) return from ? std::optional(*from) : std::nullopt;
    Dims out;
    for (const std::int64_t p : keys.perm) out.push_back((*from)[static_cast<std::size_t>(p)]);
    return out;
  }

  bool check_shapes() {
    const Node& product = e_.node(product_);
    const auto *q = e_.shape(product.inputs[0]), *v = e_.shape(e_.node(last_).inputs[1]);
    const auto k = key_shape(keys_);
    if (!q || !k || !v || q->size() != rank_ || k->size() != rank_ || v->size() != rank_)
      return failed("queries, keys and values have not one known rank");
    const std::string shapes = shape_text(e_, product.inputs[0]) + " of the queries, " + shape_text(e_, product.inputs[1]) +
                               " of the transposed keys and " + shape_text(e_, e_.node(last_).inputs[1]) + " of the values";
    if (!((*q)[0] == (*k)[0] && (*q)[0] == (*v)[0])) return failed("the batches of " + shapes + " are not one");
    for (const ValueId o : {product.inputs[1], e_.node(last_).inputs[1]})
      if (e_.dtype(o) != e_.dtype(product.inputs[0])) return failed("queries, keys and values have not one type");
    if (rank_ == 3)
      return merge_heads() || (apart_.empty() && three_dimensional_masks()) || failed("the heads of " + shapes + " cannot be told apart");
    // A mask of three dimensions has batch and heads in one.
    for (const ScoreMask& m : masks_)
      if (const auto* s = e_.shape(m.value); softmax_rank_ == 3 && s && s->size() == 3 && !(*s)[0].is(1))
        return failed("the mask " + e_.value(m.value).name + " " + shape_text(e_, m.value) + " has batch and heads in one");
    if ((*k)[1] != (*v)[1] || ((*k)[1] != (*q)[1] && !(*k)[1].is(1))) return failed("the heads of " + shapes + " do not go together");
    return true;
  }

  bool three_dimensional_masks() const {
    return std::all_of(masks_.begin(), masks_.end(), [&](const ScoreMask& m) { return e_.rank(m.value).value_or(4) <= 3; });
  }

  /// The value of four dimensions that a Reshape made one of three of: [batch, heads, a, b] to [batch * heads, a, b].
  ValueId with_heads(ValueId v) const {
    const NodeIndex n = made_by(e_, v, "Reshape");
    if (n == kNone) return kNone;
    const auto *from = e_.shape(e_.node(n).inputs[0]), *to = e_.shape(v);
    if (!from || !to || from->size() != 4 || to->size() != 3 || !same_matrix(*from, *to)) return kNone;
    const auto heads = ops::DimExpr::multiply((*from)[0], (*from)[1]);
    return heads && *heads == (*to)[0] ? e_.node(n).inputs[0] : kNone;
  }

  /// Of products of three dimensions [batch * heads, ...]: queries, keys and values before the heads were merged, and the Reshape that takes the result
  /// apart again.
  bool merge_heads() {
    const ValueId y = e_.node(last_).outputs[0];
    q4_ = with_heads(unscaled(e_.node(product_).inputs[0]));
    v4_ = with_heads(e_.node(last_).inputs[1]);
    const ValueId transposed = unscaled(e_.node(product_).inputs[1]);
    if (keys_.perm.empty() && with_heads(keys_.from) != kNone) k4_ = {with_heads(keys_.from), {}};
    else if (with_heads(transposed) != kNone) k4_ = key_of4(with_heads(transposed));
    if (q4_ == kNone || k4_.from == kNone || v4_ == kNone || !e_.single_use(y)) return false;
    const auto *q = e_.shape(q4_), *v = e_.shape(v4_);
    const auto k = key_shape(k4_);
    const NodeIndex apart = e_.uses(y)[0].node;
    if (!k || !e_.is(apart, "Reshape") || e_.uses(y)[0].input != 0) return false;
    const Dims result = {(*q)[0], (*q)[1], (*q)[2], (*v)[3]};
    const ValueId out = e_.node(apart).outputs[0];
    if (!((*q)[0] == (*k)[0] && (*q)[1] == (*k)[1] && (*q)[0] == (*v)[0] && (*q)[1] == (*v)[1])) return false;
    if (!e_.shape(out) || *e_.shape(out) != result) return false;
    if (!apart_.empty() && !(apart_[0] == (*q)[0] && apart_[1] == (*q)[1])) return false;
    for (const ScoreMask& m : masks_)
      if (const auto* s = e_.shape(m.value); !s || (s->size() == 3 && !(*s)[0].is(1))) return false;
    merged_ = true;
    merged_output_ = out;
    last_ = apart;
    return true;
  }
  ValueId unscaled(ValueId v) const {
    const auto s = scaling(e_, v);
    return s && e_.single_use(v) ? s->input : v;
  }
  Keys key_of4(ValueId transposed) const {
    Perm perm = permutation(e_, e_.producer(transposed));
    const ValueId from = perm.empty() ? transposed : e_.node(e_.producer(transposed)).inputs[0];
    if (perm.empty()) perm = {0, 1, 2, 3};
    std::swap(perm[2], perm[3]);
    return {from, std::is_sorted(perm.begin(), perm.end()) ? Perm() : perm};
  }

  /// Queries, keys and values of four dimensions.
  std::vector<ValueId> operands(Patch& patch) {
    const auto moved = [&](const Keys& keys) {
      return keys.perm.empty() ? keys.from : patch.add_one("Transpose", {keys.from}, {{"perm", keys.perm}});
    };
    if (merged_) return {q4_, moved(k4_), v4_};
    std::vector<ValueId> out = {e_.node(product_).inputs[0], moved(keys_), e_.node(last_).inputs[1]};
    if (rank_ == 3) {
      first_axis_ = patch.constant("axes", Perm{0});
      for (ValueId& v : out) v = patch.add_one("Unsqueeze", {v, first_axis_});
    }
    return out;
  }

  Editor& e_;
  NodeIndex softmax_, last_ = kNone, product_ = kNone, cast_back_ = kNone;
  std::size_t softmax_rank_ = 0, rank_ = 0;  ///< `rank_`: of the products
  ValueId x_ = kNone, p_ = kNone;
  double scale_ = 1, softcap_ = 0;
  bool scaled_ = false;
  std::int64_t precision_ = 0;
  std::vector<ScoreMask> masks_;
  std::vector<NodeIndex> below_;  ///< from the softmax to the product with the values
  std::vector<NodeIndex> above_;  ///< from the softmax up to the product of queries and keys
  Keys keys_, k4_;
  ValueId q4_ = kNone, v4_ = kNone, merged_output_ = kNone, first_axis_ = kNone;
  bool merged_ = false;
  Dims apart_;  ///< of scores with their heads told apart
  int matched_ = 1;
  std::string reason_;
};

void fuse(Editor& editor, NodeIndex n) {
  Finder finder(editor, n);
  std::string refusal;
  if (finder.find()) {
    Patch patch = finder.patch();
    if (editor.taken(patch, &refusal)) {
      editor.apply(std::move(patch));
      return;
    }
    editor.near_miss(kRule, n, kSteps, kSteps, refusal);
  } else if (finder.matched() >= 2 && !finder.reason().empty()) {
    editor.near_miss(kRule, n, finder.matched(), kSteps, finder.reason());
  }
}

}  // namespace

Pass fuse_attention() {
  return {kRule, "products of queries, keys and values around a softmax are Attention", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Softmax")) fuse(editor, n);
          }};
}

}  // namespace ashlar::optimizer
