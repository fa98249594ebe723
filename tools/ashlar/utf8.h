// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ashlar::cli {

/// Appends a code point; one that is none becomes U+FFFD.
void append_utf8(std::string& text, char32_t point);

/// The code points of UTF-8 text; each byte that is not part of a valid sequence becomes U+FFFD.
std::vector<char32_t> utf8_points(std::string_view text);

/// Text from a file or a model made fit for a terminal: control characters and invalid bytes become U+FFFD.
std::string printable(std::string_view text);
/// The same for text of many lines: newlines and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace ashlar::cli
