// SPDX-License-Identifier: Apache-2.0
#include "zip.h"

#include <algorithm>
#include <climits>
#include <cstdint>

#include <stb/stb_image.h>

#include "fail.h"

namespace ashlar::cli {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kEndSignature = 0x06054b50, kCentralSignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30, kLongestComment = 65535;

// Field of `size` bytes at `at`; the caller has checked that they are inside.
std::uint32_t field(Bytes bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

bool inside(Bytes bytes, std::size_t at, std::size_t size) { return at <= bytes.size() && size <= bytes.size() - at; }

std::size_t find_end(Bytes archive) {
  if (archive.size() < kEndBytes) fail("not a zip archive");
  const std::size_t last = archive.size() - kEndBytes;
  const std::size_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (std::size_t at = last + 1; at-- > first;)
    if (field(archive, at, 4) == kEndSignature) return at;
  fail("not a zip archive");
}

std::uint32_t crc32(Bytes bytes) {
  std::uint32_t table[256];
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  std::uint32_t crc = 0xffffffffu;
  for (std::byte b : bytes) crc = table[(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace

std::vector<ZipEntry> zip_entries(Bytes archive) {
  const std::size_t end = find_end(archive);
  const std::size_t count = field(archive, end + 10, 2);
  std::size_t at = field(archive, end + 16, 4);
  if (count == 0xffff || at == 0xffffffffu) fail("zip64 archives are not read");
  std::vector<ZipEntry> entries;
  for (std::size_t i = 0; i < count; ++i) {
    if (!inside(archive, at, kCentralBytes) || field(archive, at, 4) != kCentralSignature) fail("the zip directory is damaged");
    ZipEntry entry;
    entry.flags = field(archive, at + 8, 2);
    entry.method = field(archive, at + 10, 2);
    entry.crc = field(archive, at + 16, 4);
    entry.packed = field(archive, at + 20, 4);
    entry.unpacked = field(archive, at + 24, 4);
    entry.offset = field(archive, at + 42, 4);
    const std::size_t name = field(archive, at + 28, 2);
    const std::size_t skipped = name + field(archive, at + 30, 2) + field(archive, at + 32, 2);
    if (!inside(archive, at + kCentralBytes, skipped)) fail("the zip directory is damaged");
    entry.name.assign(reinterpret_cast<const char*>(archive.data()) + at + kCentralBytes, name);
    if (entry.packed == 0xffffffffu || entry.unpacked == 0xffffffffu || entry.offset == 0xffffffffu)
      fail("'{}' needs zip64, which is not read", entry.name);
    entries.push_back(std::move(entry));
    at += kCentralBytes + skipped;
  }
  return entries;
}

std::vector<std::byte> zip_read(Bytes archive, const ZipEntry& entry) {
  // No deflate stream expands further: https://zlib.net/zlib_tech.html
  constexpr std::size_t kDeflateExpansion = 1032;
  if (!inside(archive, entry.offset, kLocalBytes) || field(archive, entry.offset, 4) != kLocalSignature)
    fail("zip entry '{}' is damaged", entry.name);
  if (entry.flags & 1) fail("zip entry '{}' is encrypted", entry.name);
  const std::size_t at = entry.offset + kLocalBytes + field(archive, entry.offset + 26, 2) + field(archive, entry.offset + 28, 2);
  if (!inside(archive, at, entry.packed)) fail("zip entry '{}' is damaged", entry.name);
  const Bytes packed = archive.subspan(at, entry.packed);
  std::vector<std::byte> out;
  if (entry.method == 0) {
    if (entry.packed != entry.unpacked) fail("zip entry '{}' is damaged", entry.name);
    out.assign(packed.begin(), packed.end());
  } else if (entry.method == 8) {
    // The decoder looks past a stream's last code, which in a .png its checksum follows; here the archive's directory does.
    constexpr std::size_t kLookAhead = 4;
    if (!inside(archive, at, entry.packed + kLookAhead)) fail("zip entry '{}' is damaged", entry.name);
    if (entry.unpacked > INT_MAX || entry.packed > INT_MAX - kLookAhead)
      fail("zip entry '{}' of 2 GiB or more is not inflated", entry.name);
    if (entry.unpacked / kDeflateExpansion > entry.packed) fail("zip entry '{}' is damaged", entry.name);
    out.resize(entry.unpacked);
    const int written =
        stbi_zlib_decode_noheader_buffer(reinterpret_cast<char*>(out.data()), static_cast<int>(out.size()),
                                         reinterpret_cast<const char*>(packed.data()), static_cast<int>(packed.size() + kLookAhead));
    if (written < 0 || static_cast<std::size_t>(written) != out.size()) fail("zip entry '{}' is damaged", entry.name);
  } else {
    fail("zip entry '{}' uses compression method {}, which is not read", entry.name, entry.method);
  }
  if (crc32(out) != entry.crc) fail("zip entry '{}' is damaged: its checksum differs", entry.name);
  return out;
}

}  // namespace ashlar::cli
