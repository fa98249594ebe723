// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <ashlar/passes.h>

#include "graph/graph.h"
#include "ops/symbolic.h"

namespace ashlar::optimizer {

using graph::Attribute;
using graph::Graph;
using graph::kNone;
using graph::Node;
using graph::NodeIndex;
using graph::ValueId;
using Attributes = std::map<std::string, Attribute>;

/// Whether providers take a node: the first that does, in their order, or -1 and what they said.
struct Answer {
  int provider = -1;
  std::string refusal;
};
using Takes = std::function<Answer(const Graph& graph, NodeIndex node)>;

/// Runs a graph that has no inputs and gives its outputs.
using Evaluate = std::function<std::vector<Tensor>(const Graph& graph)>;

/// What all graphs of one model share while they are rewritten.
struct Model {
  Takes takes;        ///< null: every node is taken
  Evaluate evaluate;  ///< null: nothing is computed
  ops::DimTable dims = {};
  Optimization report = {};
  std::int64_t rewrites_left = -1;           ///< below 0: any number
  std::uint64_t constant_budget = 0;         ///< bytes that folding may still add
  std::unordered_set<std::string> ids = {};  ///< every node id there is or was
  std::string pass = {};                     ///< the one that runs
};

/// One reader of a value: an input of a node, or the node's bodies (`input` is kNone).
struct Use {
  NodeIndex node;
  std::uint32_t input;
  bool captured() const { return input == kNone; }
};

class Editor;

/// A rewrite before it is applied: nodes that go, nodes that come, values that take others' places. Nothing in the graph changes until
/// Editor::apply. A new node may write a value that a removed node wrote, which keeps the value's name.
class Patch {
 public:
  explicit Patch(Editor& editor, std::string rule) : editor_(editor), rule_(std::move(rule)) {}

  void remove(NodeIndex node) { removed_.push_back(node); }
  /// Nodes added from here on come of these alone, not of all that the patch removes. The first one that comes of a single removed node takes its id.
  void origins_of(std::vector<NodeIndex> nodes) { from_ = std::move(nodes); }
  /// A new node of the operator's newest form, "Op" or "ashlar::Op", whose outputs are new values of inferred types (one unless `outputs` says).
  /// Attributes that the form has defaults for are filled in.
  std::vector<ValueId> add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}, std::size_t outputs = 1);
  ValueId add_one(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return add(op, std::move(inputs), std::move(attributes)).front();
  }
  /// The same, but writes those values (kNone: left out).
  void add_writing(const std::string& op, std::vector<ValueId> inputs, std::vector<ValueId> outputs, Attributes attributes = {});
  /// A node as it is (its id is made unique). Its outputs are values of the graph.
  void add_node(Node node) {
    added_.push_back(std::move(node));
    bases_.push_back(kNone);
  }
  /// A node that leaves a body which goes with this patch: it keeps its id, and no provider is asked about it.
  void move_in(Node node) {
    moved_.insert(node.id);
    add_node(std::move(node));
  }
  /// New constants. `hint` becomes part of the name.
  ValueId constant(const std::string& hint, Tensor tensor);
  ValueId constant(const std::string& hint, const std::vector<std::int64_t>& elements);  ///< int64, one-dimensional
  ValueId scalar(const std::string& hint, DType dtype, double value);                    ///< a scalar of a real dtype
  /// A new value without a definition yet.
  ValueId value(const std::string& hint, ValueType type = {});
  /// Everything that reads `gone` reads `instead`.
  void replace(ValueId gone, ValueId instead) { replaced_.emplace_back(gone, instead); }

 private:
  friend class Editor;
  Editor& editor_;
  std::string rule_;
  std::vector<NodeIndex> removed_;
  std::vector<Node> added_;
  std::vector<NodeIndex> bases_;  ///< by added node: the one node it comes of, or kNone
  std::vector<std::pair<ValueId, ValueId>> replaced_;
  std::vector<NodeIndex> from_;
  std::unordered_set<std::string> moved_;
  mutable bool asked_ = false;  ///< Editor::taken said yes
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A graph while passes rewrite it: who makes and reads each value, what is known of it, and the journal. Indices of nodes stay valid during a
/// pass: nodes that go leave holes, new ones stand at the end; commit() puts them in order.
class Editor {
 public:
  /// `outer` for a body. Everything must outlive the editor.
  Editor(Model& model, Graph& graph, std::string path = "", Editor* outer = nullptr);

  Model& model() { return model_; }
  const Graph& graph() const { return graph_; }
  const std::string& path() const { return path_; }
  bool is_body() const { return outer_ != nullptr; }

  // Nodes. node_count counts holes; dead() says which.
  NodeIndex node_count() const { return static_cast<NodeIndex>(graph_.nodes.size()); }
  bool dead(NodeIndex n) const { return dead_[n] != 0; }
  const Node& node(NodeIndex n) const { return graph_.nodes[n]; }
  bool is(NodeIndex n, std::string_view op) const {
    return n != kNone && !dead(n) && graph_.nodes[n].domain.empty() && graph_.nodes[n].op_type == op;
  }
  /// "Add_29": for messages.
  const std::string& id(NodeIndex n) const { return graph_.nodes[n].id; }
  /// Nodes that live, in an order of execution (new ones last until commit()).
  std::vector<NodeIndex> nodes() const;

