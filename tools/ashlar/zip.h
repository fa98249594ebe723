// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::cli {

/// A file inside a zip archive, as its central directory lists it.
struct ZipEntry {
  std::string name;
  unsigned method = 0;  ///< 0 stored, 8 deflate
  unsigned flags = 0;
  unsigned crc = 0;
  std::size_t packed = 0, unpacked = 0, offset = 0;
};

/// The entries of an archive below 4 GiB (.ZIP File Format Specification 6.3, sections 4.3 and 4.4). Throws Error
/// (kInvalidArgument) for what is no zip archive, is damaged, or needs zip64.
std::vector<ZipEntry> zip_entries(std::span<const std::byte> archive);

/// The contents of an entry, its CRC-32 checked. Throws Error (kInvalidArgument) for damage, encryption and other methods.
std::vector<std::byte> zip_read(std::span<const std::byte> archive, const ZipEntry& entry);

}  // namespace ashlar::cli
