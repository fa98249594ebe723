// SPDX-License-Identifier: Apache-2.0
// Operators that read indices, and those that find them.
#include <algorithm>
#include <numeric>

#include "rows.h"

namespace ashlar::comparison {
namespace {

using enum DType;
using Ints = std::vector<std::int64_t>;

std::int64_t rank_of(const Extents& shape) { return static_cast<std::int64_t>(shape.size()); }

/// Indices of an axis of that length, negative ones too; once in a while one beyond.
Fill indices_of(Draw& d, std::int64_t size) {
  const double most = static_cast<double>(size) - 1;
  return {-static_cast<double>(size), most + (d.rarely(20) ? 2 : 0)};
}
DType index_type(Draw& d) { return d.flip() ? kInt32 : kInt64; }

void gather(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1);
  const std::string x = d.operand(dtype(d, row.types), shape);
  d.set_limit(64);
  const Extents where = d.shape(0, 3);
  const std::string at = d.operand(index_type(d), where, indices_of(d, shape[static_cast<std::size_t>(axis)].size));
  d.apply(row.name, {x, at}, {{"axis", d.axis_name(axis, rank_of(shape))}});
}

/// A shape of the same rank, no longer than `shape` but along the axis.
Extents within(Draw& d, const Extents& shape, std::int64_t axis) {
  Extents out;
  for (std::size_t i = 0; i < shape.size(); ++i)
    out.push_back(static_cast<std::int64_t>(i) == axis ? d.extent(17) : d.flip() ? d.extent(shape[i].size) : shape[i]);
  return out;
}

void gather_elements(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::string at = d.operand(index_type(d), within(d, shape, axis), indices_of(d, shape[static_cast<std::size_t>(axis)].size));
  d.apply(row.name, {x, at}, {{"axis", d.axis_name(axis, rank_of(shape))}});
}

/// Indices of tuples into the first `depth` dimensions after the first `batch`.
std::string tuples(Draw& d, const Extents& shape, std::int64_t batch, std::int64_t depth, Extents& where) {
  where.assign(shape.begin(), shape.begin() + batch);
  where.push_back(d.extent(8));
  if (d.flip()) where.push_back(d.extent(5));
  std::int64_t least = INT64_MAX;
  for (std::int64_t i = batch; i < batch + depth; ++i) least = std::min(least, shape[static_cast<std::size_t>(i)].size);
  Extents at = where;
  at.push_back({depth});
  return d.operand(kInt64, at, indices_of(d, least));
}

void gather_tuples(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::int64_t batch = d.rarely(3) ? d.between(0, rank_of(shape) - 1) : 0;
  Extents where;
  const std::string at = tuples(d, shape, batch, d.between(1, rank_of(shape) - batch), where);
  d.apply(row.name, {x, at}, batch > 0 ? Attributes{{"batch_dims", batch}} : Attributes{});
}

const char* reduction(Draw& d) { return d.pick({"none", "add", "mul", "max", "min"}); }

/// Different indices, so that the result does not depend on the order of writing.
std::string permuted(Draw& d, std::int64_t size, std::int64_t n) {
  Ints all(static_cast<std::size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  std::rotate(all.begin(), all.begin() + d.between(0, std::max<std::int64_t>(size - 1, 0)), all.end());
  all.resize(static_cast<std::size_t>(n));
  return d.given(integers(all).reshaped({n, 1}));
}

void scatter_elements(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1);
  const DType type = dtype(d, row.types);
  const std::string mode = reduction(d);
  Extents where = within(d, shape, axis);
  if (mode == "none") where[static_cast<std::size_t>(axis)] = {std::min<std::int64_t>(1, shape[static_cast<std::size_t>(axis)].size)};
  const std::string x = d.input(type, shape);
  const std::string at = d.operand(index_type(d), where, indices_of(d, shape[static_cast<std::size_t>(axis)].size));
  d.apply(row.name, {x, at, d.operand(type, where)}, {{"axis", d.axis_name(axis, rank_of(shape))}, {"reduction", mode}});
}

void scatter_tuples(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const DType type = dtype(d, row.types);
  const std::string mode = reduction(d);
  const std::string x = d.input(type, shape);
  Extents where;
  std::int64_t depth = d.between(1, rank_of(shape));
  std::string at;
  if (mode == "none") {
    depth = 1;
    where = {{d.between(0, shape[0].size)}};
    at = permuted(d, shape[0].size, where[0].size);
  } else {
    at = tuples(d, shape, 0, depth, where);
  }
  where.insert(where.end(), shape.begin() + depth, shape.end());
  d.apply(row.name, {x, at, d.operand(type, where)}, {{"reduction", mode}});
}

void one_hot(Draw& d, const Row& row) {
  d.set_limit(512);
  const Extents shape = d.shape(1, 3);
  const std::int64_t depth = d.pick<std::int64_t>({1, 2, 5, 17});
  const std::string at =
      d.input(d.pick({kInt64, kInt32, kFloat32}), shape, {-1.0 * static_cast<double>(depth), static_cast<double>(depth) + 1});
  const std::string length = d.given(Tensor::scalar<std::int64_t>(depth));
  const std::string values = d.operand(d.pick({kFloat32, kInt64, kInt32, kFloat64, kBool}), {{2}}, {-3, 3});
  d.apply(row.name, {at, length, values}, {{"axis", d.axis_name(d.between(0, rank_of(shape)), rank_of(shape) + 1)}});
}

void compress(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::string x = d.input(dtype(d, row.types), shape);
  const bool flat = d.rarely(3);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1);
  const std::int64_t all = flat ? std::min<std::int64_t>(count(shape), 65) : shape[static_cast<std::size_t>(axis)].size;
  const std::string keep = d.operand(kBool, {derived(d.flip() ? all : all / 2, shape)});
  d.apply(row.name, {x, keep}, flat ? Attributes{} : Attributes{{"axis", d.axis_name(axis, rank_of(shape))}});
}

