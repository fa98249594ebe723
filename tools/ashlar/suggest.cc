// SPDX-License-Identifier: Apache-2.0
#include "suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <fmt/format.h>

namespace ashlar::cli {
namespace {

// Insertions, deletions, substitutions and swaps of neighbours that lead from a to b; long texts cut.
std::size_t distance(std::string_view a, std::string_view b) {
  constexpr std::size_t kLongest = 256;
  a = a.substr(0, kLongest);
  b = b.substr(0, kLongest);
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above.back();
}

}  // namespace

std::string suggestion(std::string_view name, std::span<const std::string> candidates) {
  constexpr std::size_t kListed = 8;
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const std::string& c : candidates) {
    const std::size_t d = distance(name, c);
    const std::size_t near = std::max<std::size_t>(1, std::max(name.size(), c.size()) / 3);
    if (d <= near && (!best || d < best_distance)) {
      best = &c;
      best_distance = d;
    }
  }
  if (best) return fmt::format("; did you mean '{}'?", *best);
  if (candidates.empty()) return "";
  const std::size_t listed = std::min(kListed, candidates.size());
  return fmt::format("; there are: {}{}", fmt::join(candidates.first(listed), ", "), listed < candidates.size() ? ", ..." : "");
}

}  // namespace ashlar::cli
