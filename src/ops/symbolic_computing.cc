// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "ops/symbolic_rules.h"

namespace ashlar::ops {
namespace {

using Call = FactsRuleCall;

std::optional<SymbolicShape> shape_of(const Call& c, std::size_t i) { return c.shape(i) ? std::optional(*c.shape(i)) : std::nullopt; }

/// The output of one input's shape.
Facts like_first(const Call& c) { return one(shape_of(c, 0)); }

Facts broadcast_all(const Call& c) {
  if (c.inputs.empty() || !c.shape(0)) return {};
  std::optional<SymbolicShape> out = *c.shape(0);
  for (std::size_t i = 1; i < c.inputs.size() && out; ++i) out = c.broadcast(&*out, c.shape(i));
  return one(std::move(out));
}

/// Element-wise on followed elements; nothing where one of the results is not known.
template <class F> std::optional<Elements> each(const Call& c, const std::optional<SymbolicShape>& out, F&& f) {
  const Elements *a = c.elements(0), *b = c.elements(1);
  if (!a || !b || !out || out->size() > 1) return std::nullopt;
  const std::size_t count = std::max(a->size(), b->size());
  if ((a->size() != count && a->size() != 1) || (b->size() != count && b->size() != 1)) return std::nullopt;
  Elements elements;
  for (std::size_t i = 0; i < count; ++i) {
    const DimTable::Result e = f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]);
    if (!e) return std::nullopt;
    elements.push_back(*e);
  }
  return elements;
}

template <class F> Facts binary(const Call& c, F&& f) {
  auto shape = c.broadcast(c.shape(0), c.shape(1));
  auto elements = each(c, shape, f);
  return one(std::move(shape), std::move(elements));
}

Facts add(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.add(a, b); });
}
Facts subtract(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.subtract(a, b); });
}
Facts multiply(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.multiply(a, b); });
}
Facts divide(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.floor_divide(a, b); });
}
Facts maximum(const Call& c) {
  if (c.inputs.size() != 2) return broadcast_all(c);
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.maximum(a, b); });
}
Facts minimum(const Call& c) {
  if (c.inputs.size() != 2) return broadcast_all(c);
  return binary(c, [&](const DimExpr& a, const DimExpr& b) { return c.table.minimum(a, b); });
}

/// Whether a - b is always above 0.
bool above(const Call& c, const DimExpr& a, const DimExpr& b) {
  const auto d = c.table.subtract(a, b);
  return d && d->at_least(1);
}
Facts equal(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) -> DimTable::Result {
    if (a == b) return DimExpr(1);
    if (above(c, a, b) || above(c, b, a)) return DimExpr(0);
    return std::nullopt;
  });
}
template <bool kLess, bool kOrEqual> Facts compare(const Call& c) {
  return binary(c, [&](const DimExpr& x, const DimExpr& y) -> DimTable::Result {
    const DimExpr &a = kLess ? x : y, &b = kLess ? y : x;
    const auto d = c.table.subtract(b, a), e = c.table.subtract(a, b);
    if (d && d->at_least(kOrEqual ? 0 : 1)) return DimExpr(1);
    if (e && e->at_least(kOrEqual ? 1 : 0)) return DimExpr(0);
    return std::nullopt;
  });
}
template <bool kAnd> Facts logical(const Call& c) {
  return binary(c, [&](const DimExpr& a, const DimExpr& b) -> DimTable::Result {
    if (a.is(kAnd ? 0 : 1) || b.is(kAnd ? 0 : 1)) return DimExpr(kAnd ? 0 : 1);
    if (a.value() && b.value()) return DimExpr(kAnd ? 1 : 0);
    return std::nullopt;
  });
}
Facts logical_not(const Call& c) {
  Facts out = like_first(c);
  if (!c.elements(0)) return out;
  Elements elements;
  for (const DimExpr& e : *c.elements(0)) {
    if (!e.value()) return out;
    elements.emplace_back(e.is(0) ? 1 : 0);
  }
  out[0].elements = std::move(elements);
  return out;
}
Facts negate(const Call& c) {
  Facts out = like_first(c);
  if (!c.elements(0)) return out;
  Elements elements;
  for (const DimExpr& e : *c.elements(0)) {
    const auto n = c.table.subtract(DimExpr(0), e);
    if (!n) return out;
    elements.push_back(*n);
  }
  out[0].elements = std::move(elements);
  return out;
}