void nonzero(Draw& d, const Row& row) {
  const std::string x = d.input(d.pick({kFloat32, kBool, kInt64, kInt32, kUint8}), d.shape(0, 4), {-1, 1});
  d.apply(row.name, {x});
}

void unique(Draw& d, const Row& row) {
  d.set_limit(1 << 10);
  const Extents shape = d.shape(1, 3);
  const std::string x = d.input(d.pick({kFloat32, kInt64, kInt32, kFloat64}), shape, {-2, 2});
  Attributes attributes = {{"sorted", d.between(0, 1)}};
  if (d.rarely(3)) attributes.push_back({"axis", d.axis_name(d.between(0, rank_of(shape) - 1), rank_of(shape))});
  d.apply_all(row.name, {x}, static_cast<int>(d.between(1, 4)), attributes);
}

void arg_extreme(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 5);
  const std::string x = d.input(dtype(d, row.types), shape, {-9, 9, Fill::kInfinities});
  d.apply(row.name, {x},
          {{"axis", d.axis_name(d.between(0, rank_of(shape) - 1), rank_of(shape))},
           {"keepdims", 1 - d.between(0, 1)},
           {"select_last_index", d.between(0, 1)}});
}

void top(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1), size = shape[static_cast<std::size_t>(axis)].size;
  const std::string x = d.input(dtype(d, row.types), shape, {-9, 9, Fill::kInfinities});
  const std::string k = d.indices({d.rarely(40) ? size + 1 : d.flip() ? size : d.between(std::min<std::int64_t>(1, size), size)});
  d.apply_all(row.name, {x, k}, 2, {{"axis", d.axis_name(axis, rank_of(shape))}, {"largest", 1 - d.between(0, 1)}});
}

void suppression(Draw& d, const Row& row) {
  const Extent batch = d.extent(3), boxes = d.extent(33);
  const std::string x = d.input(kFloat32, {batch, boxes, {4}}, {0, 1});
  const std::string scores = d.operand(kFloat32, {batch, d.extent(3), boxes}, {0, 1});
  const std::string most = d.given(Tensor::of<std::int64_t>({1}, {d.pick<std::int64_t>({1, 3, 100, 0})}));
  const std::string overlap = d.flip() ? d.operand(kFloat32, {{1}}, {0.1, 0.7}) : "";
  d.apply(row.name, {x, scores, most, overlap, d.flip() ? d.operand(kFloat32, {{1}}, {0, 0.5}) : ""},
          {{"center_point_box", d.between(0, 1)}});
}

constexpr Row kRows[] = {
    {"Gather", gather, Types::kAny},
    {"GatherElements", gather_elements, Types::kAny},
    {"GatherND", gather_tuples, Types::kAny},
    {"ScatterElements", scatter_elements, Types::kNumbers},
    {"ScatterND", scatter_tuples, Types::kNumbers},
    {"OneHot", one_hot},
    {"Compress", compress, Types::kAny},
    {"NonZero", nonzero},
    {"Unique", unique},
    {"ArgMax", arg_extreme, Types::kNumbers},
    {"ArgMin", arg_extreme, Types::kNumbers},
    {"TopK", top, Types::kNumbers},
    {"NonMaxSuppression", suppression},
};

}  // namespace

std::span<const Row> index_rows() { return kRows; }

}  // namespace ashlar::comparison
