// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/optimizer/claims.h"

namespace ashlar::ops {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

/// Random expressions over three symbols, built beside their values.
class DimExprRandom : public ::testing::Test {
 protected:
  struct Known {
    DimExpr e;
    std::int64_t value;
  };
  DimTable table;
  std::map<std::string, std::int64_t> symbols;
  std::mt19937 rng{11};

  std::int64_t below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(rng); }
  void draw_symbols() {
    for (const char* name : {"a", "b", "c"}) symbols[name] = below(5);
  }
  Known leaf() {
    if (below(2)) {
      const std::int64_t v = below(7) - 2;
      return {DimExpr(v), v};
    }
    const std::string name(1, "abc"[below(3)]);
    return {table.symbol(name), symbols[name]};
  }
  /// Sums and products of leaves.
  Known polynomial(int depth) {
    if (depth == 0) return leaf();
    const Known x = polynomial(depth - 1), y = polynomial(depth - 1);
    const bool sum = below(2);
    const auto e = sum ? DimExpr::add(x.e, y.e) : DimExpr::multiply(x.e, y.e);
    if (!e) return leaf();
    return {*e, sum ? x.value + y.value : x.value * y.value};
  }
  std::int64_t evaluated(const DimExpr& e) { return testing::Bindings(table, symbols).value(e).value(); }
};

TEST_F(DimExprRandom, PolynomialsAreWhatTheyAreBuiltOf) {
  for (int i = 0; i < 3000; ++i) {
    draw_symbols();
    const Known k = polynomial(3);
    ASSERT_EQ(evaluated(k.e), k.value) << table.to_string(k.e);
    if (const auto fixed = k.e.value()) {
      ASSERT_EQ(*fixed, k.value);
    }
    for (const std::int64_t least : {-3, 0, 1, 4})
      if (k.e.at_least(least)) {
        ASSERT_GE(k.value, least) << table.to_string(k.e);
      }
  }
}

TEST_F(DimExprRandom, EqualPolynomialsCompareEqual) {
  int distributed = 0;
  for (int i = 0; i < 2000; ++i) {
    draw_symbols();
    const DimExpr x = polynomial(2).e, y = polynomial(2).e, z = polynomial(1).e;
    ASSERT_EQ(DimExpr::add(x, y), DimExpr::add(y, x));
    ASSERT_EQ(DimExpr::multiply(x, y), DimExpr::multiply(y, x));
    ASSERT_TRUE(table.subtract(x, x)->is(0));
    const auto sum = DimExpr::add(x, y);
    const auto left = sum ? DimExpr::multiply(*sum, z) : std::nullopt, xz = DimExpr::multiply(x, z), yz = DimExpr::multiply(y, z);
    if (!left || !xz || !yz) continue;
    ASSERT_EQ(*left, *DimExpr::add(*xz, *yz));
    ++distributed;
  }
  EXPECT_GT(distributed, 1500);
}

TEST_F(DimExprRandom, QuotientsAndExtremesAreWhatTheyStandFor) {
  int divided = 0, compared = 0;
  for (int i = 0; i < 5000; ++i) {
    draw_symbols();
    const Known x = polynomial(2), y = polynomial(1 + static_cast<int>(below(2)));
    if (const auto q = table.floor_divide(x.e, y.e)) {
      ASSERT_GE(y.value, 1);
      ASSERT_EQ(evaluated(*q), x.value / y.value) << table.to_string(x.e) << " by " << table.to_string(y.e);
      ++divided;
    }
    if (const auto exact = DimExpr::divide(x.e, y.e); exact && y.value != 0) {
      ASSERT_EQ(evaluated(*exact) * y.value, x.value);
    }
    if (const auto m = table.maximum(x.e, y.e)) {
      ASSERT_EQ(evaluated(*m), std::max(x.value, y.value)) << table.to_string(x.e) << " and " << table.to_string(y.e);
      ++compared;
    }
    if (const auto m = table.minimum(x.e, y.e)) {
      ASSERT_EQ(evaluated(*m), std::min(x.value, y.value)) << table.to_string(x.e) << " and " << table.to_string(y.e);
    }
    if (x.value >= 0 && y.value >= 0 && (x.value == y.value || x.value == 1)) {
      ASSERT_EQ(evaluated(table.broadcast(x.e, y.e)), y.value) << table.to_string(x.e) << " and " << table.to_string(y.e);
      ASSERT_EQ(table.broadcast(x.e, y.e), table.broadcast(y.e, x.e));
    }
  }
  EXPECT_GT(divided, 500);
  EXPECT_GT(compared, 1000);
}

