// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <ashlar/model.h>
#include <ashlar/value.h>

#include "dims.h"

namespace ashlar::cli {

/// A value written out as JSON: numbers, true, false and strings, nested lists for tensors (which must not be ragged), a list of
/// values for a sequence, null for an absent optional; [real, imaginary] is a complex element. A single number serves an input
/// whose dimensions are all 1 or unknown, and a flat list serves any known shape of as many elements. Throws Error
/// (kInvalidArgument).
Value parse_literal(std::string_view text, const ValueType& type, const KnownShape& known);

/// Numbers separated by blanks, commas or newlines, as a tensor of the known shape. Throws Error (kInvalidArgument).
Tensor parse_numbers(std::string_view text, DType dtype, const KnownShape& known);

}  // namespace ashlar::cli
