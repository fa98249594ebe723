// SPDX-License-Identifier: Apache-2.0
// Motifs that are one operator written as its parts, and how exporters pack and look up.
#include <cmath>

#include "tests/optimizer/random_graphs/motifs.h"

namespace ashlar::testing {
namespace {

std::int64_t signed_axis(GraphWriter& w, std::int64_t axis, std::int64_t rank) { return w.chance(50) ? axis - rank : axis; }

void add_softmax(GraphWriter& w, const Known& x) {
  const std::int64_t r = x.rank(), axis = w.below(r), other = w.chance(10) ? w.below(r) : axis;
  const auto at = [&](std::int64_t a) { return w.constant({signed_axis(w, a, r)}).name; };
  std::string d = x.name;
  if (w.chance(70) || x.bound() > 5) d = w.node("Sub", {x.name, w.node("ReduceMax", {x.name, at(axis)}, "keepdims = 1")});
  const std::string e = w.node("Exp", {d}), sum = w.node("ReduceSum", {e, at(other)}, "keepdims = 1");
  if (w.chance(30)) w.keep({w.node("Sub", {d, w.node("Log", {sum})}), x.dtype, x.sizes, -100, 100, false});
  else w.keep({w.node("Div", {e, sum}), x.dtype, x.sizes, 0, std::exp(5.0), false});
}

void add_sigmoid(GraphWriter& w, const Known& x) {
  const double one = w.chance(8) ? 1.5 : 1;
  if (w.chance(30)) {
    w.keep({w.node("Log", {w.either("Add", w.node("Exp", {x.name}), w.number(one).name)}), x.dtype, x.sizes, -1, x.bound() + 2, false});
    return;
  }
  const std::string negative = w.chance(50) ? w.node("Neg", {x.name}) : w.either("Mul", x.name, w.number(-1).name);
  const std::string s = w.either("Add", w.node("Exp", {negative}), w.number(one, x.rank()).name);
  std::string y;
  switch (w.below(3)) {
    case 0: y = w.node("Reciprocal", {s}); break;
    case 1: y = w.node("Div", {w.number(1).name, s}); break;
    default: y = w.node("Pow", {s, w.number(-1).name});
  }
  if (w.chance(30)) y = w.either("Mul", x.name, y);
  w.keep({y, x.dtype, x.sizes, -x.bound() - 1, x.bound() + 1, false});
}

void add_sum_of_squares(GraphWriter& w, const Known& x) {
  const std::int64_t r = x.rank(), axis = w.below(r);
  const bool keep = w.chance(50);
  const std::string square = w.chance(50) ? w.node("Mul", {x.name, x.name}) : w.node("Pow", {x.name, w.number(w.chance(10) ? 3 : 2).name});
  const std::string axes = w.constant({signed_axis(w, axis, r)}).name;
  std::string y = w.node(w.chance(80) ? "ReduceSum" : "ReduceMean", {square, axes}, w.with("keepdims", keep));
  Known out = x;
  out.sizes[static_cast<std::size_t>(axis)] = 1;
  const Sizes kept = out.sizes;
  if (!keep) out.sizes.erase(out.sizes.begin() + axis);
  const double n = static_cast<double>(x.sizes[static_cast<std::size_t>(axis)]);
  out.high = n * std::pow(x.bound() + 1, 3);
  out.low = -out.high;
  out.exact = false;
  if (w.chance(50)) {  // dropped or put back behind it
    if (keep) {
      out.sizes.erase(out.sizes.begin() + axis);
      y = w.chance(50) || x.count() == 0 ? w.node("Squeeze", {y, w.constant({axis}).name})
                                         : w.node("Reshape", {y, w.constant(out.sizes).name});
    } else {
      out.sizes = kept;
      y = w.node("Unsqueeze", {y, w.constant({w.chance(90) ? axis : 0}).name});
      if (axis != 0 && out.sizes[0] != 1) return;
    }
  }
  out.name = y;
  w.keep(out);
}

/// Normalised in groups of channels.
void add_group_normalization(GraphWriter& w) {
  const std::int64_t b = w.between(1, 2), c = 4, h = w.between(1, 3), groups = w.pick<std::int64_t>({1, 2, 4});
  const Known x = w.input(DType::kFloat32, {b, c, h, 2}, -2, 2);
  const std::string apart = w.node("Reshape", {x.name, w.constant({0, groups, -1}).name});
  const double factor = w.chance(15) ? 1.5 : 1;
  const Known ones = w.constant(DType::kFloat32, {groups}, factor, factor), zeros = w.constant(DType::kFloat32, {groups}, 0, 0);
  const std::string normal = w.node("InstanceNormalization", {apart, ones.name, zeros.name}, "epsilon = 0.01");
  const std::string back = w.node("Reshape", {normal, w.chance(50) ? w.node("Shape", {x.name}) : w.constant(x.sizes).name});
  std::string y = w.either("Mul", back, w.constant(DType::kFloat32, {c, 1, 1}, 0.5, 1.5).name);
  if (w.chance(80)) y = w.either("Add", y, w.constant(DType::kFloat32, {c, 1, 1}, -1, 1).name);
  w.keep({y, x.dtype, x.sizes, -10, 10, false});
}

/// Several values side by side in one, taken apart.
void add_packed(GraphWriter& w) {
  const std::int64_t b = w.between(1, 2), s = w.between(1, 3), heads = w.between(1, 2), d = 2, parts = w.between(2, 3);
  const Known x = w.input(DType::kFloat32, {b, s, parts * heads * d}, -2, 2);
  std::string from = x.name;
  if (w.chance(50)) from = w.node("Add", {x.name, w.constant(DType::kFloat32, {parts * heads * d}, -1, 1).name});
  const std::string r =
      w.node("Reshape", {from, w.constant(w.chance(50) ? Sizes{0, 0, parts, heads, d} : Sizes{b, -1, parts, heads, d}).name});
  const bool moves = w.chance(60);
  const std::string t = moves ? w.node("Transpose", {r}, "perm = [2, 0, 3, 1, 4]") : r;
  const Sizes one = moves ? Sizes{b, heads, s, d} : Sizes{b, s, heads, d};
  for (std::int64_t i = 0; i < parts; ++i) {
    if (w.chance(10)) continue;
    const auto index = static_cast<double>(w.chance(20) ? i - parts : i);
    w.keep({w.node("Gather", {t, w.constant(DType::kInt64, {}, index, index).name}, moves ? "axis = 0" : "axis = 2"), x.dtype, one, -3, 3,
            false});
  }
}

/// A mask looked up by coordinates that are counted, as torch writes it.
void add_mask_lookup(GraphWriter& w) {
  const std::int64_t n = w.between(1, 3), s = w.between(1, 4);
  const Known mask = w.input(DType::kBool, {n, s}, 0, 1);
  const auto counted = [&](std::int64_t axis) {
    const std::string length = w.node("Squeeze", {w.node("Shape", {mask.name}, w.with("start", axis) + ", " + w.with("end", axis + 1))});
    const std::int64_t from = w.chance(10) ? 1 : 0;
    const Known first = w.constant(DType::kInt64, {}, static_cast<double>(from), static_cast<double>(from)),
                step = w.constant(DType::kInt64, {}, 1, 1);
    std::string limit = length;
    if (from == 1) limit = w.node("Add", {length, step.name});
    const std::string counts = w.node("Range", {first.name, limit, step.name});
    return from == 1 ? w.node("Sub", {counts, step.name}) : counts;
  };
  const std::string rows = w.node("Reshape", {counted(0), w.constant({-1, 1, 1, 1}).name}),
                    columns = w.node("Reshape", {counted(1), w.constant({1, 1, 1, -1}).name});
  const std::string shape = w.node("Shape", {w.node("Max", {rows, columns})}), last = w.constant({-1}).name;
  const auto wide = [&](const std::string& of) { return w.node("Unsqueeze", {w.node("Expand", {of, shape}), last}); };
  const std::string at = w.node("Concat", {wide(rows), wide(columns)}, "axis = -1");
  const std::string found = w.node("GatherND", {mask.name, at});
  if (w.chance(50)) {
    w.keep({w.node("Where", {found, w.number(0).name, w.number(-100).name}), DType::kFloat32, {n, 1, 1, s}, -100, 0, true});
  } else {
    const Known keep{"", DType::kBool, {n, 1, 1, s}, 0, 1, true};
    w.keep(w.chance(50) ? w.node("Where", {found, w.constant(DType::kBool, {}, 1, 1).name, w.node("Not", {found})})
                        : w.node("And", {found, found}),
           keep);
  }
}

}  // namespace

void add_written_out(GraphWriter& w) {
  const Known x = w.any([](const Known& v) { return v.real() && v.rank() >= 1 && v.rank() <= 4 && v.bound() <= 8 && v.count() > 0; },
                        {"", DType::kFloat32, {2, 3, 4}, -2, 2, true});
  switch (w.below(7)) {
    case 0: return add_softmax(w, x);
    case 1: return add_sigmoid(w, x);
    case 2: return add_sum_of_squares(w, x);
    case 3: return add_group_normalization(w);
    case 4: return add_packed(w);
    case 5: return add_mask_lookup(w);
    default: return add_sum_of_squares(w, x);
  }
}

}  // namespace ashlar::testing
