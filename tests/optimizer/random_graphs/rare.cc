// SPDX-License-Identifier: Apache-2.0
// Motifs of operators that stand alone in models, of shapes that data decide, and of nodes that are there twice.
#include <algorithm>

#include "tests/optimizer/random_graphs/motifs.h"

namespace ashlar::testing {

void add_rare(GraphWriter& w) {
  const Known v = w.any(
      [](const Known& o) {
        return o.real() && o.exact && o.rank() >= 1 && o.rank() <= 4 && o.count() > 0 && o.count() < 500 && o.bound() < 50;
      },
      {"", DType::kFloat32, {2, 3, 4}, -2, 2, true});
  const std::int64_t axis = w.below(v.rank()), n = v.sizes[static_cast<std::size_t>(axis)],
                     signed_axis = w.chance(40) ? axis - v.rank() : axis;
  Known out = v;
  auto& there = out.sizes[static_cast<std::size_t>(axis)];
  const double total = static_cast<double>(n) * v.bound();
  switch (w.below(9)) {
    case 0: {
      const bool keep = w.chance(50);
      out.name = w.node(w.pick<std::string>({"ArgMax", "ArgMin"}), {v.name}, w.with("axis", signed_axis) + ", " + w.with("keepdims", keep));
      if (keep) there = 1;
      else out.sizes.erase(out.sizes.begin() + axis);
      out.dtype = DType::kInt64;
      out.low = 0;
      out.high = static_cast<double>(n);
      break;
    }
    case 1:
      out.name = w.node("CumSum", {v.name, w.constant(DType::kInt64, {}, static_cast<double>(axis), static_cast<double>(axis)).name},
                        w.with("exclusive", w.below(2)) + ", " + w.with("reverse", w.below(2)));
      out.low = -total;
      out.high = total;
      out.exact = false;
      break;
    case 2: {
      std::vector<std::int64_t> repeats(v.sizes.size(), 1);
      repeats[static_cast<std::size_t>(axis)] = w.between(1, 2);
      there *= repeats[static_cast<std::size_t>(axis)];
      out.name = w.node("Tile", {v.name, w.constant(repeats).name});
      break;
    }
    case 3: {
      const std::int64_t k = w.between(1, n);
      const std::string top = w.node("TopK", {v.name, w.constant({k}).name}, w.with("axis", signed_axis), 1);
      there = k;
      out.name = top;
      w.keep({top + "_1", DType::kInt64, out.sizes, 0, static_cast<double>(n), true});
      break;
    }
    case 4: {
      const Known at = w.constant(DType::kInt64, v.sizes, 0, 0);
      out.name = w.node("ScatterElements", {v.name, at.name, v.name}, w.with("axis", signed_axis));
      break;
    }
    case 5:
      if (v.rank() < 2) return;
      out.name = w.node("Trilu", {v.name}, w.with("upper", w.below(2)));
      out.low = std::min(v.low, 0.0);
      out.high = std::max(v.high, 0.0);
      break;
    case 6: {
      const std::string like = w.node("Size", {v.name});
      w.keep({w.node("Mul", {like, like}), DType::kInt64, {}, 0, 3e5, true});
      return;
    }
    case 7: {
      if (v.rank() != 4) return;
      std::vector<std::int64_t> to = v.sizes;
      to[2] *= 2;
      to[3] *= 2;
      out.sizes = to;
      out.name = w.node("Resize", {v.name, "", "", w.constant(to).name},
                        "mode = \"nearest\", coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\"");
      break;
    }
    default: {
      // A shape that data decide.
      const std::string where = w.node("NonZero", {w.node("Greater", {v.name, w.number(0).name})});
      const std::string chosen = w.node("GatherND", {v.name, w.node("Transpose", {where}, "perm = [1, 0]")});
      const std::string doubled = w.node("Concat", {chosen, w.node("Reshape", {chosen, w.constant({-1}).name})}, "axis = 0");
      const std::string sum = w.node("ReduceSum", {doubled, w.constant({0}).name}, "keepdims = 0");
      w.keep({sum, DType::kFloat32, {}, 0, 2 * v.bound() * static_cast<double>(v.count()), false});
      return;
    }
  }
  w.keep(out);
}

void add_repetition(GraphWriter& w) {
  const Known v = w.any_real(0, 4);
  const std::string op = w.pick<std::string>({"Relu", "Sigmoid", "Neg", "Softmax"});
  if (op == "Softmax" && (v.rank() == 0 || v.count() == 0)) return;
  const Known like{"", v.dtype, v.sizes, std::min(-v.bound(), 0.0), std::max(v.bound(), 1.0), false};
  const Known a = w.keep(w.node(op, {v.name}), like), b = w.keep(w.node(op, {v.name}), like);
  if (w.chance(60))
    w.keep({w.node(w.pick<std::string>({"Add", "Sub", "Max"}), {a.name, b.name}), v.dtype, v.sizes, 2 * like.low, 2 * like.high, false});
}

}  // namespace ashlar::testing
