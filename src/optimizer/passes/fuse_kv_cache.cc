// SPDX-License-Identifier: Apache-2.0
// Attention whose keys and values are earlier ones with the new ones behind them keeps the cache itself.
#include <algorithm>

#include "optimizer/pass.h"
#include "optimizer/passes/walk.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fuse-kv-cache";

/// Whether what reads one of the values, other than `attention`, leads to `attention`: it could not write them then.
bool leads_to(const Editor& editor, const std::vector<ValueId>& values, NodeIndex attention) {
  std::vector<NodeIndex> open;
  std::unordered_set<NodeIndex> seen = {attention};
  bool found = false;
  const auto follow = [&](ValueId v, bool start) {
    for (const Use& u : editor.uses(v)) {
      if (u.node == attention && !start) found = true;
      else if (seen.insert(u.node).second) open.push_back(u.node);
    }
  };
  for (const ValueId v : values) follow(v, true);
  while (!open.empty() && !found) {
    const NodeIndex n = open.back();
    open.pop_back();
    for (const ValueId v : editor.node(n).outputs)
      if (v != kNone) follow(v, false);
  }
  return found;
}

NodeIndex cache(const Editor& editor, ValueId v) {
  const NodeIndex n = made_by(editor, v, "Concat");
  if (n == kNone || editor.node(n).inputs.size() != 2) return kNone;
  const std::int64_t axis = integer(editor.node(n), "axis");
  return axis == 2 || axis == -2 ? n : kNone;
}

void fuse(Editor& editor, NodeIndex attention) {
  const Node node = editor.node(attention);
  const auto input = [&](std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; };
  const ValueId k = input(1), v = input(2);
  if (editor.rank(k) != 4 || editor.rank(v) != 4) return;
  const NodeIndex keys = cache(editor, k), values = cache(editor, v);
  if (keys == kNone && values == kNone) return;
  const auto miss = [&](int matched, const std::string& reason) { editor.near_miss(kRule, attention, matched, 4, reason); };
  if (keys == kNone || values == kNone)
    return miss(2, std::string(keys == kNone ? "the keys" : "the values") + " come from " + maker(editor, keys == kNone ? k : v) +
                       ", not from a Concat of earlier and new ones");
  if (input(4) != kNone || input(6) != kNone || node.outputs.size() > 1) return miss(3, editor.id(attention) + " has a cache already");
  if (integer(node, "is_causal") != 0) return miss(3, editor.id(attention) + " is causal from the first key on, which a cache would move");
  const auto window = [&](const char* name) { return integer(node, name, -1) >= 0; };
  if (window("left_window_size") || window("right_window_size"))
    return miss(3, editor.id(attention) + " has a window, which a cache would move");
  const ValueId past_k = editor.node(keys).inputs[0], past_v = editor.node(values).inputs[0];
  const auto *pk = editor.shape(past_k), *pv = editor.shape(past_v), *sk = editor.shape(k), *sv = editor.shape(v);
  if (!pk || !pv || pk->size() != 4 || pv->size() != 4 || (*pk)[2] != (*pv)[2])
    return miss(3, "the earlier keys " + shape_text(editor, past_k) + " and values " + shape_text(editor, past_v) + " are not as many");
  if ((*sk)[0] != (*sv)[0] || (*sk)[1] != (*sv)[1])
    return miss(3, "keys " + shape_text(editor, k) + " and values " + shape_text(editor, v) + " have not the same heads");
  if (leads_to(editor, {k, v}, attention))
    return miss(3, "what else reads " + maker(editor, k) + " or " + maker(editor, v) + " leads to " + editor.id(attention));
  Patch patch(editor, kRule);
  patch.remove(keys);
  if (values != keys) patch.remove(values);
  patch.remove(attention);
  std::vector<ValueId> outputs = {node.outputs[0], k, v};
  if (keys == values) outputs[2] = patch.value(std::string(kRule) + "/values", editor.value(v).type);
  patch.add_writing("Attention", {input(0), editor.node(keys).inputs[1], editor.node(values).inputs[1], input(3), past_k, past_v}, outputs,
                    node.attributes);
  std::string refusal;
  if (!editor.taken(patch, &refusal)) return miss(4, refusal);
  editor.apply(std::move(patch));
}

}  // namespace

Pass fuse_kv_cache() {
  return {kRule, "Attention joins earlier keys and values with the new ones itself", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Attention")) fuse(editor, n);
          }};
}

}  // namespace ashlar::optimizer
