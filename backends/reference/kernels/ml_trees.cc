// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier. All three become one form: inner nodes with two
// branches, each to another node or to a leaf, and leaves with votes of a weight for a target. A row of features walks every tree to
// one leaf; the votes of the leaves are aggregated for each target.
#include <cmath>
#include <map>

#include "ml.h"

namespace ashlar::reference {
namespace {

using namespace provider;

enum Mode { kLeq, kLt, kGte, kGt, kEq, kNeq, kMember, kModes };
enum Aggregate { kAverage, kSum, kMin, kMax };

struct Vote {
  std::int64_t target;
  double weight;
};
/// A place in the ensemble: a node, or a leaf.
struct Branch {
  bool leaf = false;
  std::int64_t at = 0;
};
struct TreeNode {
  int mode = kLeq;
  std::int64_t feature = 0;
  double split = 0;
  bool missing_is_true = false;
  std::vector<double> members;
  Branch yes, no;
};

std::vector<double> doubles(const NodeView& node, const char* name) {
  std::vector<double> out;
  if (const auto tensor = node.tensor(name))
    dispatch<FloatTypes>(tensor->dtype(), [&]<class T>() {
      for (const T value : tensor->values<T>()) out.push_back(static_cast<double>(static_cast<Compute<T>>(value)));
    });
  return out;
}

/// NAME_as_tensor where the node has it, else NAME.
std::vector<double> doubles_or_floats(const NodeView& node, const std::string& name) {
  std::vector<double> out = doubles(node, (name + "_as_tensor").c_str());
  if (!out.empty()) return out;
  const std::vector<float> floats = node.reals(name);
  return {floats.begin(), floats.end()};
}

template <class V> const typename V::value_type& get(const V& values, std::int64_t i, const char* name) {
  check(i >= 0 && i < static_cast<std::int64_t>(values.size()), name, " has no element ", i);
  return values[static_cast<std::size_t>(i)];
}

struct Ensemble {
  std::vector<TreeNode> nodes;
  std::vector<std::vector<Vote>> leaves;
  std::vector<Branch> roots;
  std::vector<double> base;
  std::int64_t targets = 0, features = 0;
  Aggregate aggregate = kSum;

  /// Every place and target exists; the number of features the nodes read.
  void verify() {
    const auto exists = [&](const Branch& b) {
      return b.at >= 0 && b.at < static_cast<std::int64_t>(b.leaf ? leaves.size() : nodes.size());
    };
    for (const Branch& root : roots) check(exists(root), "a tree has no root ", root.at);
    for (const TreeNode& node : nodes) {
      check(exists(node.yes) && exists(node.no), "a node's branch leads nowhere");
      check(node.feature >= 0 && node.feature < INT32_MAX, "a node reads the feature ", node.feature);
      features = std::max(features, node.feature + 1);
    }
    check(targets > 0 && targets < INT32_MAX, "there are ", targets, " targets");
    for (const auto& leaf : leaves)
      for (const Vote& vote : leaf)
        check(vote.target >= 0 && vote.target < targets, "a leaf votes for the target ", vote.target, " of ", targets);
    check(base.empty() || base.size() == 1 || static_cast<std::int64_t>(base.size()) == targets, base.size(), " base values for ", targets,
          " targets");
  }

  static bool takes(const TreeNode& node, double x) {
    if (std::isnan(x)) return node.missing_is_true;
    switch (node.mode) {
      case kLeq: return x <= node.split;
      case kLt: return x < node.split;
      case kGte: return x >= node.split;
      case kGt: return x > node.split;
      case kEq: return x == node.split;
      case kNeq: return x != node.split;
      default: return std::find(node.members.begin(), node.members.end(), x) != node.members.end();
    }
  }

  const std::vector<Vote>& leaf_of(Branch at, const double* x) const {
    for (std::size_t steps = 0; !at.leaf; ++steps) {
      check(steps <= nodes.size(), "a tree runs in a circle");
      const TreeNode& node = nodes[static_cast<std::size_t>(at.at)];
      at = takes(node, x[node.feature]) ? node.yes : node.no;
    }
    return leaves[static_cast<std::size_t>(at.at)];
  }

