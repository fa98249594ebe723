// SPDX-License-Identifier: Apache-2.0
// Outputs of If, and scan outputs of Loop, that nobody reads go, and with them what the bodies compute for them alone.
#include <algorithm>

#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

bool trim(Editor& editor, NodeIndex n, std::size_t first) {
  const Node& node = editor.node(n);
  const auto unread = [&](std::size_t i) {
    const ValueId v = node.outputs[i];
    return i >= first && (v == kNone || (editor.uses(v).empty() && !editor.is_output(v)));
  };
  const auto bodies = graph::bodies(node);
  const std::size_t ahead = node.op_type == "Loop" ? 1 : 0;
  std::vector<std::size_t> gone;
  for (std::size_t i = 0; i < node.outputs.size(); ++i)
    if (unread(i)) gone.push_back(i);
  // Trailing outputs that are left out stand in the bodies alone.
  std::size_t results = bodies.empty() ? 0 : bodies[0].second->outputs.size();
  for (const auto& [name, body] : bodies)
    if (body->outputs.size() != results) return false;
  for (std::size_t i = std::max(node.outputs.size(), first); i + ahead < results; ++i) gone.push_back(i);
  if (gone.empty() || gone.size() + ahead == results) return false;
  Patch patch(editor, "trim-outputs");
  patch.remove(n);
  Node smaller = node;
  for (auto i = gone.rbegin(); i != gone.rend(); ++i)
    if (*i < smaller.outputs.size()) smaller.outputs.erase(smaller.outputs.begin() + static_cast<std::ptrdiff_t>(*i));
  for (const auto& [name, body] : bodies) {
    auto copy = std::make_shared<Graph>(graph::deep_copy(*body));
    for (auto i = gone.rbegin(); i != gone.rend(); ++i)
      copy->outputs.erase(copy->outputs.begin() + static_cast<std::ptrdiff_t>(*i + ahead));
    smaller.attributes[name] = std::move(copy);
  }
  patch.move_in(std::move(smaller));
  return editor.apply(std::move(patch));
}

}  // namespace

Pass trim_outputs() {
  return {"trim-outputs", "what bodies of If and Loop compute and nobody reads", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n) {
              if (editor.is(n, "If")) trim(editor, n, 0);
              else if (editor.is(n, "Loop") && editor.node(n).inputs.size() >= 2) trim(editor, n, editor.node(n).inputs.size() - 2);
            }
          }};
}

}  // namespace ashlar::optimizer
