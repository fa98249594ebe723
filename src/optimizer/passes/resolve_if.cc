// SPDX-License-Identifier: Apache-2.0
// If with a condition that is known before any run, or with two equal branches, becomes the nodes of one branch.
#include "optimizer/constants.h"
#include "optimizer/inline_body.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

bool equal(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<class T>(const T& x) {
        if constexpr (std::is_same_v<T, Tensor>) return same_bytes(x, std::get<Tensor>(b));
        else if constexpr (requires { x == x; } && !std::is_same_v<T, std::shared_ptr<Graph>> && !std::is_same_v<T, std::vector<Tensor>> &&
                           !std::is_same_v<T, ValueType>)
          return x == std::get<T>(b);
        else return false;
      },
      a);
}

/// Whether two branches compute the same by the same nodes in the same order.
class Branches {
 public:
  Branches(const Editor& a, const Editor& b) : a_(a), b_(b), to_(a.graph().values.size(), kNone) {}

  bool same() {
    const Graph &a = a_.graph(), &b = b_.graph();
    if (a.nodes.size() != b.nodes.size() || a.outputs.size() != b.outputs.size()) return false;
    for (std::size_t i = 0; i < a.nodes.size(); ++i)
      if (!same(a.nodes[i], b.nodes[i])) return false;
    for (std::size_t i = 0; i < a.outputs.size(); ++i)
      if (!same(a.outputs[i], b.outputs[i])) return false;
    return true;
  }

 private:
  bool same(ValueId x, ValueId y) const {
    if (x == kNone || y == kNone) return x == y;
    if (to_[x] != kNone) return to_[x] == y;
    if (a_.captured_from(x) != kNone) return a_.captured_from(x) == b_.captured_from(y);
    const Tensor *p = a_.constant(x), *q = b_.constant(y);
    return p && q && same_bytes(*p, *q);
  }
  bool same(const Node& x, const Node& y) {
    if (x.op_type != y.op_type || x.domain != y.domain || x.version != y.version || x.inputs.size() != y.inputs.size() ||
        x.outputs.size() != y.outputs.size() || x.attributes.size() != y.attributes.size() || !deterministic(x))
      return false;
    for (const auto& [name, value] : x.attributes) {
      const Attribute* other = y.find(name);
      if (!other || !equal(value, *other)) return false;
    }
    for (std::size_t i = 0; i < x.inputs.size(); ++i)
      if (!same(x.inputs[i], y.inputs[i])) return false;
    for (std::size_t i = 0; i < x.outputs.size(); ++i)
      if (x.outputs[i] != kNone) to_[x.outputs[i]] = y.outputs[i];
    return true;
  }

  const Editor &a_, &b_;
  std::vector<ValueId> to_;  ///< by the value of the first branch: the second's
};

bool resolve(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const Editor *yes = nullptr, *no = nullptr;
  for (const auto& [name, body] : editor.bodies(n)) (name == "then_branch" ? yes : no) = body;
  if (!yes || !no || yes->graph().outputs.size() < node.outputs.size() || no->graph().outputs.size() < node.outputs.size()) return false;
  const auto condition = editor.numbers(node.inputs.at(0));
  const Editor* taken = nullptr;
  if (condition && condition->size() == 1) taken = condition->front() ? yes : no;
  else if (Branches(*yes, *no).same()) taken = yes;
  if (!taken) {
    editor.near_miss("resolve-if", n, 1, 2,
                     "the condition " + name_of(editor, node.inputs[0]) + " is not known before a run, and the branches differ");
    return false;
  }
  Patch patch(editor, "resolve-if");
  patch.remove(n);
  inline_body(editor, patch, *taken, {}, node.outputs);
  return editor.apply(std::move(patch));
}

}  // namespace

Pass resolve_if() {
  return {"resolve-if", "If with a known condition or equal branches becomes the nodes of one branch", [](Editor& editor) {
            bool changed = false;
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "If")) changed = resolve(editor, n) || changed;
            if (changed) editor.refresh();
          }};
}

}  // namespace ashlar::optimizer
