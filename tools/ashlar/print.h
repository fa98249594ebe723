// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ashlar::cli {

using Json = nlohmann::ordered_json;

/// A JSON document on standard output; bytes that are no UTF-8 are replaced.
void print_json(const Json& json);

/// Rows in columns as wide as their widest cell, two spaces apart; the last column is not padded.
std::string columns(const std::vector<std::vector<std::string>>& rows, std::string_view indent = "");

/// "1.5 MiB", "312 B".
std::string bytes_text(std::uint64_t bytes);

/// A list such as "a,b" as its parts, blanks around them removed; empty text has none.
std::vector<std::string> split_list(std::string_view text);

/// "1 node", "2 nodes".
std::string counted(std::int64_t count, std::string_view what);

}  // namespace ashlar::cli
