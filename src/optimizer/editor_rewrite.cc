// SPDX-License-Identifier: Apache-2.0
// Applying patches.
#include <algorithm>

#include <ashlar/error.h>

#include "ops/facts.h"
#include "optimizer/editor.h"

namespace ashlar::optimizer {
namespace {

bool is_graph(const Attribute& a) { return std::holds_alternative<std::shared_ptr<Graph>>(a); }

}  // namespace

bool Editor::can_replace(ValueId gone, ValueId instead) const {
  if (gone == instead || gone == kNone || instead == kNone) return false;
  if (!is_output(gone) || is_body()) return true;
  return !is_output(instead) && producer(instead) != kNone;
}

void Editor::substitute(NodeIndex n, ValueId gone, ValueId instead) {
  Node& node = graph_.nodes[n];
  std::replace(node.inputs.begin(), node.inputs.end(), gone, instead);
  if (std::find(node.captures.begin(), node.captures.end(), gone) == node.captures.end()) return;
  for (auto& [name, attribute] : node.attributes) {
    if (!is_graph(attribute)) continue;
    Graph* body = std::get<std::shared_ptr<Graph>>(attribute).get();
    bool changed = false;
    for (graph::Capture& c : body->captures) {
      if (c.outer != gone) continue;
      c.outer = instead;
      changed = true;
    }
    if (const auto at = bodies_.find(body); changed && at != bodies_.end()) {
      Editor& editor = *at->second;
      for (ValueId& v : editor.captured_)
        if (v == gone) v = instead;
      editor.learn_captured();
      ++editor.version_;
    }
  }
  std::erase(node.captures, gone);
  if (std::find(node.captures.begin(), node.captures.end(), instead) == node.captures.end()) node.captures.push_back(instead);
}

void Editor::rename(ValueId gone, ValueId instead) {
  if (is_output(gone) && !is_body()) {
    // The output keeps its name: the other value takes it.
    const NodeIndex maker = producer_[instead];
    std::replace(graph_.nodes[maker].outputs.begin(), graph_.nodes[maker].outputs.end(), instead, gone);
    producer_[gone] = maker;
    producer_[instead] = kNone;
    std::swap(gone, instead);
  } else if (is_output(gone)) {
    std::replace(graph_.outputs.begin(), graph_.outputs.end(), gone, instead);
    output_[gone] = 0;
    output_[instead] = 1;
  }
  std::vector<NodeIndex> readers;
  for (const Use& u : uses_[gone]) readers.push_back(u.node);
  std::sort(readers.begin(), readers.end());
  readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
  for (const NodeIndex n : readers) {
    std::erase_if(uses_[instead], [&](const Use& u) { return u.node == n; });
    substitute(n, gone, instead);
    const Node& node = graph_.nodes[n];
    for (std::uint32_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] == instead) uses_[instead].push_back({n, i});
    if (std::find(node.captures.begin(), node.captures.end(), instead) != node.captures.end()) uses_[instead].push_back({n, kNone});
  }
  uses_[gone].clear();
}

void Editor::sweep(std::vector<ValueId> maybe_unread, std::vector<NodeIndex>& removed) {
  while (!maybe_unread.empty()) {
    const ValueId v = maybe_unread.back();
    maybe_unread.pop_back();
    const NodeIndex n = v == kNone ? kNone : producer_[v];
    if (n == kNone || dead(n)) continue;
    const Node& node = graph_.nodes[n];
    const auto read = [&](ValueId o) { return o != kNone && (!uses_[o].empty() || is_output(o)); };
    if (std::any_of(node.outputs.begin(), node.outputs.end(), read)) continue;
    maybe_unread.insert(maybe_unread.end(), node.inputs.begin(), node.inputs.end());
    maybe_unread.insert(maybe_unread.end(), node.captures.begin(), node.captures.end());
    removed.push_back(n);
    kill(n);
  }
}

