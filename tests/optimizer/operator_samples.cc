// SPDX-License-Identifier: Apache-2.0
#include "tests/optimizer/operator_samples.h"

#include <algorithm>
#include <numeric>

namespace ashlar::testing {
namespace {

using W = SampleWriter;
using Sizes = W::Sizes;
using Name = const std::string&;

std::string integers(const std::vector<std::int64_t>& list) {
  std::string out;
  for (const std::int64_t i : list) out += (out.empty() ? "" : ", ") + std::to_string(i);
  return "[" + out + "]";
}
std::string with(const std::string& key, std::int64_t value) { return key + " = " + std::to_string(value); }
std::string with(const std::string& key, const std::vector<std::int64_t>& value) { return key + " = " + integers(value); }
std::int64_t rank(const Sizes& s) { return static_cast<std::int64_t>(s.size()); }
/// An axis of that many, counted from either end.
std::int64_t axis(W& w, std::int64_t of) { return w.between(-of, of - 1); }
std::vector<std::int64_t> some_axes(W& w, std::int64_t of) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < of; ++i)
    if (w.chance(40)) out.push_back(w.chance(30) ? i - of : i);
  return out;
}

void elementwise(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4)))}); }
void probabilities(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4)), 0, 1)}); }
void along(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  w.node(op, {w.input("float", s)}, with("axis", axis(w, rank(s))));
}
void whole(W& w, Name op) { w.node(op, {w.input("int32", w.sizes(w.below(4)))}); }
void matrix(W& w, Name op) { w.node(op, {w.input("float", w.sizes(2))}); }
void of_four(W& w, Name op) { w.node(op, {w.input("float", w.sizes(4))}, op == "LRN" ? "size = 3" : ""); }

void batch_normalization(W& w, Name op) {
  const Sizes s = w.sizes(w.between(2, 4)), c = {s[1]};
  w.node(op, {w.input("float", s), w.input("float", c), w.input("float", c), w.input("float", c), w.input("float", c, 0.5, 2)});
}
void cast_like(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4))), w.input("int32", w.sizes(w.below(3)))}); }
void clip(W& w, Name op) {
  const std::string x = w.input("float", w.sizes(w.below(4)));
  w.node(op, {x, w.chance(50) ? w.scalar("float", "-1") : "", w.scalar("float", "1")});
}
void cumulative(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  w.node(op, {w.input("float", s), w.number(axis(w, rank(s)))});
}
void dequantize(W& w, Name op) { w.node(op, {w.input("int8", w.sizes(w.below(4)), -9, 9), w.scalar("float", "0.5")}); }
void quantize(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4))), w.scalar("float", "0.5"), w.scalar("uint8", "7")}); }
void group_normalization(W& w, Name op) {
  Sizes s = w.sizes(w.between(3, 4));
  s[1] = w.size(4);
  w.node(op, {w.input("float", s), w.input("float", {s[1]}), w.input("float", {s[1]})}, with("num_groups", w.pick({1, 2, 4})));
}
void instance_normalization(W& w, Name op) {
  const Sizes s = w.sizes(w.between(3, 4));
  w.node(op, {w.input("float", s), w.input("float", {s[1]}), w.input("float", {s[1]})});
}
void rms_normalization(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  w.node(op, {w.input("float", s), w.input("float", {s.back()})}, "axis = -1");
}
void layer_normalization(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  const std::int64_t a = axis(w, rank(s));
  const Sizes tail(s.begin() + (a < 0 ? a + rank(s) : a), s.end());
  w.node(op, {w.input("float", s), w.input("float", tail), w.input("float", tail)}, with("axis", a), w.chance(50) ? 3 : 1);
}
void rotary(W& w, Name op) {
  const Sizes bhs = w.sizes(3);
  const Sizes cache = {bhs[0], bhs[2], w.fixed(2)};
  w.node(op, {w.input("float", {bhs[0], bhs[1], bhs[2], w.size(4)}), w.input("float", cache), w.input("float", cache)});
}
void scatter_elements(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  w.node(op, {w.input("float", s), w.input("int64", s, 0, 0), w.input("float", s)}, with("axis", axis(w, rank(s))));
}
void scatter_nd(W& w, Name op) {
  const Sizes s = w.sizes(2);
  const W::Size n = w.size();
  w.node(op, {w.input("float", s), w.input("int64", {n, w.fixed(1)}, 0, 0), w.input("float", {n, s[1]})});
}
void tensor_scatter(W& w, Name op) {
  const Sizes s = w.sizes(3);
  w.node(op, {w.input("float", s), w.input("float", {s[0], w.size(1), s[2]}), w.input("int64", {s[0]}, 0, 0)});
}
void triangle(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.between(2, 4)))}); }