  std::vector<double> scores(const double* x) const {
    std::vector<double> out(static_cast<std::size_t>(targets), 0);
    std::vector<bool> voted(out.size(), false);
    for (const Branch& root : roots) {
      for (const Vote& vote : leaf_of(root, x)) {
        const auto t = static_cast<std::size_t>(vote.target);
        const bool first = !voted[t];
        voted[t] = true;
        if (aggregate == kMin) {
          out[t] = first ? vote.weight : std::min(out[t], vote.weight);
        } else if (aggregate == kMax) {
          out[t] = first ? vote.weight : std::max(out[t], vote.weight);
        } else {
          out[t] += vote.weight;
        }
      }
    }
    for (std::size_t t = 0; t < out.size(); ++t) {
      if (aggregate == kAverage) out[t] /= static_cast<double>(roots.size());
      if (!base.empty()) out[t] += base[base.size() == 1 ? 0 : t];
    }
    return out;
  }
};

/// TreeEnsemble: nodes and leaves are listed apart, and refer to each other by place.
Ensemble ensemble_5(const NodeView& node) {
  const auto features = node.integers("nodes_featureids"), yes = node.integers("nodes_truenodeids"),
             no = node.integers("nodes_falsenodeids"), yes_leaf = node.integers("nodes_trueleafs"),
             no_leaf = node.integers("nodes_falseleafs"), missing = node.integers("nodes_missing_value_tracks_true"),
             targets = node.integers("leaf_targetids");
  const std::vector<double> splits = doubles(node, "nodes_splits"), weights = doubles(node, "leaf_weights"),
                            members = doubles(node, "membership_values");
  const auto modes = node.tensor("nodes_modes");
  check(modes && modes->dtype() == DType::kUint8, "nodes_modes is not a tensor of uint8");
  Ensemble e;
  std::size_t member = 0;
  std::int64_t i = 0;
  for (const std::uint8_t mode : modes->values<std::uint8_t>()) {
    check(mode < kModes, "there is no node mode ", int{mode});
    TreeNode n{mode,
               get(features, i, "nodes_featureids"),
               get(splits, i, "nodes_splits"),
               !missing.empty() && get(missing, i, "nodes_missing_value_tracks_true") != 0,
               {},
               {get(yes_leaf, i, "nodes_trueleafs") != 0, get(yes, i, "nodes_truenodeids")},
               {get(no_leaf, i, "nodes_falseleafs") != 0, get(no, i, "nodes_falsenodeids")}};
    if (mode == kMember) {
      for (; member < members.size() && !std::isnan(members[member]); ++member) n.members.push_back(members[member]);
      ++member;
    }
    e.nodes.push_back(std::move(n));
    ++i;
  }
  for (std::size_t l = 0; l < weights.size(); ++l)
    e.leaves.push_back({{get(targets, static_cast<std::int64_t>(l), "leaf_targetids"), weights[l]}});
  for (const std::int64_t root : node.integers("tree_roots")) e.roots.push_back({false, root});
  e.targets = node.integer("n_targets");
  const std::int64_t aggregate = node.integer("aggregate_function", kSum);
  check(aggregate >= kAverage && aggregate <= kMax, "there is no aggregate_function ", aggregate);
  e.aggregate = static_cast<Aggregate>(aggregate);
  e.verify();
  return e;
}

/// TreeEnsembleRegressor and TreeEnsembleClassifier: nodes and leaves in one list, known by tree and number; votes in another, whose
/// attributes start with `prefix`.
Ensemble ensemble_3(const NodeView& node, const std::string& prefix, std::int64_t targets) {
  static constexpr std::string_view kNames[kModes] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",   "BRANCH_GT",
                                                      "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER"};
  const auto trees = node.integers("nodes_treeids"), numbers = node.integers("nodes_nodeids"), features = node.integers("nodes_featureids"),
             yes = node.integers("nodes_truenodeids"), no = node.integers("nodes_falsenodeids"),
             missing = node.integers("nodes_missing_value_tracks_true");
  const std::vector<std::string> modes = node.texts("nodes_modes");
  const std::vector<double> splits = doubles_or_floats(node, "nodes_values");
  Ensemble e;
  std::map<std::pair<std::int64_t, std::int64_t>, Branch> places;
  std::map<std::int64_t, Branch> roots;
  std::int64_t next_node = 0, next_leaf = 0;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const bool leaf = modes[i] == "LEAF";
    const std::int64_t tree = get(trees, static_cast<std::int64_t>(i), "nodes_treeids");
    const Branch place{leaf, leaf ? next_leaf++ : next_node++};
    check(places.emplace(std::pair(tree, get(numbers, static_cast<std::int64_t>(i), "nodes_nodeids")), place).second, "tree ", tree,
          " has a node twice");
    roots.emplace(tree, place);
  }
  const auto find = [&](std::int64_t tree, std::int64_t number) {
    const auto place = places.find({tree, number});
    check(place != places.end(), "tree ", tree, " has no node ", number);
    return place->second;
  };
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(modes.size()); ++i) {
    const std::string& mode = modes[static_cast<std::size_t>(i)];
    if (mode == "LEAF") continue;
    const auto known = std::find(std::begin(kNames), std::end(kNames) - 1, mode) - std::begin(kNames);
    check(known < kMember, "there is no node mode ", mode);
    const std::int64_t tree = trees[static_cast<std::size_t>(i)];
    e.nodes.push_back({static_cast<int>(known),
                       get(features, i, "nodes_featureids"),
                       get(splits, i, "nodes_values"),
                       !missing.empty() && get(missing, i, "nodes_missing_value_tracks_true") != 0,
                       {},
                       find(tree, get(yes, i, "nodes_truenodeids")),
                       find(tree, get(no, i, "nodes_falsenodeids"))});
  }
  e.leaves.resize(static_cast<std::size_t>(next_leaf));
  const auto vote_trees = node.integers(prefix + "_treeids"), vote_nodes = node.integers(prefix + "_nodeids"),
             vote_targets = node.integers(prefix + "_ids");
  const std::vector<double> weights = doubles_or_floats(node, prefix + "_weights");
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(weights.size()); ++i) {
    const Branch place = find(get(vote_trees, i, "the votes' trees"), get(vote_nodes, i, "the votes' nodes"));
    if (place.leaf)
      e.leaves[static_cast<std::size_t>(place.at)].push_back(
          {get(vote_targets, i, "the votes' targets"), weights[static_cast<std::size_t>(i)]});
  }
  for (const auto& [tree, root] : roots) e.roots.push_back(root);
  e.base = doubles_or_floats(node, "base_values");
  e.targets = targets;
  const std::string aggregate = node.text("aggregate_function", "SUM");
  e.aggregate = aggregate == "AVERAGE" ? kAverage : aggregate == "MIN" ? kMin : aggregate == "MAX" ? kMax : kSum;
  e.verify();
  return e;
}