TEST(DimTable, WritesExpressionsForPeople) {
  DimTable t;
  const DimExpr past = t.symbol("past"), seq = t.symbol("seq");
  EXPECT_EQ(t.to_string(DimExpr(0)), "0");
  EXPECT_EQ(t.to_string(DimExpr(-4)), "-4");
  EXPECT_EQ(t.to_string(past), "past");
  EXPECT_EQ(t.to_string(*t.add(past, seq)), "past + seq");
  EXPECT_EQ(t.to_string(*t.subtract(seq, past)), "-past + seq");
  EXPECT_EQ(t.to_string(*t.add(*t.multiply(DimExpr(2), *t.multiply(seq, past)), DimExpr(-1))), "2*past*seq - 1");
  EXPECT_EQ(t.to_string(*t.floor_divide(seq, DimExpr(2))), "div(seq,2)");
}

TEST(DimTable, TheSameOperationIsTheSameAtom) {
  DimTable t;
  const DimExpr a = t.symbol("a"), b = t.symbol("b");
  EXPECT_EQ(t.symbol("a"), a);
  EXPECT_EQ(t.maximum(a, b), t.maximum(b, a));
  EXPECT_EQ(t.minimum(a, b), t.minimum(b, a));
  EXPECT_EQ(t.floor_divide(a, DimExpr(3)), t.floor_divide(a, DimExpr(3)));
  EXPECT_NE(t.floor_divide(a, DimExpr(3)), t.floor_divide(a, DimExpr(2)));
  EXPECT_NE(t.fresh(), t.fresh());
  EXPECT_EQ(t.maximum(a, DimExpr(0)), a);
  EXPECT_EQ(t.minimum(a, *t.add(a, DimExpr(2))), a);
  EXPECT_EQ(t.floor_divide(*t.multiply(a, DimExpr(6)), DimExpr(3)), t.multiply(a, DimExpr(2)));
}

TEST(DimTable, FreshAtomsTakeNoNameThatIsThere) {
  DimTable t;
  const DimExpr named = t.symbol("d1");
  EXPECT_NE(t.fresh(), named);
}

TEST(DimTable, NewAtomsAreTold) {
  DimTable t;
  const DimExpr old = t.symbol("old");
  const std::size_t before = t.size();
  const DimExpr made = t.fresh();
  EXPECT_FALSE(t.is_new(old, before));
  EXPECT_TRUE(t.is_new(made, before));
  EXPECT_FALSE(t.is_new(*t.add(made, DimExpr(1)), before));
  EXPECT_FALSE(t.is_new(*t.multiply(made, DimExpr(2)), before));
  EXPECT_FALSE(t.is_new(DimExpr(3), before));
}

TEST(DimTable, WhatDoesNotFitIsNotClaimed) {
  DimTable t;
  const DimExpr a = t.symbol("a");
  EXPECT_EQ(DimExpr::add(DimExpr(kMost), DimExpr(1)), std::nullopt);
  EXPECT_EQ(DimExpr::multiply(DimExpr(kMost), DimExpr(2)), std::nullopt);
  EXPECT_EQ(t.floor_divide(a, DimExpr(0)), std::nullopt);
  EXPECT_EQ(t.floor_divide(a, a), std::nullopt) << "it may be 0";
  EXPECT_EQ(t.floor_divide(*t.subtract(a, DimExpr(1)), DimExpr(2)), std::nullopt) << "it may be below 0";
  DimTable::Result power = a;
  for (int i = 0; i < 20 && power; ++i) power = DimExpr::multiply(*power, a);
  EXPECT_EQ(power, std::nullopt);
}

}  // namespace
}  // namespace ashlar::ops
