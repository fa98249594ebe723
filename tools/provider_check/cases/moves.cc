// SPDX-License-Identifier: Apache-2.0
// Operators that move or generate elements and read no index data.
#include <algorithm>
#include <numeric>

#include "rows.h"

namespace ashlar::comparison {
namespace {

using enum DType;
using Ints = std::vector<std::int64_t>;

std::int64_t rank_of(const Extents& shape) { return static_cast<std::int64_t>(shape.size()); }

void transpose(Draw& d, const Row& row) {
  const Extents shape = d.shape(0, 5);
  const std::string x = d.input(dtype(d, row.types), shape);
  if (d.rarely(4)) d.apply(row.name, {x});
  else d.apply(row.name, {x}, {{"perm", d.axes(rank_of(shape), rank_of(shape))}});
}

/// Another shape of as many elements: neighbours merged, ones put in, a dimension written as 0 (copied) or -1.
void reshape(Draw& d, const Row& row) {
  const Extents shape = d.shape(0, 5);
  const std::string x = d.input(dtype(d, row.types), shape);
  Ints to;
  bool merge = false, inferred = false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (merge) to.back() *= shape[i].size;
    else to.push_back(shape[i].size);
    merge = d.flip();
    if (!merge && d.rarely(5)) to.push_back(1);
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (i < shape.size() && to[i] == shape[i].size && d.rarely(3)) to[i] = 0;
    else if (!inferred && count(shape) > 0 && d.rarely(3)) to[i] = -1, inferred = true;
  }
  d.apply(row.name, {x, d.indices(to)}, d.rarely(8) ? Attributes{{"allowzero", 1}} : Attributes{});
}

void flatten(Draw& d, const Row& row) {
  const Extents shape = d.shape(0, 5);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::int64_t axis = d.between(0, rank_of(shape));
  d.apply(row.name, {x}, {{"axis", axis < rank_of(shape) ? d.axis_name(axis, rank_of(shape)) : axis}});
}

void squeeze(Draw& d, const Row& row) {
  Extents shape = d.shape(0, 4);
  Ints ones;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!d.flip()) continue;
    shape[i] = {1};
    ones.push_back(d.axis_name(static_cast<std::int64_t>(i), rank_of(shape)));
  }
  const std::string x = d.input(dtype(d, row.types), shape);
  d.apply(row.name, {x, d.rarely(4) ? "" : d.indices(ones)});
}

void unsqueeze(Draw& d, const Row& row) {
  const Extents shape = d.shape(0, 3);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::int64_t more = d.between(0, 2), rank = rank_of(shape) + more;
  Ints axes = d.axes(rank, more);
  for (std::int64_t& a : axes) a = d.axis_name(a, rank);
  d.apply(row.name, {x, d.indices(axes)});
}

void expand(Draw& d, const Row& row) {
  const Extents full = d.shape(0, 5);
  const std::string x = d.input(dtype(d, row.types), d.thinned(full));
  Ints to = sizes(full);
  for (std::int64_t& size : to)
    if (d.rarely(5)) size = 1;
  d.apply(row.name, {x, d.indices(to)});
}

void tile(Draw& d, const Row& row) {
  d.set_limit(std::min<std::int64_t>(d.limit(), 1 << 16));
  const Extents shape = d.shape(0, 4);
  const std::string x = d.input(dtype(d, row.types), shape);
  Ints repeats;
  for (std::size_t i = 0; i < shape.size(); ++i) repeats.push_back(d.pick<std::int64_t>({1, 1, 2, 3, 0}));
  d.apply(row.name, {x, d.indices(repeats)});
}

void concat(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 5);
  const DType type = dtype(d, row.types);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1);
  Names parts;
  for (std::int64_t n = d.between(1, 4); n > 0; --n) {
    Extents part = shape;
    part[static_cast<std::size_t>(axis)] = d.extent(17);
    parts.push_back(!parts.empty() && d.rarely(6) ? parts[0] : d.operand(type, part));
  }
  d.apply(row.name, parts, {{"axis", d.axis_name(axis, rank_of(shape))}});
}

