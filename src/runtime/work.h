// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/region.h"

namespace ashlar::runtime {

/// What a provider's step has to do for the shapes it is bound to.
struct Work {
  double operations = 0;  ///< ops::operations of its nodes; what lies between two of them counts where its shape follows from the operands'
  std::uint64_t bytes_read = 0;  ///< of inputs and of constants, which it may have packed; of a table it picks from, what it picks
};
Work work_of(const plan::Plan& plan, const BoundStep& bound);

}  // namespace ashlar::runtime
