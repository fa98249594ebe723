// SPDX-License-Identifier: Apache-2.0
// Convolutions, pooling, resampling: operators over [N, C, spatial...].
#include "spatial.h"

#include <algorithm>

#include "rows.h"

namespace ashlar::comparison {

using enum DType;
using Ints = std::vector<std::int64_t>;

Extents draw_image(Draw& d, const Extent& channels, std::int64_t most, std::int64_t longest) {
  Extents shape = {d.extent(3), channels};
  const std::int64_t n = std::min(most, d.pick<std::int64_t>({2, 2, 2, 1, 3}));
  std::int64_t left = 1 << 11;
  for (std::int64_t i = 0; i < n; ++i) {
    shape.push_back(d.extent(std::clamp<std::int64_t>(left, 1, n == 3 ? 8 : longest)));
    left /= std::max<std::int64_t>(shape.back().size, 1);
  }
  return shape;
}

Window draw_window(Draw& d, const Extents& image, bool dilated, bool padded) {
  Window w;
  Ints strides, dilations, pads(2 * (image.size() - 2));
  for (std::size_t i = 2; i < image.size(); ++i) {
    w.kernel.push_back(d.pick<std::int64_t>({1, 3, 3, 2, 5}));
    strides.push_back(d.pick<std::int64_t>({1, 1, 2, 3}));
    dilations.push_back(dilated ? d.pick<std::int64_t>({1, 1, 1, 2}) : 1);
    for (const std::size_t at : {i - 2, i - 2 + image.size() - 2})
      if (padded) pads[at] = d.between(0, std::min<std::int64_t>(w.kernel.back() - 1, 2));
    const std::int64_t all = image[i].size + pads[i - 2] + pads[i - 2 + image.size() - 2];
    if (all < (w.kernel.back() - 1) * dilations.back() + 1) w.kernel.back() = dilations.back() = 1;
    if (w.kernel.back() == 1) pads[i - 2] = pads[i - 2 + image.size() - 2] = 0;
  }
  w.attributes = {{"kernel_shape", w.kernel}};
  if (d.flip()) w.attributes.push_back({"strides", strides});
  if (dilated && d.flip()) w.attributes.push_back({"dilations", dilations});
  const std::uint32_t form = padded ? d.below(8) : 0;
  if (form >= 2) w.attributes.push_back({"pads", pads});
  else if (padded) w.attributes.push_back({"auto_pad", form == 1 ? d.pick({"SAME_UPPER", "SAME_LOWER"}) : d.pick({"NOTSET", "VALID"})});
  return w;
}

std::string draw_conv(Draw& d, const char* op, const std::string& x, const Extents& image, DType type, std::int64_t& channels) {
  const std::int64_t in = image[1].size;
  const bool transposed = std::string_view(op) == "ConvTranspose";
  const std::int64_t groups = d.rarely(3) ? in : in % 2 == 0 && d.rarely(4) ? 2 : 1;
  const std::int64_t each = groups == in ? d.pick<std::int64_t>({1, 1, 2}) : d.pick<std::int64_t>({1, 3, 8, 16, 17, 32});
  Window w = draw_window(d, image, true, true);
  if (groups > 1) w.attributes.push_back({"group", groups});
  channels = groups * each;
  Extents weights = {{transposed ? in : channels}, {transposed ? each : in / std::max<std::int64_t>(groups, 1)}};
  for (const std::int64_t k : w.kernel) weights.push_back({k});
  Names inputs = {x, d.operand(type, weights, {-0.5, 0.5})};
  if (d.flip()) inputs.push_back(d.operand(type, {{channels}}));
  if (transposed && d.rarely(4)) {
    std::erase_if(w.attributes, [](const auto& a) { return a.first == "strides"; });
    w.attributes.push_back({"strides", Ints(w.kernel.size(), 2)});
    w.attributes.push_back({"output_padding", Ints(w.kernel.size(), 1)});
  }
  return d.apply(op, inputs, w.attributes);
}

namespace {

/// A number of channels that weights are made for: fixed, at least one.
Extent channels(Draw& d) { return {d.pick<std::int64_t>({1, 3, 4, 8, 16, 17, 32, 33})}; }
DType image_type(Draw& d) { return d.pick({kFloat32, kFloat32, kFloat32, kFloat32, kFloat32, kFloat64, kFloat16}); }

void conv(Draw& d, const Row& row) {
  const Extents image = draw_image(d, channels(d), 3, 33);
  const DType type = image_type(d);
  const std::string x = d.input(type, image);
  std::int64_t out = 0;
  draw_conv(d, row.name, x, image, type, out);
}

void conv_integer(Draw& d, const Row& row) {
  const Extents image = draw_image(d, channels(d), 2, 17);
  const DType type = d.flip() ? kInt8 : kUint8;
  const Window w = draw_window(d, image);
  Extents weights = {{d.pick<std::int64_t>({1, 3, 8})}, image[1]};
  for (const std::int64_t k : w.kernel) weights.push_back({k});
  const std::string x = d.input(type, image, {-128, 255}), y = d.operand(type, weights, {-128, 255});
  const std::string zero = d.flip() ? d.operand(type, {}, {-9, 20}) : "";
  d.apply(row.name, {x, y, zero, d.flip() ? d.operand(type, {}, {-9, 20}) : ""}, w.attributes);
}

void quantized_conv(Draw& d, const Row& row) {
  const Extents image = draw_image(d, channels(d), 2, 17);
  const DType type = d.flip() ? kInt8 : kUint8;
  const Window w = draw_window(d, image);
  const Extent out = {d.pick<std::int64_t>({1, 3, 8})};
  Extents weights = {out, image[1]};
  for (const std::int64_t k : w.kernel) weights.push_back({k});
  const Extents per = d.flip() ? Extents{out} : Extents{};
  Names inputs = {d.input(type, image, {-128, 255}),     d.operand(kFloat32, {}, {0.01, 0.1}),  d.operand(type, {}, {0, 20}),
                  d.operand(type, weights, {-128, 255}), d.operand(kFloat32, per, {0.01, 0.1}), d.operand(type, per, {0, 0}),
                  d.operand(kFloat32, {}, {0.3, 2}),     d.operand(type, {}, {0, 20})};
  if (d.flip()) inputs.push_back(d.operand(kInt32, {out}, {-500, 500}));
  d.apply(row.name, inputs, w.attributes);
}

void pool(Draw& d, const Row& row) {
  const char kind = row.name[0];
  const Extents image = draw_image(d, d.extent(33), 3, 33);
  const DType type = kind == 'M' && d.rarely(6) ? d.pick({kInt8, kUint8}) : image_type(d);
  const std::string x = d.input(type, image, {-9, 9});
  Window w = draw_window(d, image);
  if (d.rarely(3)) w.attributes.push_back({"ceil_mode", 1});
  if (kind == 'A') w.attributes.push_back({"count_include_pad", d.between(0, 1)});
  if (kind == 'L') w.attributes.push_back({"p", 2 - d.between(0, 1)});
  const bool indexed = kind == 'M' && d.rarely(4);
  if (indexed) w.attributes.push_back({"storage_order", d.between(0, 1)});
  d.apply_all(row.name, {x}, indexed ? 2 : 1, w.attributes);
}

void global_pool(Draw& d, const Row& row) {
  const Extents image = draw_image(d, d.extent(65), 3, 33);
  const std::string x = d.input(image_type(d), image, {-9, 9});
  d.apply(row.name, {x}, row.name[6] == 'L' ? Attributes{{"p", 2 - d.between(0, 1)}} : Attributes{});
}

void unpool(Draw& d, const Row& row) {
  Extents image = {d.extent(3), d.extent(8)};
  for (std::int64_t n = d.between(1, 2); n > 0; --n) image.push_back(d.extent_of({2, 4, 6, 9, 16}));
  const std::string x = d.input(kFloat32, image);
  const Ints two(image.size() - 2, 2);
  const Names y = d.apply_all("MaxPool", {x}, 2, {{"kernel_shape", two}, {"strides", two}});
  d.apply(row.name, y, {{"kernel_shape", two}, {"strides", two}});
}

void resize(Draw& d, const Row& row) {
  Extents image = draw_image(d, d.extent(17), 3, 17);
  const DType type = d.pick({kFloat32, kFloat32, kFloat32, kFloat32, kUint8, kFloat16, kFloat64});
  const std::string x = d.input(type, image, {-9, 99});
  const std::string mode = d.pick({"nearest", "linear", "cubic"});
  Attributes attributes = {{"mode", mode}};
  const std::string coordinates =
      d.pick({"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric", "tf_crop_and_resize"});
  attributes.push_back({"coordinate_transformation_mode", coordinates});
  if (mode == "nearest") attributes.push_back({"nearest_mode", d.pick({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})});
  if (mode == "cubic" && d.flip()) attributes.push_back({"exclude_outside", 1});
  if (mode != "nearest" && d.rarely(4)) attributes.push_back({"antialias", 1});
  const bool all = !d.flip();
  Ints axes, lengths;
  std::vector<float> scales, corners;
  const float factor = d.pick({2.0f, 1.0f, 0.5f, 1.5f, 3.0f});
  for (std::size_t i = all ? 0 : 2; i < image.size(); ++i) {
    axes.push_back(static_cast<std::int64_t>(i));
    scales.push_back(i < 2 ? 1 : d.flip() ? factor : 2);
    lengths.push_back(i < 2 ? image[i].size : d.pick<std::int64_t>({1, 2, 8, 17, image[i].size}));
  }
  for (std::size_t i = 0; i < axes.size(); ++i) corners.push_back(0.1f);
  for (std::size_t i = 0; i < axes.size(); ++i) corners.push_back(0.9f);
  if (!all) attributes.push_back({"axes", axes});
  const auto reals = [&](const std::vector<float>& values) {
    Tensor t = Tensor::zeros(kFloat32, {static_cast<std::int64_t>(values.size())});
    std::copy(values.begin(), values.end(), t.mutable_data<float>());
    return d.given(t);
  };
  const std::string region = coordinates == "tf_crop_and_resize" ? reals(corners) : "";
  if (d.flip()) d.apply(row.name, {x, region, reals(scales)}, attributes);
  else d.apply(row.name, {x, region, "", d.indices(lengths)}, attributes);
}

void grid_sample(Draw& d, const Row& row) {
  const Extents image = draw_image(d, d.extent(8), 2, 16);
  const std::string x = d.input(kFloat32, image);
  Extents grid = {image[0]};
  for (std::size_t i = 2; i < image.size(); ++i) grid.push_back(d.extent(16));
  grid.push_back({static_cast<std::int64_t>(image.size()) - 2});
  const std::string at = d.operand(kFloat32, grid, {-1.2, 1.2});
  d.apply(row.name, {x, at},
          {{"mode", d.pick({"linear", "nearest", "cubic"})},
           {"padding_mode", d.pick({"zeros", "border", "reflection"})},
           {"align_corners", d.between(0, 1)}});
}

void roi_align(Draw& d, const Row& row) {
  const Extents image = {d.extent(3), d.extent(8), d.extent(17), d.extent(17)};
  const std::string x = d.input(kFloat32, image);
  const std::int64_t n = d.extent(5).size;
  Tensor corners = d.random(kFloat32, {n, 4}, {0, 8}, d.below(64), 2);
  float* box = corners.mutable_data<float>();
  for (std::int64_t i = 0; i < n * 4; ++i)
    if (i % 4 >= 2) box[i] += box[i - 2];
  const std::string boxes = d.given(corners);
  const std::string batch = d.operand(kInt64, {{n}}, {0, std::max(0.0, static_cast<double>(image[0].size) - 1)});
  d.apply(row.name, {x, boxes, batch},
          {{"output_height", d.between(1, 4)},
           {"output_width", d.between(1, 4)},
           {"sampling_ratio", d.between(0, 2)},
           {"spatial_scale", d.pick({1.0f, 0.5f})},
           {"mode", d.pick({"avg", "max"})}});
}

constexpr Row kRows[] = {
    {"Conv", conv, Types::kFloats, {}, "", 10, 3},
    {"ConvTranspose", conv, Types::kFloats, {}, "", 10, 3},
    {"ConvInteger", conv_integer},
    {"QLinearConv", quantized_conv, Types::kFloats, {}, "", 1, 1, true},
    {"MaxPool", pool, Types::kFloats, {}, "", 1, 2},
    {"AveragePool", pool, Types::kFloats, {}, "", 10},
    {"LpPool", pool, Types::kFloats, {}, "", 10},
    {"MaxUnpool", unpool},
    {"GlobalAveragePool", global_pool, Types::kFloats, {}, "", 10},
    {"GlobalMaxPool", global_pool},
    {"GlobalLpPool", global_pool, Types::kFloats, {}, "", 10},
    {"Resize", resize, Types::kFloats, {}, "", 10, 3, true},
    {"GridSample", grid_sample, Types::kFloats, {}, "", 10},
    {"RoiAlign", roi_align, Types::kFloats, {}, "", 10},
};

}  // namespace

std::span<const Row> spatial_rows() { return kRows; }

}  // namespace ashlar::comparison
