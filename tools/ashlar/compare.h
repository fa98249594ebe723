// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <ashlar/value.h>

namespace ashlar::cli {

/// A float may differ from what is expected by atol + rtol * |expected|. NaN equals NaN and an infinity itself; integers, bools
/// and strings must be equal.
struct Tolerance {
  double rtol = 1e-3, atol = 1e-7;
  double least_bfloat16_rtol = 0;  ///< rtol for bfloat16 where that is smaller
};

/// How a value differs from the expected one.
struct Difference {
  std::string place;   ///< where inside a sequence, optional or map, such as "[2]"; empty for a tensor
  std::string reason;  ///< for a differing kind, dtype, shape or length: the sentence; empty when elements differ

  // When elements differ:
  std::int64_t differing = 0, elements = 0;  ///< how many lie outside the tolerance, of how many
  std::string index;                         ///< of the element furthest outside, such as "[0,3]"
  std::string actual, expected;              ///< that element
  bool numeric = false;
  double max_abs = 0, max_rel = 0;  ///< over all finite pairs; infinite where one side is not finite

  /// All of it in one sentence.
  std::string to_string() const;
};

/// Nothing when the values agree. The first element of a sequence, optional or map that differs is the one reported.
std::optional<Difference> compare(const Value& actual, const Value& expected, const Tolerance& tolerance);

}  // namespace ashlar::cli