Facts cast(const Call& c) {
  Facts out = like_first(c);
  const auto to = static_cast<DType>(c.integer("to"));
  if (!c.elements(0)) return out;
  if (to == DType::kInt64 || to == DType::kInt32) out[0].elements = *c.elements(0);
  if (to != DType::kBool) return out;
  Elements elements;
  for (const DimExpr& e : *c.elements(0)) {
    if (e.is(0)) elements.emplace_back(0);
    else if (e.at_least(1) || (e.value() && *e.value() < 0)) elements.emplace_back(1);
    else return out;
  }
  out[0].elements = std::move(elements);
  return out;
}

Facts where(const Call& c) {
  auto shape = c.broadcast(c.shape(1), c.shape(2));
  if (shape) shape = c.broadcast(c.shape(0), &*shape);
  const Elements *on = c.elements(0), *a = c.elements(1), *b = c.elements(2);
  std::optional<Elements> elements;
  if (on && a && b && shape && shape->size() <= 1) {
    const std::size_t count = std::max({on->size(), a->size(), b->size()});
    elements.emplace();
    for (std::size_t i = 0; i < count && elements; ++i) {
      const auto at = [&](const Elements& e) { return e.size() == 1 ? &e[0] : i < e.size() ? &e[i] : nullptr; };
      const DimExpr *o = at(*on), *x = at(*a), *y = at(*b);
      if (o && x && y && *x == *y) elements->push_back(*x);
      else if (!o || !x || !y || !o->value()) elements.reset();
      else elements->push_back(o->is(0) ? *y : *x);
    }
  }
  return one(std::move(shape), std::move(elements));
}

Facts reduce(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const bool keep = c.integer("keepdims", 1) != 0;
  std::vector<char> reduced(in->size(), 0);
  const auto axes = c.numbers(1);
  if (c.has(1) && !axes) return keep ? one(c.fresh(in->size())) : Facts();
  if (axes && !axes->empty()) {
    for (const std::int64_t a : *axes) {
      const auto axis = Call::axis(a, in->size());
      if (!axis) return {};
      reduced[*axis] = 1;
    }
  } else if (c.integer("noop_with_empty_axes") == 0) {
    std::fill(reduced.begin(), reduced.end(), 1);
  }
  SymbolicShape out;
  for (std::size_t i = 0; i < in->size(); ++i)
    if (!reduced[i]) out.push_back((*in)[i]);
    else if (keep) out.emplace_back(1);
  std::optional<Elements> elements;
  if (c.node.op_type == "ReduceProd" && c.elements(0) && in->size() == 1 && reduced[0]) {
    DimTable::Result product = DimExpr(1);
    for (const DimExpr& e : *c.elements(0)) product = product ? c.table.multiply(*product, e) : std::nullopt;
    if (product) elements = Elements{*product};
  }
  return one(std::move(out), std::move(elements));
}

Facts arg_reduce(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto axis = Call::axis(c.integer("axis"), in->size());
  if (!axis) return {};
  SymbolicShape out = *in;
  if (c.integer("keepdims", 1)) out[*axis] = DimExpr(1);
  else out.erase(out.begin() + static_cast<std::ptrdiff_t>(*axis));
  return one(std::move(out));
}

