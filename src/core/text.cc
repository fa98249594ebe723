// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <algorithm>
#include <numeric>

namespace ashlar::core {
namespace {

/// Insertions, deletions, substitutions and swaps of neighbours that lead from a to b (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::size_t utf8_length(std::string_view s) {
  const auto lead = static_cast<unsigned char>(s[0]);
  const std::size_t n = lead < 0x80                   ? 1
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (n == 0 || n > s.size()) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((static_cast<unsigned char>(s[i]) & 0xc0) != 0x80) return 0;
  return n;
}

}  // namespace

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  constexpr std::size_t kLongest = 128;
  std::string best;
  std::size_t best_distance = std::string_view::npos;
  if (name.size() > kLongest) return best;
  for (const std::string& c : candidates) {
    if (c.size() > kLongest) continue;
    const std::size_t distance = edit_distance(name, c);
    if (distance <= std::max<std::size_t>(1, std::max(name.size(), c.size()) / 3) && distance < best_distance) {
      best = c;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string> candidates) {
  if (const std::string near = nearest(name, candidates); !near.empty()) return "; did you mean '" + printable(near) + "'?";
  if (candidates.empty()) return "";
  std::string out = "; there are: ";
  for (std::size_t i = 0; i < candidates.size() && i < 8; ++i) out += (i ? ", " : "") + printable(candidates[i]);
  return out + (candidates.size() > 8 ? ", ..." : "");
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "...";
    const std::size_t n = utf8_length(text.substr(i));
    if (n == 0 || (n == 1 && (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f))) {
      out += '?';
      ++i;
    } else {
      out += text.substr(i, n);
      i += n;
    }
  }
  return out;
}

}  // namespace ashlar::core
