// SPDX-License-Identifier: Apache-2.0
#include "optimizer/inline_body.h"

#include <algorithm>

namespace ashlar::optimizer {
namespace {

class Inlining {
 public:
  Inlining(Editor& editor, Patch& patch, const Editor& body, const std::vector<ValueId>& inputs)
      : editor_(editor), patch_(patch), body_(body), to_(body.graph().values.size(), kNone) {
    for (std::size_t i = 0; i < inputs.size(); ++i) to_[body.graph().inputs[i]] = inputs[i];
    for (const graph::Capture& c : body.graph().captures) to_[c.inner] = c.outer;
  }

  /// Lets a node of the body write the output where nothing else stands in the way.
  void bind(ValueId inner, ValueId output) {
    if (to_[inner] == kNone && body_.producer(inner) != kNone) to_[inner] = output;
  }
  ValueId mapped(ValueId inner) {
    if (inner == kNone) return kNone;
    if (to_[inner] == kNone) to_[inner] = editor_.adopt(body_, inner);
    return to_[inner];
  }
  void move(const Node& from) {
    Node node = from;
    for (auto* ids : {&node.inputs, &node.outputs, &node.captures})
      for (ValueId& v : *ids) v = mapped(v);
    // Two captures may have become one value.
    std::sort(node.captures.begin(), node.captures.end());
    node.captures.erase(std::unique(node.captures.begin(), node.captures.end()), node.captures.end());
    for (const auto& [name, nested] : graph::bodies(from)) {
      auto copy = std::make_shared<Graph>(graph::deep_copy(*nested));
      for (graph::Capture& c : copy->captures) c.outer = mapped(c.outer);
      node.attributes[name] = std::move(copy);
    }
    patch_.move_in(std::move(node));
  }

 private:
  Editor& editor_;
  Patch& patch_;
  const Editor& body_;
  std::vector<ValueId> to_;  ///< by the body's value: the graph's
};

}  // namespace

void inline_body(Editor& editor, Patch& patch, const Editor& body, const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs,
                 std::size_t from) {
  Inlining inlining(editor, patch, body, inputs);
  const std::vector<ValueId>& results = body.graph().outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i] != kNone) inlining.bind(results[from + i], outputs[i]);
  for (const NodeIndex n : body.nodes()) inlining.move(body.node(n));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueId result = outputs[i] == kNone ? kNone : inlining.mapped(results[from + i]);
    if (result != kNone && result != outputs[i]) replace_or_copy(editor, patch, outputs[i], result);
  }
}

void replace_or_copy(Editor& editor, Patch& patch, ValueId gone, ValueId instead) {
  if (!editor.is_output(gone) || editor.is_body()) patch.replace(gone, instead);
  else patch.add_writing("Identity", {instead}, {gone});
}

}  // namespace ashlar::optimizer