Facts matmul(const Call& c) {
  const SymbolicShape *a = c.shape(0), *b = c.shape(1);
  if (!a || !b || a->empty() || b->empty()) return {};
  SymbolicShape x = *a, y = *b;
  if (a->size() == 1) x.insert(x.begin(), DimExpr(1));
  if (b->size() == 1) y.emplace_back(1);
  const SymbolicShape batch_a(x.begin(), x.end() - 2), batch_b(y.begin(), y.end() - 2);
  SymbolicShape out = *c.broadcast(&batch_a, &batch_b);
  if (a->size() > 1) out.push_back(x[x.size() - 2]);
  if (b->size() > 1) out.push_back(y.back());
  return one(std::move(out));
}

Facts linear(const Call& c) {
  const SymbolicShape *a = c.shape(0), *w = c.shape(1);
  if (!a || !w || a->empty() || w->size() != 2) return {};
  SymbolicShape out = *a;
  out.back() = c.integer("transB") ? (*w)[0] : (*w)[1];
  return one(std::move(out));
}

Facts gemm(const Call& c) {
  const SymbolicShape *a = c.shape(0), *b = c.shape(1);
  if (!a || !b || a->size() != 2 || b->size() != 2) return {};
  return one(SymbolicShape{(*a)[c.integer("transA") ? 1 : 0], (*b)[c.integer("transB") ? 0 : 1]});
}

Facts layer_normalization(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto axis = Call::axis(c.integer("axis", -1), in->size());
  if (!axis) return one(*in);
  SymbolicShape statistics = *in;
  std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(*axis), statistics.end(), DimExpr(1));
  return {ValueFacts{*in, {}}, ValueFacts{statistics, {}}, ValueFacts{statistics, {}}};
}

Facts skip_normalization(const Call& c) { return {ValueFacts{shape_of(c, 0), {}}, ValueFacts{shape_of(c, 0), {}}}; }

Facts attention(const Call& c) {
  const SymbolicShape *q = c.shape(0), *k = c.shape(1), *v = c.shape(2), *past = c.shape(4);
  if (!q || !k || !v) return {};
  const bool flat = q->size() == 3;
  if ((!flat && q->size() != 4) || k->size() != q->size() || v->size() != q->size() || (c.has(4) && (!past || past->size() != 4)))
    return {};
  const DimExpr heads = flat ? DimExpr(c.integer("kv_num_heads")) : (*k)[1];
  const auto head = [&](const SymbolicShape& s) {
    if (!flat) return s[3];
    return c.integer("kv_num_heads") > 0 ? c.or_fresh(c.table.floor_divide(s[2], heads)) : c.table.fresh();
  };
  const DimExpr total = c.or_fresh(past ? c.table.add((*past)[2], (*k)[flat ? 1 : 2]) : DimTable::Result((*k)[flat ? 1 : 2]));
  SymbolicShape y = *q;
  if (!flat) y[3] = (*v)[3];
  else y[2] = c.or_fresh(c.table.multiply(DimExpr(c.integer("q_num_heads")), head(*v)));
  return {ValueFacts{std::move(y), {}}, ValueFacts{SymbolicShape{(*k)[0], heads, total, head(*k)}, {}},
          ValueFacts{SymbolicShape{(*v)[0], heads, total, head(*v)}, {}}};
}

Facts dropout(const Call& c) { return {ValueFacts{shape_of(c, 0), {}}, ValueFacts{shape_of(c, 0), {}}}; }

Facts top_k(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto axis = Call::axis(c.integer("axis", -1), in->size());
  if (!axis) return {};
  SymbolicShape out = *in;
  const Elements* k = c.elements(1);
  out[*axis] = k && k->size() == 1 ? c.or_fresh((*k)[0]) : c.table.fresh();
  return {ValueFacts{out, {}}, ValueFacts{out, {}}};
}

Facts one_hot(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto axis = Call::axis(c.integer("axis", -1), in->size() + 1);
  if (!axis) return {};
  SymbolicShape out = *in;
  const Elements* depth = c.elements(1);
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(*axis), depth && depth->size() == 1 ? c.or_fresh((*depth)[0]) : c.table.fresh());
  return one(std::move(out));
}

