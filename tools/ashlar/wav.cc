// SPDX-License-Identifier: Apache-2.0
#include "wav.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "fail.h"

namespace ashlar::cli {
namespace {

using Bytes = std::span<const std::byte>;

constexpr unsigned kPcm = 1, kFloat = 3, kExtensible = 0xfffe;

std::uint64_t little(Bytes bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

bool tagged(Bytes bytes, std::string_view tag) { return std::memcmp(bytes.data(), tag.data(), tag.size()) == 0; }

struct Format {
  unsigned code = 0, channels = 0, rate = 0, frame_bytes = 0, bits = 0;
};

Format read_format(Bytes chunk) {
  if (chunk.size() < 16) fail("the WAV format chunk is damaged");
  Format f;
  f.code = static_cast<unsigned>(little(chunk.subspan(0, 2)));
  f.channels = static_cast<unsigned>(little(chunk.subspan(2, 2)));
  f.rate = static_cast<unsigned>(little(chunk.subspan(4, 4)));
  f.frame_bytes = static_cast<unsigned>(little(chunk.subspan(12, 2)));
  f.bits = static_cast<unsigned>(little(chunk.subspan(14, 2)));
  if (f.code == kExtensible) {
    if (chunk.size() < 26) fail("the WAV format chunk is damaged");
    f.code = static_cast<unsigned>(little(chunk.subspan(24, 2)));
  }
  const bool pcm = f.code == kPcm && (f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32);
  const bool floating = f.code == kFloat && (f.bits == 32 || f.bits == 64);
  if (!pcm && !floating) fail("WAV format {} with {} bits is not read; PCM of 8, 16, 24 or 32 and floats of 32 or 64 are", f.code, f.bits);
  if (f.channels == 0 || f.rate == 0 || f.rate > INT32_MAX || f.frame_bytes != f.channels * (f.bits / 8))
    fail("the WAV format chunk contradicts itself");
  return f;
}

double sample(const Format& f, Bytes bytes) {
  const std::uint64_t raw = little(bytes);
  if (f.code == kFloat) return f.bits == 32 ? std::bit_cast<float>(static_cast<std::uint32_t>(raw)) : std::bit_cast<double>(raw);
  if (f.bits == 8) return (static_cast<double>(raw) - 128) / 128;
  const double scale = static_cast<double>(std::uint64_t{1} << (f.bits - 1));
  const auto value = static_cast<double>(raw);
  return (value >= scale ? value - 2 * scale : value) / scale;
}

}  // namespace

Sound parse_wav(Bytes bytes) {
  if (bytes.size() < 12 || !tagged(bytes, "RIFF") || !tagged(bytes.subspan(8), "WAVE")) fail("not a RIFF/WAVE file");
  bytes = bytes.subspan(12);
  Format format;
  while (bytes.size() >= 8) {
    const Bytes head = bytes.first(8);
    const std::size_t declared = little(head.subspan(4, 4));
    bytes = bytes.subspan(8);
    const Bytes chunk = bytes.first(std::min(declared, bytes.size()));
    if (tagged(head, "fmt ")) {
      format = read_format(chunk);
    } else if (tagged(head, "data")) {
      if (format.channels == 0) fail("the WAV file's data comes before its format");
      Sound sound{static_cast<int>(format.rate), static_cast<int>(format.channels), {}};
      const std::size_t width = format.bits / 8;
      sound.samples.reserve(chunk.size() / format.frame_bytes);
      for (std::size_t at = 0; at + format.frame_bytes <= chunk.size(); at += format.frame_bytes) {
        double sum = 0;
        for (std::size_t c = 0; c < format.channels; ++c) sum += sample(format, chunk.subspan(at + c * width, width));
        sound.samples.push_back(static_cast<float>(sum / format.channels));
      }
      return sound;
    }
    bytes = bytes.subspan(std::min(bytes.size(), declared + declared % 2));
  }
  fail("the WAV file holds no {}", format.channels == 0 ? "format" : "data");
}

}  // namespace ashlar::cli