void pair_of(W& w, Name op, const std::string& dtype, double low, double high) {
  const Sizes s = w.sizes(w.below(4));
  std::vector<std::string> operands = {w.input(dtype, s, low, high), w.input(dtype, w.broadcast(s), low, high)};
  if (w.chance(50)) std::swap(operands[0], operands[1]);
  w.node(op, operands, op == "BitShift" ? "direction = \"LEFT\"" : "");
}
void reals(W& w, Name op) { pair_of(w, op, "float", 0.5, 2); }
void integers_of(W& w, Name op) { pair_of(w, op, "int32", 1, 9); }
void shifts(W& w, Name op) { pair_of(w, op, "uint8", 0, 3); }
void truths(W& w, Name op) { pair_of(w, op, "bool", 0, 1); }
void many(W& w, Name op) {
  const Sizes s = w.sizes(w.below(4));
  std::vector<std::string> operands = {w.input("float", s)};
  for (std::int64_t n = w.below(3); n > 0; --n) operands.push_back(w.input("float", w.broadcast(s)));
  w.node(op, operands);
}
void slope(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  w.node(op, {w.input("float", s), w.input("float", {s.back()})});
}

/// Of integers that a shape is made of, and of tensors.
void arithmetic(W& w, Name op) {
  if (w.chance(40)) return reals(w, op);
  std::vector<std::int64_t> a, b;
  for (std::int64_t n = w.between(1, 4); n > 0; --n) {
    a.push_back(w.between(0, 7));
    b.push_back(op == "Div" ? w.between(1, 4) : w.between(0, 5));
  }
  if (w.chance(25)) b.resize(1);
  std::vector<std::string> operands = {w.vector(a), w.chance(30) && b.size() == 1 ? w.number(b[0]) : w.vector(b)};
  if (w.chance(30)) operands[0] = w.node("Sub", {operands[0], w.vector({w.between(0, 3)})})[0];
  if (op != "Div" && w.chance(50)) std::swap(operands[0], operands[1]);
  w.node(op, operands);
}
/// Of one truth or more that follow from sizes.
std::string truth(W& w, std::int64_t n) {
  std::vector<std::int64_t> a, b;
  for (; n > 0; --n) {
    a.push_back(w.between(0, 5));
    b.push_back(w.between(0, 5));
  }
  return w.node(w.pick<std::string>({"Less", "Equal", "GreaterOrEqual"}), {w.vector(a), w.vector(b)})[0];
}
void logical(W& w, Name op) {
  if (w.chance(30)) return truths(w, op);
  const std::int64_t n = w.between(1, 3);
  w.node(op, {truth(w, n), w.chance(40) ? w.scalar("bool", std::to_string(w.below(2))) : truth(w, n)});
}
void logical_not(W& w, Name op) { w.node(op, {truth(w, w.between(1, 3))}); }
void negate(W& w, Name op) { w.node(op, {w.vector({w.between(0, 5), w.between(0, 5)})}); }
void cast(W& w, Name op) {
  const std::string x = w.chance(30) ? truth(w, 2) : w.vector({w.between(0, 3), w.between(1, 5)});
  w.node(op, {w.chance(30) ? w.node("Neg", {w.vector({w.between(0, 3)})})[0] : x}, with("to", w.pick({1, 6, 7, 9, 10})));
}
void where(W& w, Name op) {
  if (w.chance(40)) {
    const Sizes s = w.sizes(w.below(4));
    w.node(op, {w.input("bool", w.broadcast(s)), w.input("float", s), w.input("float", w.broadcast(s))});
    return;
  }
  const std::int64_t n = w.between(1, 4);
  std::vector<std::int64_t> a, b;
  for (std::int64_t i = 0; i < n; ++i) {
    a.push_back(w.between(-1, 5));
    b.push_back(w.between(0, 5));
  }
  w.node(op, {truth(w, w.chance(70) ? n : 1), w.vector(a), w.vector(b)});
}

