// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <unordered_map>

#include <ashlar/error.h>

#include "core/text.h"
#include "ops/canonicalize.h"
#include "optimizer/legalize.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

using Clock = std::chrono::steady_clock;

const PassInfo kCanonicalize{"canonicalize", "every operator in its newest form", true};
const PassInfo kLegalize{"legalize", "what no provider takes becomes the body ONNX defines for it", true};
const PassInfo kRestore{"restore", "what a pass made and no provider takes becomes its body again", true};
constexpr const char* kFolding = "fold-constants";
constexpr std::uint64_t kFreeBytes = 1 << 20;  // that folding may add to any model

struct Size {
  std::int64_t nodes = 0;
  std::uint64_t constant_bytes = 0;
};

void measure(const Graph& graph, Size& size) {
  size.nodes += static_cast<std::int64_t>(graph.nodes.size());
  for (const graph::Value& v : graph.values)
    if (v.constant.defined()) size.constant_bytes += v.constant.bytes();
  for (const Node& node : graph.nodes)
    for (const auto& [name, body] : graph::bodies(node)) measure(*body, size);
}

Size measure(const Graph& graph) {
  Size size;
  measure(graph, size);
  return size;
}

std::int64_t since(Clock::time_point start) { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count(); }

/// Forgets constants that nothing reads.
void drop_unread_constants(Graph& graph) {
  std::vector<char> read(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    for (const auto* ids : {&node.inputs, &node.captures})
      for (const ValueId v : *ids)
        if (v != kNone) read[v] = 1;
    for (const auto& [name, body] : graph::bodies(node)) drop_unread_constants(*body);
  }
  for (const auto* ids : {&graph.inputs, &graph.outputs})
    for (const ValueId v : *ids) read[v] = 1;
  for (ValueId v = 0; v < graph.values.size(); ++v)
    if (!read[v]) graph.values[v].constant = {};
}

class Driver {
 public:
  Driver(Graph& graph, const PassOptions& options, Takes takes, Evaluate evaluate, std::span<const Pass> passes)
      : graph_(graph), options_(options), passes_(passes) {
    model_.takes = std::move(takes);
    model_.evaluate = std::move(evaluate);
    check_options();
  }

  Optimization run() {
    const auto start = Clock::now();
    const Size before = measure(graph_);
    model_.report.nodes_before = before.nodes;
    model_.report.constant_bytes_before = before.constant_bytes;
    model_.constant_budget = std::max(kFreeBytes, before.constant_bytes / 100);
    if (options_.stop_after) model_.rewrites_left = *options_.stop_after;
    whole(kCanonicalize, [&] { ops::canonicalize(graph_); });
    whole(kLegalize, [&] { legalize(kLegalize); });
    const std::size_t first = model_.report.passes.size();
    for (const Pass& pass : passes_) {
      Optimization::Pass entry;
      entry.name = pass.name;
      entry.enabled = enabled(pass.name);
      model_.report.passes.push_back(std::move(entry));
    }
    {
      Editor editor(model_, graph_);
      bool changed = true;
      for (int round = 0; round < kMostRounds && changed; ++round) {
        changed = false;
        for (const bool late : {false, true}) {
          if (changed) break;
          for (std::size_t i = 0; i < passes_.size(); ++i)
            if (passes_[i].late == late && model_.report.passes[first + i].enabled)
              changed = run(i, editor, model_.report.passes[first + i]) || changed;
        }
      }
      if (model_.rewrites_left != 0) editor.write_shapes();
    }
    whole(kRestore, [&] { legalize(kRestore); });
    drop_unread_constants(graph_);
    const Size after = measure(graph_);
    model_.report.nodes_after = after.nodes;
    model_.report.constant_bytes_after = after.constant_bytes;
    for (Optimization::Pass& p : model_.report.passes)
      p.near_misses = std::count_if(model_.report.near_misses.begin(), model_.report.near_misses.end(),
                                    [&](const auto& m) { return m.pass == p.name; });
    model_.report.nanoseconds = since(start);
    return std::move(model_.report);
  }