constexpr auto kLikeFirst = std::to_array<std::string_view>({"Abs",
                                                             "Acos",
                                                             "Acosh",
                                                             "Asin",
                                                             "Asinh",
                                                             "Atan",
                                                             "Atanh",
                                                             "BatchNormalization",
                                                             "Bernoulli",
                                                             "BitwiseNot",
                                                             "CastLike",
                                                             "Ceil",
                                                             "Celu",
                                                             "Clip",
                                                             "Cos",
                                                             "Cosh",
                                                             "CumProd",
                                                             "CumSum",
                                                             "DequantizeLinear",
                                                             "Elu",
                                                             "Erf",
                                                             "Exp",
                                                             "EyeLike",
                                                             "Floor",
                                                             "Gelu",
                                                             "GroupNormalization",
                                                             "HardSigmoid",
                                                             "HardSwish",
                                                             "Hardmax",
                                                             "InstanceNormalization",
                                                             "IsInf",
                                                             "IsNaN",
                                                             "LRN",
                                                             "LeakyRelu",
                                                             "Log",
                                                             "LogSoftmax",
                                                             "LpNormalization",
                                                             "MeanVarianceNormalization",
                                                             "Mish",
                                                             "QuantizeLinear",
                                                             "RMSNormalization",
                                                             "RandomNormalLike",
                                                             "RandomUniformLike",
                                                             "Reciprocal",
                                                             "Relu",
                                                             "RotaryEmbedding",
                                                             "Round",
                                                             "ScaledMaskedSoftmax",
                                                             "ScatterElements",
                                                             "ScatterND",
                                                             "Selu",
                                                             "Shrink",
                                                             "Sigmoid",
                                                             "Sign",
                                                             "Sin",
                                                             "Sinh",
                                                             "Softmax",
                                                             "Softplus",
                                                             "Softsign",
                                                             "Sqrt",
                                                             "Swish",
                                                             "Tan",
                                                             "Tanh",
                                                             "TensorScatter",
                                                             "ThresholdedRelu",
                                                             "Trilu"});
constexpr auto kBroadcast =
    std::to_array<std::string_view>({"BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mean", "Mod", "PRelu", "Pow", "Sum", "Xor"});
constexpr auto kReductions = std::to_array<std::string_view>({"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                                                              "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"});
constexpr auto kOwn = std::to_array<FactsRow>({
    {"Add", &add},
    {"And", &logical<true>},
    {"ArgMax", &arg_reduce},
    {"ArgMin", &arg_reduce},
    {"Attention", &attention},
    {"Cast", &cast},
    {"Div", &divide},
    {"Dropout", &dropout},
    {"Equal", &equal},
    {"Gemm", &gemm},
    {"Greater", &compare<false, false>},
    {"GreaterOrEqual", &compare<false, true>},
    {"LayerNormalization", &layer_normalization},
    {"Less", &compare<true, false>},
    {"LessOrEqual", &compare<true, true>},
    {"Linear", &linear},
    {"MatMul", &matmul},
    {"Max", &maximum},
    {"Min", &minimum},
    {"Mul", &multiply},
    {"Neg", &negate},
    {"Not", &logical_not},
    {"OneHot", &one_hot},
    {"Or", &logical<false>},
    {"SkipLayerNormalization", &skip_normalization},
    {"SkipRMSNormalization", &skip_normalization},
    {"Sub", &subtract},
    {"TopK", &top_k},
    {"Where", &where},
});

std::vector<FactsRow> all_rows() {
  std::vector<FactsRow> out(kOwn.begin(), kOwn.end());
  for (const std::string_view op : kLikeFirst) out.push_back({op, &like_first});
  for (const std::string_view op : kBroadcast) out.push_back({op, &broadcast_all});
  for (const std::string_view op : kReductions) out.push_back({op, &reduce});
  return out;
}

}  // namespace

std::span<const FactsRow> computing_rules() {
  static const std::vector<FactsRow> rows = all_rows();
  return rows;
}

}  // namespace ashlar::ops
