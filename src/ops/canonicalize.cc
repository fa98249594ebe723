// SPDX-License-Identifier: Apache-2.0
#include "ops/canonicalize.h"

#include <array>
#include <iterator>
#include <memory>
#include <string_view>

#include <ashlar/error.h>

#include "graph/nesting.h"
#include "ops/rewrites.h"

namespace ashlar::ops {
namespace {

struct Row {
  std::string_view op;
  int below;                   ///< the rewrite applies to nodes of versions below this one
  bool (*rewrite)(Rewriter&);  ///< null: only the version changes
  std::string_view domain = "";
  int last = kAnyVersion;  ///< the newest version to take: a later one only deprecates the operator
};

constexpr std::string_view kMl = "ai.onnx.ml";

// What is not listed differs between its versions in accepted dtypes, wording, and attributes whose default is what there was.
constexpr auto kRows = std::to_array<Row>({
    {"Add", 7, &legacy_broadcast},
    {"And", 7, &legacy_broadcast},
    {"BatchNormalization", 14, &batch_normalization},
    {"Cast", 6, &cast_by_name},
    {"Clip", 11, &clip_bounds},
    {"Concat", 4, &concat_axis},
    {"DFT", 20, &dft_axis},
    {"Div", 7, &legacy_broadcast},
    {"Dropout", 12, &dropout_mode},
    {"Equal", 7, &legacy_broadcast},
    {"GRU", 7, &recurrent},
    {"Gemm", 7, &drop_broadcast},
    {"GlobalLpPool", 2, &integer_p},
    {"Greater", 7, &legacy_broadcast},
    {"GridSample", 20, &grid_sample_mode},
    {"GroupNormalization", 21, &group_normalization},
    {"Hardmax", 13, &softmax_last_axis},
    {"LSTM", 7, &recurrent},
    {"LabelEncoder", 2, &label_encoder_classes, kMl},
    {"Less", 7, &legacy_broadcast},
    {"LogSoftmax", 13, &softmax_last_axis},
    {"LpPool", 2, &integer_p},
    {"Mul", 7, &legacy_broadcast},
    {"OneHot", 11, &one_hot_negative},
    {"Or", 7, &legacy_broadcast},
    {"PRelu", 7, &prelu_channels},
    {"Pad", 11, &pad_amounts},
    {"Pow", 7, &legacy_broadcast},
    {"RNN", 7, &recurrent},
    {"ReduceL1", 18, &axes_to_input},
    {"ReduceL2", 18, &axes_to_input},
    {"ReduceLogSum", 18, &axes_to_input},
    {"ReduceLogSumExp", 18, &axes_to_input},
    {"ReduceMax", 18, &axes_to_input},
    {"ReduceMean", 18, &axes_to_input},
    {"ReduceMin", 18, &axes_to_input},
    {"ReduceProd", 18, &axes_to_input},
    {"ReduceSum", 13, &axes_to_input},
    {"ReduceSumSquare", 18, &axes_to_input},
    {"Reshape", 5, &reshape_shape},
    {"Resize", 13, &resize_modes},
    {"RoiAlign", 16, &roi_align_mode},
    {"Scan", 9, &keep},
    {"Scatter", kAnyVersion, &scatter_elements},
    {"Slice", 10, &slice_bounds},
    {"Softmax", 13, &softmax_last_axis},
    {"Split", 18, &split_parts},
    {"Squeeze", 13, &axes_to_input},
    {"Sub", 7, &legacy_broadcast},
    {"Tile", 6, &tile_axis},
    {"TopK", 10, &topk_k},
    {"TreeEnsembleClassifier", 5, nullptr, kMl, 3},
    {"TreeEnsembleRegressor", 5, nullptr, kMl, 3},
    {"Unsqueeze", 13, &axes_to_input},
    {"Upsample", kAnyVersion, &upsample_to_resize},
    {"Xor", 7, &legacy_broadcast},
});

const Row* find_row(const std::string& op, const std::string& domain, int version) {
  for (const Row& row : kRows)
    if (row.op == op && row.domain == domain && version < row.below) return &row;
  return nullptr;
}

void bring_up(Rewriter& r) {
  graph::Node& node = r.node;
  const Row* row = find_row(node.op_type, node.domain, node.version);
  const bool rewrite = row && row->rewrite;
  const int last = row ? row->last : kAnyVersion;
  if (node.version <= 0 || (!rewrite && newest_version(node.op_type, node.domain, last).value_or(0) <= node.version)) return;
  fill_defaults(node, node.version);
  if (rewrite && !row->rewrite(r)) return;
  node.attributes.erase("consumed_inputs");
  node.version = newest_version(node.op_type, node.domain, last).value_or(node.version);
  fill_defaults(node, node.version);
}

void canonicalize(graph::Graph& graph, const Scope* outer, int depth) {
  if (depth > graph::kMaxNesting)
    throw Error(ErrorCode::kInvalidModel, "graphs are nested more than " + std::to_string(graph::kMaxNesting) + " deep");
  Scope scope(graph, outer);
  std::vector<graph::Node> nodes;
  nodes.reserve(graph.nodes.size());
  for (graph::Node& node : graph.nodes) {
    for (const auto& [name, body] : graph::bodies(node)) {
      auto copy = std::make_shared<graph::Graph>(*body);
      canonicalize(*copy, &scope, depth + 1);
      node.attributes[name] = std::move(copy);
    }
    Rewriter rewriter(scope, node);
    bring_up(rewriter);
    std::move(rewriter.before.begin(), rewriter.before.end(), std::back_inserter(nodes));
    nodes.push_back(std::move(node));
    std::move(rewriter.after.begin(), rewriter.after.end(), std::back_inserter(nodes));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

void canonicalize(graph::Graph& graph) { canonicalize(graph, nullptr, 0); }

bool has_rewrite(const std::string& op, const std::string& domain, int version) { return find_row(op, domain, version) != nullptr; }

}  // namespace ashlar::ops