 private:
  void check_options() const {
    std::vector<std::string> names;
    for (const Pass& pass : passes_) names.push_back(pass.name);
    const std::vector<std::string> required = {kCanonicalize.name, kLegalize.name, kRestore.name};
    for (const auto* wanted : {&options_.only, &options_.disable})
      for (const std::string& name : *wanted) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const bool is_required = std::find(required.begin(), required.end(), name) != required.end();
        if (is_required && wanted == &options_.only) continue;
        if (is_required)
          throw Error(ErrorCode::kInvalidArgument, "pass '" + name + "' cannot be disabled: kernels take only the forms it makes");
        throw Error(ErrorCode::kNotFound, "no pass is named '" + core::printable(name) + "'" + core::suggestion(name, names));
      }
    if (options_.stop_after && *options_.stop_after < 0)
      throw Error(ErrorCode::kInvalidArgument, "stop after " + std::to_string(*options_.stop_after) + " rewrites; at least 0 are meant");
  }

  bool enabled(const std::string& name) const {
    const auto in = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    return (options_.only.empty() || in(options_.only)) && !in(options_.disable);
  }

  void check(const std::string& pass) const {
    try {
      graph::verify(graph_);
    } catch (const Error& e) {
      throw Error(ErrorCode::kInternal, "pass '" + pass + "' left a graph that does not verify: " + e.message(), e.context());
    }
  }

  /// A pass over the whole model.
  void whole(const PassInfo& info, const std::function<void()>& body) {
    Optimization::Pass entry;
    entry.name = info.name;
    entry.runs = 1;
    entry.nodes_before = measure(graph_).nodes;
    const std::size_t rewrites = model_.report.rewrites.size();
    const auto start = Clock::now();
    body();
    check(info.name);
    entry.nanoseconds = since(start);
    entry.rewrites = static_cast<std::int64_t>(model_.report.rewrites.size() - rewrites);
    entry.nodes_after = measure(graph_).nodes;
    model_.report.passes.push_back(std::move(entry));
  }

  void legalize(const PassInfo& info) {
    if (!model_.takes) return;
    const auto takes = [&](const Graph& g, NodeIndex n) {
      const auto asked = asked_.find(g.nodes[n].id);
      if (asked != asked_.end() && asked->second == g.nodes[n].op_name()) return true;
      const bool taken = model_.takes(g, n).provider >= 0;
      if (taken) asked_[g.nodes[n].id] = g.nodes[n].op_name();
      return taken;
    };
    const auto ref = [](const Node& node) { return Optimization::NodeRef{node.id, node.op_name(), node.origins}; };
    optimizer::legalize(graph_, takes, [&](const Node& gone, std::span<const Node> made) {
      Optimization::Rewrite record;
      record.pass = info.name;
      record.rule = "expand " + gone.op_name();
      record.before.push_back(ref(gone));
      for (const Node& n : made) record.after.push_back(ref(n));
      model_.report.rewrites.push_back(std::move(record));
    });
  }

  /// One pass over a graph and its bodies; whether anything changed.
  bool visit(std::size_t pass, Editor& editor) {
    bool changed = false;
    editor.settled.resize(passes_.size(), -1);
    if (editor.settled[pass] != editor.version()) {
      std::erase_if(model_.report.near_misses, [&](const auto& m) { return m.pass == passes_[pass].name && m.graph == editor.path(); });
      const std::int64_t before = editor.version();
      passes_[pass].run(editor);
      changed = editor.version() != before;
      editor.commit();
      editor.settled[pass] = changed ? -1 : editor.version();
    }
    for (NodeIndex n = 0; n < editor.node_count(); ++n) {
      if (editor.dead(n)) continue;
      for (const auto& [name, body] : editor.bodies(n)) changed = visit(pass, *body) || changed;
    }
    editor.commit();
    return changed;
  }

  bool run(std::size_t index, Editor& editor, Optimization::Pass& entry) {
    const auto start = Clock::now();
    const std::size_t rewrites = model_.report.rewrites.size();
    model_.pass = passes_[index].name;
    if (entry.runs++ == 0) entry.nodes_before = measure(graph_).nodes;
    const bool changed = visit(index, editor);
    if (changed) check(model_.pass);
    entry.nodes_after = changed || entry.runs == 1 ? measure(graph_).nodes : entry.nodes_after;
    entry.rewrites += static_cast<std::int64_t>(model_.report.rewrites.size() - rewrites);
    const std::int64_t spent = since(start);
    entry.nanoseconds += spent;
    if (model_.pass == kFolding) model_.report.folding_nanoseconds += spent;
    return changed;
  }

  Graph& graph_;
  const PassOptions& options_;
  std::span<const Pass> passes_;
  Model model_;
  std::unordered_map<std::string, std::string> asked_;  ///< ids of nodes that a provider takes, and their operators
};

}  // namespace

Optimization optimize(Graph& graph, const PassOptions& options, Takes takes, Evaluate evaluate, std::span<const Pass> passes) {
  return Driver(graph, options, std::move(takes), std::move(evaluate), passes).run();
}

std::vector<PassInfo> pass_list() {
  std::vector<PassInfo> out = {kCanonicalize, kLegalize};
  for (const Pass& pass : pipeline()) out.push_back({pass.name, pass.summary, false});
  out.push_back(kRestore);
  return out;
}

}  // namespace ashlar::optimizer