void reduce(W& w, Name op) {
  if (op == "ReduceProd" && w.chance(50)) {
    w.node(op, {w.vector({w.between(1, 4), w.between(0, 4), w.between(1, 3)})}, with("keepdims", w.below(2)));
    return;
  }
  const Sizes s = w.sizes(w.between(0, 4));
  const std::string x = w.input("float", s, 0.5, 2);
  std::vector<std::string> operands = {x};
  const auto axes = some_axes(w, rank(s));
  if (w.chance(70)) operands.push_back(axes.empty() || w.chance(20) ? w.input(axes) : w.constant(axes));
  w.node(op, operands, with("keepdims", w.below(2)) + ", " + with("noop_with_empty_axes", w.below(2)));
}
void arg_reduce(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  w.node(op, {w.input("float", s)}, with("axis", axis(w, rank(s))) + ", " + with("keepdims", w.below(2)));
}
void matmul(W& w, Name op) {
  const W::Size k = w.size();
  Sizes a = {w.size(), k}, b = {k, w.size()};
  if (w.chance(15)) a.erase(a.begin());
  if (w.chance(15)) b.pop_back();
  const Sizes batch = w.sizes(w.below(3)), other = w.broadcast(batch);
  if (a.size() == 2) a.insert(a.begin(), batch.begin(), batch.end());
  if (b.size() == 2) b.insert(b.begin(), other.begin(), other.end());
  w.node(op, {w.input("float", a), w.input("float", b)});
}
void gemm(W& w, Name op) {
  const bool ta = w.chance(50), tb = w.chance(50);
  const W::Size m = w.size(), k = w.size(), n = w.size();
  w.node(op, {w.input("float", ta ? Sizes{k, m} : Sizes{m, k}), w.input("float", tb ? Sizes{n, k} : Sizes{k, n}), w.input("float", {n})},
         with("transA", ta) + ", " + with("transB", tb));
}