void split(Draw& d, const Row& row) {
  Extents shape = d.shape(1, 5);
  const std::int64_t axis = d.between(0, rank_of(shape) - 1), parts = d.between(1, 4);
  Extent& along = shape[static_cast<std::size_t>(axis)];
  const Attribute name = d.axis_name(axis, rank_of(shape));
  if (d.flip()) {
    Ints lengths;
    for (std::int64_t i = 0; i < parts; ++i) lengths.push_back(d.pick<std::int64_t>({1, 2, 3, 8, 0}));
    along = {std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0})};
    const std::string x = d.input(dtype(d, row.types), shape);
    d.apply_all(row.name, {x, d.indices(lengths)}, static_cast<int>(parts), {{"axis", name}});
  } else {
    const std::string x = d.input(dtype(d, row.types), shape);
    d.apply_all(row.name, {x}, static_cast<int>(parts), {{"axis", name}, {"num_outputs", parts}});
  }
}

void slice(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 5);
  const std::string x = d.input(dtype(d, row.types), shape);
  Ints starts, ends, axes = d.axes(rank_of(shape), d.between(1, rank_of(shape))), steps;
  const bool all = static_cast<std::int64_t>(axes.size()) == rank_of(shape) && d.rarely(4);
  if (all) std::iota(axes.begin(), axes.end(), 0);
  for (std::int64_t& a : axes) {
    const std::int64_t size = shape[static_cast<std::size_t>(a)].size;
    const std::int64_t step = d.pick<std::int64_t>({1, 1, 1, 2, 3, -1, -2});
    std::int64_t start = step > 0 ? d.between(0, size) : d.between(0, std::max<std::int64_t>(size - 1, 0));
    std::int64_t end = d.pick<std::int64_t>({size, size - 1, start + 1, INT64_MAX, -1});
    if (step < 0) end = d.pick<std::int64_t>({INT64_MIN, -size - 1, 0, start - 2});
    if (d.rarely(4)) start -= size;
    starts.push_back(start), ends.push_back(end), steps.push_back(step);
    if (d.flip()) a -= rank_of(shape);
  }
  const bool plain = std::all_of(steps.begin(), steps.end(), [](std::int64_t s) { return s == 1; }) && d.flip();
  d.apply(row.name, {x, d.indices(starts), d.indices(ends), all && plain ? "" : d.indices(axes), plain ? "" : d.indices(steps)});
}

