// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/region.h"

namespace ashlar::runtime {

inline constexpr std::uint32_t kUnstored = 0xffffffffu;

/// What is known of a slot's value while a region binds.
struct Region::Known {
  enum class Place { kConstant, kHost, kExternal, kStored };
  std::uint32_t generation = 0;  ///< of the binding that this belongs to
  Place place = Place::kConstant;
  std::uint32_t index = 0;   ///< of the constant, the host value or the external; of a stored one its member in the storage
  std::uint32_t writer = 0;  ///< of a stored one: the step that gives it
  std::uint64_t offset = 0;  ///< in what `index` names; 0 for a stored one
  DType dtype = DType::kUndefined;
  int rank = 0;
  const std::int64_t* dims = nullptr;
  std::uint64_t count = 0, bytes = 0, layout = 0;
  std::int64_t room = 0;  ///< AshlarTensor::room
};

}  // namespace ashlar::runtime
