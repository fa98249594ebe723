// SPDX-License-Identifier: Apache-2.0
// Reductions, normalisations and running sums.
#include <algorithm>
#include <string_view>

#include "rows.h"

namespace ashlar::comparison {
namespace {

using enum DType;
using Ints = std::vector<std::int64_t>;

std::int64_t rank_of(const Extents& shape) { return static_cast<std::int64_t>(shape.size()); }

void reduce(Draw& d, const Row& row) {
  const bool logarithm = std::string_view(row.name).starts_with("ReduceLog");
  const DType type =
      d.pick({kFloat32, kFloat32, kFloat32, kFloat64, kFloat16, logarithm ? kFloat32 : kInt32, logarithm ? kFloat32 : kInt64});
  const Extents shape = d.shape(0, 5);
  const std::string x = d.input(type, shape, row.fill);
  Attributes attributes = {{"keepdims", 1 - d.between(0, 1)}};
  std::string axes;
  if (!d.rarely(5)) {
    Ints list = d.axes(rank_of(shape), d.between(shape.empty() ? 0 : 1, rank_of(shape)));
    for (std::int64_t& a : list) a = d.axis_name(a, rank_of(shape));
    if (d.rarely(10)) list.clear();
    axes = d.indices(list);
  }
  if (d.rarely(4)) attributes.push_back({"noop_with_empty_axes", 1});
  d.apply(row.name, {x, axes}, attributes);
}

void along_axis(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 5);
  const std::string x = d.input(dtype(d, row.types), shape, row.fill);
  const std::int64_t axis = d.rarely(3) ? d.between(0, rank_of(shape) - 1) : rank_of(shape) - 1;
  d.apply(row.name, {x}, {{"axis", d.axis_name(axis, rank_of(shape))}});
}

void norm_of_order(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::string x = d.input(dtype(d, row.types), shape, {0.1, 3});
  d.apply(row.name, {x}, {{"axis", d.axis_name(d.between(0, rank_of(shape) - 1), rank_of(shape))}, {"p", 2 - d.between(0, 1)}});
}

void running(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const DType type = d.pick({kFloat32, kFloat32, kInt64, kInt32, kFloat64});
  const std::string x = d.input(type, shape, row.fill);
  const std::int64_t axis = d.axis_name(d.between(0, rank_of(shape) - 1), rank_of(shape));
  const std::string at =
      d.flip() ? d.given(Tensor::scalar<std::int64_t>(axis)) : d.given(Tensor::scalar<std::int32_t>(static_cast<std::int32_t>(axis)));
  d.apply(row.name, {x, at}, {{"exclusive", d.between(0, 1)}, {"reverse", d.between(0, 1)}});
}

float epsilon(Draw& d) { return d.pick({1e-5f, 1e-3f, 0.1f}); }

void layer_norm(Draw& d, const Row& row) {
  const bool mean = row.name[0] == 'L';
  const Extents shape = d.shape(1, 4);
  const DType type = dtype(d, row.types);
  const std::int64_t axis = d.rarely(3) ? d.between(0, rank_of(shape) - 1) : rank_of(shape) - 1;
  const Extents tail(shape.begin() + axis, shape.end());
  Names inputs = {d.input(type, shape, {-3, 5})};
  inputs.push_back(d.operand(type, tail));
  if (mean && d.flip()) inputs.push_back(d.operand(type, tail));
  d.apply_all(row.name, inputs, mean && d.rarely(4) ? 3 : 1, {{"axis", d.axis_name(axis, rank_of(shape))}, {"epsilon", epsilon(d)}});
}

Extents image(Draw& d, std::int64_t channels_times = 1) {
  const Extent c = d.extent(33);
  Extents shape = {d.extent(3), derived(c.size * channels_times, {c})};
  for (std::int64_t n = d.between(1, 3); n > 0; --n) shape.push_back(d.extent(8));
  return shape;
}

void batch_norm(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const Extents shape = d.rarely(4) ? d.shape(2, 2) : image(d), channel = {shape[1]};
  Names inputs = {d.input(type, shape)};
  for (const Fill& fill : {Fill{-2, 2}, Fill{-2, 2}, Fill{-1, 1}, Fill{0.1, 3}}) inputs.push_back(d.operand(type, channel, fill));
  d.apply(row.name, inputs, {{"epsilon", epsilon(d)}});
}

void instance_norm(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const Extents shape = image(d), channel = {shape[1]};
  Names inputs = {d.input(type, shape)};
  for (int i = 0; i < 2; ++i) inputs.push_back(d.operand(type, channel));
  d.apply(row.name, inputs, {{"epsilon", epsilon(d)}});
}

void group_norm(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  const std::int64_t groups = d.pick<std::int64_t>({1, 2, 4, 8});
  const Extents shape = image(d, groups), channel = {shape[1]};
  Names inputs = {d.input(type, shape)};
  for (int i = 0; i < 2; ++i) inputs.push_back(d.operand(type, channel));
  d.apply(row.name, inputs, {{"num_groups", groups}, {"epsilon", epsilon(d)}});
}

void local_response(Draw& d, const Row& row) {
  const std::string x = d.input(dtype(d, row.types), image(d));
  d.apply(row.name, {x}, {{"size", d.pick<std::int64_t>({1, 3, 5, 2})}, {"alpha", d.pick({1e-4f, 0.1f})}, {"bias", d.pick({1.0f, 2.0f})}});
}

void mean_variance(Draw& d, const Row& row) {
  const std::string x = d.input(dtype(d, row.types), d.shape(4, 4), {-3, 5});
  d.apply(row.name, {x}, d.flip() ? Attributes{{"axes", Ints{0, 2}}} : Attributes{});
}

constexpr Fill kSmall = {-1, 1};
constexpr Fill kScores = {-30, 30, Fill::kInfinities};
constexpr Fill kPositive = {0.1, 3};

constexpr Row kRows[] = {
    {"ReduceSum", reduce, Types::kFloats, {}, "", 10},
    {"ReduceMean", reduce, Types::kFloats, {}, "", 10},
    {"ReduceMax", reduce, Types::kFloats, {-9, 9, Fill::kInfinities}},
    {"ReduceMin", reduce, Types::kFloats, {-9, 9, Fill::kInfinities}},
    {"ReduceProd", reduce, Types::kFloats, kSmall, "", 10},
    {"ReduceL1", reduce, Types::kFloats, {}, "", 10},
    {"ReduceL2", reduce, Types::kFloats, {}, "", 10},
    {"ReduceLogSum", reduce, Types::kFloats, kPositive, "", 10},
    {"ReduceLogSumExp", reduce, Types::kFloats, {}, "", 10},
    {"ReduceSumSquare", reduce, Types::kFloats, {}, "", 10},
    {"Softmax", along_axis, Types::kFloats, kScores},
    {"LogSoftmax", along_axis, Types::kFloats, kScores},
    {"Hardmax", along_axis, Types::kFloats, {-30, 30}},
    {"LpNormalization", norm_of_order, Types::kFloats},
    {"CumSum", running, Types::kFloats, {}, "", 10},
    {"CumProd", running, Types::kFloats, kSmall, "", 10},
    {"LayerNormalization", layer_norm, Types::kFloats, {}, "", 10},
    {"RMSNormalization", layer_norm, Types::kFloats, {}, "", 10},
    {"BatchNormalization", batch_norm, Types::kFloats, {}, "", 10},
    {"InstanceNormalization", instance_norm, Types::kFloats, {}, "", 10},
    {"GroupNormalization", group_norm, Types::kFloats, {}, "", 10},
    {"LRN", local_response, Types::kFloats},
    {"MeanVarianceNormalization", mean_variance, Types::kFloats, {}, "", 10},
};

}  // namespace

std::span<const Row> reduction_rows() { return kRows; }

}  // namespace ashlar::comparison
