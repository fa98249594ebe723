// SPDX-License-Identifier: Apache-2.0
// Nodes that read constants alone are computed once. Those of a graph fall into groups that share nothing but constants; a group that would cost too many
// bytes gives up its last nodes until the rest is worth it.
#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include <ashlar/error.h>

#include "ops/facts.h"
#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "fold-constants";
constexpr std::uint64_t kShared = 4096;            // bytes from which a body's constant is looked for around it
constexpr std::uint64_t kMostRepeated = 64 << 10;  // bytes of a constant that only repeats a smaller one
constexpr std::uint64_t kMostOnTheWay = 64 << 20;  // bytes of a result on the way, unless the node's inputs are about as large

std::string in_words(std::uint64_t bytes) {
  if (bytes >= 1 << 20) return fmt::format("{:.4g} MiB", static_cast<double>(bytes) / (1 << 20));
  if (bytes >= 1 << 10) return fmt::format("{:.4g} KiB", static_cast<double>(bytes) / (1 << 10));
  return fmt::format("{} bytes", bytes);
}

/// Bytes of constants that something reads, bodies included.
std::uint64_t read_bytes(const Graph& graph) {
  std::vector<char> read(graph.values.size(), 0);
  std::uint64_t bytes = 0;
  for (const Node& node : graph.nodes) {
    for (const auto* ids : {&node.inputs, &node.captures})
      for (const ValueId v : *ids)
        if (v != kNone) read[v] = 1;
    for (const auto& [name, body] : graph::bodies(node)) bytes += read_bytes(*body);
  }
  for (const auto* ids : {&graph.inputs, &graph.outputs})
    for (const ValueId v : *ids) read[v] = 1;
  for (ValueId v = 0; v < graph.values.size(); ++v)
    if (read[v] && graph.values[v].constant.defined()) bytes += graph.values[v].constant.bytes();
  return bytes;
}

class Folder {
 public:
  explicit Folder(Editor& editor) : editor_(editor) {}

  void run() {
    if (!editor_.model().evaluate) return;
    collect();
    if (foldable_nodes_.empty()) return;
    find_groups();
    compute();
    for (const auto& group : groups_) apply(group);
  }

 private:
  struct Group {
    std::vector<NodeIndex> nodes;
    std::uint64_t cost = 0;
  };

  bool read(ValueId v) const { return v != kNone && (!editor_.uses(v).empty() || editor_.is_output(v)); }
  /// Outputs of the main graph keep their names, so a node makes them.
  bool keeps_name(ValueId v) const { return v != kNone && editor_.is_output(v) && !editor_.is_body(); }

  // Nodes that read constants alone.

