// SPDX-License-Identifier: Apache-2.0
// Moves a Transpose down through operators that do not mind the order of axes, when everything it reaches ends in another Transpose, with
// which merge-transposes joins it: layouts that exporters change back and forth (NHWC around convolutions, [S, B, C] around attention) go away.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "optimizer/pass.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

constexpr std::size_t kMostNodes = 64;  // that one Transpose may pass

constexpr auto kUnary = std::to_array<std::string_view>(
    {"Abs",         "Cast",      "Ceil",     "Clip",      "Cos", "Elu",      "Erf",      "Exp",  "Floor",      "Gelu",
     "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish",     "Neg",      "Not",  "Reciprocal", "Relu",
     "Round",       "Selu",      "Sigmoid",  "Sign",      "Sin", "Softplus", "Softsign", "Sqrt", "Swish",      "Tanh"});
constexpr auto kBinary =
    std::to_array<std::string_view>({"Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mul", "Or", "Pow", "Sub"});

bool in(const auto& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

/// What a Transpose becomes below a node.
struct Passage {
  std::vector<Perm> outputs;                             ///< by output: the Transpose behind it
  std::optional<std::int64_t> axis = {};                 ///< the node's new axis attribute
  std::optional<std::vector<std::int64_t>> target = {};  ///< of a Reshape
  std::optional<Perm> above = {};                        ///< a Transpose that stays in front of a Reshape
};

class Sinking {
 public:
  Sinking(Editor& editor, NodeIndex start, Perm perm) : editor_(editor), start_(start), perm_(std::move(perm)) {}

  bool run() {
    const ValueId y = editor_.node(start_).outputs[0];
    if (editor_.is_output(y) || editor_.uses(y).empty() || !reaches(y, perm_)) return false;
    if (passed_.empty()) return false;  // a Transpose stands right behind it
    Patch patch(editor_, "sink-transposes");
    patch.remove(start_);
    for (const NodeIndex n : passed_) patch.remove(n);
    moved_[y] = {editor_.node(start_).inputs[0], perm_};
    std::sort(passed_.begin(), passed_.end(), [&](NodeIndex a, NodeIndex b) { return depth_[a] < depth_[b]; });
    for (const NodeIndex n : passed_) rebuild(patch, n);
    // Behind every value that leaves what was passed stands a Transpose again.
    std::vector<std::pair<ValueId, std::pair<ValueId, Perm>>> leaving(moved_.begin(), moved_.end());
    for (const auto& [old, now] : leaving) {
      const auto outside = [&](const Use& u) { return std::find(passed_.begin(), passed_.end(), u.node) == passed_.end(); };
      if (std::none_of(editor_.uses(old).begin(), editor_.uses(old).end(), outside)) continue;
      patch.origins_of({start_});
      patch.add_writing("Transpose", {now.first}, {old}, {{"perm", now.second}});
    }
    return editor_.apply(std::move(patch));
  }

 private:
  /// Whether every reader of `v`, which is the permuted form of something, takes the Transpose in.
  bool reaches(ValueId v, const Perm& perm) {
    if (editor_.is_output(v)) return false;
    perms_[v] = perm;
    for (const Use& use : editor_.uses(v)) {
      if (use.captured()) return false;
      if (const auto next = perm_of(editor_, use.node)) continue;
      if (std::find(passed_.begin(), passed_.end(), use.node) != passed_.end()) continue;
      const auto passage = pass(use.node, v, perm);
      if (!passage || passed_.size() >= kMostNodes) return false;
      passed_.push_back(use.node);
      depth_[use.node] = passed_.size();
      passages_[use.node] = *passage;
      const Node& node = editor_.node(use.node);
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i] == kNone) continue;
        if (editor_.uses(node.outputs[i]).empty() && !editor_.is_output(node.outputs[i])) {
          perms_[node.outputs[i]] = passage->outputs[i];
          continue;
        }
        if (!reaches(node.outputs[i], passage->outputs[i])) return false;
      }
    }
    return true;
  }

  /// How the node can stand above the Transpose instead of below; nothing where it cannot.
  std::optional<Passage> pass(NodeIndex n, ValueId v, const Perm& perm) const {
    const Node& node = editor_.node(n);
    const bool standard = node.domain.empty();
    const std::size_t rank = perm.size();
    const bool keeps_last = perm.back() == static_cast<std::int64_t>(rank) - 1;
    if (standard && in(kUnary, node.op_type) && node.inputs[0] == v) return Passage{.outputs = {perm}};
    if (standard && in(kBinary, node.op_type) && node.inputs.size() == 2) {
      for (const ValueId other : node.inputs)
        if (other != v && !operand(other, perm)) return std::nullopt;
      return Passage{.outputs = {perm}};
    }
    if (node.inputs.empty() || node.inputs[0] != v || std::count(node.inputs.begin(), node.inputs.end(), v) != 1) return std::nullopt;
    const auto* axis = node.find_as<std::int64_t>("axis");
    const auto along = [&]() -> std::optional<Passage> {
      if (!axis) return std::nullopt;
      const std::int64_t a = *axis < 0 ? *axis + static_cast<std::int64_t>(rank) : *axis;
      if (a < 0 || a >= static_cast<std::int64_t>(rank)) return std::nullopt;
      return Passage{.outputs = std::vector<Perm>(node.outputs.size(), perm), .axis = perm[static_cast<std::size_t>(a)]};
    };
    if (standard && (node.op_type == "Softmax" || node.op_type == "LogSoftmax" || node.op_type == "Split")) return along();
    const bool matrix = (standard && node.op_type == "MatMul") || node.op_name() == "ashlar::Linear";
    if (matrix && keeps_last && editor_.constant(node.inputs[1]) && editor_.rank(node.inputs[1]) == 2) return Passage{.outputs = {perm}};
    if (standard && (node.op_type == "LayerNormalization" || node.op_type == "RMSNormalization") && keeps_last &&
        node.outputs.size() == 1 && axis && (*axis == -1 || *axis == static_cast<std::int64_t>(rank) - 1))
      return Passage{.outputs = {perm}};
    if (is_reshape(editor_, n)) return reshape(n, perm);
    return std::nullopt;
  }

  /// Whether the other operand of a binary operator can be put in the order before the Transpose.
  bool operand(ValueId v, const Perm& perm) const {
    if (const auto known = perms_.find(v); known != perms_.end()) return known->second == perm;
    const NodeIndex maker = editor_.producer(v);
    if (const auto theirs = perm_of(editor_, maker); theirs && *theirs == perm) return true;
    const Tensor* constant = editor_.constant(v);
    const auto rank = editor_.rank(v);
    if (!constant || !rank || *rank > perm.size()) return false;
    const auto dims = constant->shape().dims();
    return std::count_if(dims.begin(), dims.end(), [](std::int64_t d) { return d != 1; }) <= 1;
  }

  /// A Reshape of the permuted value: the same Reshape of the value before, and what Transpose stands behind it then.
  std::optional<Passage> reshape(NodeIndex n, const Perm& perm) const {
    const Node& node = editor_.node(n);
    const SymbolicShape &moved = *editor_.shape(node.inputs[0]), &to = *editor_.shape(node.outputs[0]);
    if (moved.size() != perm.size()) return std::nullopt;
    const auto cut = refine(moved, to);
    if (!cut) return std::nullopt;
    const Perm back = inverse(perm);
    // By dimension of `to`: the dimension of `moved` it is cut from, where that is one.
    std::vector<std::int64_t> source(to.size(), -1);
    std::vector<std::vector<std::size_t>> pieces(moved.size());  // by dimension of `moved`: those cut from it, in order
    for (std::size_t d = 0; d < to.size(); ++d) {
      if (cut->b[d].empty()) return std::nullopt;  // a dimension of 1 that came from nowhere
      for (std::size_t m = 0; m < moved.size(); ++m)
        if (std::find(cut->a[m].begin(), cut->a[m].end(), cut->b[d][0]) != cut->a[m].end()) {
          for (const std::size_t f : cut->b[d])
            if (std::find(cut->a[m].begin(), cut->a[m].end(), f) == cut->a[m].end()) return merges(*cut, moved, to, perm);
          source[d] = static_cast<std::int64_t>(m);
          pieces[m].push_back(d);
        }
    }
    for (const auto& p : pieces)
      if (p.empty()) return std::nullopt;
    // The order before the Transpose: by dimension of the input, its pieces.
    Perm behind(to.size());
    SymbolicShape before, target;
    std::int64_t next = 0;
    for (std::size_t i = 0; i < perm.size(); ++i) {
      const auto m = static_cast<std::size_t>(back[i]);
      before.push_back(moved[m]);
      for (const std::size_t d : pieces[m]) {
        behind[d] = next++;
        target.push_back(to[d]);
      }
    }
    const auto constant = reshape_target(before, target);
    if (!constant) return std::nullopt;
    return Passage{.outputs = {behind}, .target = *constant};
  }

  /// Dimensions that are merged and are not next to each other before the Transpose: one that brings them together stays above.
  std::optional<Passage> merges(const Refinement& cut, const SymbolicShape& moved, const SymbolicShape& to, const Perm& perm) const {
    std::vector<std::vector<std::size_t>> groups(to.size());  // by dimension of `to`: the dimensions of `moved` in it
    for (std::size_t m = 0; m < moved.size(); ++m) {
      if (cut.a[m].size() != 1) return std::nullopt;
      for (std::size_t d = 0; d < to.size(); ++d)
        if (std::find(cut.b[d].begin(), cut.b[d].end(), cut.a[m][0]) != cut.b[d].end()) groups[d].push_back(m);
    }
    std::vector<std::size_t> order(to.size());
    for (std::size_t d = 0; d < to.size(); ++d) {
      order[d] = d;
      if (groups[d].empty()) return std::nullopt;
    }
    // Groups in the order of their innermost members, so that what lies together stays so.
    const auto innermost = [&](std::size_t d) {
      std::int64_t last = 0;
      for (const std::size_t m : groups[d]) last = std::max(last, perm[m]);
      return last;
    };
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return innermost(a) < innermost(b); });
    Perm above, behind(to.size());
    SymbolicShape before, target;
    for (std::size_t i = 0; i < order.size(); ++i) {
      behind[order[i]] = static_cast<std::int64_t>(i);
      target.push_back(to[order[i]]);
      for (const std::size_t m : groups[order[i]]) {
        above.push_back(perm[m]);
        before.push_back(moved[m]);
      }
    }
    if (above == perm || is_identity(behind)) return std::nullopt;
    const auto constant = reshape_target(before, target);
    if (!constant) return std::nullopt;
    return Passage{.outputs = {behind}, .target = *constant, .above = is_identity(above) ? std::nullopt : std::optional(above)};
  }

  /// The operand in the order before the Transpose.
  ValueId straight(Patch& patch, ValueId v, const Perm& perm) {
    if (const auto at = moved_.find(v); at != moved_.end()) return at->second.first;
    if (perm_of(editor_, editor_.producer(v))) return editor_.node(editor_.producer(v)).inputs[0];
    const Tensor& constant = *editor_.constant(v);
    const auto given = constant.shape().dims();
    const std::size_t skip = perm.size() - given.size();
    bool stays = true;
    for (std::size_t i = 0; i < given.size(); ++i)
      stays = stays && (given[i] == 1 || perm[skip + i] == static_cast<std::int64_t>(skip + i));
    if (stays) return v;
    std::vector<std::int64_t> dims(perm.size(), 1);
    for (std::size_t i = 0; i < given.size(); ++i) dims[static_cast<std::size_t>(perm[skip + i])] = given[i];
    return patch.constant(editor_.value(v).name, constant.reshaped(Shape(std::span<const std::int64_t>(dims))));
  }

  void rebuild(Patch& patch, NodeIndex n) {
    const Node& node = editor_.node(n);
    const Passage& passage = passages_[n];
    Attributes attributes = node.attributes;
    patch.origins_of({n});
    std::vector<ValueId> inputs = node.inputs;
    std::string op = node.op_name();
    if (passage.target) {
      op = "Reshape";
      attributes = {{"allowzero", std::int64_t{0}}};
      ValueId x = moved_.at(node.inputs[0]).first;
      if (passage.above) {
        patch.origins_of({start_});
        x = patch.add_one("Transpose", {x}, {{"perm", *passage.above}});
        patch.origins_of({n});
      }
      inputs = {x, patch.constant(node.id + "/shape", *passage.target)};
    } else {
      if (passage.axis) attributes["axis"] = *passage.axis;
      const bool binary = node.domain.empty() && in(kBinary, node.op_type);
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (i == 0 || binary) inputs[i] = straight(patch, inputs[i], passage.outputs[0]);
    }
    std::vector<ValueId> outputs = patch.add(op, std::move(inputs), std::move(attributes), node.outputs.size());
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNone) moved_[node.outputs[i]] = {outputs[i], passage.outputs[i]};
  }

  Editor& editor_;
  NodeIndex start_;
  Perm perm_;
  std::vector<NodeIndex> passed_;
  std::map<NodeIndex, std::size_t> depth_;
  std::map<NodeIndex, Passage> passages_;
  std::map<ValueId, Perm> perms_;
  std::map<ValueId, std::pair<ValueId, Perm>> moved_;  ///< by value below: the one above it, and the Transpose between
};

}  // namespace

Pass sink_transposes() {
  return {"sink-transposes", "a Transpose moves down to other Transposes, with which it merges", [](Editor& editor) {
            const NodeIndex count = editor.node_count();
            for (NodeIndex n = 0; n < count; ++n) {
              if (!editor.is(n, "Transpose")) continue;
              const auto perm = perm_of(editor, n);
              if (perm && !is_identity(*perm) && perm->size() > 1) Sinking(editor, n, *perm).run();
            }
          }};
}

}  // namespace ashlar::optimizer
