// SPDX-License-Identifier: Apache-2.0
// The bodies of a node and what they capture.
#include <algorithm>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

void Editor::prune_captures() {
  const std::size_t before = graph_.captures.size();
  std::erase_if(graph_.captures, [&](const graph::Capture& c) {
    if (!uses_[c.inner].empty() || is_output(c.inner)) return false;
    captured_[c.inner] = kNone;
    return true;
  });
  if (graph_.captures.size() != before && outer_) outer_->recapture(*this);
}

NodeIndex Editor::owner_of(const Graph* body) const {
  for (NodeIndex n = 0; n < node_count(); ++n) {
    if (dead(n)) continue;
    for (const auto& [name, g] : graph::bodies(node(n)))
      if (g.get() == body) return n;
  }
  return kNone;
}

void Editor::recapture(Editor& body) {
  const NodeIndex n = owner_of(&body.graph_);
  if (n == kNone) return;
  Node& node = graph_.nodes[n];
  std::vector<ValueId> captures;
  for (const auto& [name, g] : graph::bodies(node))
    for (const graph::Capture& c : g->captures)
      if (std::find(captures.begin(), captures.end(), c.outer) == captures.end()) captures.push_back(c.outer);
  for (const ValueId v : node.captures) std::erase_if(uses_[v], [&](const Use& u) { return u.node == n && u.captured(); });
  node.captures = std::move(captures);
  for (const ValueId v : node.captures) uses_[v].push_back({n, kNone});
  ++version_;
}

ValueId Editor::capture(ValueId outer_value) {
  for (const graph::Capture& c : graph_.captures)
    if (c.outer == outer_value) return c.inner;
  const graph::Value& from = outer_->graph_.values[outer_value];
  const ValueId inner = add_value(unique_name(from.name), from.type);
  graph_.captures.push_back({outer_value, inner});
  captured_[inner] = outer_value;
  facts_[inner] = outer_->facts(outer_value);
  outer_->recapture(*this);
  return inner;
}

std::vector<std::pair<std::string, Editor*>> Editor::bodies(NodeIndex n) {
  std::vector<std::pair<std::string, Editor*>> out;
  for (const auto& [name, body] : graph::bodies(node(n))) {
    auto& editor = bodies_[body.get()];
    if (!editor) editor = std::make_unique<Editor>(model_, *body, (path_.empty() ? "" : path_ + "/") + id(n) + "/" + name, this);
    out.emplace_back(name, editor.get());
  }
  return out;
}

}  // namespace ashlar::optimizer
