// SPDX-License-Identifier: Apache-2.0
// Queries, keys and values that one product makes, taken apart by an axis of their own:
//
//   before: r = Reshape(x) [.., n, k]; t = Transpose(r) [n, ..]; y0 = Gather(t, 0); ...; y(n-1) = Gather(t, n-1)
//   after:  p0, ..., p(n-1) = Split(x) {axis=-1}; each y is its part, reshaped and transposed where it was
#include <algorithm>

#include <fmt/format.h>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/reshaping.h"
#include "optimizer/slicing.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "split-packed";

SymbolicShape without_ones(SymbolicShape shape) {
  std::erase_if(shape, [](const DimExpr& d) { return d.is(1); });
  return shape;
}

class Packed {
 public:
  Packed(Editor& editor, NodeIndex gather) : editor_(editor), anchor_(gather), packed_(editor.node(gather).inputs[0]) {}

  void rewrite() {
    if (!parts() || !walk_up() || !cut()) return;
    Patch patch(editor_, kRule);
    for (const NodeIndex n : inside_) patch.remove(n);
    SymbolicShape piece = *editor_.shape(x_);
    piece.back() = width_;
    std::vector<ValueId> outputs;
    for (const ValueId y : results_)
      outputs.push_back(order_is_kept_ && *editor_.shape(y) == piece ? y : patch.value(std::string(kRule) + "/part"));
    const std::vector<std::int64_t> sizes(results_.size(), *width_.value());
    patch.add_writing("Split", {x_, patch.constant("sizes", sizes)}, outputs, {{"axis", static_cast<std::int64_t>(piece.size() - 1)}});
    for (std::size_t i = 0; i < results_.size(); ++i)
      if (outputs[i] != results_[i] && !finish(patch, outputs[i], piece, results_[i]))
        return miss(3, "no constant shape makes " + editor_.value(results_[i]).name);
    editor_.apply(std::move(patch));
  }

 private:
  void miss(int matched, std::string reason) { editor_.near_miss(kRule, anchor_, matched, 4, std::move(reason)); }
  bool fail(int matched, std::string reason) {
    miss(matched, std::move(reason));
    return false;
  }

  /// The gathers of all indices of one axis, and nobody else.
  bool parts() {
    const auto axis = ashlar::optimizer::axis_of(editor_, anchor_);
    const auto count = axis ? (*editor_.shape(packed_))[*axis].value() : std::nullopt;
    if (!count || *count < 2 || *count > 16 || static_cast<std::int64_t>(editor_.uses(packed_).size()) < *count ||
        editor_.is_output(packed_))
      return false;
    axis_ = *axis;
    results_.assign(static_cast<std::size_t>(*count), kNone);
    for (const Use& use : editor_.uses(packed_)) {
      if (use.captured() || !editor_.is(use.node, "Gather") || use.input != 0 || ashlar::optimizer::axis_of(editor_, use.node) != axis)
        return false;
      const ValueId indices = editor_.node(use.node).inputs[1];
      const auto index = editor_.numbers(indices);
      if (!index || index->size() != 1 || editor_.rank(indices) != 0u || !editor_.shape(editor_.node(use.node).outputs[0])) return false;
      const std::int64_t at = (*index)[0] < 0 ? (*index)[0] + *count : (*index)[0];
      if (at < 0 || at >= *count) return false;
      if (results_[static_cast<std::size_t>(at)] != kNone) return fail(1, fmt::format("index {} is gathered twice", at));
      results_[static_cast<std::size_t>(at)] = editor_.node(use.node).outputs[0];
      inside_.push_back(use.node);
    }
    return true;
  }