bool Editor::taken(const Patch& patch, std::string* refusal) {
  if (!model_.takes) return true;
  const auto first_dtype = [&](const Node& n) { return n.inputs.empty() || n.inputs[0] == kNone ? DType::kUndefined : dtype(n.inputs[0]); };
  for (const Node& made : patch.added_) {
    if (patch.moved_.contains(made.id) || ops::is_core_operator(graph_, made)) continue;
    const auto same = [&](NodeIndex n) {
      return node(n).op_type == made.op_type && node(n).domain == made.domain && first_dtype(node(n)) == first_dtype(made);
    };
    if (std::any_of(patch.removed_.begin(), patch.removed_.end(), same)) continue;
    graph_.nodes.push_back(made);
    const Answer answer = model_.takes(graph_, static_cast<NodeIndex>(graph_.nodes.size() - 1));
    graph_.nodes.pop_back();
    if (answer.provider == 0) continue;
    bool good = answer.provider > 0 && patch.removed_.empty();
    for (const NodeIndex n : patch.removed_) {
      if (good || answer.provider < 0) break;
      const Answer before = model_.takes(graph_, n);
      good = before.provider < 0 || before.provider >= answer.provider;
    }
    if (good) continue;
    if (refusal)
      *refusal = answer.provider < 0
                     ? "no provider takes " + made.op_name() + ": " + answer.refusal
                     : "a provider that is preferred takes what is there, but not " + made.op_name() + ": " + answer.refusal;
    return false;
  }
  patch.asked_ = true;
  return true;
}

void Editor::name_nodes(Patch& patch) {
  std::vector<std::string> all;
  const auto collect = [&](const std::vector<NodeIndex>& nodes) {
    std::vector<std::string> out;
    for (const NodeIndex n : nodes)
      for (const std::string& origin : node(n).origins)
        if (std::find(out.begin(), out.end(), origin) == out.end()) out.push_back(origin);
    return out;
  };
  all = collect(patch.removed_);
  std::unordered_set<std::string> reused;
  for (std::size_t i = 0; i < patch.added_.size(); ++i) {
    Node& made = patch.added_[i];
    if (made.origins.empty()) made.origins = all;
    if (patch.moved_.contains(made.id)) continue;
    // The node whose output it writes gives its id to it, else a new one is made of the last that goes.
    std::string base;
    for (const NodeIndex n : patch.removed_)
      for (const ValueId v : node(n).outputs)
        if (v != kNone && std::find(made.outputs.begin(), made.outputs.end(), v) != made.outputs.end()) base = node(n).id;
    const NodeIndex one = patch.bases_[i];
    if (one != kNone && std::find(patch.removed_.begin(), patch.removed_.end(), one) != patch.removed_.end()) base = node(one).id;
    if (!base.empty() && reused.insert(base).second) {
      made.id = base;
      continue;
    }
    if (base.empty() && made.id.empty())
      base = patch.removed_.empty() ? path_.empty() ? patch.rule_ : path_ + "/" + patch.rule_ : node(patch.removed_.back()).id;
    if (base.empty()) base = made.id;
    else base += "/" + made.op_type;
    made.id = base;
    for (int k = 1; !model_.ids.insert(made.id).second; ++k) made.id = base + "_" + std::to_string(k);
  }
}

