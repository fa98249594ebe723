// SPDX-License-Identifier: Apache-2.0
#include "ops/dim_expr.h"

#include <algorithm>
#include <iterator>

namespace ashlar::ops {
namespace {

constexpr std::size_t kMostTerms = 16;
constexpr std::size_t kMostAtoms = 8;  // in one term

}  // namespace

bool names_a_dimension(const std::string& symbol) {
  return !symbol.empty() && symbol[0] != '?' && symbol[0] != '-' && symbol[0] != '*' && symbol != "None" && symbol != "none" &&
         symbol != "unknown" && symbol != "unk" && symbol != "dynamic";
}

DimExpr::DimExpr(std::int64_t value) {
  if (value != 0) terms_.push_back({{}, value});
}

DimExpr DimExpr::atom(Atom atom) {
  DimExpr out;
  out.terms_.push_back({{atom}, 1});
  return out;
}

std::optional<std::int64_t> DimExpr::value() const {
  if (terms_.empty()) return 0;
  if (terms_.size() == 1 && terms_[0].atoms.empty()) return terms_[0].factor;
  return std::nullopt;
}

bool DimExpr::at_least(std::int64_t least) const {
  std::int64_t constant = 0;
  for (const Term& t : terms_) {
    if (t.atoms.empty()) constant = t.factor;
    else if (t.factor < 0) return false;
  }
  return constant >= least;
}

std::optional<DimExpr> DimExpr::normal(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return a.atoms < b.atoms; });
  DimExpr out;
  for (Term& t : terms) {
    if (!out.terms_.empty() && out.terms_.back().atoms == t.atoms) {
      if (__builtin_add_overflow(out.terms_.back().factor, t.factor, &out.terms_.back().factor)) return std::nullopt;
    } else {
      out.terms_.push_back(std::move(t));
    }
  }
  std::erase_if(out.terms_, [](const Term& t) { return t.factor == 0; });
  if (out.terms_.size() > kMostTerms) return std::nullopt;
  return out;
}

std::optional<DimExpr> DimExpr::add(const DimExpr& a, const DimExpr& b) {
  std::vector<Term> terms = a.terms_;
  terms.insert(terms.end(), b.terms_.begin(), b.terms_.end());
  return normal(std::move(terms));
}

std::optional<DimExpr> DimExpr::multiply(const DimExpr& a, const DimExpr& b) {
  std::vector<Term> terms;
  for (const Term& x : a.terms_)
    for (const Term& y : b.terms_) {
      Term t{x.atoms, 0};
      if (__builtin_mul_overflow(x.factor, y.factor, &t.factor)) return std::nullopt;
      t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
      if (t.atoms.size() > kMostAtoms) return std::nullopt;
      std::sort(t.atoms.begin(), t.atoms.end());
      terms.push_back(std::move(t));
    }
  return normal(std::move(terms));
}

std::optional<DimExpr> DimExpr::divide(const DimExpr& a, const DimExpr& b) {
  if (b.terms_.empty()) return std::nullopt;
  if (a == b) return DimExpr(1);
  if (b.terms_.size() != 1) return std::nullopt;
  const Term& by = b.terms_[0];
  DimExpr out;
  for (const Term& t : a.terms_) {
    if (t.factor % by.factor != 0 || !std::includes(t.atoms.begin(), t.atoms.end(), by.atoms.begin(), by.atoms.end())) return std::nullopt;
    Term q{{}, t.factor / by.factor};
    std::set_difference(t.atoms.begin(), t.atoms.end(), by.atoms.begin(), by.atoms.end(), std::back_inserter(q.atoms));
    out.terms_.push_back(std::move(q));
  }
  return normal(std::move(out.terms_));
}

DimExpr DimTable::symbol(const std::string& name) {
  const auto [at, is_new] = by_name_.try_emplace(name, static_cast<DimExpr::Atom>(names_.size()));
  if (is_new) names_.push_back(name);
  return DimExpr::atom(at->second);
}

DimExpr DimTable::fresh() {
  std::string name = "d" + std::to_string(names_.size());
  while (by_name_.contains(name)) name += "_";
  return symbol(name);
}

