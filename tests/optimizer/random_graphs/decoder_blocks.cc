// SPDX-License-Identifier: Apache-2.0
// Motifs of decoders, of pictures made larger and of quantized values.
#include <cmath>

#include "tests/optimizer/random_graphs/motifs.h"

namespace ashlar::testing {
namespace {

/// x turned by angles: its halves, or its even and odd elements' stand-ins, as exporters write it.
std::string rotated(GraphWriter& w, const std::string& x, const std::string& cosine, const std::string& sine, std::int64_t d) {
  const auto part = [&](std::int64_t from, std::int64_t to) {
    return w.node("Slice", {x, w.constant({from}).name, w.constant({to}).name, w.constant({w.chance(50) ? -1 : 3}).name});
  };
  const std::string first = part(0, d / 2), second = part(d / 2, w.chance(50) ? d : 0x7fffffffffffffff);
  const bool wrong = w.chance(8);
  const std::string half = w.node("Concat", {w.node("Neg", {wrong ? first : second}), wrong ? second : first}, "axis = -1");
  return w.either("Add", w.either("Mul", x, cosine), w.either("Mul", half, sine));
}

}  // namespace

void add_decoder_attention(GraphWriter& w) {
  const std::int64_t b = w.between(1, 2), s = w.between(1, 3), groups = w.between(1, 2), repeat = w.between(1, 2), heads = groups * repeat,
                     d = 4;
  const std::int64_t past = w.between(0, 3), t = past + s;
  const Known x = w.input(DType::kFloat32, {b, s, 4}, -1, 1);
  const auto projected = [&](std::int64_t n) {
    const std::string y = w.node("MatMul", {x.name, w.constant(DType::kFloat32, {4, n * d}, -0.5, 0.5).name});
    const std::string split = w.node("Reshape", {y, w.constant(w.chance(50) ? Sizes{0, 0, n, d} : Sizes{b, -1, n, d}).name});
    return w.node("Transpose", {split}, "perm = [0, 2, 1, 3]");
  };
  std::string q = projected(heads), k = projected(groups);
  const std::string fresh = projected(groups);
  if (w.chance(60)) {
    const Known angles = w.input(DType::kFloat32, {b, s, d / 2}, -3, 3);
    const std::string both = w.node("Concat", {angles.name, angles.name}, "axis = -1");
    const std::string axis = w.constant({1}).name;
    const std::string cosine = w.node("Unsqueeze", {w.node("Cos", {both}), axis}),
                      sine = w.node("Unsqueeze", {w.node("Sin", {both}), axis});
    q = rotated(w, q, cosine, sine, d);
    k = rotated(w, k, cosine, sine, d);
  }
  std::string v = fresh;
  if (w.chance(70) && past > 0) {
    k = w.node("Concat", {w.input(DType::kFloat32, {b, groups, past, d}, -1, 1).name, k}, "axis = 2");
    v = w.node("Concat", {w.input(DType::kFloat32, {b, groups, past, d}, -1, 1).name, v}, "axis = -2");
    if (w.chance(80)) {
      w.make_output(k);
      w.make_output(v);
    }
  }
  const std::int64_t length = v == fresh ? s : t;
  const auto repeated = [&](const std::string& of) {
    if (repeat == 1) return of;
    const std::string deep = w.node("Unsqueeze", {of, w.constant({2}).name});
    const std::string wide = w.node("Expand", {deep, w.constant({b, groups, repeat, length, d}).name});
    return w.node("Reshape", {wide, w.constant({b, heads, length, d}).name});
  };
  const std::string keys = w.node("Transpose", {repeated(k)}, "perm = [0, 1, 3, 2]");
  std::string scores = w.node("Mul", {w.node("MatMul", {q, keys}), w.number(0.5).name});
  switch (w.below(3)) {
    case 0: scores = w.either("Add", scores, w.input(DType::kFloat32, {b, 1, s, length}, -3, 3).name); break;
    case 1: {
      const Known mask = w.input(DType::kBool, {s, length}, 0, 1);
      scores = w.node("Where", {mask.name, scores, w.number(-1e9).name});
      break;
    }
    default: break;
  }
  std::string p = w.node("Softmax", {scores}, "axis = -1");
  if (w.chance(15)) p = w.node("Where", {w.node("IsNaN", {p}), w.number(0).name, p});
  const std::string y = w.node("Transpose", {w.node("MatMul", {p, repeated(v)})}, "perm = [0, 2, 1, 3]");
  w.keep({w.node("Reshape", {y, w.constant({0, 0, heads * d}).name}), DType::kFloat32, {b, s, heads * d}, -2, 2, false});
}

void add_pixel_shuffle(GraphWriter& w) {
  const std::int64_t b = w.between(1, 2), c = w.between(1, 2), h = w.between(1, 3), x = w.between(1, 3), r = 2;
  const Known v = w.input(DType::kFloat32, {b, c * r * r, h, x}, -2, 2);
  if (w.chance(30)) {
    w.keep({w.node("DepthToSpace", {v.name}, "blocksize = 2, mode = \"" + w.pick<std::string>({"DCR", "CRD"}) + "\""),
            v.dtype,
            {b, c, h * r, x * r},
            -2,
            2,
            true});
    return;
  }
  const bool crd = w.chance(50);
  const Sizes apart = crd ? Sizes{b, c, r, r, h, x} : Sizes{b, r, r, c, h, x};
  std::string perm = crd ? "perm = [0, 1, 4, 2, 5, 3]" : "perm = [0, 3, 4, 1, 5, 2]";
  if (w.chance(10)) perm = crd ? "perm = [0, 1, 4, 3, 5, 2]" : "perm = [0, 3, 4, 2, 5, 1]";
  const std::string y = w.node("Transpose", {w.node("Reshape", {v.name, w.constant(apart).name})}, perm);
  w.keep({w.node("Reshape", {y, w.constant({b, c, h * r, x * r}).name}), v.dtype, {b, c, h * r, x * r}, -2, 2, true});
}

void add_quantization(GraphWriter& w) {
  // Whole numbers, so that no rounding can tip.
  const std::int64_t rank = w.between(2, 4);
  const Known whole = w.input(DType::kInt64, w.sizes(rank), -9, 9);
  const std::string x = w.node("Cast", {whole.name}, "to = 1");
  const std::string scale = w.number(w.pick({1.0, 0.5, 0.25})).name;
  const std::string q = w.node("QuantizeLinear", {x, scale}), same = w.chance(85) ? scale : w.number(0.5).name;
  std::string moved = w.node("DequantizeLinear", {q, same});
  Sizes sizes = whole.sizes;
  if (w.chance(60)) {
    std::vector<std::int64_t> perm;
    for (std::int64_t i = rank; i-- > 0;) perm.push_back(i);
    sizes.assign(whole.sizes.rbegin(), whole.sizes.rend());
    moved = w.node("Transpose", {moved}, w.with("perm", perm));
    if (w.chance(60)) moved = w.node("DequantizeLinear", {w.node("QuantizeLinear", {moved, same}), same});
  }
  w.keep({moved, DType::kFloat32, sizes, -260, 260, true});
}

}  // namespace ashlar::testing
