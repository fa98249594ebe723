// SPDX-License-Identifier: Apache-2.0
// What verdicts often ask: of which dtype and rank the inputs are.
#pragma once

#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// Bytes an element takes; 0 for strings, and for dtypes that are packed into less than a byte.
inline std::int64_t element_bytes(DType dtype) {
  static constexpr std::int8_t kBytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1};
  const auto i = static_cast<std::size_t>(dtype);
  return i < std::size(kBytes) ? kBytes[i] : 0;
}

/// Refuses a node unless those of its first `count` inputs that are there have one dtype, that `takes` answers true to, and a rank in [least,
/// most]. An unknown rank is below every other.
template <class Takes> Verdict require_inputs(const NodeView& node, int count, Takes takes, int least = -1, int most = ASHLAR_MAX_RANK) {
  for (int i = 0; i < std::min(count, node.input_count()); ++i) {
    if (!node.has_input(i)) continue;
    const DType dtype = node.input(i).dtype(), first = node.input(0).dtype();
    const int rank = node.input(i).rank();
    ASHLAR_REQUIRE(takes(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " has no kernel for input ", i, " of ", dtype_name(dtype));
    ASHLAR_REQUIRE(dtype == first, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", dtype_name(first), " has no kernel for input ", i,
                   " of ", dtype_name(dtype));
    ASHLAR_REQUIRE(rank >= 0 || least < 0, ASHLAR_UNKNOWN_SHAPE, node.op_type(), " has no kernel for input ", i, " of unknown rank");
    ASHLAR_REQUIRE(rank >= least && rank <= most, ASHLAR_RANK, node.op_type(), " has no kernel for input ", i, " of rank ", rank);
  }
  return accept();
}

}  // namespace ashlar::provider
