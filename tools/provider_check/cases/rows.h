// SPDX-License-Identifier: Apache-2.0
// The table of what is compared: a row for every operator, and one for every kind of chain of operators.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "draw.h"

namespace ashlar::comparison {

enum class Types { kFloats, kNumbers, kAny, kIntegers, kUnsigned, kBool, kFloat32 };

struct Row {
  const char* name;  ///< the operator, or CHAIN_chain
  void (*draw)(Draw& d, const Row& row);
  Types types = Types::kFloats;
  Fill fill = {};
  const char* reals = "";  ///< names of its float attributes, with spaces between
  double slack = 1;        ///< what a long sum may add to the tolerance, in units of 1e-5 of the output's largest magnitude
  int weight = 1;          ///< how often it is drawn
  bool ties = false;       ///< whether an integer may lie one beside, where its quotient lies halfway
};

std::span<const Row> elementwise_rows();
std::span<const Row> move_rows();
std::span<const Row> index_rows();
std::span<const Row> reduction_rows();
std::span<const Row> product_rows();
std::span<const Row> spatial_rows();
std::span<const Row> chain_rows();

std::vector<Row> all_rows();

/// One of those dtypes, float32 the simplest where it is one and half of the draws where it is one of several floats.
DType dtype(Draw& d, Types types);

}  // namespace ashlar::comparison
