// SPDX-License-Identifier: Apache-2.0
// Conditions that patterns share. Each says why not by Match::fail.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "optimizer/pattern.h"

namespace ashlar::optimizer {

/// Whether the name is a constant of one finite number that, beside the other value, adds no dimensions.
bool is_number(Match& match, std::string_view name, std::string_view beside);

/// Whether the value's dtype is float32, float16 or bfloat16: the dtypes whose statistics the standard's normalizations compute in float32.
bool is_float(Match& match, std::string_view name);

/// The name's constant axes among `rank` dimensions, in order.
std::optional<std::vector<std::size_t>> axes(Match& match, std::string_view name, std::size_t rank);

/// Whether the name is a constant that, broadcast over `rank` dimensions, has `sizes` along `along` and 1 along all others.
bool is_parameter(Match& match, std::string_view name, std::size_t rank, const std::vector<std::size_t>& along,
                  const std::vector<std::int64_t>& sizes);

/// "Add_29 [batch,seq,768]": for messages.
std::string with_shape(const Match& match, std::string_view name);

/// Names the constant under another shape of as many elements: a view of the same bytes.
void reshape_constant(Match& match, Patch& patch, std::string_view name, const std::vector<std::int64_t>& dims, std::string as);

/// A constant full of ones.
Tensor ones(DType dtype, const std::vector<std::int64_t>& dims);

}  // namespace ashlar::optimizer
