// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace ashlar::core {

/// Read-only private mappings of files, whose pages can leave memory at any time because the file gives them back. Thread-safe.
void add_mapped_pages(const void* begin, std::size_t bytes);
void remove_mapped_pages(const void* begin);

/// Lets the whole pages inside the range leave memory where it lies in such a mapping, else nothing. What is read there later
/// comes from the file again.
void release_mapped_pages(const void* begin, std::size_t bytes) noexcept;

}  // namespace ashlar::core
