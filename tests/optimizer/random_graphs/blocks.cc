// SPDX-License-Identifier: Apache-2.0
// Motifs that exporters write as several operators: what passes look for, and here and there not quite that.
#include <algorithm>
#include <cmath>

#include "tests/optimizer/random_graphs/motifs.h"

namespace ashlar::testing {
namespace {

/// Whether this place is to differ from what patterns look for.
bool off(GraphWriter& w) { return w.chance(6); }

/// A name in the middle that somebody else reads too, now and then.
std::string seen(GraphWriter& w, const std::string& name) {
  if (off(w)) {
    if (w.chance(50)) w.make_output(name);
    else w.make_output(w.node("Neg", {name}));
  }
  return name;
}

std::string times(GraphWriter& w, const std::string& a, double k, std::int64_t rank) {
  const double factor = off(w) ? k * 1.25 : k;
  if (w.chance(30) && k != 0) return seen(w, w.node("Div", {a, w.number(1 / factor, rank).name}));
  return seen(w, w.either("Mul", a, w.number(factor, rank).name));
}

std::string plus(GraphWriter& w, const std::string& a, double k, std::int64_t rank) {
  return seen(w, w.either("Add", a, w.number(off(w) ? k + 0.5 : k, rank).name));
}

Known weights(GraphWriter& w, const Sizes& sizes) {
  return off(w) ? w.input(DType::kFloat32, sizes, -0.5, 0.5) : w.constant(DType::kFloat32, sizes, -0.5, 0.5);
}

/// x W + b in one of the forms exporters have.
Known linear(GraphWriter& w, const Known& x, std::int64_t to) {
  const std::int64_t k = x.sizes.back();
  Known out = x;
  out.sizes.back() = to;
  out.exact = false;
  if (x.rank() == 2 && w.chance(40)) {
    const bool transposed = w.chance(60);
    const Known weight = weights(w, transposed ? Sizes{to, k} : Sizes{k, to});
    std::vector<std::string> operands = {x.name, weight.name};
    if (w.chance(80)) operands.push_back(weights(w, w.chance(80) ? Sizes{to} : Sizes{1}).name);
    out.name = w.node("Gemm", operands, w.with("transB", transposed) + (off(w) ? ", alpha = 0.5" : ""));
  } else {
    std::string weight;
    if (w.chance(30)) weight = w.node("Transpose", {weights(w, {to, k}).name}, "perm = [1, 0]");
    else weight = weights(w, {k, to}).name;
    out.name = seen(w, w.node("MatMul", {x.name, weight}));
    if (w.chance(80)) out.name = w.either("Add", out.name, weights(w, off(w) ? Sizes{1} : Sizes{to}).name);
  }
  const double most = static_cast<double>(k) * x.bound() * 0.5 + 0.5;
  out.low = -most;
  out.high = most;
  return out;
}

Known activated(GraphWriter& w, const Known& x) {
  const std::int64_t r = x.rank();
  Known out{"", x.dtype, x.sizes, -x.bound() - 1, x.bound() + 1, false};
  switch (w.below(8)) {
    case 0: {  // Gelu by erf
      const std::string e = seen(w, w.node("Erf", {times(w, x.name, 0.70710678, r)})), s = plus(w, e, 1, r);
      out.name = w.chance(50) ? times(w, w.either("Mul", x.name, s), 0.5, r) : w.either("Mul", x.name, times(w, s, 0.5, r));
      break;
    }
    case 1: {  // Gelu by tanh
      if (x.bound() > 20) return shape_kept(w, x, 1);
      const std::string cube = w.chance(60) ? w.node("Pow", {x.name, w.number(off(w) ? 2 : 3, r).name})
                                            : w.either("Mul", x.name, w.node("Mul", {x.name, x.name}));
      const std::string inner = times(w, w.either("Add", x.name, times(w, cube, 0.044715, r)), 0.7978845608, r);
      const std::string s = plus(w, seen(w, w.node("Tanh", {inner})), 1, r);
      out.name = w.either("Mul", times(w, x.name, 0.5, r), s);
      break;
    }
    case 2: out.name = w.either("Mul", x.name, seen(w, w.node("Sigmoid", {off(w) ? times(w, x.name, 1.702, r) : x.name}))); break;
    case 3:
      out.name = w.either(
          "Mul", x.name,
          w.chance(50) ? w.node("HardSigmoid", {x.name}, "alpha = 0.16666667, beta = 0.5")
                       : times(w, w.node("Clip", {plus(w, x.name, 3, r), w.number(0).name, w.number(off(w) ? 5 : 6).name}), 1.0 / 6, r));
      break;
    case 4: out.name = w.either("Mul", x.name, seen(w, w.node("Tanh", {seen(w, w.node("Softplus", {x.name}))}))); break;
    case 5: out.name = w.node("LeakyRelu", {x.name}, "alpha = 0.1"); break;
    case 6: out.name = w.node("Clip", {x.name, w.number(0).name, w.number(6).name}); break;
    default: out.name = w.node("Relu", {x.name});
  }
  return w.keep(out);
}

std::string mean(GraphWriter& w, const std::string& x, std::int64_t axis, std::int64_t rank) {
  const std::int64_t at = off(w) ? 0 : axis;
  return seen(w, w.node("ReduceMean", {x, w.constant({w.chance(40) ? at - rank : at}).name}, "keepdims = 1"));
}

}  // namespace

void add_activation(GraphWriter& w) { activated(w, w.any_real()); }

void add_product(GraphWriter& w) {
  const Known x = w.any(
      [](const Known& v) { return v.real() && v.rank() >= 2 && v.rank() <= 4 && v.bound() < 30 && v.count() > 0 && v.sizes.back() <= 12; },
      {"", DType::kFloat32, {w.between(1, 3), w.between(2, 4), 4}, -2, 2, true});
  switch (w.below(4)) {
    case 0: {  // three products of one value
      for (int i = 0; i < 3; ++i) w.keep(linear(w, x, 4));
      return;
    }
    case 1: {  // with the value itself, turned round
      std::vector<std::int64_t> perm;
      for (std::int64_t i = 0; i < x.rank(); ++i) perm.push_back(i);
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      const std::string turned = w.node("Transpose", {x.name}, w.with("perm", perm));
      Known out = x;
      out.sizes.back() = x.sizes[x.sizes.size() - 2];
      const double most = static_cast<double>(x.sizes.back()) * x.bound() * x.bound();
      w.keep({w.node("MatMul", {x.name, turned}), out.dtype, out.sizes, -most, most, false});
      return;
    }
    default: {
      const Known y = w.keep(linear(w, x, w.between(1, 5)));
      if (w.chance(50)) activated(w, y);
    }
  }
}

void add_convolution(GraphWriter& w) {
  Known x = w.any(
      [](const Known& v) { return v.real() && v.rank() == 4 && v.bound() < 30 && v.count() > 0 && v.sizes[2] >= 3 && v.sizes[3] >= 3; },
      {"", DType::kFloat32, {w.between(1, 2), w.pick<std::int64_t>({2, 3, 4}), w.between(3, 6), w.between(3, 6)}, -2, 2, true});
  if (w.chance(25)) {
    std::vector<std::int64_t> pads = {0, 0, w.below(2), w.below(2), 0, 0, w.below(2), w.below(2)};
    if (off(w)) pads[1] = 1;
    for (std::size_t i = 0; i < 4; ++i) x.sizes[i] += pads[i] + pads[i + 4];
    std::vector<std::string> operands = {x.name, w.constant(pads).name};
    if (off(w)) operands.push_back(w.number(0.5).name);
    x.name = seen(w, w.node("Pad", operands));
  }
  const std::int64_t c = x.sizes[1], groups = c % 2 == 0 && w.chance(30) ? 2 : 1, to = groups * w.between(1, 2),
                     k = w.pick<std::int64_t>({1, 3});
  const std::int64_t stride = w.between(1, 2), pad = k == 3 ? w.below(2) : 0;
  Known out = x;
  out.sizes = {x.sizes[0], to, (x.sizes[2] + 2 * pad - k) / stride + 1, (x.sizes[3] + 2 * pad - k) / stride + 1};
  std::vector<std::string> operands = {x.name, weights(w, {to, c / groups, k, k}).name};
  if (w.chance(50)) operands.push_back(weights(w, {to}).name);
  out.name = seen(w, w.node("Conv", operands,
                            w.with("strides", std::vector<std::int64_t>{stride, stride}) + ", " +
                                w.with("pads", std::vector<std::int64_t>{pad, pad, pad, pad}) + ", " + w.with("group", groups)));
  const double most = static_cast<double>(k * k * c) * x.bound() * 0.5 + 1;
  out.low = -most;
  out.high = most;
  out.exact = false;
  const auto channel = [&](double low, double high) { return w.constant(DType::kFloat32, {to}, low, high).name; };
  switch (w.below(4)) {
    case 0: {
      out.name = seen(w, w.node("BatchNormalization", {out.name, channel(0.5, 1.5), channel(-1, 1), channel(-1, 1), channel(0.5, 2)}));
      out.low = -3 * most - 2;
      out.high = 3 * most + 2;
      break;
    }
    case 1: {
      const Sizes sizes = off(w) ? Sizes{1, 1, 1, out.sizes[3]} : Sizes{w.chance(50) ? 1 : to, 1, 1};
      const std::string scaled = w.either("Mul", out.name, w.constant(DType::kFloat32, sizes, 0.5, 1.5).name);
      out.name = w.either("Add", seen(w, scaled), w.constant(DType::kFloat32, sizes, -1, 1).name);
      out.low = -1.5 * most - 1;
      out.high = 1.5 * most + 1;
      break;
    }
    default: break;
  }
  w.keep(out);
  if (w.chance(60)) out = activated(w, out);
  switch (w.below(4)) {
    case 0:
      w.keep({w.node(w.pick<std::string>({"GlobalAveragePool", "GlobalMaxPool"}), {out.name}),
              out.dtype,
              {out.sizes[0], to, 1, 1},
              out.low,
              out.high,
              false});
      return;
    case 1: {
      if (out.sizes[2] < 2 || out.sizes[3] < 2) return;
      const std::string attributes = "kernel_shape = [2, 2], strides = [1, 1]";
      w.keep({w.node(w.pick<std::string>({"MaxPool", "AveragePool"}), {out.name}, attributes),
              out.dtype,
              {out.sizes[0], to, out.sizes[2] - 1, out.sizes[3] - 1},
              out.low,
              out.high,
              false});
      return;
    }
    default: return;
  }
}

void add_normalization(GraphWriter& w) {
  const Known x = w.any(
      [](const Known& v) { return v.real() && v.rank() >= 2 && v.rank() <= 4 && v.bound() < 20 && v.count() > 0 && v.sizes.back() > 1; },
      {"", DType::kFloat32, {w.between(1, 3), w.between(2, 4), 4}, -2, 2, true});
  const std::int64_t r = x.rank(), n = x.sizes.back();
  const double most = std::sqrt(static_cast<double>(x.count())) * 1.5 + 1;
  Known out{"", x.dtype, x.sizes, -most, most, false};
  const auto kind = w.below(4);
  if (kind == 3 && w.chance(50)) {
    out.name = w.node("LayerNormalization", {x.name, weights(w, {n}).name, weights(w, {n}).name},
                      w.chance(50) ? "axis = -1, epsilon = 0.001" : w.with("axis", r - 1));
    w.keep(out);
    return;
  }
  if (kind == 2 && x.rank() >= 3) {
    const std::int64_t c = x.sizes[1];
    const auto channel = [&](double low, double high) { return w.constant(DType::kFloat32, {c}, low, high).name; };
    out.name = w.node("InstanceNormalization", {x.name, channel(0.5, 1.5), channel(-1, 1)}, "epsilon = 0.01");
    w.keep(out);
    return;
  }
  std::string from = x.name, residual;
  if (w.chance(40))
    from = w.either(
        "Add", x.name,
        w.any([&](const Known& v) { return v.real() && v.sizes == x.sizes && v.bound() < 20; }, {"", x.dtype, x.sizes, -2, 2, true}).name);
  const bool subtracts = w.chance(60);
  std::string centred = from;
  if (subtracts) centred = seen(w, w.node("Sub", {from, mean(w, from, r - 1, r)}));
  std::string again = centred;
  if (subtracts && w.chance(20)) again = w.node("Sub", {from, mean(w, from, r - 1, r)});
  const std::string square = seen(w, w.chance(60) ? w.node("Pow", {centred, w.number(2, r).name}) : w.node("Mul", {centred, again}));
  const std::string deviation = plus(w, mean(w, square, r - 1, r), w.pick({0.01, 0.05}), r);
  if (w.chance(60)) {
    out.name = seen(w, w.node("Div", {centred, seen(w, w.node("Sqrt", {deviation}))}));
  } else {
    const std::string by =
        w.chance(50) ? w.node("Reciprocal", {w.node("Sqrt", {deviation})}) : w.node("Div", {w.number(1).name, w.node("Sqrt", {deviation})});
    out.name = w.either("Mul", centred, by);
  }
  const Sizes scale = off(w) ? (w.chance(50) ? Sizes{1} : Sizes{x.sizes[x.sizes.size() - 2], 1}) : w.chance(20) ? Sizes{1, n} : Sizes{n};
  if (w.chance(80)) out.name = seen(w, w.either("Mul", out.name, weights(w, scale).name));
  if (w.chance(70)) out.name = w.either("Add", out.name, weights(w, scale).name);
  w.keep(out);
}

void add_attention(GraphWriter& w) {
  const std::int64_t b = w.between(1, 2), s = w.between(2, 4), heads = w.between(1, 2), d = w.pick<std::int64_t>({2, 4}), width = heads * d;
  const Known x = w.any(
      [&](const Known& v) {
        return v.real() && v.sizes == Sizes{b, s, width} && v.bound() < 20;
      },
      {"", DType::kFloat32, {b, s, width}, -1, 1, true});
  const Known context = w.chance(20) ? w.input(DType::kFloat32, {b, w.between(1, 4), width}, -1, 1) : x;
  const auto split_heads = [&](const Known& from, const std::vector<std::int64_t>& perm) {
    Known projected = linear(w, from, width);
    std::string target;
    if (w.chance(50)) target = w.constant(w.chance(50) ? Sizes{0, 0, heads, d} : Sizes{b, from.sizes[1], heads, d}).name;
    else {
      const std::string shape = w.node("Shape", {from.name});
      const std::string length = w.node("Slice", {shape, w.constant({0}).name, w.constant({2}).name});
      target = w.node("Concat", {length, w.constant({heads, d}).name}, "axis = 0");
    }
    return w.node("Transpose", {seen(w, w.node("Reshape", {projected.name, target}))}, w.with("perm", perm));
  };
  const std::string q = split_heads(x, {0, 2, 1, 3});
  std::string k;
  if (w.chance(50)) k = split_heads(context, {0, 2, 3, 1});
  else
    k = w.node("Transpose", {split_heads(context, {0, 2, 1, 3})},
               off(w) && context.sizes[1] == d ? "perm = [0, 1, 2, 3]" : "perm = [0, 1, 3, 2]");
  const std::string v = split_heads(context, {0, 2, 1, 3});
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  std::string scores;
  switch (w.below(4)) {
    case 0: scores = seen(w, w.node("MatMul", {times(w, q, std::sqrt(scale), 4), times(w, k, std::sqrt(scale), 4)})); break;
    case 1: scores = seen(w, w.node("MatMul", {times(w, q, scale, 4), k})); break;
    case 2: scores = seen(w, w.node("MatMul", {q, k})); break;
    default: scores = times(w, seen(w, w.node("MatMul", {q, k})), scale, 4);
  }
  const std::int64_t t = context.sizes[1];
  switch (w.below(4)) {
    case 0: {  // from a mask of ones and zeros
      const Known mask = w.input(DType::kInt64, {b, t}, 0, 1);
      const std::string axes = w.constant({1, 2}).name;
      const std::string real = w.node("Cast", {w.node("Unsqueeze", {mask.name, axes})}, "to = 1");
      const std::string away = times(w, w.node("Sub", {w.number(1).name, real}), -250, 4);
      scores = w.either("Add", scores, away);
      break;
    }
    case 1:
      scores = w.either("Add", scores,
                        w.input(DType::kFloat32, w.pick({Sizes{s, t}, Sizes{1, 1, s, t}, Sizes{b, 1, 1, t}, Sizes{1}}), -2, 2).name);
      break;
    case 2: {
      const std::string lower = w.node("Trilu", {w.constant(DType::kFloat32, {s, t}, 1, 1).name}, "upper = 0");
      scores = w.node("Where", {w.node("Cast", {lower}, "to = 9"), scores,
                                w.number(off(w) ? 0 : w.pick<double>({-10000, -1e9, -3.4e38, -INFINITY})).name});
      break;
    }
    default: break;
  }
  const std::string p = seen(w, w.node("Softmax", {scores}, off(w) ? "axis = 2" : w.chance(50) ? "axis = -1" : "axis = 3"));
  const std::string y = w.node("MatMul", {p, v});
  const std::string joined = w.node("Reshape", {seen(w, w.node("Transpose", {y}, "perm = [0, 2, 1, 3]")),
                                                w.constant(w.chance(50) ? Sizes{0, 0, width} : Sizes{b, s, -1}).name});
  const double most = static_cast<double>(width) * x.bound() * 0.5 + 0.5;
  const Known out = w.keep({joined, DType::kFloat32, {b, s, width}, -most, most, false});
  if (w.chance(60)) w.keep(linear(w, out, width));
}

}  // namespace ashlar::testing
