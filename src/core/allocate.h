// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

namespace ashlar::core {

inline constexpr std::size_t kAlignment = 64;

/// Uninitialised host memory aligned to kAlignment bytes (at least one byte, so the pointer is never null on success); null when
/// it cannot be had.
std::shared_ptr<void> allocate_aligned(std::size_t bytes) noexcept;

}  // namespace ashlar::core
