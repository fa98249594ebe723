// SPDX-License-Identifier: Apache-2.0
// Motifs of one operator or a few: element by element, moves, shapes, control flow.
#include "tests/optimizer/random_graphs/motifs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ashlar::testing {
namespace {

constexpr std::int64_t kMost = 0x7fffffffffffffff;

std::vector<std::int64_t> permutation(GraphWriter& w, std::int64_t rank) {
  std::vector<std::int64_t> perm(static_cast<std::size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  for (std::size_t i = 1; i < perm.size(); ++i)
    std::swap(perm[i], perm[static_cast<std::size_t>(w.below(static_cast<std::int64_t>(i) + 1))]);
  return perm;
}

Known transposed(GraphWriter& w, const Known& v, const std::vector<std::int64_t>& perm) {
  Known out = v;
  for (std::size_t i = 0; i < perm.size(); ++i) out.sizes[i] = v.sizes[static_cast<std::size_t>(perm[i])];
  out.name = w.node("Transpose", {v.name}, w.with("perm", perm));
  return w.keep(out);
}

Known unary(GraphWriter& w, const Known& v) {
  const double b = v.bound();
  switch (w.below(14)) {
    case 0: return w.keep({w.node("Relu", {v.name}), v.dtype, v.sizes, std::max(0.0, v.low), std::max(0.0, v.high), v.exact});
    case 1: return w.keep({w.node("Neg", {v.name}), v.dtype, v.sizes, -v.high, -v.low, v.exact});
    case 2: return w.keep({w.node("Abs", {v.name}), v.dtype, v.sizes, 0, b, v.exact});
    case 3: return w.keep({w.node("Sigmoid", {v.name}), v.dtype, v.sizes, 0, 1, false});
    case 4: return w.keep({w.node("Tanh", {v.name}), v.dtype, v.sizes, -1, 1, false});
    case 5:
      if (b > 3) break;
      return w.keep({w.node("Exp", {v.name}), v.dtype, v.sizes, std::exp(v.low), std::exp(v.high), false});
    case 6:
      if (v.low < 0) break;
      return w.keep({w.node("Sqrt", {v.name}), v.dtype, v.sizes, std::sqrt(v.low), std::sqrt(b), false});
    case 7:
      if (v.low < 0.2) break;
      return w.keep({w.node(w.pick<std::string>({"Reciprocal", "Log"}), {v.name}), v.dtype, v.sizes, std::min(1 / b, std::log(v.low)),
                     std::max(1 / v.low, std::log(b)), false});
    case 8: {
      const double low = w.real(-1, 0), high = w.real(0, 1);
      const std::string from = w.chance(70) ? w.number(low).name : "", to = w.chance(80) ? w.number(high).name : "";
      return w.keep({w.node("Clip", {v.name, from, to}), v.dtype, v.sizes, from.empty() ? std::min(v.low, high) : low,
                     to.empty() ? std::max(v.high, low) : high, v.exact});
    }
    case 9: return w.keep(w.node("Identity", {v.name}), v);
    case 10: return w.keep(w.node("Dropout", {v.name}), v);
    case 11: return w.keep({w.node("Erf", {v.name}), v.dtype, v.sizes, -1, 1, false});
    case 12: {
      Known d{w.node("Cast", {v.name}, "to = 11"), DType::kFloat64, v.sizes, v.low, v.high, v.exact};
      if (w.chance(50)) d.name = w.node("Neg", {w.node("Neg", {d.name})});
      return w.keep(w.node("Cast", {d.name}, "to = 1"), v);
    }
    default: break;
  }
  return w.keep({w.node("HardSigmoid", {v.name}), v.dtype, v.sizes, 0, 1, false});
}

/// A value that broadcasts with one of those sizes to the same sizes.
Known partner(GraphWriter& w, const Known& v) {
  if (w.chance(35))
    return w.any([&](const Known& o) { return o.real() && o.sizes == v.sizes && o.bound() < 1e3; },
                 {"", DType::kFloat32, v.sizes, -2, 2, true});
  Sizes s = v.sizes;
  for (auto& d : s)
    if (w.chance(40)) d = 1;
  s.erase(s.begin(), s.begin() + w.below(v.rank() + 1));
  if (w.chance(30)) return w.number(w.pick({0.0, 1.0, 2.0, 0.5, -1.0, 1.5}), v.rank());
  return w.chance(70) ? w.constant(DType::kFloat32, s, 0.5, 2) : w.input(DType::kFloat32, s, -1, 1);
}

Known binary(GraphWriter& w, const Known& v) {
  const Known o = partner(w, v);
  switch (w.below(8)) {
    case 0:
    case 1: return w.keep({w.either("Add", v.name, o.name), v.dtype, v.sizes, v.low + o.low, v.high + o.high, false});
    case 2:
      if (w.chance(50)) return w.keep({w.node("Sub", {v.name, o.name}), v.dtype, v.sizes, v.low - o.high, v.high - o.low, false});
      return w.keep({w.node("Sub", {o.name, v.name}), v.dtype, v.sizes, o.low - v.high, o.high - v.low, false});
    case 3:
      if (o.low < 0.2) break;
      return w.keep({w.node("Div", {v.name, o.name}), v.dtype, v.sizes, -v.bound() / o.low, v.bound() / o.low, false});
    case 4:
      return w.keep(
          {w.either("Max", v.name, o.name), v.dtype, v.sizes, std::max(v.low, o.low), std::max(v.high, o.high), v.exact && o.exact});
    case 5:
      return w.keep(
          {w.either("Min", v.name, o.name), v.dtype, v.sizes, std::min(v.low, o.low), std::min(v.high, o.high), v.exact && o.exact});
    case 6: {
      const Known square = w.number(2, v.rank());
      return w.keep({w.node("Pow", {v.name, square.name}), v.dtype, v.sizes, 0, v.bound() * v.bound(), false});
    }
    default: break;
  }
  const double b = v.bound() * o.bound();
  return w.keep({w.either("Mul", v.name, o.name), v.dtype, v.sizes, v.low >= 0 && o.low >= 0 ? v.low * o.low : -b, b, false});
}

/// A bool that broadcasts to those sizes.
std::string truth(GraphWriter& w, const Sizes& sizes) {
  Sizes s = sizes;
  for (auto& d : s)
    if (w.chance(30)) d = 1;
  switch (w.below(4)) {
    case 0: return w.input(DType::kBool, s, 0, 1).name;
    case 1: return w.constant(DType::kBool, s, 0, 1).name;
    case 2: return w.node("Not", {w.node("Less", {w.input(DType::kInt64, s, 0, 4).name, w.constant(DType::kInt64, {}, 0, 3).name})});
    default:
      return w.node(w.pick<std::string>({"Greater", "LessOrEqual"}),
                    {w.input(DType::kFloat32, s, -1, 1).name, w.number(w.real(-1, 1)).name});
  }
}

Known chosen(GraphWriter& w, const Known& v) {
  const Known o = partner(w, v);
  const std::string c = truth(w, v.sizes);
  const std::vector<std::string> operands = w.chance(50) ? std::vector{c, v.name, o.name} : std::vector{c, o.name, v.name};
  return w.keep({w.node("Where", operands), v.dtype, v.sizes, std::min(v.low, o.low), std::max(v.high, o.high), v.exact && o.exact});
}

}  // namespace

Known shape_kept(GraphWriter& w, Known v, int steps) {
  for (int i = 0; i < steps; ++i) {
    if (v.bound() > 200) {
      v = w.keep({w.node("Tanh", {v.name}), v.dtype, v.sizes, -1, 1, false});
      continue;
    }
    const auto kind = w.below(10);
    v = kind < 5 ? unary(w, v) : kind < 9 ? binary(w, v) : chosen(w, v);
  }
  return v;
}

void add_elementwise(GraphWriter& w) { shape_kept(w, w.any_real(), static_cast<int>(w.between(1, 3))); }

void add_integers(GraphWriter& w) {
  const Sizes s = w.sizes(w.below(3));
  Known v = w.any([](const Known& o) { return o.dtype == DType::kInt64 && o.bound() < 1e4; }, {"", DType::kInt64, s, 0, 6, true});
  for (std::int64_t i = w.between(1, 3); i > 0; --i) {
    const std::int64_t k = w.between(0, 3);
    const std::string c = w.constant(DType::kInt64, {}, static_cast<double>(k), static_cast<double>(k)).name;
    const auto real = static_cast<double>(k);
    switch (w.below(6)) {
      case 0: v = w.keep({w.either("Add", v.name, c), v.dtype, v.sizes, v.low + real, v.high + real, true}); break;
      case 1: v = w.keep({w.either("Mul", v.name, c), v.dtype, v.sizes, std::min(v.low * real, 0.0), v.high * real, true}); break;
      case 2: v = w.keep(w.node("Cast", {w.node("Cast", {v.name}, "to = 6")}, "to = 7"), v); break;
      case 3: {
        const std::string c2 = w.node(w.pick<std::string>({"Equal", "Less", "Greater"}), {v.name, c});
        const std::string d = w.node(w.pick<std::string>({"And", "Or", "Xor"}), {c2, w.node("Not", {c2})});
        v = w.keep(w.node("Where", {d, v.name, v.name}), v);
        break;
      }
      case 4: {
        const std::string f = w.node("Cast", {v.name}, "to = 1");
        w.keep({f, DType::kFloat32, v.sizes, v.low, v.high, true});
        break;
      }
      default:
        if (v.low < 0) break;
        v = w.keep(
            {w.node("Div", {v.name, w.constant(DType::kInt64, {}, 2, 2).name}), v.dtype, v.sizes, std::floor(v.low / 2), v.high, true});
    }
  }
  // An embedding.
  if (v.low >= 0 && v.high <= 40 && w.chance(40)) {
    const auto rows = static_cast<std::int64_t>(v.high) + 1;
    const Known table = w.constant(DType::kFloat32, {rows, w.between(2, 4)}, -1, 1);
    Sizes out = v.sizes;
    out.push_back(table.sizes[1]);
    w.keep({w.node("Gather", {table.name, v.name}, "axis = 0"), DType::kFloat32, out, -1, 1, true});
  }
}

void add_movement(GraphWriter& w) {
  const Known v = w.any_real(1, 4);
  const std::int64_t axis = w.below(v.rank()), n = v.sizes[static_cast<std::size_t>(axis)];
  const std::int64_t signed_axis = w.chance(30) ? axis - v.rank() : axis;
  Known out = v;
  switch (w.below(10)) {
    case 0:
    case 1: {
      const auto perm = permutation(w, v.rank());
      out = transposed(w, v, perm);
      if (w.chance(40)) out = shape_kept(w, out, 1);
      if (w.chance(60)) {  // and back, or elsewhere
        std::vector<std::int64_t> back(perm.size());
        for (std::size_t i = 0; i < perm.size(); ++i) back[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
        transposed(w, out, w.chance(70) ? back : permutation(w, v.rank()));
      }
      return;
    }
    case 2: {
      const std::int64_t from = w.between(0, n), to = w.between(from, n);
      const bool open = w.chance(40);
      out.sizes[static_cast<std::size_t>(axis)] = open ? n - from : to - from;
      const std::int64_t start = w.chance(20) && from < n ? from - n : from;
      std::vector<std::string> operands = {v.name, w.constant({start}).name, w.constant({open ? kMost : to}).name,
                                           w.constant({signed_axis}).name};
      if (w.chance(50)) operands.push_back(w.constant({1}).name);
      out.name = w.node("Slice", operands);
      w.keep(out);
      return;
    }
    case 3: {
      std::vector<std::string> pieces = {v.name};
      for (std::int64_t k = w.between(0, 2); k > 0; --k)
        pieces.push_back(
            w.any([&](const Known& o) { return o.real() && o.sizes == v.sizes; }, {"", DType::kFloat32, v.sizes, -2, 2, true}).name);
      out.sizes[static_cast<std::size_t>(axis)] = n * static_cast<std::int64_t>(pieces.size());
      out.low = -1e3;
      out.high = 999;
      out.exact = false;
      if (out.count() > 2000) return;
      out.name = w.node("Concat", pieces, w.with("axis", signed_axis));
      w.keep(out);
      return;
    }
    case 4: {
      const std::int64_t first = w.between(0, n);
      const std::string parts = w.node("Split", {v.name, w.constant({first, n - first}).name}, w.with("axis", signed_axis), 1);
      Known a = v, b = v;
      a.name = parts;
      b.name = parts + "_1";
      a.sizes[static_cast<std::size_t>(axis)] = first;
      b.sizes[static_cast<std::size_t>(axis)] = n - first;
      w.keep(a);
      w.keep(b);
      if (w.chance(60)) w.keep(w.node("Concat", {a.name, b.name}, w.with("axis", axis)), v);
      return;
    }
    case 5: {
      const std::int64_t at = w.between(0, v.rank());
      out.name = w.node("Unsqueeze", {v.name, w.constant({w.chance(30) ? at - v.rank() - 1 : at}).name});
      out.sizes.insert(out.sizes.begin() + at, 1);
      w.keep(out);
      if (w.chance(50) && out.rank() < 5) out = shape_kept(w, out, 1);
      if (w.chance(50)) w.keep({w.node("Squeeze", {out.name, w.constant({at}).name}), v.dtype, v.sizes, out.low, out.high, out.exact});
      return;
    }
    case 6: {
      for (auto& s : out.sizes)
        if (s == 1) s = w.between(1, 3);
      if (w.chance(50)) out.sizes.insert(out.sizes.begin(), w.between(1, 2));
      if (out.count() > 2000 || out.rank() > 5) return;
      out.name = w.node("Expand", {v.name, w.constant(out.sizes).name});
      w.keep(out);
      return;
    }
    case 7: {
      if (n == 0) return;
      const bool scalar = w.chance(50);
      const std::int64_t index = w.between(-n, n - 1);
      const Known at = scalar ? w.constant(DType::kInt64, {}, static_cast<double>(index), static_cast<double>(index)) : w.constant({index});
      out.name = w.node("Gather", {v.name, at.name}, w.with("axis", signed_axis));
      if (scalar) out.sizes.erase(out.sizes.begin() + axis);
      else out.sizes[static_cast<std::size_t>(axis)] = 1;
      w.keep(out);
      return;
    }
    case 8: {
      std::vector<std::int64_t> pads(static_cast<std::size_t>(2 * v.rank()), 0);
      for (std::size_t i = 0; i < pads.size(); ++i) {
        pads[i] = w.chance(40) ? w.between(0, 2) : 0;
        out.sizes[i % out.sizes.size()] += pads[i];
      }
      if (out.count() > 3000) return;
      out.low = std::min(v.low, 0.0);
      out.high = std::max(v.high, 0.0);
      out.name = w.node("Pad", {v.name, w.constant(pads).name});
      w.keep(out);
      return;
    }
    default: {
      std::int64_t count = v.count();
      out.sizes = w.chance(50) ? Sizes{-1} : Sizes{v.sizes[0], -1};
      if (count == 0) return;
      out.name = w.node("Reshape", {v.name, w.constant(out.sizes).name});
      out.sizes.back() = out.sizes.size() == 1 ? count : count / v.sizes[0];
      if (w.chance(60)) {
        if (w.chance(30)) out = shape_kept(w, out, 1);
        w.keep({w.node("Reshape", {out.name, w.constant(v.sizes).name}), v.dtype, v.sizes, out.low, out.high, out.exact});
      } else {
        w.keep(out);
      }
    }
  }
}

namespace {

/// An element of the value's shape as a vector of length 1.
std::string dimension(GraphWriter& w, const Known& v, std::int64_t axis) {
  switch (w.below(4)) {
    case 0: return w.constant({v.sizes[static_cast<std::size_t>(axis)]}).name;
    case 1: return w.node("Shape", {v.name}, w.with("start", axis) + ", " + w.with("end", axis + 1));
    case 2: {
      const Known at = w.constant(DType::kInt64, {}, static_cast<double>(axis), static_cast<double>(axis));
      const std::string d = w.node("Gather", {w.node("Shape", {v.name}), at.name}, "axis = 0");
      return w.node("Unsqueeze", {d, w.constant({0}).name});
    }
    default:
      return w.node("Slice", {w.node("Shape", {v.name}), w.constant({axis}).name, w.constant({axis + 1}).name, w.constant({0}).name});
  }
}

}  // namespace

void add_shape_chain(GraphWriter& w) {
  const Known v = w.any_real(1, 4);
  if (v.count() == 0) return;
  Known out = v;
  std::vector<std::string> pieces;
  if (w.chance(40)) {  // merge neighbours
    const std::int64_t at = w.below(v.rank());
    out.sizes.clear();
    for (std::int64_t i = 0; i < v.rank(); ++i) {
      if (i == at && i + 1 < v.rank()) {
        const std::string product = w.node("Mul", {dimension(w, v, i), dimension(w, v, i + 1)});
        pieces.push_back(w.chance(40) ? w.constant({-1}).name : product);
        out.sizes.push_back(v.sizes[static_cast<std::size_t>(i)] * v.sizes[static_cast<std::size_t>(i + 1)]);
        ++i;
      } else {
        pieces.push_back(dimension(w, v, i));
        out.sizes.push_back(v.sizes[static_cast<std::size_t>(i)]);
      }
    }
  } else if (w.chance(60)) {  // split the last dimension, as heads are
    const std::int64_t last = v.sizes.back(), heads = last % 2 == 0 ? 2 : 1;
    out.sizes.pop_back();
    for (std::int64_t i = 0; i + 1 < v.rank(); ++i) pieces.push_back(dimension(w, v, i));
    pieces.push_back(w.constant({heads}).name);
    if (w.chance(50)) pieces.push_back(w.constant({-1}).name);
    else pieces.push_back(w.node("Div", {dimension(w, v, v.rank() - 1), w.constant({heads}).name}));
    out.sizes.insert(out.sizes.end(), {heads, last / heads});
  } else {  // the shape of something else
    const std::string like = w.node("Shape", {v.name});
    const std::string ones = w.node("ConstantOfShape", {like}, "value = float[1] {1}");
    w.keep({ones, DType::kFloat32, v.sizes, 1, 1, true});
    w.keep({w.node("Expand", {w.number(w.real(-1, 1)).name, like}), DType::kFloat32, v.sizes, -1, 1, true});
    const std::string d = w.node("Squeeze", {dimension(w, v, 0), w.constant({0}).name});
    const Known zero = w.constant(DType::kInt64, {}, 0, 0), one = w.constant(DType::kInt64, {}, 1, 1);
    w.keep({w.node("Range", {zero.name, d, one.name}), DType::kInt64, {v.sizes[0]}, 0, static_cast<double>(v.sizes[0]), true});
    return;
  }
  const std::string target = pieces.size() == 1 ? pieces[0] : w.node("Concat", pieces, "axis = 0");
  out.name = w.node("Reshape", {v.name, target});
  w.keep(out);
  if (out.rank() >= 2 && w.chance(50)) {
    out = transposed(w, out, permutation(w, out.rank()));
    if (w.chance(40)) w.keep({w.node("Reshape", {out.name, w.node("Shape", {v.name})}), v.dtype, v.sizes, v.low, v.high, v.exact});
  }
}

void add_reduction(GraphWriter& w) {
  const Known v = w.any_real(1, 4);
  if (v.count() == 0 || v.bound() > 50) return;
  const std::string op = w.pick<std::string>({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"});
  const bool keep = w.chance(60);
  std::vector<std::int64_t> axes;
  Sizes sizes;
  for (std::int64_t i = 0; i < v.rank(); ++i) {
    const bool reduced = w.chance(40) || (axes.empty() && i + 1 == v.rank());
    if (reduced) axes.push_back(w.chance(40) ? i - v.rank() : i);
    if (!reduced || keep) sizes.push_back(reduced ? 1 : v.sizes[static_cast<std::size_t>(i)]);
  }
  const double n = static_cast<double>(v.count()), b = v.bound();
  const bool extreme = op == "ReduceMax" || op == "ReduceMin";
  const double most = op == "ReduceMean" || extreme ? b : op == "ReduceSumSquare" ? n * b * b : n * b;
  w.keep({w.node(op, {v.name, w.constant(axes).name}, w.with("keepdims", keep)), v.dtype, sizes, v.low >= 0 ? 0 : -most, most,
          extreme && v.exact});
}

namespace {

/// What a body has besides what makes its result: motifs whose results nobody reads, or that read what is around.
void body_motifs(GraphWriter& w) {
  for (std::int64_t n = w.chance(30) ? w.between(1, 2) : 0; n > 0; --n)
    w.pick<void (*)(GraphWriter&)>({add_movement, add_shape_chain, add_product, add_activation, add_normalization})(w);
}

}  // namespace

void add_branch(GraphWriter& w) {
  const Known v = w.any_real(0, 3);
  std::string condition;
  switch (w.below(3)) {
    case 0: condition = w.input(DType::kBool, {}, 0, 1).name; break;
    case 1: condition = w.constant(DType::kBool, {}, 0, 1).name; break;
    default: {
      const Known u = w.any_real(1, 3);
      const std::string d = w.node("Squeeze", {dimension(w, u, 0), w.constant({0}).name});
      condition = w.node("Equal", {d, w.constant(DType::kInt64, {}, 1, 1).name});
    }
  }
  std::string bodies;
  double most = 0;
  const bool two = w.chance(25);
  for (const char* name : {"then_branch", "else_branch"}) {
    std::string result;
    const std::string nodes = w.inside([&] {
      body_motifs(w);
      Known out = shape_kept(w, v, static_cast<int>(w.between(0, 3)));
      // Of that shape, made in the motifs.
      if (w.chance(40)) out = w.any([&](const Known& o) { return o.real() && o.sizes == v.sizes && o.bound() < 1e3; }, v);
      most = std::max(most, out.bound());
      result = w.node("Identity", {out.name});
      if (two) result += ", " + w.node("Neg", {out.name});
    });
    bodies += (bodies.empty() ? "" : ", ") + std::string(name) + " = " + w.unique("body") + " () => (" + result + ") {\n" + nodes + "}";
  }
  const std::string out = w.node("If", {condition}, bodies, two);
  w.keep({out, v.dtype, v.sizes, -most, most, false});
  if (two && w.chance(50)) w.keep({out + "_1", v.dtype, v.sizes, -most, most, false});
}

void add_loop(GraphWriter& w) {
  const Known v = w.any_real(0, 3);
  const Known trips = w.chance(70) ? w.constant(DType::kInt64, {}, 0, 3) : w.input(DType::kInt64, {}, 0, 3),
              go = w.constant(DType::kBool, {}, 1, 1);
  const std::string i = w.unique("i"), c = w.unique("c"), carried = w.unique("v");
  const bool collects = w.chance(30);
  std::string result, state, collected;
  const std::string nodes = w.inside([&] {
    body_motifs(w);
    if (w.chance(50)) shape_kept(w, v, 1);  // the same in each trip
    const Known bounded = w.keep({w.node("Tanh", {carried}), v.dtype, v.sizes, -1, 1, false});
    const Known last = shape_kept(w, bounded, static_cast<int>(w.between(1, 3)));
    if (collects) collected = w.node("Neg", {last.name});
    result = w.node("Identity", {last.name});
    state = w.chance(75) ? w.node("Identity", {c}) : w.node("Less", {i, w.constant(DType::kInt64, {}, 0, 2).name});
  });
  const std::string type = v.rank() == 0 ? "float" : "float[" + w.list(v.sizes) + "]";
  const std::string body = "body = " + w.unique("body") + " (int64 " + i + ", bool " + c + ", " + type + " " + carried + ") => (" + state +
                           ", " + result + (collects ? ", " + collected : "") + ") {\n" + nodes + "}";
  const std::string out = w.node("Loop", {trips.name, go.name, v.name}, body, collects);
  w.keep({out, v.dtype, v.sizes, -1e3, 1e3, false});
  if (collects && w.chance(60)) w.make_output(out + "_1");
}

void add_motif(GraphWriter& w) {
  using Motif = void (*)(GraphWriter&);
  static const std::vector<Motif> motifs = {
      add_elementwise,  add_elementwise, add_integers,   add_movement,          add_movement,      add_movement,      add_shape_chain,
      add_shape_chain,  add_reduction,   add_product,    add_product,           add_activation,    add_activation,    add_convolution,
      add_convolution,  add_attention,   add_attention,  add_decoder_attention, add_normalization, add_normalization, add_pixel_shuffle,
      add_quantization, add_rare,        add_repetition, add_written_out,       add_written_out,   add_branch,        add_loop};
  w.pick(motifs)(w);
}

}  // namespace ashlar::testing