/// Strides, dilations and padding of that many dimensions.
std::string window(W& w, std::int64_t dims, bool dilates) {
  std::vector<std::int64_t> strides, dilations, pads;
  for (std::int64_t i = 0; i < dims; ++i) {
    strides.push_back(w.between(1, 3));
    dilations.push_back(dilates ? w.between(1, 2) : 1);
  }
  for (std::int64_t i = 0; i < 2 * dims; ++i) pads.push_back(w.below(2));
  std::string out = with("strides", strides) + (dilates ? ", " + with("dilations", dilations) : "");
  const auto kind = w.below(5);
  if (kind == 0) return out + ", auto_pad = \"VALID\"";
  if (kind == 1) return with("strides", strides) + ", auto_pad = \"" + (w.chance(50) ? "SAME_UPPER" : "SAME_LOWER") + "\"";
  return kind == 2 ? out : out + ", " + with("pads", pads);
}
/// Of an image, with room for windows.
Sizes image(W& w, std::int64_t dims) {
  Sizes out = {w.size(), w.size(w.between(1, 3))};
  for (std::int64_t i = 0; i < dims; ++i) out.push_back(w.size(w.between(3, 9)));
  return out;
}
void conv(W& w, Name op) {
  const std::int64_t dims = w.between(1, 2);
  const Sizes s = image(w, dims);
  Sizes weights = {w.size(w.between(1, 4)), w.fixed(s[1].size)};
  for (std::int64_t i = 0; i < dims; ++i) weights.push_back(w.fixed(w.between(1, 3)));
  w.node(op, {w.input("float", s), w.input("float", weights)}, window(w, dims, true));
}
void conv_transpose(W& w, Name op) {
  const std::int64_t dims = w.between(1, 2);
  const Sizes s = image(w, dims);
  Sizes weights = {w.fixed(s[1].size), w.fixed(w.between(1, 3))};
  for (std::int64_t i = 0; i < dims; ++i) weights.push_back(w.fixed(w.between(1, 3)));
  std::string attributes = with("group", w.chance(50) ? 1 : s[1].size);
  if (w.chance(20)) {
    std::vector<std::int64_t> shape;
    for (std::int64_t i = 0; i < dims; ++i) shape.push_back(w.between(2, 4));
    attributes += ", " + with("output_shape", shape);
  } else {
    attributes += ", " + window(w, dims, true);
    if (w.chance(30)) attributes += ", " + with("output_padding", std::vector<std::int64_t>(static_cast<std::size_t>(dims), 1));
  }
  w.node(op, {w.input("float", s), w.input("float", weights)}, attributes);
}
void pool(W& w, Name op) {
  const std::int64_t dims = w.between(1, 2);
  std::vector<std::int64_t> kernel;
  for (std::int64_t i = 0; i < dims; ++i) kernel.push_back(w.between(2, 3));
  w.node(op, {w.input("float", image(w, dims))},
         with("kernel_shape", kernel) + ", " + window(w, dims, true) + ", " + with("ceil_mode", w.chance(20)),
         op == "MaxPool" && w.chance(30) ? 2 : 1);
}
void global_pool(W& w, Name op) { w.node(op, {w.input("float", image(w, w.between(1, 2)))}); }

void attention(W& w, Name op) {
  const W::Size b = w.size(), s = w.size(), t = w.size(), p = w.size();
  const std::int64_t kv = w.between(1, 2), q = kv * w.between(1, 2), d = 2, e = w.pick({2, 4});
  std::vector<std::string> operands;
  std::string attributes;
  if (w.chance(50)) {
    operands = {w.input("float", {b, s, w.size(q * d)}), w.input("float", {b, t, w.size(kv * d)}),
                w.input("float", {b, t, w.size(kv * e)})};
    attributes = with("q_num_heads", q) + ", " + with("kv_num_heads", kv);
  } else {
    operands = {w.input("float", {b, w.size(q), s, w.size(d)}), w.input("float", {b, w.size(kv), t, w.size(d)}),
                w.input("float", {b, w.size(kv), t, w.size(e)})};
    attributes = "scale = 0.5";
  }
  if (w.chance(50)) {
    operands.push_back("");
    operands.push_back(w.input("float", {b, w.size(kv), p, w.size(d)}));
    operands.push_back(w.input("float", {b, w.size(kv), p, w.size(e)}));
    w.node(op, operands, attributes, 3);
  } else {
    w.node(op, operands, attributes);
  }
}
void dropout(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4)))}, "", w.chance(50) ? 2 : 1); }
void top_k(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  const std::int64_t a = axis(w, rank(s)), most = s[static_cast<std::size_t>(a < 0 ? a + rank(s) : a)].size;
  w.node(op, {w.input("float", s), w.vector({w.between(0, most)})}, with("axis", a), 2);
}
void one_hot(W& w, Name op) {
  const Sizes s = w.sizes(w.below(3));
  const std::string depth = w.chance(50) ? w.number(w.between(1, 4)) : w.vector({w.between(1, 4)});
  w.node(op, {w.input("int64", s, 0, 1), depth, w.input("float", {w.fixed(2)})}, with("axis", axis(w, rank(s) + 1)));
}
void resize(W& w, Name op) {
  const Sizes s = image(w, 2);
  std::vector<std::int64_t> sizes = {s[0].size, s[1].size, w.between(1, 9), w.between(1, 9)};
  w.node(op, {w.input("float", s), "", "", w.vector(sizes)});
}

