// SPDX-License-Identifier: Apache-2.0
// A Loop of no trips gives what it was given; one of one trip becomes the nodes of its body.
#include <algorithm>

#include "optimizer/inline_body.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

std::optional<std::int64_t> number(const Editor& editor, ValueId v) {
  const auto numbers = editor.numbers(v);
  return numbers && numbers->size() == 1 ? std::optional(numbers->front()) : std::nullopt;
}

struct Loop {
  Editor& editor;
  NodeIndex n;
  const Editor& body;
  std::size_t states;
  std::optional<std::int64_t> trips;  ///< 0 or 1, where that is known
  std::string reason;                 ///< why it is not
};

void count_trips(Loop& loop) {
  const Node& node = loop.editor.node(loop.n);
  const auto given = [&](std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; };
  const auto most = number(loop.editor, given(0)), first = number(loop.editor, given(1));
  const auto next = number(loop.body, loop.body.graph().outputs.at(0));
  if ((most && *most <= 0) || (first && *first == 0)) {
    loop.trips = 0;
  } else if (given(1) != kNone && !first) {
    loop.reason = "the first condition is not known before a run";
  } else if (most && *most == 1) {
    loop.trips = 1;
  } else if ((given(0) == kNone || most) && next && *next == 0) {
    loop.trips = 1;
  } else {
    loop.reason = most ? "it may make " + std::to_string(*most) + " trips" : "the trip count is not known before a run";
  }
}

bool resolve(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const auto bodies = editor.bodies(n);
  if (bodies.size() != 1 || node.inputs.size() < 2) return false;
  const Graph& inner = bodies[0].second->graph();
  if (inner.inputs.size() != node.inputs.size() || inner.outputs.size() + 1 < inner.inputs.size() ||
      inner.outputs.size() < node.outputs.size() + 1)
    return false;
  Loop loop{editor, n, *bodies[0].second, inner.inputs.size() - 2, {}, {}};
  count_trips(loop);
  if (std::find(node.inputs.begin() + 2, node.inputs.end(), kNone) != node.inputs.end()) loop.reason = "a state has no first value";
  Patch patch(editor, "resolve-loop");
  patch.remove(n);
  const std::vector<ValueId> outputs = node.outputs;
  if (loop.trips && *loop.trips == 0) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] == kNone) continue;
      if (i >= loop.states && (!editor.uses(outputs[i]).empty() || editor.is_output(outputs[i])))
        loop.reason = "its scan output of no rows is read";
    }
    if (loop.reason.empty())
      for (std::size_t i = 0; i < std::min(outputs.size(), loop.states); ++i)
        if (outputs[i] != kNone) replace_or_copy(editor, patch, outputs[i], node.inputs[i + 2]);
  }
  if (!loop.reason.empty()) {
    editor.near_miss("resolve-loop", n, 1, 2, loop.reason);
    return false;
  }
  if (*loop.trips == 1) {
    std::vector<ValueId> inputs = {patch.constant("trip", Tensor::scalar<std::int64_t>(0)),
                                   patch.constant("condition", Tensor::scalar(true))};
    inputs.insert(inputs.end(), node.inputs.begin() + 2, node.inputs.end());
    // A scan output is one row, under a new first axis.
    std::vector<ValueId> results = outputs;
    for (std::size_t i = loop.states; i < outputs.size(); ++i)
      if (outputs[i] != kNone) results[i] = patch.value(editor.value(outputs[i]).name + "/row", inner.values[inner.outputs[i + 1]].type);
    inline_body(editor, patch, loop.body, inputs, results, 1);
    for (std::size_t i = loop.states; i < outputs.size(); ++i)
      if (outputs[i] != kNone)
        patch.add_writing("Unsqueeze", {results[i], patch.constant("axes", std::vector<std::int64_t>{0})}, {outputs[i]});
  }
  return editor.apply(std::move(patch));
}

}  // namespace

Pass resolve_loop() {
  return {"resolve-loop", "a Loop of one trip or none becomes the nodes of its body", [](Editor& editor) {
            bool changed = false;
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Loop")) changed = resolve(editor, n) || changed;
            if (changed) editor.refresh();
          }};
}

}  // namespace ashlar::optimizer
