// SPDX-License-Identifier: Apache-2.0
#include "memory_limits.h"

#include <charconv>
#include <string_view>

#include "fail.h"

namespace ashlar::cli {

std::map<std::string, std::uint64_t> parse_limits(const std::vector<std::string>& words) {
  std::map<std::string, std::uint64_t> limits;
  for (const std::string& word : words) {
    const std::size_t equals = word.rfind('=');
    const std::string_view text = equals == word.npos ? std::string_view() : std::string_view(word).substr(equals + 1);
    std::uint64_t bytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
    if (equals == 0 || text.empty() || error != std::errc() || shift < 0 || bytes > UINT64_MAX >> shift)
      fail("--memory-limit is SPACE=BYTES, such as cuda=512M, got '{}'", word);
    limits[word.substr(0, equals)] = bytes << shift;
  }
  return limits;
}

}  // namespace ashlar::cli