void concat(W& w, Name op) {
  if (w.chance(30)) {
    w.node(op, {w.vector({w.between(0, 4)}), w.vector({w.between(0, 4), w.between(0, 4)})}, "axis = 0");
    return;
  }
  const Sizes s = w.sizes(w.between(1, 4));
  const std::int64_t a = axis(w, rank(s));
  std::vector<std::string> operands;
  for (std::int64_t n = w.between(1, 3); n > 0; --n) {
    Sizes other = s;
    for (auto& o : other)
      if (w.chance(40)) o = w.size(o.size);
    other[static_cast<std::size_t>(a < 0 ? a + rank(s) : a)] = w.size();
    operands.push_back(w.input("float", other));
  }
  w.node(op, operands, with("axis", a));
}
void constant_of_shape(W& w, Name op) {
  std::vector<std::int64_t> to;
  for (std::int64_t n = w.between(1, 3); n > 0; --n) to.push_back(w.between(0, 4));
  w.node(op, {w.vector(to)}, w.pick<std::string>({"", "value = int64[1] {3}", "value = float[1] {1}", "value = bool[1] {1}"}));
}
void blocks(W& w, Name op) {
  const std::int64_t by = w.between(1, 2);
  const bool grows = op == "DepthToSpace";
  const Sizes s = {w.size(), w.size(w.between(1, 2) * (grows ? by * by : 1)), w.size(w.between(0, 3) * (grows ? 1 : by)),
                   w.size(2 * (grows ? 1 : by))};
  w.node(op, {w.input("float", s)}, with("blocksize", by));
}
void expand(W& w, Name op) {
  if (w.chance(25)) {
    w.node(op, {w.vector({w.between(0, 4)}), w.vector({w.between(0, 5)})});
    return;
  }
  const Sizes to = w.sizes(w.between(1, 4)), from = w.broadcast(to);
  std::vector<std::int64_t> target;
  for (const auto& s : to) target.push_back(w.chance(20) ? 1 : s.size);
  if (w.chance(20)) target.erase(target.begin());
  const std::string x = w.input("float", from);
  if (w.chance(70)) w.input("float", to);
  w.node(op, {x, w.vector(target)});
}
void flatten(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  w.node(op, {w.input("float", s)}, with("axis", w.between(-rank(s), rank(s))));
}
void gather(W& w, Name op) {
  if (w.chance(40)) {
    const std::string from = w.node("Shape", {w.input("float", w.sizes(3))})[0];
    std::vector<std::int64_t> at;
    for (std::int64_t n = w.between(1, 3); n > 0; --n) at.push_back(w.between(-3, 2));
    w.node(op, {from, w.chance(30) ? w.number(at[0]) : w.constant(at)}, "axis = 0");
    return;
  }
  const Sizes s = w.sizes(w.between(1, 4));
  w.node(op, {w.input("float", s), w.input("int64", w.sizes(w.below(3)), 0, 0)}, with("axis", axis(w, rank(s))));
}
void gather_elements(W& w, Name op) {
  const std::int64_t r = w.between(1, 3);
  const Sizes s = w.sizes(r);
  Sizes indices = s;
  const std::int64_t a = axis(w, r);
  indices[static_cast<std::size_t>(a < 0 ? a + r : a)] = w.size();
  w.node(op, {w.input("float", s), w.input("int64", indices, 0, 0)}, with("axis", a));
}
void gather_nd(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  const std::int64_t batch = w.below(2);
  Sizes indices = batch ? Sizes{s[0]} : Sizes{};
  for (std::int64_t n = w.below(2); n > 0; --n) indices.push_back(w.size());
  indices.push_back(w.fixed(w.between(1, std::max<std::int64_t>(1, rank(s) - batch))));
  w.node(op, {w.input("float", s), w.input("int64", indices, 0, 0)}, with("batch_dims", batch));
}
void identity(W& w, Name op) { w.node(op, {w.vector({w.between(0, 4), 2})}); }
void nonzero(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4)))}); }
void pad(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 4));
  const bool axes = w.chance(40);
  std::vector<std::int64_t> at(s.size());
  std::iota(at.begin(), at.end(), 0);
  if (axes) at = some_axes(w, rank(s));
  if (at.empty()) at = {0};
  std::vector<std::int64_t> pads;
  for (std::size_t i = 0; i < 2 * at.size(); ++i) pads.push_back(w.chance(20) ? -1 : w.below(3));
  std::vector<std::string> operands = {w.input("float", s), w.vector(pads)};
  if (axes) operands.insert(operands.end(), {"", w.constant(at)});
  w.node(op, operands);
}
void range(W& w, Name op) {
  w.node(op, {w.number(w.between(0, 3)), w.number(w.between(0, 6)), w.chance(70) ? w.number(1) : w.number(w.pick({-1, 2, 3}))});
}
void reshape(W& w, Name op) {
  if (w.chance(20)) {
    w.node(op, {w.vector({2, w.between(0, 4)}), w.vector({w.chance(50) ? 2 : -1})});
    return;
  }
  Sizes s = w.sizes(w.between(0, 4));
  // A target that comes out as 0 copies whatever dimension stands there: nothing is claimed of such runs, which have no elements.
  for (auto& d : s)
    if (d.size == 0) d = w.size(2);
  const std::string x = w.input("float", s);
  // Neighbours merge or split, one may be open, some copy.
  std::vector<std::int64_t> to;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (i > 0 && w.chance(35)) to.back() *= s[i].size;
    else to.push_back(s[i].size);
    if (w.chance(10)) to.push_back(1);
    if (to.back() == 4 && w.chance(50)) {
      to.back() = 2;
      to.push_back(2);
    }
  }
  for (std::size_t i = 0; i < to.size() && i < s.size(); ++i)
    if (to[i] == s[i].size && w.chance(20)) to[i] = 0;
  if (!to.empty() && w.chance(40)) to[static_cast<std::size_t>(w.below(static_cast<std::int64_t>(to.size())))] = -1;
  w.node(op, {x, w.vector(to)}, w.chance(15) ? "allowzero = 1" : "");
}
void shape(W& w, Name op) {
  const Sizes s = w.sizes(w.between(0, 4));
  w.node(op, {w.input("float", s)}, w.chance(50) ? with("start", w.between(-5, 5)) + ", " + with("end", w.between(-5, 5)) : "");
}
void size(W& w, Name op) { w.node(op, {w.input("float", w.sizes(w.below(4)))}); }
void slice(W& w, Name op) {
  const bool numbers = w.chance(30);
  const Sizes s = numbers ? Sizes{w.fixed(w.between(1, 4))} : w.sizes(w.between(1, 3));
  std::string x;
  if (numbers) {
    std::vector<std::int64_t> elements;
    for (std::int64_t i = 0; i < s[0].size; ++i) elements.push_back(w.between(0, 4));
    x = w.vector(elements);
  } else {
    x = w.input("float", s);
  }
  std::vector<std::int64_t> axes = numbers ? std::vector<std::int64_t>{0} : some_axes(w, rank(s)), starts, ends, steps;
  if (axes.empty()) axes = {0};
  const bool steps_given = w.chance(50);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    steps.push_back(steps_given ? w.pick({1, 1, 2, -1, -2}) : 1);
    starts.push_back(w.pick<std::int64_t>({0, 0, 1, 2, -1, -2, 9, -9}));
    ends.push_back(w.pick<std::int64_t>({1, 2, 3, -1, -2, 0x7fffffffffffffff, 0x7fffffff, -9, 9}));
    if (steps.back() < 0 && w.chance(60)) {
      starts.back() = w.pick<std::int64_t>({-1, 9, 2});
      ends.back() = w.pick<std::int64_t>({-9, 0, -0x7fffffffffffffff});
    }
  }
  std::vector<std::string> operands = {x, w.chance(60) ? w.constant(starts) : w.vector(starts),
                                       w.chance(50) ? w.constant(ends) : w.vector(ends), w.constant(axes)};
  if (steps_given) operands.push_back(w.constant(steps));
  w.node(op, operands);
}
void split(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  const std::int64_t a = axis(w, rank(s)), n = s[static_cast<std::size_t>(a < 0 ? a + rank(s) : a)].size;
  const std::string x = w.input("float", s);
  if (w.chance(50)) {
    const std::int64_t first = w.between(0, n);
    w.node(op, {x, w.vector({first, n - first})}, with("axis", a), 2);
  } else {
    const std::int64_t parts = w.between(1, 3);
    w.node(op, {x}, with("axis", a) + ", " + with("num_outputs", parts), static_cast<int>(parts));
  }
}
void squeeze(W& w, Name op) {
  Sizes s = w.sizes(w.between(1, 4));
  std::vector<std::int64_t> axes = some_axes(w, rank(s));
  for (const std::int64_t a : axes) s[static_cast<std::size_t>(a < 0 ? a + rank(s) : a)] = w.size(1);
  const std::string x = w.input("float", s);
  if (w.chance(20) || axes.empty()) w.node(op, {x});
  else w.node(op, {x, w.chance(20) ? w.input(axes) : w.constant(axes)});
}
void unsqueeze(W& w, Name op) {
  const Sizes s = w.sizes(w.below(3));
  const std::int64_t more = w.between(1, 2);
  std::vector<std::int64_t> axes = {axis(w, rank(s) + more)};
  if (more == 2) axes.push_back(axis(w, rank(s) + more));
  w.node(op, {w.chance(30) ? w.vector({w.between(0, 3)}) : w.input("float", s), w.constant(axes)});
}
void tile(W& w, Name op) {
  const Sizes s = w.sizes(w.between(1, 3));
  std::vector<std::int64_t> repeats;
  for (std::size_t i = 0; i < s.size(); ++i) repeats.push_back(w.below(3));
  w.node(op, {w.input("float", s), w.vector(repeats)});
}
void transpose(W& w, Name op) {
  const Sizes s = w.sizes(w.between(0, 4));
  std::vector<std::int64_t> perm(s.size());
  std::iota(perm.begin(), perm.end(), 0);
  for (std::size_t i = 1; i < perm.size(); ++i)
    std::swap(perm[i], perm[static_cast<std::size_t>(w.below(static_cast<std::int64_t>(i) + 1))]);
  w.node(op, {w.input("float", s)}, w.chance(20) || perm.empty() ? "" : with("perm", perm));
}

