// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <unordered_set>

#include "ops/rewrites.h"

namespace ashlar::ops {

using graph::kNone;
using graph::ValueId;
using Ints = std::vector<std::int64_t>;

namespace {

Tensor float_tensor(const std::vector<float>& elements) {
  Tensor t = Tensor::zeros(DType::kFloat32, {static_cast<std::int64_t>(elements.size())});
  std::copy(elements.begin(), elements.end(), t.mutable_data<float>());
  return t;
}

/// The number when it is one that counts something.
std::optional<std::int64_t> whole(const std::optional<std::vector<double>>& numbers) {
  if (!numbers || numbers->size() != 1) return std::nullopt;
  const double n = numbers->front();
  if (!(std::fabs(n) < 1e15) || n != std::floor(n)) return std::nullopt;
  return static_cast<std::int64_t>(n);
}

}  // namespace

bool axes_to_input(Rewriter& r) {
  if (!r.has("axes")) return true;
  // In Reduce and Squeeze an empty list means all axes, as leaving it out does.
  if (r.get<Ints>("axes").empty() && r.node.op_type != "Unsqueeze") r.erase({"axes"});
  r.attribute_to_input("axes", 1);
  return true;
}

bool concat_axis(Rewriter& r) {
  if (!r.has("axis")) r.set("axis", std::int64_t{1});
  return true;
}

bool reshape_shape(Rewriter& r) {
  if (!r.has("shape")) return false;
  r.attribute_to_input("shape", 1);
  return true;
}

bool slice_bounds(Rewriter& r) {
  constexpr std::array names = {"starts", "ends", "axes"};
  if (!r.has("starts") || !r.has("ends")) return false;
  for (std::size_t i = 0; i < names.size(); ++i) r.attribute_to_input(names[i], i + 1);
  return true;
}

bool split_parts(Rewriter& r) {
  r.attribute_to_input("split", 1);
  if (r.node.version < 2 && r.has_input(1) && r.dtype(1) != DType::kInt64)
    r.set_input(1, r.insert("Cast", "cast_split", {r.node.inputs[1]}, {{"to", static_cast<std::int64_t>(DType::kInt64)}}));
  if (!r.has_input(1)) r.set("num_outputs", static_cast<std::int64_t>(r.node.outputs.size()));
  return true;
}

bool tile_axis(Rewriter& r) {
  const auto rank = r.rank(0), tiles = whole(r.numbers(1)), axis = whole(r.numbers(2));
  if (!rank || !tiles || !axis || *axis < 0 || *axis >= *rank) return false;
  Ints repeats(static_cast<std::size_t>(*rank), 1);
  repeats[static_cast<std::size_t>(*axis)] = *tiles;
  r.node.inputs.resize(1);
  r.set_input(1, r.constant("repeats", repeats));
  return true;
}

bool topk_k(Rewriter& r) {
  if (!r.has("k")) return false;
  r.set_input(1, r.constant("k", Ints{r.get<std::int64_t>("k")}));
  r.erase({"k"});
  return true;
}

bool pad_amounts(Rewriter& r) {
  const char* pads = r.node.version < 2 ? "paddings" : "pads";
  if (!r.has(pads)) return false;
  const float value = r.get<float>("value");
  std::optional<Tensor> filler;
  if (r.get<std::string>("mode", "constant") == "constant" && (value != 0 || std::signbit(value))) {
    filler = scalar_of(r.dtype(0), value);
    if (!filler) return false;
  }
  r.set_input(1, r.constant("pads", r.get<Ints>(pads)));
  if (filler) r.set_input(2, r.constant("constant_value", *filler));
  r.erase({"pads", "paddings", "value"});
  return true;
}

bool scatter_elements(Rewriter& r) {
  r.node.op_type = "ScatterElements";
  return true;
}

bool upsample_to_resize(Rewriter& r) {
  if (!r.has_input(0)) return false;
  std::vector<float> scales;
  if (r.node.version < 7) {
    if (!r.has("height_scale") || !r.has("width_scale")) return false;
    scales = {1, 1, r.get<float>("height_scale"), r.get<float>("width_scale")};
  } else if (r.node.version < 9) {
    if (!r.has("scales")) return false;
    scales = r.get<std::vector<float>>("scales");
  }
  auto mode = r.get<std::string>("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  const ValueId given = r.has_input(1) ? r.node.inputs[1] : kNone;
  r.node.inputs.resize(1);
  r.set_input(2, r.node.version < 9 ? r.constant("scales", float_tensor(scales)) : given);
  r.erase({"height_scale", "width_scale", "scales"});
  r.set("mode", mode);
  r.set("coordinate_transformation_mode", std::string("asymmetric"));
  r.set("nearest_mode", std::string("floor"));
  r.node.op_type = "Resize";
  return true;
}

bool resize_modes(Rewriter& r) {
  if (r.node.version < 11) {
    if (!r.has_input(1)) return false;
    // ONNX's own cases for version 10 sample upwards when they shrink and downwards when they grow.
    const auto scales = r.numbers(1);
    const bool shrinks = scales && std::any_of(scales->begin(), scales->end(), [](double s) { return s < 1; });
    const bool grows = scales && std::any_of(scales->begin(), scales->end(), [](double s) { return s > 1; });
    if (shrinks && grows && r.get<std::string>("mode", "nearest") == "nearest") return false;
    const ValueId given = r.node.inputs[1];
    r.node.inputs.resize(1);
    r.set_input(2, given);
    r.set("coordinate_transformation_mode", std::string("asymmetric"));
    r.set("nearest_mode", std::string(shrinks ? "ceil" : "floor"));
    return true;
  }
  if (r.get<std::string>("coordinate_transformation_mode", "half_pixel") == "tf_half_pixel_for_nn") {
    // floor((x + 0.5) / scale) is (x + 0.5) / scale - 0.5 rounded, ties up.
    if (r.get<std::string>("mode", "nearest") != "nearest" || r.get<std::string>("nearest_mode", "round_prefer_floor") != "floor")
      return false;
    r.set("coordinate_transformation_mode", std::string("half_pixel"));
    r.set("nearest_mode", std::string("round_prefer_ceil"));
  }
  if (r.has_input(2) && r.has_input(3) && r.element_count(2) == 0) r.set_input(2, kNone);
  return true;
}

bool roi_align_mode(Rewriter& r) {
  r.set("coordinate_transformation_mode", std::string("output_half_pixel"));
  return true;
}

bool grid_sample_mode(Rewriter& r) {
  const auto mode = r.get<std::string>("mode", "bilinear");
  r.set("mode", std::string(mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode));
  return true;
}

bool keep(Rewriter&) { return false; }

bool label_encoder_classes(Rewriter& r) {
  const DType dtype = r.dtype(0);
  if (!r.has("classes_strings") || (dtype != DType::kString && dtype != DType::kInt64)) return false;
  const auto classes = r.get<std::vector<std::string>>("classes_strings");
  std::vector<std::string> names;
  Ints numbers;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    // A repeated name stood for its first place; today its last place would count.
    if (dtype == DType::kString && !seen.insert(classes[i]).second) continue;
    names.push_back(classes[i]);
    numbers.push_back(static_cast<std::int64_t>(i));
  }
  r.set(dtype == DType::kString ? "keys_strings" : "values_strings", std::move(names));
  r.set(dtype == DType::kString ? "values_int64s" : "keys_int64s", std::move(numbers));
  r.erase({"classes_strings"});
  return true;
}

}  // namespace ashlar::ops
