// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string_view>

#include "ops/rewrites.h"

namespace ashlar::ops {

using graph::kNone;
using graph::ValueId;
using Ints = std::vector<std::int64_t>;

bool legacy_broadcast(Rewriter& r) {
  const bool broadcast = r.get<std::int64_t>("broadcast") != 0;
  if (broadcast && r.has("axis") && r.element_count(1) != 1) {
    const auto a = r.rank(0), b = r.rank(1);
    if (!a || !b) return false;
    std::int64_t axis = r.get<std::int64_t>("axis");
    if (axis < 0) axis += *a;
    if (axis < 0 || axis > *a - *b) return false;
    const std::int64_t trailing = *a - *b - axis;
    if (trailing > 0) {
      Ints axes(static_cast<std::size_t>(trailing));
      std::iota(axes.begin(), axes.end(), *b);
      r.set_input(1, r.insert("Unsqueeze", "unsqueeze", {r.node.inputs[1], r.constant("axes", axes)}));
    }
  }
  r.erase({"broadcast", "axis"});
  return true;
}

bool drop_broadcast(Rewriter& r) {
  r.erase({"broadcast"});
  return true;
}

bool prelu_channels(Rewriter& r) {
  const auto slopes = r.element_count(1);
  if (slopes == 1) return true;
  const auto x = r.rank(0), slope = r.rank(1);
  if (!x || !slope) return false;
  if (*slope == 1 && *x > 2) {
    Ints axes(static_cast<std::size_t>(*x - 2));
    std::iota(axes.begin(), axes.end(), std::int64_t{1});
    r.set_input(1, r.insert("Unsqueeze", "unsqueeze", {r.node.inputs[1], r.constant("axes", axes)}));
  }
  return true;
}

bool batch_normalization(Rewriter& r) {
  const bool training = r.node.version < 7 ? r.get<std::int64_t>("is_test") == 0 : r.node.outputs.size() > 1;
  // The old forms leave open how the running variance is estimated, and have outputs that the newest lacks.
  if (r.node.inputs.size() != 5 || r.node.outputs.size() != 1 || !r.has_output(0) || !r.has_input(0)) return false;
  if (r.get<std::int64_t>("spatial", 1) == 0) {
    const DType dtype = r.dtype(0);
    const ValueId flat = r.constant("flat", Ints{-1});
    const ValueId x = r.node.inputs[0];
    const ValueId shape = r.insert("Shape", "shape", {x});
    r.set_input(0, r.insert("Flatten", "flatten", {x}, {{"axis", std::int64_t{1}}}));
    constexpr std::array names = {"scale", "B", "mean", "var"};
    for (std::size_t i = 0; i < names.size(); ++i) r.set_input(i + 1, r.insert("Reshape", names[i], {r.node.inputs[i + 1], flat}));
    const auto [inner, was] = r.divert_output(0, "normalized", dtype);
    r.append("Reshape", "reshape", {inner, shape}, was);
  }
  r.erase({"is_test", "spatial"});
  r.set("training_mode", std::int64_t{training});
  return true;
}

bool group_normalization(Rewriter& r) {
  const std::int64_t groups = r.get<std::int64_t>("num_groups");
  if (groups <= 0 || !r.has_input(0) || !r.has_input(1) || !r.has_input(2)) return false;
  const ValueId channels = r.insert("Shape", "channels", {r.node.inputs[0]}, {{"start", std::int64_t{1}}, {"end", std::int64_t{2}}});
  const ValueId each = r.insert("Div", "per_group", {channels, r.constant("groups", Ints{groups})});
  const ValueId column = r.constant("column", Ints{-1, 1}), flat = r.constant("flat", Ints{-1});
  for (std::size_t i = 1; i <= 2; ++i) {
    const std::string name = i == 1 ? "scale" : "bias";
    const ValueId rows = r.insert("Reshape", name + "_column", {r.node.inputs[i], column});
    const ValueId repeated = r.insert("Expand", name + "_repeated", {rows, each});
    r.set_input(i, r.insert("Reshape", name, {repeated, flat}));
  }
  return true;
}

bool cast_by_name(Rewriter& r) {
  constexpr std::array<std::string_view, 17> names = {"UNDEFINED", "FLOAT",  "UINT8",     "INT8",       "UINT16",  "INT16",
                                                      "INT32",     "INT64",  "STRING",    "BOOL",       "FLOAT16", "DOUBLE",
                                                      "UINT32",    "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16"};
  const auto name = r.get<std::string>("to");
  const auto found = std::find(names.begin() + 1, names.end(), name);
  if (found == names.end()) return false;
  r.set("to", static_cast<std::int64_t>(found - names.begin()));
  return true;
}

bool clip_bounds(Rewriter& r) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  std::optional<Tensor> bounds[2];
  for (const bool upper : {false, true}) {
    const float unbounded = upper ? kLargest : -kLargest;
    const float value = r.get<float>(upper ? "max" : "min", unbounded);
    if (value == unbounded) continue;
    bounds[upper] = scalar_of(r.dtype(0), value);
    if (!bounds[upper]) return false;
  }
  if (bounds[0]) r.set_input(1, r.constant("min", *bounds[0]));
  if (bounds[1]) r.set_input(2, r.constant("max", *bounds[1]));
  r.erase({"min", "max"});
  return true;
}

