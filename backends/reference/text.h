// SPDX-License-Identifier: Apache-2.0
// UTF-8 and letter case. A byte that is not part of a valid sequence stands for the code point U+FFFD.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ashlar::reference {

/// The code point at `at`, which moves behind it. `at` must be below text.size().
inline char32_t next_code_point(std::string_view text, std::size_t& at) {
  constexpr char32_t kInvalid = 0xFFFD;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at++);
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < static_cast<std::size_t>(more)) return kInvalid;
  char32_t code = first & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    const unsigned char next = byte(at + static_cast<std::size_t>(i));
    if ((next & 0xC0) != 0x80) return kInvalid;
    code = code << 6 | (next & 0x3F);
  }
  if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return kInvalid;
  at += static_cast<std::size_t>(more);
  return code;
}

inline void append_code_point(std::string& text, char32_t code) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code < 0x80) return push(code);
  if (code < 0x800) {
    push(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    push(0xE0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3F));
  } else {
    push(0xF0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3F));
    push(0x80 | (code >> 6 & 0x3F));
  }
  push(0x80 | (code & 0x3F));
}

/// The other case of the common Latin, Greek, Cyrillic and Armenian letters by Unicode's simple case mapping; all else as
/// it is. `upper` says which case is wanted.
inline char32_t to_case(char32_t code, bool upper) {
  struct Range {
    char32_t first, last;  // of the capitals
    char32_t distance;     // to the small letter; 1: capitals and small letters alternate from `first` on
  };
  static constexpr Range kRanges[] = {{'A', 'Z', 32},      {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},   {0x100, 0x12E, 1},  {0x132, 0x136, 1},
                                      {0x139, 0x147, 1},   {0x14A, 0x176, 1},  {0x179, 0x17D, 1},  {0x386, 0x386, 38}, {0x388, 0x38A, 37},
                                      {0x38C, 0x38C, 64},  {0x38E, 0x38F, 63}, {0x391, 0x3A1, 32}, {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80},
                                      {0x410, 0x42F, 32},  {0x460, 0x480, 1},  {0x48A, 0x4BE, 1},  {0x4D0, 0x52E, 1},  {0x531, 0x556, 48},
                                      {0x1E00, 0x1E94, 1}, {0x1EA0, 0x1EFE, 1}};
  for (const Range& r : kRanges) {
    const char32_t base = upper ? r.first + r.distance : r.first;
    const char32_t end = upper ? r.last + r.distance : r.last;
    if (code < base || code > end || (r.distance == 1 && (code - base) % 2 != 0)) continue;
    return upper ? code - r.distance : code + r.distance;
  }
  return code;
}

inline std::string to_case(std::string_view text, bool upper) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = next_code_point(text, at);
    const char32_t other = to_case(code, upper);
    if (other == code) {
      out.append(text.substr(start, at - start));
    } else {
      append_code_point(out, other);
    }
  }
  return out;
}

}  // namespace ashlar::reference