void pad(Draw& d, const Row& row) {
  const Extents shape = d.shape(1, 4);
  const std::string mode = d.pick({"constant", "constant", "edge", "reflect", "wrap"});
  const DType type = dtype(d, mode == "constant" ? Types::kNumbers : row.types);
  const std::string x = d.input(type, shape);
  const std::int64_t rank = rank_of(shape);
  const bool some = d.rarely(4);
  Ints axes(shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (some) axes = d.axes(rank, d.between(1, rank));
  Ints pads(axes.size() * 2);
  for (std::size_t i = 0; i < pads.size(); ++i) {
    const std::int64_t size = shape[static_cast<std::size_t>(axes[i % axes.size()])].size;
    const std::int64_t most = mode == "constant" || mode == "edge" ? 4 : mode == "wrap" ? size : size - 1;
    pads[i] = d.between(0, std::min<std::int64_t>(most, 4));
    if (mode == "constant" && size > 2 && d.rarely(6)) pads[i] = -1;
  }
  for (std::int64_t& a : axes) a = d.axis_name(a, rank);
  const std::string to = d.indices(pads);
  const std::string value = mode == "constant" && d.flip() ? d.operand(type, {}) : "";
  d.apply(row.name, {x, to, value, some ? d.indices(axes) : ""}, {{"mode", mode}});
}

void triangle(Draw& d, const Row& row) {
  const Extents shape = d.shape(2, 4);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::string k = d.flip() ? d.given(Tensor::scalar<std::int64_t>(d.pick<std::int64_t>({0, 1, -1, 3, -70}))) : "";
  d.apply(row.name, {x, k}, {{"upper", d.between(0, 1)}});
}

void blocks(Draw& d, const Row& row) {
  const std::int64_t b = d.pick<std::int64_t>({1, 2, 3});
  const bool to_space = row.name[0] == 'D';
  const Extent n = d.extent(3), c = d.extent(8), h = d.extent(16), w = d.extent(17);
  Extents shape = {n, derived(c.size * b * b, {c}), h, w};
  if (!to_space) shape = {n, c, derived(h.size * b, {h}), derived(w.size * b, {w})};
  Attributes attributes = {{"blocksize", b}};
  if (to_space && d.flip()) attributes.push_back({"mode", d.flip() ? "CRD" : "DCR"});
  const std::string x = d.input(dtype(d, row.types), shape);
  d.apply(row.name, {x}, attributes);
}

void reverse(Draw& d, const Row& row) {
  const Extents shape = d.shape(2, 4);
  const std::string x = d.input(dtype(d, row.types), shape);
  const std::int64_t batch = d.between(0, 1);
  const Extent& along = shape[static_cast<std::size_t>(batch)];
  const double time = static_cast<double>(shape[static_cast<std::size_t>(1 - batch)].size);
  d.apply(row.name, {x, d.operand(kInt64, {along}, {std::min(1.0, time), time})}, {{"batch_axis", batch}, {"time_axis", 1 - batch}});
}

void shape_of(Draw& d, const Row& row) {
  const Extents shape = d.shape(0, 5);
  const std::string x = d.input(dtype(d, row.types), shape);
  Attributes attributes;
  if (row.name[1] == 'h' && d.flip()) attributes = {{"start", d.between(-3, 3)}, {"end", d.between(-3, 5)}};
  d.apply(row.name, {x}, attributes);
}

void filled(Draw& d, const Row& row) {
  const Tensor value = d.random(dtype(d, Types::kNumbers), {1}, {-9, 9}, d.below(64), 2);
  const std::string x = d.input(kInt64, {{d.between(0, 4)}}, {0, 8});
  d.apply(row.name, {x}, d.flip() ? Attributes{{"value", value}} : Attributes{});
}

void eye(Draw& d, const Row& row) {
  const Extents shape = d.shape(2, 2);
  const std::string x = d.input(dtype(d, Types::kNumbers), shape);
  Attributes attributes = {{"k", d.pick<std::int64_t>({0, 1, -1, 5, -70})}};
  if (d.flip()) attributes.push_back({"dtype", static_cast<std::int64_t>(dtype(d, Types::kNumbers))});
  d.apply(row.name, {x}, attributes);
}

void range(Draw& d, const Row& row) {
  const DType type = d.pick({kFloat32, kInt64, kInt32, kFloat64, kInt16});
  const std::string start = d.input(type, {}, {-5, 5});
  const std::string limit = d.operand(type, {}, {-20, 60});
  d.apply(row.name, {start, limit, d.operand(type, {}, {0.25, 4, Fill::kNone, true})});
}

void bit_cast(Draw& d, const Row& row) {
  const auto [from, to] =
      d.pick({std::pair{kFloat32, kInt32}, {kInt32, kFloat32}, {kFloat64, kInt64}, {kUint8, kInt8}, {kFloat16, kUint16}});
  const std::string x = d.input(from, d.shape(0, 4), {0, 100});
  d.apply(row.name, {x}, {{"to", static_cast<std::int64_t>(to)}});
}

void tensor_scatter(Draw& d, const Row& row) {
  const DType type = dtype(d, row.types);
  Extents cache = d.shape(3, 4);
  const std::int64_t axis = rank_of(cache) - 2, kept = cache[static_cast<std::size_t>(axis)].size;
  Extents update = cache;
  update[static_cast<std::size_t>(axis)] = {std::min<std::int64_t>(d.between(1, 3), kept)};
  const std::int64_t last = kept - update[static_cast<std::size_t>(axis)].size;
  const std::string past = d.input(type, cache), present = d.operand(type, update);
  const std::string at = d.flip() ? d.operand(kInt64, {cache[0]}, {0, static_cast<double>(last)}) : "";
  d.apply(row.name, {past, present, at}, {{"axis", d.axis_name(axis, rank_of(cache))}, {"mode", d.flip() ? "circular" : "linear"}});
}

constexpr Row kRows[] = {
    {"Transpose", transpose, Types::kAny},
    {"Reshape", reshape, Types::kAny},
    {"Flatten", flatten, Types::kAny},
    {"Squeeze", squeeze, Types::kAny},
    {"Unsqueeze", unsqueeze, Types::kAny},
    {"Expand", expand, Types::kAny},
    {"Tile", tile, Types::kAny},
    {"Concat", concat, Types::kAny},
    {"Split", split, Types::kAny},
    {"Slice", slice, Types::kAny},
    {"Pad", pad, Types::kNumbers},
    {"Trilu", triangle, Types::kNumbers},
    {"DepthToSpace", blocks, Types::kNumbers},
    {"SpaceToDepth", blocks, Types::kNumbers},
    {"ReverseSequence", reverse, Types::kAny},
    {"Shape", shape_of, Types::kAny},
    {"Size", shape_of, Types::kAny},
    {"ConstantOfShape", filled},
    {"EyeLike", eye},
    {"Range", range},
    {"BitCast", bit_cast},
    {"TensorScatter", tensor_scatter, Types::kNumbers},
};

}  // namespace

std::span<const Row> move_rows() { return kRows; }

}  // namespace ashlar::comparison