bool Editor::apply(Patch&& patch) {
  if (model_.rewrites_left == 0 || (!patch.asked_ && !taken(patch))) return false;
  if (model_.rewrites_left > 0) --model_.rewrites_left;
  Optimization::Rewrite record;
  record.pass = model_.pass;
  record.rule = patch.rule_;
  record.graph = path_;
  name_nodes(patch);
  double order = 0;
  std::vector<ValueId> orphans, unread;
  for (const NodeIndex n : patch.removed_) {
    record.before.push_back(ref(node(n)));
    order = std::max(order, order_[n]);
    orphans.insert(orphans.end(), node(n).outputs.begin(), node(n).outputs.end());
    unread.insert(unread.end(), node(n).inputs.begin(), node(n).inputs.end());
    unread.insert(unread.end(), node(n).captures.begin(), node(n).captures.end());
  }
  for (const NodeIndex n : patch.removed_) kill(n);
  for (Node& made : patch.added_) {
    if (patch.removed_.empty())
      for (const ValueId v : made.inputs)
        if (v != kNone && producer_[v] != kNone) order = std::max(order, order_[producer_[v]]);
    record.after.push_back(ref(made));
    unread.insert(unread.end(), made.outputs.begin(), made.outputs.end());
    graph_.nodes.push_back(std::move(made));
    dead_.push_back(0);
    order_.push_back(order);
    link(node_count() - 1);
  }
  for (const auto& [gone, instead] : patch.replaced_) {
    const bool swaps = is_output(gone) && !is_body();
    record.tensors.emplace_back(value(swaps ? instead : gone).name, value(swaps ? gone : instead).name);
    orphans.push_back(gone);
    unread.push_back(gone);
    rename(gone, instead);
  }
  std::vector<NodeIndex> swept;
  sweep(std::move(unread), swept);
  for (const NodeIndex n : swept)
    if (std::none_of(record.after.begin(), record.after.end(), [&](const auto& r) { return r.node == id(n); }))
      record.before.push_back(ref(node(n)));
  for (const ValueId v : orphans) {
    if (v == kNone || producer_[v] != kNone || input_[v] || captured_[v] != kNone || graph_.values[v].constant.defined()) continue;
    if (!uses_[v].empty() || is_output(v))
      throw Error(ErrorCode::kInternal,
                  "pass '" + model_.pass + "' (" + patch.rule_ + ") leaves the value '" + value(v).name + "' without a definition",
                  {.node = record.before.empty() ? "" : record.before[0].node});
  }
  ++version_;
  record.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - patch.start_).count();
  model_.report.rewrites.push_back(std::move(record));
  return true;
}

void Editor::near_miss(const std::string& rule, NodeIndex anchor, int matched, int total, std::string reason) {
  model_.report.near_misses.push_back({.pass = model_.pass,
                                       .rule = rule,
                                       .graph = path_,
                                       .anchor = ref(node(anchor)),
                                       .matched = matched,
                                       .total = total,
                                       .reason = std::move(reason)});
}

int Editor::remove_unread(const std::string& rule) {
  if (model_.rewrites_left == 0) return 0;
  std::vector<ValueId> all;
  for (NodeIndex n = 0; n < node_count(); ++n)
    if (!dead(n)) all.insert(all.end(), node(n).outputs.begin(), node(n).outputs.end());
  Patch patch(*this, rule);
  std::vector<NodeIndex> swept;
  sweep(std::move(all), swept);
  // A node without outputs does nothing.
  if (swept.empty()) return 0;
  if (model_.rewrites_left > 0) --model_.rewrites_left;
  Optimization::Rewrite record;
  record.pass = model_.pass;
  record.rule = rule;
  record.graph = path_;
  std::sort(swept.begin(), swept.end());
  for (const NodeIndex n : swept) record.before.push_back(ref(node(n)));
  record.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - patch.start_).count();
  model_.report.rewrites.push_back(std::move(record));
  ++version_;
  return static_cast<int>(swept.size());
}

std::string Editor::consumers(ValueId v, const std::vector<NodeIndex>& inside) const {
  std::vector<std::string> others;
  std::size_t count = 0;
  for (const Use& u : uses(v)) {
    ++count;
    if (std::find(inside.begin(), inside.end(), u.node) == inside.end() || u.captured()) others.push_back(id(u.node));
  }
  std::string out = producer(v) == kNone ? value(v).name : id(producer(v));
  out += " has " + std::to_string(count + (is_output(v) ? 1 : 0)) + " consumers (";
  for (std::size_t i = 0; i < others.size() && i < 3; ++i) out += (i ? ", " : "") + others[i];
  if (is_output(v)) out += others.empty() ? "it is an output" : ", and it is an output";
  return out + ")";
}

}  // namespace ashlar::optimizer
