// SPDX-License-Identifier: Apache-2.0
#include "core/allocate.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#include "core/machine.h"

namespace ashlar::core {

namespace {

/// From this size on the system is asked first: Linux promises memory it does not have, and then ends the process.
constexpr std::size_t kLarge = std::size_t{256} << 20;

}  // namespace

std::shared_ptr<void> allocate_aligned(std::size_t bytes) noexcept {
  if (bytes > SIZE_MAX / 2) return nullptr;
  if (bytes >= kLarge && bytes > available_bytes()) return nullptr;
  const std::size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;
  void* p = std::aligned_alloc(kAlignment, rounded);
  if (!p) return nullptr;
  try {
    return {p, [](void* q) { std::free(q); }};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace ashlar::core
