// SPDX-License-Identifier: Apache-2.0
#include "optimizer/reshaping.h"

#include <algorithm>
#include <numeric>

namespace ashlar::optimizer {

bool is_reshape(const Editor& editor, NodeIndex n) {
  if (n == kNone) return false;
  const bool op = editor.is(n, "Reshape") || editor.is(n, "Squeeze") || editor.is(n, "Unsqueeze") || editor.is(n, "Flatten");
  return op && editor.dtype(editor.node(n).outputs[0]) != DType::kString && editor.shape(editor.node(n).inputs[0]) &&
         editor.shape(editor.node(n).outputs[0]);
}

std::optional<std::vector<std::int64_t>> reshape_target(const SymbolicShape& from, const SymbolicShape& to) {
  std::vector<std::int64_t> out;
  bool inferred = false;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (const auto v = to[i].value(); v && *v > 0) {
      out.push_back(*v);
    } else if (i < from.size() && to[i] == from[i]) {
      out.push_back(0);
    } else if (!inferred) {
      inferred = true;
      out.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<Perm> perm_of(const Editor& editor, NodeIndex n) {
  if (n == kNone || !editor.is(n, "Transpose")) return std::nullopt;
  const auto rank = editor.rank(editor.node(n).inputs[0]);
  if (!rank) return std::nullopt;
  const auto* given = editor.node(n).find_as<std::vector<std::int64_t>>("perm");
  Perm perm = given ? *given : Perm(*rank);
  if (!given)
    for (std::size_t i = 0; i < *rank; ++i) perm[i] = static_cast<std::int64_t>(*rank - 1 - i);
  Perm sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (perm.size() != *rank || !is_identity(sorted)) return std::nullopt;
  return perm;
}

bool is_identity(const Perm& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

Perm compose(const Perm& first, const Perm& second) {
  Perm out;
  for (const std::int64_t p : second) out.push_back(first[static_cast<std::size_t>(p)]);
  return out;
}

Perm inverse(const Perm& perm) {
  Perm out(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) out[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return out;
}

SymbolicShape permuted(const SymbolicShape& shape, const Perm& perm) {
  SymbolicShape out;
  for (const std::int64_t p : perm) out.push_back(shape[static_cast<std::size_t>(p)]);
  return out;
}

std::vector<std::size_t> long_axes(const SymbolicShape& shape) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (!shape[i].is(1)) out.push_back(i);
  return out;
}

std::optional<Refinement> refine(const SymbolicShape& a, const SymbolicShape& b) {
  Refinement out;
  out.a.resize(a.size());
  out.b.resize(b.size());
  std::size_t i = 0, j = 0;
  DimExpr left_a(1), left_b(1);
  const auto advance = [](const SymbolicShape& shape, std::size_t& at, DimExpr& left) {
    while (left.is(1) && at < shape.size()) left = shape[at++];
  };
  for (;;) {
    advance(a, i, left_a);
    advance(b, j, left_b);
    if (left_a.is(1) && left_b.is(1)) return out;
    if (left_a.is(1) || left_b.is(1) || left_a.is(0) || left_b.is(0)) return std::nullopt;
    DimExpr factor = left_a;
    if (left_a == left_b) {
      left_a = left_b = DimExpr(1);
    } else if (const auto q = DimExpr::divide(left_b, left_a); q && q->at_least(1)) {
      left_b = *q;
      left_a = DimExpr(1);
    } else if (const auto r = DimExpr::divide(left_a, left_b); r && r->at_least(1)) {
      factor = left_b;
      left_a = *r;
      left_b = DimExpr(1);
    } else if (const auto s = q ? q : DimExpr::divide(left_a, left_b); s && s->at_least(0)) {
      // A quotient that may be 0 leaves nothing to order then.
      if (q) {
        left_b = *q;
        left_a = DimExpr(1);
      } else {
        factor = left_b;
        left_a = *s;
        left_b = DimExpr(1);
      }
    } else {
      return std::nullopt;
    }
    out.a[i - 1].push_back(out.factors.size());
    out.b[j - 1].push_back(out.factors.size());
    out.factors.push_back(factor);
  }
}

}  // namespace ashlar::optimizer
