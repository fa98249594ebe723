// SPDX-License-Identifier: Apache-2.0
#include "utf8.h"

#include <cstddef>

namespace ashlar::cli {
namespace {

constexpr char32_t kReplacement = 0xfffd;

bool is_point(char32_t p) { return p <= 0x10ffff && (p < 0xd800 || p > 0xdfff); }

std::string cleaned(std::string_view text, bool lines) {
  std::string out;
  for (char32_t p : utf8_points(text)) {
    const bool control = p < 0x20 || (p >= 0x7f && p < 0xa0);
    const bool kept = !control || (lines && (p == '\n' || p == '\t'));
    append_utf8(out, kept ? p : kReplacement);
  }
  return out;
}

}  // namespace

void append_utf8(std::string& text, char32_t point) {
  if (!is_point(point)) point = kReplacement;
  const auto put = [&](char32_t lead, int tail) {
    text += static_cast<char>(lead | (point >> (6 * tail)));
    while (tail-- > 0) text += static_cast<char>(0x80 | ((point >> (6 * tail)) & 0x3f));
  };
  if (point < 0x80) put(0, 0);
  else if (point < 0x800) put(0xc0, 1);
  else if (point < 0x10000) put(0xe0, 2);
  else put(0xf0, 3);
}

std::vector<char32_t> utf8_points(std::string_view text) {
  std::vector<char32_t> points;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t tail = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : lead >> 3 == 30 ? 3 : 4;
    char32_t point = tail == 0 ? lead : lead & (0x3fu >> tail);
    bool valid = tail <= 3 && i + tail < text.size();
    for (std::size_t k = 1; valid && k <= tail; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      valid = next >> 6 == 2;
      point = point << 6 | (next & 0x3f);
    }
    constexpr char32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    valid = valid && is_point(point) && point >= kSmallest[tail];
    points.push_back(valid ? point : kReplacement);
    i += valid ? tail + 1 : 1;
  }
  return points;
}

std::string printable(std::string_view text) { return cleaned(text, false); }
std::string printable_lines(std::string_view text) { return cleaned(text, true); }

}  // namespace ashlar::cli