bool dropout_mode(Rewriter& r) {
  const bool training = r.node.version < 7 && r.get<std::int64_t>("is_test") == 0;
  const DType dtype = r.dtype(0);
  const bool cast_mask = r.node.version < 10 && r.has_output(1);
  if (cast_mask && dtype == DType::kUndefined) return false;
  r.set_input(1, r.constant("ratio", Tensor::scalar(r.get<float>("ratio", 0.5f))));
  if (training) r.set_input(2, r.constant("training_mode", Tensor::scalar(true)));
  if (cast_mask) {
    const auto [mask, was] = r.divert_output(1, "mask", DType::kBool);
    r.append("Cast", "cast_mask", {mask}, was, {{"to", static_cast<std::int64_t>(dtype)}});
  }
  r.erase({"ratio", "is_test"});
  return true;
}

bool softmax_last_axis(Rewriter& r) {
  const auto rank = r.rank(0);
  const std::int64_t axis = r.get<std::int64_t>("axis", 1);
  if (!rank || (axis != -1 && axis != *rank - 1)) return false;
  r.set("axis", std::int64_t{-1});
  return true;
}

bool integer_p(Rewriter& r) {
  const float p = r.get<float>("p", 2.0f);
  if (!(p >= 1 && p <= 1e6f) || p != std::floor(p)) return false;
  if (r.node.op_type == "LpPool" && !r.has("kernel_shape")) return false;
  r.set("p", static_cast<std::int64_t>(p));
  return true;
}

bool recurrent(Rewriter& r) {
  if (r.get<std::string>("direction", "forward") == "foward") r.set("direction", std::string("forward"));
  r.erase({"output_sequence"});
  return true;
}

bool one_hot_negative(Rewriter& r) {
  if (!r.has_input(0)) return false;
  switch (r.dtype(0)) {
    case DType::kUint8:
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64: return true;
    default: break;
  }
  const ValueId indices = r.insert("Cast", "indices", {r.node.inputs[0]}, {{"to", static_cast<std::int64_t>(DType::kInt64)}});
  const ValueId negative = r.insert("Less", "negative", {indices, r.constant("zero", Tensor::scalar(std::int64_t{0}))});
  const ValueId none = r.constant("out_of_range", Tensor::scalar(std::numeric_limits<std::int64_t>::max()));
  r.set_input(0, r.insert("Where", "non_negative", {negative, none, indices}));
  return true;
}

bool dft_axis(Rewriter& r) {
  r.set_input(2, r.constant("axis", Tensor::scalar(r.get<std::int64_t>("axis", 1))));
  r.erase({"axis"});
  return true;
}

}  // namespace ashlar::ops