std::map<std::string, void (*)(W&, Name)> all() {
  std::map<std::string, void (*)(W&, Name)> out = {{"ArgMax", arg_reduce},
                                                   {"ArgMin", arg_reduce},
                                                   {"Attention", attention},
                                                   {"AveragePool", pool},
                                                   {"BatchNormalization", batch_normalization},
                                                   {"Bernoulli", probabilities},
                                                   {"BitShift", shifts},
                                                   {"BitwiseNot", whole},
                                                   {"Cast", cast},
                                                   {"CastLike", cast_like},
                                                   {"Clip", clip},
                                                   {"Concat", concat},
                                                   {"ConstantOfShape", constant_of_shape},
                                                   {"Conv", conv},
                                                   {"ConvTranspose", conv_transpose},
                                                   {"CumProd", cumulative},
                                                   {"CumSum", cumulative},
                                                   {"DepthToSpace", blocks},
                                                   {"DequantizeLinear", dequantize},
                                                   {"Dropout", dropout},
                                                   {"Expand", expand},
                                                   {"EyeLike", matrix},
                                                   {"Flatten", flatten},
                                                   {"Gather", gather},
                                                   {"GatherElements", gather_elements},
                                                   {"GatherND", gather_nd},
                                                   {"Gemm", gemm},
                                                   {"GlobalAveragePool", global_pool},
                                                   {"GlobalLpPool", global_pool},
                                                   {"GlobalMaxPool", global_pool},
                                                   {"GroupNormalization", group_normalization},
                                                   {"Identity", identity},
                                                   {"InstanceNormalization", instance_normalization},
                                                   {"LRN", of_four},
                                                   {"LayerNormalization", layer_normalization},
                                                   {"LpPool", pool},
                                                   {"MatMul", matmul},
                                                   {"MaxPool", pool},
                                                   {"Mean", many},
                                                   {"MeanVarianceNormalization", of_four},
                                                   {"Mod", integers_of},
                                                   {"Neg", negate},
                                                   {"NonZero", nonzero},
                                                   {"Not", logical_not},
                                                   {"OneHot", one_hot},
                                                   {"PRelu", slope},
                                                   {"Pad", pad},
                                                   {"Pow", reals},
                                                   {"QuantizeLinear", quantize},
                                                   {"RMSNormalization", rms_normalization},
                                                   {"Range", range},
                                                   {"Reshape", reshape},
                                                   {"Resize", resize},
                                                   {"RotaryEmbedding", rotary},
                                                   {"ScatterElements", scatter_elements},
                                                   {"ScatterND", scatter_nd},
                                                   {"Shape", shape},
                                                   {"Size", size},
                                                   {"Slice", slice},
                                                   {"SpaceToDepth", blocks},
                                                   {"Split", split},
                                                   {"Squeeze", squeeze},
                                                   {"Sum", many},
                                                   {"TensorScatter", tensor_scatter},
                                                   {"Tile", tile},
                                                   {"TopK", top_k},
                                                   {"Transpose", transpose},
                                                   {"Trilu", triangle},
                                                   {"Unsqueeze", unsqueeze},
                                                   {"Where", where}};
  for (const char* op : {"Abs",
                         "Acos",
                         "Acosh",
                         "Asin",
                         "Asinh",
                         "Atan",
                         "Atanh",

                         "Ceil",
                         "Celu",
                         "Cos",
                         "Cosh",
                         "Elu",
                         "Erf",
                         "Exp",
                         "Floor",
                         "Gelu",
                         "HardSigmoid",
                         "HardSwish",
                         "IsInf",
                         "IsNaN",
                         "LeakyRelu",
                         "Log",
                         "Mish",
                         "RandomNormalLike",
                         "RandomUniformLike",
                         "Reciprocal",
                         "Relu",
                         "Round",
                         "Selu",
                         "Shrink",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Sinh",
                         "Softplus",
                         "Softsign",
                         "Sqrt",
                         "Swish",
                         "Tan",
                         "Tanh",
                         "ThresholdedRelu"})
    out[op] = elementwise;
  for (const char* op : {"Hardmax", "LogSoftmax", "LpNormalization", "Softmax"}) out[op] = along;
  for (const char* op : {"Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Sub"})
    out[op] = arithmetic;
  for (const char* op : {"And", "Or"}) out[op] = logical;
  for (const char* op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"}) out[op] = integers_of;
  out["Xor"] = truths;
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
                         "ReduceSum", "ReduceSumSquare"})
    out[op] = reduce;
  return out;
}

}  // namespace

const std::map<std::string, void (*)(SampleWriter&, const std::string&)>& operator_samples() {
  static const auto samples = all();
  return samples;
}

}  // namespace ashlar::testing
