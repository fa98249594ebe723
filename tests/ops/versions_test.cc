// SPDX-License-Identifier: Apache-2.0
// Every step from one version of an operator to the next, as ONNX's own schemas have it, is either rewritten or harmless.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <onnx/defs/schema.h>

#include "ops/canonicalize.h"

namespace ashlar::ops {
namespace {

using ::ONNX_NAMESPACE::OpSchema;

/// Attributes that a later version added with a default that says what there was before.
const std::set<std::string>& neutral_additions() {
  static const std::set<std::string> names = {"ArgMax.select_last_index",
                                              "ArgMin.select_last_index",
                                              "Attention.left_window_size",
                                              "Attention.right_window_size",
                                              "AveragePool.ceil_mode",
                                              "AveragePool.count_include_pad",
                                              "Cast.round_mode",
                                              "Cast.saturate",
                                              "CastLike.round_mode",
                                              "CastLike.saturate",
                                              "DepthToSpace.mode",
                                              "DequantizeLinear.axis",
                                              "DequantizeLinear.block_size",
                                              "DequantizeLinear.output_dtype",
                                              "GRU.layout",
                                              "GatherND.batch_dims",
                                              "LSTM.layout",
                                              "LpPool.ceil_mode",
                                              "MaxPool.ceil_mode",
                                              "MaxPool.storage_order",
                                              "QuantizeLinear.axis",
                                              "QuantizeLinear.block_size",
                                              "QuantizeLinear.output_dtype",
                                              "QuantizeLinear.precision",
                                              "QuantizeLinear.saturate",
                                              "RNN.layout",
                                              "Range.stash_type",
                                              "Reshape.allowzero",
                                              "Resize.antialias",
                                              "Resize.keep_aspect_ratio_policy",
                                              "ScatterElements.reduction",
                                              "ScatterND.reduction",
                                              "Shape.start",
                                              "SpaceToDepth.mode",
                                              "TopK.largest",
                                              "TopK.sorted"};
  return names;
}

/// Changes that look like ones of meaning and are none.
const std::set<std::pair<std::string, int>>& harmless() {
  static const std::set<std::pair<std::string, int>> steps = {
      {"Selu", 1},  // other defaults; a node has its own version's already
  };
  return steps;
}

std::string bytes_of(const OpSchema::Attribute& a) { return a.default_value.SerializeAsString(); }

/// What of `b` could make a node written for `a` mean something else; empty when nothing does.
std::string difference(const OpSchema& a, const OpSchema& b) {
  for (const auto& [name, attribute] : a.attributes()) {
    const auto now = b.attributes().find(name);
    if (now == b.attributes().end()) {
      if (name != "consumed_inputs") return "attribute " + name + " is gone";
    } else if (now->second.type != attribute.type) {
      return "attribute " + name + " has another type";
    } else if (bytes_of(now->second) != bytes_of(attribute)) {
      return "attribute " + name + " has another default";
    }
  }
  for (const auto& [name, attribute] : b.attributes()) {
    if (a.attributes().contains(name)) continue;
    if (attribute.required) return "attribute " + name + " is new and required";
    if (!bytes_of(attribute).empty() && attribute.default_value.type() != 0 && !neutral_additions().contains(b.Name() + "." + name))
      return "attribute " + name + " is new and has a default";
  }
  const auto& before = a.inputs();
  const auto& now = b.inputs();
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (i >= before.size() && now[i].GetOption() == OpSchema::Single) return "input " + now[i].GetName() + " is new and required";
  }
  if (now.size() < before.size()) return "an input is gone";
  if (b.outputs().size() < a.outputs().size()) return "an output is gone";
  if (b.Deprecated() && !a.Deprecated()) return "the operator is deprecated";
  return "";
}

TEST(Versions, EveryStepIsRewrittenOrHarmless) {
  std::map<std::pair<std::string, std::string>, std::map<int, OpSchema>> history;
  std::size_t count = 0;
  for (const OpSchema& s : ::ONNX_NAMESPACE::OpSchemaRegistry::get_all_schemas_with_history()) {
    history[{s.domain(), s.Name()}].emplace(s.SinceVersion(), s);
    ++count;
  }
  EXPECT_EQ(count, 659u) << "another ONNX release: look at what it changed";
  for (const auto& [op, versions] : history) {
    for (auto a = versions.begin(), b = std::next(a); b != versions.end(); a = b++) {
      const std::string what = difference(a->second, b->second);
      if (what.empty() || harmless().contains({op.second, a->first})) continue;
      EXPECT_TRUE(has_rewrite(op.second, op.first, a->first))
          << op.first << "::" << op.second << " " << a->first << " -> " << b->first << ": " << what;
    }
  }
}

}  // namespace
}  // namespace ashlar::ops
