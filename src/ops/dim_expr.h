// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ashlar::ops {

/// A whole number that may depend on dimensions not known before a run: a polynomial over atoms, in a normal form, so that two that
/// are equal as polynomials compare equal. An atom stands for a dimension of an input ("batch"), for one that data decides, or for a
/// quotient, maximum or minimum of other numbers; every atom is at least 0.
class DimExpr {
 public:
  using Atom = std::uint32_t;

  DimExpr(std::int64_t value = 0);
  static DimExpr atom(Atom atom);

  std::optional<std::int64_t> value() const;
  bool is(std::int64_t v) const { return value() == v; }
  /// Whether it cannot be below `least`, whatever the atoms are.
  bool at_least(std::int64_t least) const;
  /// Nothing where a coefficient overflows or there are too many terms.
  static std::optional<DimExpr> add(const DimExpr& a, const DimExpr& b);
  static std::optional<DimExpr> multiply(const DimExpr& a, const DimExpr& b);
  /// a / b where that is a polynomial again.
  static std::optional<DimExpr> divide(const DimExpr& a, const DimExpr& b);

  bool operator==(const DimExpr&) const = default;
  bool operator<(const DimExpr& other) const { return terms_ < other.terms_; }

  struct Term {
    std::vector<Atom> atoms;  ///< sorted; one that is squared stands twice
    std::int64_t factor = 0;
    auto operator<=>(const Term&) const = default;
  };
  const std::vector<Term>& terms() const { return terms_; }

 private:
  static std::optional<DimExpr> normal(std::vector<Term> terms);
  std::vector<Term> terms_;  ///< sorted by atoms, no factor is 0
};

/// Whether dimensions with this symbol are one number wherever it stands. Some exporters write "?" or "None" for each that they do not know.
bool names_a_dimension(const std::string& symbol);

/// The atoms of one model, and arithmetic that makes an atom, the same one each time, of what is no polynomial. Nothing where a result is not
/// known, or may be below 0 and is no polynomial.
class DimTable {
 public:
  using Result = std::optional<DimExpr>;

  /// The atom of that name, made when it is new.
  DimExpr symbol(const std::string& name);
  /// One that equals no other.
  DimExpr fresh();

  Result add(const DimExpr& a, const DimExpr& b) { return DimExpr::add(a, b); }
  Result subtract(const DimExpr& a, const DimExpr& b);
  Result multiply(const DimExpr& a, const DimExpr& b);
  /// Rounded down; for `a` at least 0 and `b` at least 1.
  Result floor_divide(const DimExpr& a, const DimExpr& b);
  Result maximum(const DimExpr& a, const DimExpr& b);
  Result minimum(const DimExpr& a, const DimExpr& b);
  /// Of two dimensions that broadcast to one.
  DimExpr broadcast(const DimExpr& a, const DimExpr& b);

  /// Atoms made so far, and whether an expression is one atom that was made after there were so many.
  std::size_t size() const { return names_.size(); }
  bool is_new(const DimExpr& e, std::size_t before) const {
    return e.terms().size() == 1 && e.terms()[0].factor == 1 && e.terms()[0].atoms.size() == 1 && e.terms()[0].atoms[0] >= before;
  }

  /// "past + seq", "2*batch".
  std::string to_string(const DimExpr& e) const;

 private:
  DimExpr opaque(const std::string& operation, const DimExpr& a, const DimExpr& b);
  bool is_cut_of(const DimExpr& e, const DimExpr& whole) const;
  std::vector<std::string> names_;
  std::unordered_map<std::string, DimExpr::Atom> by_name_;
  std::unordered_map<DimExpr::Atom, std::pair<DimExpr, DimExpr>> minima_;
};

}  // namespace ashlar::ops