  std::optional<std::uint64_t> bytes_of(ValueId v) const {
    if (const Tensor* t = editor_.constant(v)) return t->bytes();
    const auto* shape = editor_.shape(v);
    if (!shape) return std::nullopt;
    std::uint64_t count = 1;
    for (const ops::DimExpr& d : *shape)
      if (!d.value() || *d.value() < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(*d.value()), &count))
        return std::nullopt;
    if (count >> 50) return count;
    return editor_.dtype(v) == DType::kString ? count * sizeof(std::string) : byte_size(editor_.dtype(v), count);
  }

  bool computable(NodeIndex n) {
    const Node& node = editor_.node(n);
    // A dequantized constant would be larger than what it is made of, and kernels that work on integers look for it.
    if (!deterministic(node) || ops::is_core_operator(editor_.graph(), node) || !node.captures.empty() ||
        node.op_type == "DequantizeLinear")
      return false;
    std::uint64_t inputs = 0, outputs = 0;
    for (const ValueId v : node.inputs) {
      if (v == kNone) continue;
      const NodeIndex from = editor_.producer(v);
      if (!editor_.constant(v) && (from == kNone || !foldable_[from])) return false;
      inputs += bytes_of(v).value_or(0);
    }
    if (!graph::bodies(node).empty()) return false;
    for (const ValueId v : node.outputs) {
      if (v == kNone) continue;
      if (keeps_name(v) || editor_.value(v).type.kind != ValueType::Kind::kTensor) return false;
      outputs += bytes_of(v).value_or(0);
    }
    if (outputs > kMostOnTheWay && outputs / 4 > inputs) {
      refuse(n, outputs);
      return false;
    }
    return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return read(v); });
  }
  void refuse(NodeIndex n, std::uint64_t bytes) {
    editor_.near_miss(kRule, n, 1, 2, "folding " + editor_.id(n) + " would add " + in_words(bytes));
  }

  void collect() {
    foldable_.assign(editor_.node_count(), 0);
    for (const NodeIndex n : editor_.nodes())
      if (computable(n)) {
        foldable_[n] = 1;
        foldable_nodes_.push_back(n);
      }
  }

  void find_groups() {
    std::vector<NodeIndex> root(editor_.node_count());
    std::iota(root.begin(), root.end(), NodeIndex{0});
    const auto find = [&](NodeIndex n) {
      while (root[n] != n) n = root[n] = root[root[n]];
      return n;
    };
    for (const NodeIndex n : foldable_nodes_)
      for (const ValueId v : editor_.node(n).inputs)
        if (const NodeIndex from = editor_.producer(v); from != kNone) root[find(n)] = find(from);
    std::map<NodeIndex, Group> groups;
    for (const NodeIndex n : foldable_nodes_) groups[find(n)].nodes.push_back(n);
    const Editor* top = &editor_;
    while (top->outer()) top = top->outer();
    const std::uint64_t now = read_bytes(top->graph()),
                        most = editor_.model().report.constant_bytes_before + editor_.model().constant_budget;
    std::uint64_t left = most > now ? most - now : 0;
    for (auto& [first, group] : groups) {
      shrink(group, left);
      if (group.nodes.empty()) continue;
      left -= std::min(left, group.cost);
      groups_.push_back(std::move(group));
    }
  }

  bool read_outside(ValueId v) const {
    if (v == kNone) return false;
    return editor_.is_output(v) ||
           std::any_of(editor_.uses(v).begin(), editor_.uses(v).end(), [&](const Use& u) { return u.captured() || !foldable_[u.node]; });
  }
  std::uint64_t kept_bytes(NodeIndex n) const {
    std::uint64_t bytes = 0;
    for (const ValueId v : editor_.node(n).outputs)
      if (read_outside(v)) bytes += bytes_of(v).value_or(0);
    return bytes;
  }
  /// Bytes that the group leaves behind, less those of constants that it alone reads.
  std::uint64_t cost(const Group& group) const {
    std::uint64_t added = 0, gone = 0;
    std::vector<ValueId> seen;
    for (const NodeIndex n : group.nodes) {
      added += kept_bytes(n);
      for (const ValueId v : editor_.node(n).inputs) {
        if (v == kNone || editor_.captured_from(v) != kNone || !editor_.constant(v) || read_outside(v)) continue;
        seen.push_back(v);
      }
    }
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const ValueId v : seen) gone += editor_.constant(v)->bytes();
    return added > gone ? added - gone : 0;
  }
  static bool repeats(const Node& node) {
    return node.domain.empty() && (node.op_type == "Expand" || node.op_type == "ConstantOfShape" || node.op_type == "Tile");
  }

  void shrink(Group& group, std::uint64_t left) {
    while (!group.nodes.empty()) {
      group.cost = cost(group);
      NodeIndex worst = kNone;
      std::uint64_t most = 0;
      bool repeated = false;
      for (const NodeIndex n : group.nodes) {
        const auto& outputs = editor_.node(n).outputs;
        const bool last = std::all_of(outputs.begin(), outputs.end(), [&](ValueId v) {
          return v == kNone || std::none_of(editor_.uses(v).begin(), editor_.uses(v).end(),
                                            [&](const Use& u) { return !u.captured() && foldable_[u.node]; });
        });
        if (!last) continue;
        const std::uint64_t bytes = kept_bytes(n);
        const bool only_repeats = repeats(editor_.node(n)) && bytes > kMostRepeated;
        if (worst != kNone && (repeated && !only_repeats)) continue;
        if (worst != kNone && bytes <= most && repeated == only_repeats) continue;
        worst = n;
        most = bytes;
        repeated = only_repeats;
      }
      if (group.cost <= left && !repeated) return;
      refuse(worst, repeated ? most : group.cost);
      foldable_[worst] = 0;
      std::erase(group.nodes, worst);
    }
  }

  // Evaluation.

  std::vector<Tensor> evaluate(const std::vector<NodeIndex>& nodes, const std::vector<ValueId>& wanted) const {
    Graph graph;
    graph.name = kRule;
    std::unordered_map<ValueId, ValueId> to;
    const auto id = [&](ValueId v) {
      if (v == kNone) return kNone;
      const auto [at, is_new] = to.try_emplace(v, 0);
      if (is_new) {
        const graph::Value& value = editor_.value(v);
        const auto computed = computed_.find(v);
        const Tensor* constant = computed != computed_.end() ? &computed->second : editor_.constant(v);
        at->second = graph.add_value(value.name, value.type, constant ? *constant : Tensor());
      }
      return at->second;
    };
    for (const NodeIndex n : nodes) {
      Node node = editor_.node(n);
      for (ValueId& v : node.inputs) v = id(v);
      for (ValueId& v : node.outputs) v = id(v);
      graph.nodes.push_back(std::move(node));
    }
    for (const ValueId v : wanted) graph.outputs.push_back(id(v));
    return editor_.model().evaluate(graph);
  }

  void compute() {
    std::vector<NodeIndex> nodes;
    std::vector<ValueId> wanted;
    for (const NodeIndex n : foldable_nodes_) {
      if (!foldable_[n]) continue;
      nodes.push_back(n);
      for (const ValueId v : editor_.node(n).outputs)
        if (read_outside(v)) wanted.push_back(v);
    }
    if (nodes.empty()) return;
    try {
      std::vector<Tensor> results = evaluate(nodes, wanted);
      for (std::size_t i = 0; i < wanted.size(); ++i) computed_[wanted[i]] = std::move(results[i]);
    } catch (const Error&) {
      compute_each(nodes);
    }
  }
  /// What fails stays, for the run to say so; what reads its results stays too.
  void compute_each(const std::vector<NodeIndex>& nodes) {
    for (const NodeIndex n : nodes) {
      const Node& node = editor_.node(n);
      std::vector<ValueId> wanted;
      for (const ValueId v : node.outputs)
        if (read(v)) wanted.push_back(v);
      const bool ready = std::all_of(node.inputs.begin(), node.inputs.end(),
                                     [&](ValueId v) { return v == kNone || editor_.constant(v) || computed_.contains(v); });
      try {
        if (!ready) throw Error(ErrorCode::kRuntime, "what it reads cannot be computed");
        std::vector<Tensor> results = evaluate({n}, wanted);
        for (std::size_t i = 0; i < wanted.size(); ++i) computed_[wanted[i]] = std::move(results[i]);
      } catch (const Error& e) {
        foldable_[n] = 0;
        editor_.near_miss(kRule, n, 1, 2, editor_.id(n) + " cannot be computed: " + e.message());
      }
    }
  }

  // Where results go.

  /// The graph that holds the largest constant the group reads: what several bodies make of one weight is kept once there.
  Editor& home(const Group& group) const {
    Editor* best = &editor_;
    std::uint64_t most = 0;
    for (const NodeIndex n : group.nodes)
      for (const ValueId v : editor_.node(n).inputs) {
        const Tensor* t = v == kNone ? nullptr : editor_.constant(v);
        if (!t || t->bytes() <= most) continue;
        most = t->bytes();
        best = &editor_;
        for (ValueId at = v; best->captured_from(at) != kNone; best = best->outer()) at = best->captured_from(at);
      }
    return *best;
  }
  static ValueId captured(Editor& from, Editor& to, ValueId v) {
    if (&from == &to) return v;
    return to.capture(captured(from, *to.outer(), v));
  }
  ValueId place(Patch& patch, Editor& home, ValueId v, const Tensor& tensor) {
    if (&home == &editor_ || tensor.bytes() < kShared) return patch.constant(editor_.value(v).name, tensor);
    for (ValueId same = 0; same < home.graph().values.size(); ++same)
      if (const Tensor* t = home.constant(same); t && home.captured_from(same) == kNone && same_bytes(*t, tensor))
        return captured(home, editor_, same);
    ValueType type = editor_.value(v).type;
    type.shape.emplace();
    for (const std::int64_t d : tensor.shape()) type.shape->push_back({d, ""});
    return captured(home, editor_,
                    home.add_value(home.unique_name(std::string(kRule) + "/" + editor_.value(v).name), std::move(type), tensor));
  }

  /// Whether results whose size only the computation told are too large to keep.
  bool grows_unforeseen(const Group& group) {
    for (const NodeIndex n : group.nodes)
      for (const ValueId v : editor_.node(n).outputs) {
        if (!foldable_[n] || !read_outside(v) || bytes_of(v) || computed_.at(v).bytes() <= kMostRepeated) continue;
        refuse(n, computed_.at(v).bytes());
        return true;
      }
    return false;
  }

  void apply(const Group& group) {
    if (editor_.model().rewrites_left == 0 || grows_unforeseen(group)) return;
    Patch patch(editor_, kRule);
    Editor& around = home(group);
    for (const NodeIndex n : group.nodes) {
      if (!foldable_[n]) continue;
      for (const ValueId v : editor_.node(n).outputs)
        if (read_outside(v)) patch.replace(v, place(patch, around, v, computed_.at(v)));
    }
    bool any = false;
    for (const NodeIndex n : group.nodes) {
      if (!foldable_[n]) continue;
      patch.remove(n);
      any = true;
    }
    if (any) editor_.apply(std::move(patch));
  }

  Editor& editor_;
  std::vector<char> foldable_;
  std::vector<NodeIndex> foldable_nodes_;
  std::vector<Group> groups_;
  std::unordered_map<ValueId, Tensor> computed_;
};

}  // namespace

Pass fold_constants() {
  return {kRule, "nodes that read constants alone are computed once, within a budget of bytes",
          [](Editor& editor) { Folder(editor).run(); }};
}

}  // namespace ashlar::optimizer
