// SPDX-License-Identifier: Apache-2.0
// Inputs that an output extends in the same storage, such as a decoder's cache of keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plan/plan.h"

namespace ashlar::plan {

/// The k-th of a step's growths.
inline const AshlarGrowth& growth(const AshlarStep& step, std::uint32_t k) {
  return *reinterpret_cast<const AshlarGrowth*>(reinterpret_cast<const char*>(step.growths) + std::size_t{k} * step.growth_stride);
}

struct FoundGrowth {
  std::optional<std::uint32_t> axis;  ///< along which the output extends the input where that lies
  std::string reason;                 ///< why it does not, where it has none: a sentence
};

/// Whether a run may write output number `output` of the graph into the storage of input number `input`, which it extends.
FoundGrowth find_growth(const Plan& plan, std::size_t input, std::size_t output);

}  // namespace ashlar::plan
