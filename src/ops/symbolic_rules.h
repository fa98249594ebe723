// SPDX-License-Identifier: Apache-2.0
// The rules of infer_facts: tables of one row an operator.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/symbolic.h"

namespace ashlar::ops {

using Facts = std::vector<ValueFacts>;
using Elements = std::vector<DimExpr>;

/// A call as rules read it.
struct FactsRuleCall : FactsCall {
  explicit FactsRuleCall(const FactsCall& call) : FactsCall(call) {}

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i]; }
  /// Null when it is not known.
  const SymbolicShape* shape(std::size_t i) const { return has(i) && inputs[i]->shape ? &*inputs[i]->shape : nullptr; }
  const Elements* elements(std::size_t i) const { return has(i) && inputs[i]->elements ? &*inputs[i]->elements : nullptr; }
  /// The elements where all are numbers.
  std::optional<std::vector<std::int64_t>> numbers(std::size_t i) const {
    const Elements* e = elements(i);
    if (!e) return std::nullopt;
    std::vector<std::int64_t> out;
    for (const DimExpr& x : *e) {
      if (!x.value()) return std::nullopt;
      out.push_back(*x.value());
    }
    return out;
  }
  std::int64_t integer(const char* name, std::int64_t otherwise = 0) const {
    const auto* v = node.find_as<std::int64_t>(name);
    return v ? *v : otherwise;
  }
  std::vector<std::int64_t> integers(const char* name) const {
    const auto* v = node.find_as<std::vector<std::int64_t>>(name);
    return v ? *v : std::vector<std::int64_t>();
  }
  std::string text(const char* name) const {
    const auto* v = node.find_as<std::string>(name);
    return v ? *v : std::string();
  }
  /// The axis among `rank`, nothing where there is no such.
  static std::optional<std::size_t> axis(std::int64_t axis, std::size_t rank) {
    const auto r = static_cast<std::int64_t>(rank);
    if (axis < -r || axis >= r) return std::nullopt;
    return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
  }
  DimExpr or_fresh(const DimTable::Result& e) const { return e && e->at_least(0) ? *e : table.fresh(); }
  SymbolicShape fresh(std::size_t rank) const {
    SymbolicShape out;
    for (std::size_t i = 0; i < rank; ++i) out.push_back(table.fresh());
    return out;
  }
  std::optional<SymbolicShape> broadcast(const SymbolicShape* a, const SymbolicShape* b) const {
    if (!a || !b) return std::nullopt;
    const SymbolicShape &longer = a->size() >= b->size() ? *a : *b, &shorter = a->size() >= b->size() ? *b : *a;
    SymbolicShape out = longer;
    const std::size_t skip = longer.size() - shorter.size();
    for (std::size_t i = 0; i < shorter.size(); ++i) out[skip + i] = table.broadcast(longer[skip + i], shorter[i]);
    return out;
  }
};

using FactsRule = Facts (*)(const FactsRuleCall&);
struct FactsRow {
  std::string_view op;
  FactsRule rule;
};

/// Operators that read shapes or move elements.
std::span<const FactsRow> moving_rules();
/// Operators that calculate.
std::span<const FactsRow> computing_rules();
/// Operators that slide a window over spatial dimensions, pool or resize them.
std::span<const FactsRow> window_rules();

inline Facts one(std::optional<SymbolicShape> shape, std::optional<Elements> elements = {}) {
  return {ValueFacts{std::move(shape), std::move(elements)}};
}

}  // namespace ashlar::ops