  /// From the gathered value to the Reshape that cuts the last axis; `order_` says which of its long axes each long axis of the gathered value is.
  bool walk_up() {
    order_.resize(long_axes(*editor_.shape(packed_)).size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    bool moved = false;
    for (ValueId at = packed_;;) {
      const NodeIndex n = editor_.producer(at);
      const bool reshape = is_reshape(editor_, n);
      const auto perm = perm_of(editor_, n);
      if (!reshape && !perm)
        return moved &&
               fail(2, (n == kNone ? editor_.value(at).name + " is no result" : editor_.id(n) + " is no Reshape") + " that cuts an axis");
      if (at != packed_ && !editor_.single_use(at)) return fail(2, editor_.consumers(at, inside_));
      const ValueId from = editor_.node(n).inputs[0];
      inside_.push_back(n);
      if (perm) {
        const auto before = long_axes(*editor_.shape(from));
        std::vector<std::size_t> to;  // by long axis of the output, the long axis of the input
        for (const std::int64_t p : *perm)
          if (const auto where = std::find(before.begin(), before.end(), static_cast<std::size_t>(p)); where != before.end())
            to.push_back(static_cast<std::size_t>(where - before.begin()));
        for (std::size_t& o : order_) o = to.at(o);
        moved = true;
      } else if (without_ones(*editor_.shape(from)) != without_ones(*editor_.shape(at))) {
        x_ = from;
        cut_ = without_ones(*editor_.shape(at));
        return true;
      }
      at = from;
    }
  }

  /// Whether the Reshape cuts the last axis into the packed one and what follows.
  bool cut() {
    const auto axes = long_axes(*editor_.shape(packed_));
    const auto which = static_cast<std::size_t>(std::find(axes.begin(), axes.end(), axis_) - axes.begin());
    const std::size_t packed = order_[which];
    const SymbolicShape& whole = *editor_.shape(x_);
    SymbolicShape front = without_ones(whole);
    if (whole.empty() || whole.back().is(1)) return fail(3, "the last dimension of " + editor_.value(x_).name + " is 1");
    front.pop_back();
    DimExpr tail(1);
    bool fixed = true;
    for (std::size_t i = packed + 1; i < cut_.size(); ++i) {
      fixed = fixed && cut_[i].value();
      if (fixed) tail = *DimExpr::multiply(tail, cut_[i]);
    }
    const auto all = DimExpr::multiply(tail, cut_[packed]);
    if (!fixed || packed != front.size() || !std::equal(front.begin(), front.end(), cut_.begin()) || !all || !(*all == whole.back()))
      return fail(3, fmt::format("{} does not cut the last axis of {} into {} parts", editor_.id(inside_.back()), name_of(editor_, x_),
                                 results_.size()));
    width_ = tail;
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(which));
    for (std::size_t& o : order_)
      if (o > packed) --o;
    cut_.erase(cut_.begin() + static_cast<std::ptrdiff_t>(packed));
    order_is_kept_ = std::is_sorted(order_.begin(), order_.end());
    return true;
  }

  bool finish(Patch& patch, ValueId part, const SymbolicShape& piece, ValueId y) {
    const SymbolicShape& wanted = *editor_.shape(y);
    const Attributes zero = {{"allowzero", std::int64_t{0}}};
    const auto reshape = [&](ValueId from, const SymbolicShape& a, const SymbolicShape& b, ValueId to) {
      const auto target = reshape_target(a, b);
      if (target) patch.add_writing("Reshape", {from, patch.constant("shape", *target)}, {to}, zero);
      return target.has_value();
    };
    if (order_is_kept_) return reshape(part, piece, wanted, y);
    if (piece != cut_) {
      const ValueId apart = patch.value(std::string(kRule) + "/Reshape");
      if (!reshape(part, piece, cut_, apart)) return false;
      part = apart;
    }
    const Perm perm(order_.begin(), order_.end());
    const SymbolicShape moved = permuted(cut_, perm);
    const ValueId to = moved == wanted ? y : patch.value(std::string(kRule) + "/Transpose");
    patch.add_writing("Transpose", {part}, {to}, {{"perm", std::vector<std::int64_t>(perm)}});
    return to == y || reshape(to, moved, wanted, y);
  }

  Editor& editor_;
  NodeIndex anchor_;
  ValueId packed_, x_ = kNone;
  std::size_t axis_ = 0;
  std::vector<ValueId> results_;  ///< by index
  std::vector<NodeIndex> inside_;
  std::vector<std::size_t> order_;  ///< by long axis of the gathered value, of each result once it is cut
  SymbolicShape cut_;               ///< the long dimensions that the Reshape makes
  DimExpr width_;
  bool order_is_kept_ = false;
};

}  // namespace

Pass split_packed() {
  return {kRule, "parts that are gathered from an axis of their own are split where they were one", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (!editor.is(n, "Gather") || editor.uses(editor.node(n).inputs[0]).empty()) continue;
              if (editor.uses(editor.node(n).inputs[0])[0].node == n && editor.shape(editor.node(n).inputs[0])) Packed(editor, n).rewrite();
            }
          }};
}

}  // namespace ashlar::optimizer
