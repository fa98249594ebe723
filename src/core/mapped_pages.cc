// SPDX-License-Identifier: Apache-2.0
#include "core/mapped_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <mutex>

namespace ashlar::core {
namespace {

struct Mappings {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> bytes;
};

/// Never destroyed: a mapping may be removed when the process ends.
Mappings& mappings() {
  static auto* instance = new Mappings;
  return *instance;
}

}  // namespace

void add_mapped_pages(const void* begin, std::size_t bytes) {
  const std::lock_guard lock(mappings().mutex);
  mappings().bytes[reinterpret_cast<std::uintptr_t>(begin)] = bytes;
}

void remove_mapped_pages(const void* begin) {
  const std::lock_guard lock(mappings().mutex);
  mappings().bytes.erase(reinterpret_cast<std::uintptr_t>(begin));
}

void release_mapped_pages(const void* begin, std::size_t bytes) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t from = (first + page - 1) / page * page, to = (first + bytes) / page * page;
  if (to <= from) return;
  const std::lock_guard lock(mappings().mutex);
  auto mapping = mappings().bytes.upper_bound(first);
  if (mapping == mappings().bytes.begin()) return;
  --mapping;
  if (first + bytes <= mapping->first + mapping->second) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

}  // namespace ashlar::core