DimExpr DimTable::opaque(const std::string& operation, const DimExpr& a, const DimExpr& b) {
  return symbol(operation + "(" + to_string(a) + "," + to_string(b) + ")");
}

DimTable::Result DimTable::subtract(const DimExpr& a, const DimExpr& b) {
  const auto negative = DimExpr::multiply(b, DimExpr(-1));
  return negative ? DimExpr::add(a, *negative) : std::nullopt;
}

DimTable::Result DimTable::multiply(const DimExpr& a, const DimExpr& b) {
  if (auto product = DimExpr::multiply(a, b)) return product;
  if (!a.at_least(0) || !b.at_least(0)) return std::nullopt;
  return opaque("mul", std::min(a, b), std::max(a, b));
}

DimTable::Result DimTable::floor_divide(const DimExpr& a, const DimExpr& b) {
  if (!a.at_least(0) || !b.at_least(1)) return std::nullopt;
  if (const auto x = a.value(), y = b.value(); x && y) return DimExpr(*x / *y);
  if (auto exact = DimExpr::divide(a, b)) return exact;
  return opaque("div", a, b);
}

DimTable::Result DimTable::maximum(const DimExpr& a, const DimExpr& b) {
  if (const auto d = subtract(a, b); d && d->at_least(0)) return a;
  if (const auto d = subtract(b, a); d && d->at_least(0)) return b;
  if (!a.at_least(0) && !b.at_least(0)) return std::nullopt;
  return opaque("max", std::min(a, b), std::max(a, b));
}

DimTable::Result DimTable::minimum(const DimExpr& a, const DimExpr& b) {
  if (const auto d = subtract(a, b); d && d->at_least(0)) return b;
  if (const auto d = subtract(b, a); d && d->at_least(0)) return a;
  if (!a.at_least(0) || !b.at_least(0)) return std::nullopt;
  DimExpr out = opaque("min", std::min(a, b), std::max(a, b));
  minima_.try_emplace(out.terms()[0].atoms[0], a, b);
  return out;
}

/// Whether `e` is the minimum of `whole` and of something that is at least 1.
bool DimTable::is_cut_of(const DimExpr& e, const DimExpr& whole) const {
  if (e.terms().size() != 1 || e.terms()[0].factor != 1 || e.terms()[0].atoms.size() != 1) return false;
  const auto at = minima_.find(e.terms()[0].atoms[0]);
  if (at == minima_.end()) return false;
  const auto& [a, b] = at->second;
  return (a == whole && b.at_least(1)) || (b == whole && a.at_least(1));
}

DimExpr DimTable::broadcast(const DimExpr& a, const DimExpr& b) {
  if (a == b || b.is(1)) return a;
  if (a.is(1)) return b;
  // Where only one is known and is not 1, the other must be 1 or the same.
  if (a.value()) return a;
  if (b.value()) return b;
  // min(512,n) is n, or n is more and it must be 1; where n is 1, so is it.
  if (is_cut_of(b, a)) return a;
  if (is_cut_of(a, b)) return b;
  return opaque("broadcast", std::min(a, b), std::max(a, b));
}

std::string DimTable::to_string(const DimExpr& e) const {
  if (const auto v = e.value()) return std::to_string(*v);
  std::string out;
  const auto append = [&](const DimExpr::Term& t) {
    const bool negative = t.factor < 0;
    out += out.empty() ? (negative ? "-" : "") : (negative ? " - " : " + ");
    const std::uint64_t size = negative ? 0 - static_cast<std::uint64_t>(t.factor) : static_cast<std::uint64_t>(t.factor);
    std::string product;
    if (size != 1 || t.atoms.empty()) product = std::to_string(size);
    for (const DimExpr::Atom a : t.atoms) product += (product.empty() ? "" : "*") + names_[a];
    out += product;
  };
  for (const DimExpr::Term& t : e.terms())
    if (!t.atoms.empty()) append(t);
  for (const DimExpr::Term& t : e.terms())
    if (t.atoms.empty()) append(t);
  return out;
}

}  // namespace ashlar::ops