  // Values. What is told of one by reference or pointer holds until a rewrite is applied, whatever is added meanwhile.
  const graph::Value& value(ValueId v) const { return graph_.values[v]; }
  DType dtype(ValueId v) const { return graph_.values[v].type.dtype; }
  NodeIndex producer(ValueId v) const { return v == kNone ? kNone : producer_[v]; }
  const std::vector<Use>& uses(ValueId v) const { return uses_[v]; }
  bool is_output(ValueId v) const { return output_[v] != 0; }
  bool is_input(ValueId v) const { return input_[v] != 0; }
  /// Whether exactly one input of one node reads it and it is no output.
  bool single_use(ValueId v) const { return uses_[v].size() == 1 && !uses_[v][0].captured() && !is_output(v); }
  /// The value's constant, here or where it is captured from; null for one that a caller may replace.
  const Tensor* constant(ValueId v) const;
  const ops::ValueFacts& facts(ValueId v) const { return facts_[v]; }
  const ops::SymbolicShape* shape(ValueId v) const { return facts_[v].shape ? &*facts_[v].shape : nullptr; }
  std::optional<std::size_t> rank(ValueId v) const { return shape(v) ? std::optional(shape(v)->size()) : std::nullopt; }
  /// Whether both have one shape in every run.
  bool same_shape(ValueId a, ValueId b) const { return shape(a) && shape(b) && *shape(a) == *shape(b); }
  /// All elements, where they are numbers: of an integer or bool value, constant or followed.
  std::optional<std::vector<std::int64_t>> numbers(ValueId v) const;
  /// The one element of a constant of a real or integer dtype, whatever its rank.
  std::optional<double> scalar(ValueId v) const;

  /// Whether replace(gone, instead) can be done: an output of the main graph keeps its name.
  bool can_replace(ValueId gone, ValueId instead) const;
  /// Whether some provider takes the new nodes that is not less preferred than those that took the old ones; says why not.
  bool taken(const Patch& patch, std::string* refusal = nullptr);
  /// Applies the patch, removes what nobody reads then, and records it. False, with nothing changed, when the rewrites are used up, or when no provider
  /// would take what it makes. Throws Error (kInternal) for a patch that would leave a value without a definition.
  bool apply(Patch&& patch);
  void near_miss(const std::string& rule, NodeIndex anchor, int matched, int total, std::string reason);
  /// Removes nodes that nobody reads, recorded as one rewrite of that rule; how many.
  int remove_unread(const std::string& rule);
  /// "Add_29 has 2 consumers (Add_33)": who else reads what a pattern needs for itself. `inside` are the pattern's own nodes.
  std::string consumers(ValueId v, const std::vector<NodeIndex>& inside) const;

  /// Changes since the editor was made.
  std::int64_t version() const { return version_; }
  /// By pass, the version at which it last found nothing to do.
  std::vector<std::int64_t> settled = {};
  /// Takes holes away and sorts nodes so that each stands behind what it reads, as near its old place as may be. Indices change. In a body, captures
  /// that nothing reads any more go too.
  void commit();

  /// The editors of a node's bodies, by attribute name; they live as long as the node does.
  std::vector<std::pair<std::string, Editor*>> bodies(NodeIndex n);
  /// The outer value that a value of this body stands for; kNone.
  ValueId captured_from(ValueId v) const { return v < captured_.size() ? captured_[v] : kNone; }
  /// The graph around this body; null for the main graph.
  Editor* outer() const { return outer_; }
  /// A value of this body that stands for a value of the graph around it, captured now if it was not.
  ValueId capture(ValueId outer_value);

  /// A value's name that is not taken in this graph.
  std::string unique_name(const std::string& hint);
  ValueId add_value(std::string name, ValueType type = {}, Tensor constant = {});
  /// A value of this graph made after one of a body: its name where that is free, its type, its constant.
  ValueId adopt(const Editor& body, ValueId inner);
  /// Learns everything again, after rewrites that make more known of values that others derive from. Commits; editors of bodies are made anew.
  void refresh();
  /// Fills in types and facts of a new node's outputs.
  void infer(const Node& node);
  /// Writes what is known of shapes into the types of values; whether any changed.
  bool write_shapes();

 private:
  void index();
  void learn();
  void learn(const Node& node);
  void learn_captured();
  void prune_captures();
  void recapture(Editor& body);
  NodeIndex owner_of(const Graph* body) const;
  void link(NodeIndex n);
  void unlink(NodeIndex n);
  void rename(ValueId gone, ValueId instead);
  void substitute(NodeIndex n, ValueId gone, ValueId instead);
  void sweep(std::vector<ValueId> maybe_unread, std::vector<NodeIndex>& removed);
  void kill(NodeIndex n);
  Optimization::NodeRef ref(const Node& node) const { return {node.id, node.op_name(), node.origins}; }
  void name_nodes(Patch& patch);

  Model& model_;
  Graph& graph_;
  std::string path_;
  Editor* outer_;
  std::map<const Graph*, std::unique_ptr<Editor>> bodies_;
  std::int64_t committed_ = 0;
  std::vector<char> dead_, output_, input_;
  std::vector<double> order_;
  std::vector<NodeIndex> producer_;
  std::deque<std::vector<Use>> uses_;  // deques: what is handed out stays where it is while values are added
  std::vector<ValueId> captured_;
  std::deque<ops::ValueFacts> facts_;
  std::unordered_set<std::string> names_;
  std::int64_t version_ = 0;
};

}  // namespace ashlar::optimizer
