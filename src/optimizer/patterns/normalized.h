// SPDX-License-Identifier: Apache-2.0
// What the patterns of LayerNormalization and RMSNormalization share: x is normalised over some axes, "Eps" is added to a mean.
#pragma once

#include <initializer_list>

#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {

struct Normalized {
  std::vector<std::size_t> axes;
  std::vector<std::int64_t> sizes;  ///< of x along the axes; empty where one is not known
  bool trailing = false;            ///< the axes are x's last ones
  std::int64_t axis = -1;           ///< where they are: the first, counted from the end
  std::size_t rank = 0;
};

/// The axes of x that the name's constant stands for, with "epsilon" set to the number "Eps". Nothing, and Match::fail, for a constant that is none,
/// an epsilon that is not one number, an x whose rank is not known, or one of a dtype without a standard normalization.
std::optional<Normalized> normalized(Match& match, std::string_view axes);

/// Whether the names that are there, constants, have the shape of what is normalised; where one is left out, whether that shape is known.
bool has_parameters(Match& match, const Normalized& found, std::initializer_list<std::string_view> names);

/// Names the constant, in the shape of what is normalised, `as`: one made of `fill` (0 or 1) where `name` is left out.
void set_parameter(Match& match, Patch& patch, const Normalized& found, std::string_view name, std::string as, int fill);

}  // namespace ashlar::optimizer
