// SPDX-License-Identifier: Apache-2.0
#include "suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <fmt/format.h>

namespace ashlar::cli {
namespace {

// Levenshtein's distance, long texts cut.
std::size_t distance(std::string_view a, std::string_view b) {
  constexpr std::size_t kLongest = 256;
  a = a.substr(0, kLongest);
  b = b.substr(0, kLongest);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
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
