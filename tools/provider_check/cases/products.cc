// SPDX-License-Identifier: Apache-2.0
// Matrix products, quantised arithmetic, recurrent layers and attention.
#include <algorithm>
#include <limits>
#include <numeric>

#include "rows.h"

namespace ashlar::comparison {
namespace {

using enum DType;
using Ints = std::vector<std::int64_t>;

/// float32 three times out of four.
DType product_type(Draw& d) {
  return d.pick({kFloat32, kFloat32, kFloat32, kFloat32, kFloat32, kFloat32, kFloat64, kFloat16, kInt32, kInt64});
}

Extents join(Extents front, std::initializer_list<Extent> back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

/// Shapes [batch..., m, k] and [batch..., k, n] that broadcast; a side is one vector now and then.
std::pair<Extents, Extents> product_shapes(Draw& d) {
  const Extent m = d.extent(), k = d.extent(), n = d.extent();
  d.set_limit(std::max<std::int64_t>(1, d.limit() / std::max<std::int64_t>({m.size * k.size, k.size * n.size, 64})));
  const Extents batch = d.shape(0, 2);
  Extents a = join(d.thinned(batch), {m, k}), b = join(d.flip() ? Extents{} : d.thinned(batch), {k, n});
  if (d.rarely(10)) a = {k};
  if (d.rarely(10)) b = {k};
  return {a, b};
}

void matmul(Draw& d, const Row& row) {
  const DType type = product_type(d);
  const auto [a, b] = product_shapes(d);
  const std::string x = d.input(type, a);
  d.apply(row.name, {x, d.operand(type, b)});
}

void gemm(Draw& d, const Row& row) {
  const DType type = product_type(d);
  const Extent m = d.extent(), k = d.extent(), n = d.extent();
  const bool ta = d.flip(), tb = d.flip();
  Names inputs = {d.input(type, ta ? Extents{k, m} : Extents{m, k})};
  inputs.push_back(d.operand(type, tb ? Extents{n, k} : Extents{k, n}));
  if (d.flip()) inputs.push_back(d.operand(type, d.thinned({m, n})));
  Attributes attributes = {{"transA", std::int64_t{ta}}, {"transB", std::int64_t{tb}}};
  if (d.rarely(3)) attributes.push_back({"alpha", d.pick({1.0f, 2.0f, 0.0f, -1.0f})});
  if (d.rarely(3)) attributes.push_back({"beta", d.pick({1.0f, 2.0f, 0.0f, -1.0f})});
  d.apply(row.name, inputs, attributes);
}

void einsum(Draw& d, const Row& row) {
  const std::string equation =
      d.pick({"ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "i,i->", "i,j->ij", "ij->ji", "ij->", "ij->j", "ii->i", "bhid,bhjd->bhij",
              "bhij,bhjd->bihd", "...ij,...jk->...ik", "ij,j", "abc,cd,be->ade", "ij,ij->ij", " b i d , d e -> b i e "});
  const DType type = d.pick({kFloat32, kFloat32, kFloat32, kFloat64});
  std::vector<Extent> of(128);
  for (const char c : std::string("ijkbhdace")) of[static_cast<std::size_t>(c)] = d.extent(17);
  const Extents batch = d.shape(0, 1);
  Names inputs;
  Extents shape;
  for (const char c : equation.substr(0, equation.find("->")) + ',') {
    if (c == ',') inputs.push_back(d.operand(type, shape));
    if (c == ',') shape.clear();
    if (c >= 'a' && c <= 'z') shape.push_back(of[static_cast<std::size_t>(c)]);
    if (c == '.' && shape.size() < batch.size()) shape = batch;
  }
  d.apply(row.name, inputs, {{"equation", equation}});
}

DType byte_type(Draw& d) { return d.flip() ? kInt8 : kUint8; }
constexpr Fill kBytes = {-128, 255};
constexpr Fill kScale = {0.01, 0.1};

void matmul_integer(Draw& d, const Row& row) {
  const DType ta = byte_type(d), tb = byte_type(d);
  const auto [a, b] = product_shapes(d);
  const std::string x = d.input(ta, a, kBytes), y = d.operand(tb, b, kBytes);
  const std::string zero = d.flip() ? d.operand(ta, {}, kBytes) : "";
  d.apply(row.name, {x, y, zero, d.flip() ? d.operand(tb, d.flip() && b.size() > 1 ? Extents{b.back()} : Extents{}, kBytes) : ""});
}

void quantized_matmul(Draw& d, const Row& row) {
  const DType ta = byte_type(d), tb = byte_type(d), ty = byte_type(d);
  const auto [a, b] = product_shapes(d);
  Names inputs;
  for (const auto& [type, shape] : {std::pair{ta, a}, std::pair{tb, b}}) {
    inputs.push_back(inputs.empty() ? d.input(type, shape, kBytes) : d.operand(type, shape, kBytes));
    inputs.push_back(d.operand(kFloat32, {}, kScale));
    inputs.push_back(d.operand(type, {}, {0, 20}));
  }
  inputs.push_back(d.operand(kFloat32, {}, {0.3, 2}));
  inputs.push_back(d.operand(ty, {}, {0, 20}));
  d.apply(row.name, inputs);
}

/// The shape of a scale for `shape`, and the attributes that say it: one, one a place of an axis, one a block.
Extents scale_shape(Draw& d, Extents& shape, Attributes& attributes) {
  const std::uint32_t form = shape.empty() ? 0 : d.below(3);
  if (form == 0) return {};
  const auto rank = static_cast<std::int64_t>(shape.size());
  const std::int64_t axis = d.between(0, rank - 1);
  attributes.push_back({"axis", d.axis_name(axis, rank)});
  Extent& along = shape[static_cast<std::size_t>(axis)];
  if (form == 1) return {along};
  const std::int64_t block = d.pick<std::int64_t>({1, 2, 4});
  attributes.push_back({"block_size", block});
  Extents scale = shape;
  along = derived(along.size * block, {along});
  return scale;
}

void quantize(Draw& d, const Row& row) {
  const DType to = d.pick({kUint8, kInt8, kUint16, kInt16});
  const DType from = d.pick({kFloat32, kFloat32, kFloat16});
  d.set_limit(1 << 12);
  Extents shape = d.shape(0, 4);
  Attributes attributes;
  const Extents scale = scale_shape(d, shape, attributes);
  const std::string x = d.input(from, shape, {-9, 9, Fill::kInfinities});
  const std::string by = d.flip() ? d.operand(from, scale, {0.25, 0.25}) : d.operand(from, scale, kScale);
  const bool zero = d.flip();
  if (!zero) attributes.push_back({"output_dtype", static_cast<std::int64_t>(to)});
  d.apply(row.name, {x, by, zero ? d.operand(to, scale, {-9, 9}) : ""}, attributes);
}

void dequantize(Draw& d, const Row& row) {
  const DType from = d.pick({kUint8, kInt8, kUint16, kInt16, kInt32});
  const DType to = d.pick({kFloat32, kFloat32, kFloat16});
  d.set_limit(1 << 12);
  Extents shape = d.shape(0, 4);
  Attributes attributes;
  const Extents scale = scale_shape(d, shape, attributes);
  const std::string x = d.input(from, shape, kBytes);
  const std::string by = d.operand(to, scale, kScale);
  d.apply(row.name, {x, by, d.flip() ? d.operand(from, scale, {0, from == kInt32 ? 0.0 : 20.0}) : ""}, attributes);
}

void quantize_dynamically(Draw& d, const Row& row) {
  const std::string x = d.input(kFloat32, d.shape(1, 3), {-5, 9});
  const Names y = d.apply_all(row.name, {x}, 3);
  d.apply("DequantizeLinear", y);  // the bytes may lie one apart where a quotient is a tie
  d.expose(y[1]);
}

void recurrent(Draw& d, const Row& row) {
  const std::int64_t gates = row.name[0] == 'L' ? 4 : row.name[0] == 'G' ? 3 : 1;
  const std::string direction = d.pick({"forward", "reverse", "bidirectional"});
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1, layout = d.rarely(4) ? 1 : 0;
  const Extent steps = d.extent(8), batch = d.extent(5), features = {d.extent(17).size};
  const std::int64_t hidden = d.pick<std::int64_t>({1, 3, 8, 16, 17});
  const auto state = [&](std::int64_t size) {
    return layout ? Extents{batch, {directions}, {size}} : Extents{{directions}, batch, {size}};
  };
  Names inputs = {d.input(kFloat32, layout ? Extents{batch, steps, features} : Extents{steps, batch, features})};
  constexpr Fill kWeights = {-0.5, 0.5};
  inputs.push_back(d.operand(kFloat32, {{directions}, {gates * hidden}, features}, kWeights));
  inputs.push_back(d.operand(kFloat32, {{directions}, {gates * hidden}, {hidden}}, kWeights));
  inputs.push_back(d.flip() ? d.operand(kFloat32, {{directions}, {2 * gates * hidden}}, kWeights) : "");
  inputs.push_back(
      d.rarely(4) ? d.operand(kInt32, {batch}, {std::min(1.0, static_cast<double>(steps.size)), static_cast<double>(steps.size)}) : "");
  inputs.push_back(d.flip() ? d.operand(kFloat32, state(hidden)) : "");
  Attributes attributes = {{"direction", direction}, {"hidden_size", hidden}};
  if (layout) attributes.push_back({"layout", 1});
  if (d.rarely(4)) attributes.push_back({"clip", 0.5f});
  if (gates == 4) {
    inputs.push_back(d.flip() ? d.operand(kFloat32, state(hidden)) : "");
    inputs.push_back(d.rarely(3) ? d.operand(kFloat32, {{directions}, {3 * hidden}}, kWeights) : "");
    if (d.rarely(4)) attributes.push_back({"input_forget", 1});
  }
  if (gates == 3) attributes.push_back({"linear_before_reset", d.between(0, 1)});
  d.apply_all(row.name, inputs, static_cast<int>(d.between(1, gates == 4 ? 3 : 2)), attributes);
}

/// What is added to scores of that shape: bool, numbers, or 0 where a bool is true and the lowest numbers elsewhere.
std::string mask(Draw& d, const Extents& scores) {
  Extents shape = d.thinned(scores);
  if (shape.empty()) shape = {scores.back()};
  const std::uint32_t form = d.below(4);
  if (form == 1) return d.operand(kFloat32, shape);
  const std::string keep = d.operand(kBool, shape);
  if (form == 0) return keep;
  const float low = form == 2 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::lowest();
  return d.apply("Where", {keep, d.constant(Tensor::of<float>({}, {0})), d.constant(Tensor::of<float>({}, {low}))});
}

/// Queries, keys and values of one length, as columns of one tensor.
Names columns(Draw& d, const Extent& batch, const Extent& length, const std::vector<std::int64_t>& widths) {
  const std::int64_t width = std::accumulate(widths.begin(), widths.end(), std::int64_t{0});
  const std::string x = d.input(kFloat32, {batch, length, {width}});
  return d.apply_all("Split", {x, d.constant(widths)}, static_cast<int>(widths.size()), {{"axis", d.axis_name(2, 3)}});
}

void attention(Draw& d, const Row& row) {
  const std::int64_t groups = d.pick<std::int64_t>({1, 2, 4}), share = d.pick<std::int64_t>({1, 1, 2, 3}), heads = groups * share;
  const std::int64_t size = d.pick<std::int64_t>({8, 16, 5, 32, 64}), value_size = d.pick<std::int64_t>({8, 16, 3, 64, 80});
  const bool packed = d.flip(), split = packed && d.flip(), has_past = d.rarely(3), long_keys = d.rarely(10);
  const Extent batch = d.extent(3), queries = long_keys ? d.extent(31) : d.extent();
  const Extent keys = split ? queries : long_keys ? d.extent_of({321, 700, 320, 641}) : d.extent();
  const auto of = [&](const Extent& length, std::int64_t n, std::int64_t width) {
    return packed ? Extents{batch, length, {n * width}} : Extents{batch, {n}, length, {width}};
  };
  Names inputs;
  if (split) inputs = columns(d, batch, queries, {heads * size, groups * size, groups * value_size});
  if (inputs.empty()) {
    inputs = {d.input(kFloat32, of(queries, heads, size))};
    inputs.push_back(d.operand(kFloat32, of(keys, groups, size)));
    inputs.push_back(d.operand(kFloat32, of(keys, groups, value_size)));
  }
  const Extent past = has_past ? d.extent(33) : Extent{0}, total = derived(past.size + keys.size, {past, keys});
  inputs.push_back(d.flip() ? mask(d, {batch, {heads}, queries, total}) : "");
  inputs.push_back(has_past ? d.operand(kFloat32, {batch, {groups}, past, {size}}) : "");
  inputs.push_back(has_past ? d.operand(kFloat32, {batch, {groups}, past, {value_size}}) : "");
  if (!has_past && d.rarely(5)) inputs.push_back(d.operand(kInt64, {batch}, {0, static_cast<double>(keys.size)}));
  Attributes attributes = {{"is_causal", d.between(0, 1)}};
  if (packed) attributes.push_back({"q_num_heads", heads});
  if (packed) attributes.push_back({"kv_num_heads", groups});
  if (d.rarely(3)) attributes.push_back({"scale", d.pick({0.3f, 1.0f})});
  if (d.rarely(4)) attributes.push_back({"softcap", 2.0f});
  if (d.rarely(5)) attributes.push_back({"left_window_size", d.pick<std::int64_t>({0, 3, 40})});
  if (d.rarely(5)) attributes.push_back({"right_window_size", d.pick<std::int64_t>({0, 3, 40})});
  d.apply_all(row.name, inputs, has_past ? 3 : 1, attributes);
}

void rotary(Draw& d, const Row& row) {
  const std::int64_t heads = d.pick<std::int64_t>({1, 2, 3}), size = d.pick<std::int64_t>({2, 8, 16, 6, 40, 64});
  const std::int64_t rotated = d.rarely(3) ? size - size / 4 * 2 : size;
  const bool packed = d.flip(), split = packed && d.flip(), positions = d.flip();
  const Extent batch = d.extent(3), length = d.extent(17);
  const DType type = split ? kFloat32 : dtype(d, row.types);
  const std::string x = split ? columns(d, batch, length, {heads * size, 3})[0]
                              : d.input(type, packed ? Extents{batch, length, {heads * size}} : Extents{batch, {heads}, length, {size}});
  const Extent places = d.extent(17, 1);
  const Extents table = positions ? Extents{places, {rotated / 2}} : Extents{batch, length, {rotated / 2}};
  Names inputs = {x, d.operand(type, table, {-1, 1})};
  inputs.push_back(d.operand(type, table, {-1, 1}));
  if (positions) inputs.push_back(d.operand(kInt64, {batch, length}, {d.rarely(8) ? -1.0 : 0.0, static_cast<double>(places.size - 1)}));
  Attributes attributes = {{"interleaved", d.between(0, 1)}};
  if (packed) attributes.push_back({"num_heads", heads});
  if (rotated != size) attributes.push_back({"rotary_embedding_dim", rotated});
  d.apply(row.name, inputs, attributes);
}

void determinant(Draw& d, const Row& row) {
  const Extent n = d.extent(5);
  Extents shape = d.shape(0, 1);
  const std::string x = d.input(d.flip() ? kFloat64 : kFloat32, join(shape, {n, n}));
  d.apply(row.name, {x});
}

constexpr Row kRows[] = {
    {"MatMul", matmul, Types::kFloats, {}, "", 10, 3},
    {"Gemm", gemm, Types::kFloats, {}, "", 10, 3},
    {"Einsum", einsum, Types::kFloats, {}, "", 10},
    {"MatMulInteger", matmul_integer},
    {"QLinearMatMul", quantized_matmul, Types::kFloats, {}, "", 1, 1, true},
    {"QuantizeLinear", quantize},
    {"DequantizeLinear", dequantize},
    {"DynamicQuantizeLinear", quantize_dynamically},
    {"RNN", recurrent, Types::kFloats, {}, "", 10},
    {"GRU", recurrent, Types::kFloats, {}, "", 10},
    {"LSTM", recurrent, Types::kFloats, {}, "", 10},
    {"Attention", attention, Types::kFloats, {}, "", 10, 2},
    {"RotaryEmbedding", rotary, Types::kFloat32},
    {"Det", determinant, Types::kFloats, {}, "", 10},
};

}  // namespace

std::span<const Row> product_rows() { return kRows; }

}  // namespace ashlar::comparison