std::int64_t rows_with(const TensorView& in, const Ensemble& ensemble) {
  const std::int64_t rows = Matrix::rows_of(in);
  check(in.dim(in.rank() - 1) >= ensemble.features, "the features have the shape ", in.dims(), ", the trees read ", ensemble.features);
  return rows;
}

Verdict trees_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16, ASHLAR_NO_KERNEL_DTYPE,
                 "TreeEnsemble of ", dtype_name(dtype), " has no kernel");
  const std::int64_t transform = node.integer("post_transform", 0);
  ASHLAR_REQUIRE(transform >= 0 && transform <= 4, ASHLAR_ATTRIBUTE, "TreeEnsemble has no post_transform ", transform);
  return accept();
}

class TreeRegressor final : public Kernel {
 public:
  explicit TreeRegressor(const NodeView& node)
      : ensemble_(node.op_type() == "TreeEnsemble" ? ensemble_5(node) : ensemble_3(node, "target", node.integer("n_targets", 1))),
        transform_(node.op_type() == "TreeEnsemble" ? static_cast<PostTransform>(node.integer("post_transform", 0))
                                                    : post_transform_of(node.text("post_transform", "NONE"))) {}
  void bind(BindContext& context) const override {
    const Dims out{rows_with(context.input(0), ensemble_), ensemble_.targets};
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    const TensorView out = context.output(0);
    std::int64_t at = 0;
    for (std::int64_t r = 0; r < in.rows; ++r) {
      std::vector<double> scores = ensemble_.scores(in.row(r));
      apply(transform_, scores);
      dispatch<FloatTypes>(out.dtype(), [&]<class T>() {
        for (const double s : scores) out.mutable_data<T>()[at++] = static_cast<T>(static_cast<Compute<T>>(s));
      });
    }
  }

 private:
  Ensemble ensemble_;
  PostTransform transform_;
};

/// With two labels and votes for class 0 alone their sum stands for class 1: it wins above 0.5 where no weight is negative, which
/// makes the sum a probability, and else above 0.
class TreeClassifier final : public Kernel {
 public:
  explicit TreeClassifier(const NodeView& node)
      : labels_(node.integers("classlabels_int64s"), node.texts("classlabels_strings")),
        ensemble_(ensemble_3(node, "class", labels_.size())), transform_(post_transform_of(node.text("post_transform", "NONE"))) {
    const std::vector<std::int64_t> ids = node.integers("class_ids");
    binary_ = labels_.size() == 2 && std::all_of(ids.begin(), ids.end(), [](std::int64_t id) { return id == 0; });
    for (const auto& leaf : ensemble_.leaves)
      for (const Vote& vote : leaf) positive_ = positive_ && vote.weight >= 0;
  }
  void bind(BindContext& context) const override {
    const std::int64_t rows = rows_with(context.input(0), ensemble_);
    context.set_output(0, {rows});
    context.set_output(1, {rows, labels_.size()});
  }
  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    std::int64_t at = 0;
    for (std::int64_t r = 0; r < in.rows; ++r) {
      std::vector<double> scores = ensemble_.scores(in.row(r));
      std::int64_t label = arg_max(scores);
      if (binary_) {
        const double score = scores[0];
        label = score > (positive_ ? 0.5 : 0.0) ? 1 : 0;
        scores = binary_scores(score, positive_, transform_);
      } else {
        apply(transform_, scores);
      }
      if (context.has_output(0)) labels_.write(context.output(0), r, label);
      if (!context.has_output(1)) continue;
      for (const double s : scores) context.output(1).mutable_data<float>()[at++] = static_cast<float>(s);
    }
  }

 private:
  Labels labels_;
  Ensemble ensemble_;
  PostTransform transform_;
  bool binary_ = false, positive_ = true;
};

constexpr const char* kMl = "ai.onnx.ml";
constexpr KernelEntry kTable[] = {
    {"TreeEnsemble", 5, kLatest, &trees_verdict, &make<TreeRegressor>, kMl},
    {"TreeEnsembleRegressor", 1, kLatest, &features_verdict, &make<TreeRegressor>, kMl},
    {"TreeEnsembleClassifier", 1, kLatest, &classifier_verdict, &make<TreeClassifier>, kMl},
};

}  // namespace

std::span<const provider::KernelEntry> ml_trees_kernels() { return kTable; }

}  // namespace ashlar::reference
