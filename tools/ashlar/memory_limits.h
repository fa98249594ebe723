// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ashlar::cli {

inline constexpr const char* kLimitHelp =
    "Bytes a session may take of a device's memory, SPACE=BYTES (K, M or G behind them); once for each";

/// SessionOptions::memory_limits of words such as "cuda=512M". Throws Error (kInvalidArgument) for another form.
std::map<std::string, std::uint64_t> parse_limits(const std::vector<std::string>& words);

}  // namespace ashlar::cli
