// SPDX-License-Identifier: Apache-2.0
// Attention over [batch, heads, sequence, size] whose operands come by Transpose from [batch, sequence, heads, size], and whose result goes back
// there, works on [batch, sequence, heads * size] itself.
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

using Perm = std::vector<std::int64_t>;
constexpr const char* kRule = "flatten-heads";
const Perm kSwap = {0, 2, 1, 3};
const Perm kSwapToFront = {2, 0, 1, 3};  ///< to [sequence, batch, heads, size]

/// A query, key or value.
struct Operand {
  ValueId apart = kNone;     ///< [batch, sequence, heads, size]
  NodeIndex rotary = kNone;  ///< stands between
  NodeIndex transpose = kNone;
  std::int64_t heads = 0, size = 0;
};

class Flattener {
 public:
  Flattener(Editor& editor, NodeIndex attention) : e_(editor), attention_(attention) {}

  bool find() {
    const Node& node = e_.node(attention_);
    constexpr const char* kNames[] = {"queries", "keys", "values"};
    for (std::size_t i = 0; i < 3; ++i, ++matched_)
      if (!operand(node.inputs[i], kNames[i], operands_[i])) return false;
    const ValueId y = node.outputs[0];
    if (node.outputs.size() > 3 || y == kNone) return false;
    if (!e_.single_use(y)) return failed(e_.consumers(y, {}));
    back_ = e_.uses(y)[0].node;
    if (permutation(e_, back_) != kSwap && permutation(e_, back_) != kSwapToFront)
      return failed(e_.id(back_) + " (" + e_.node(back_).op_name() + ") does not bring the result to [batch,sequence,heads,size]");
    ++matched_;
    return true;
  }

  Patch patch() {
    const Node node = e_.node(attention_);
    const ValueId apart = e_.node(back_).outputs[0];
    const std::int64_t heads = operands_[0].heads, size = operands_[2].size;
    std::vector<NodeIndex> joins;
    const bool front = permutation(e_, back_) == kSwapToFront;
    bool all = !front && !e_.is_output(apart) && !e_.uses(apart).empty();
    for (const Use& u : e_.uses(apart)) {
      const bool join =
          !u.captured() && u.input == 0 && e_.is(u.node, "Reshape") && joined(e_.node(u.node).outputs[0], apart, heads * size);
      if (join && (joins.empty() || e_.can_replace(e_.node(u.node).outputs[0], e_.node(joins[0]).outputs[0]))) joins.push_back(u.node);
      else all = false;
    }
    Patch patch(e_, kRule);
    // Every Reshape of the result is that value; without one, the heads are told apart again.
    std::vector<NodeIndex> nodes;
    if (all) nodes = joins;
    nodes.insert(nodes.end(), {back_, attention_});
    const std::size_t certain = nodes.size();
    for (const Operand& o : operands_) nodes.insert(nodes.end(), {o.rotary, o.transpose});
    remove_with(e_, patch, nodes, certain);
    if (all)
      for (std::size_t i = 1; i < joins.size(); ++i) patch.replace(e_.node(joins[i]).outputs[0], e_.node(joins[0]).outputs[0]);
    std::vector<ValueId> inputs = node.inputs;
    for (std::size_t i = 0; i < 3; ++i) inputs[i] = flat(patch, operands_[i]);
    std::vector<ValueId> outputs = node.outputs;
    outputs[0] = all ? e_.node(joins[0]).outputs[0] : patch.value(std::string(kRule) + "/joined");
    Attributes attributes = node.attributes;
    attributes["q_num_heads"] = heads;
    attributes["kv_num_heads"] = operands_[1].heads;
    patch.add_writing("Attention", inputs, outputs, std::move(attributes));
    if (all) return patch;
    const Attributes zero = {{"allowzero", std::int64_t{0}}};
    const ValueId target = patch.constant("heads", Perm{0, 0, heads, size});
    const ValueId joined_heads = front ? patch.add_one("Transpose", {outputs[0]}, {{"perm", Perm{1, 0, 2}}}) : outputs[0];
    patch.add_writing("Reshape", {joined_heads, target}, {apart}, zero);
    return patch;
  }

  int matched() const { return matched_; }
  const std::string& reason() const { return reason_; }

 private:
  bool failed(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  bool operand(ValueId v, const char* name, Operand& out) {
    const auto* shape = e_.shape(v);
    if (!shape || shape->size() != 4) return false;
    if (const NodeIndex n = made_by(e_, v, "RotaryEmbedding"); n != kNone) {
      if (!e_.single_use(v)) return failed(e_.consumers(v, {attention_}));
      out.rotary = n;
      v = e_.node(n).inputs[0];
    }
    const NodeIndex n = e_.producer(v);
    if (permutation(e_, n) != kSwap)
      return failed("the " + std::string(name) + " come from " + maker(e_, v) +
                    (permutation(e_, n).empty() ? "" : ", which moves other axes") + ", not by Transpose from [batch,sequence,heads,size]");
    if (!(*shape)[1].value() || !(*shape)[3].value())
      return failed("the heads of the " + std::string(name) + " " + shape_text(e_, v) + " are not fixed");
    out.transpose = n;
    out.apart = e_.node(n).inputs[0];
    out.heads = *(*shape)[1].value();
    out.size = *(*shape)[3].value();
    if (out.heads < 1 || out.size < 1) return failed("the " + std::string(name) + " are empty");
    return true;
  }

  /// Whether `v` is `apart` [batch, sequence, heads, size] with the last two dimensions joined.
  bool joined(ValueId v, ValueId apart, std::int64_t width) const {
    const auto *a = e_.shape(v), *b = e_.shape(apart);
    return a && b && a->size() == 3 && (*a)[0] == (*b)[0] && (*a)[1] == (*b)[1] && (*a)[2].is(width);
  }

  ValueId flat(Patch& patch, const Operand& o) {
    const std::int64_t width = o.heads * o.size;
    ValueId out = kNone;
    if (const NodeIndex n = made_by(e_, o.apart, "Reshape"); n != kNone && joined(e_.node(n).inputs[0], o.apart, width))
      out = e_.node(n).inputs[0];
    else out = patch.add_one("Reshape", {o.apart, patch.constant("joined", Perm{0, 0, width})}, {{"allowzero", std::int64_t{0}}});
    if (o.rotary == kNone) return out;
    std::vector<ValueId> inputs = e_.node(o.rotary).inputs;
    inputs[0] = out;
    Attributes attributes = e_.node(o.rotary).attributes;
    attributes["num_heads"] = o.heads;
    patch.origins_of({o.rotary});
    out = patch.add_one("RotaryEmbedding", inputs, std::move(attributes));
    patch.origins_of({});
    return out;
  }

  Editor& e_;
  NodeIndex attention_, back_ = kNone;
  Operand operands_[3];
  int matched_ = 1;
  std::string reason_;
};

}  // namespace

Pass flatten_heads() {
  return {kRule, "Attention and RotaryEmbedding take heads side by side as products leave them, without transposes", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (!editor.is(n, "Attention")) continue;
              Flattener flattener(editor, n);
              std::string refusal = flattener.reason();
              if (flattener.find()) {
                Patch patch = flattener.patch();
                if (editor.taken(patch, &refusal) && editor.apply(std::move(patch))) continue;
              } else {
                refusal = flattener.reason();
              }
              if (!refusal.empty()) editor.near_miss(kRule, n, flattener.matched(), 5, refusal);
            }
          }};
}

}  // namespace ashlar::optimizer
