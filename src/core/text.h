// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::core {

/// The candidate with the smallest edit distance to `name`, or empty when none is near (within a third of the longer length, and
/// at least within one edit).
std::string nearest(std::string_view name, std::span<const std::string> candidates);

/// "; did you mean 'x'?" with the nearest candidate, else "; there are: a, b, c" (at most eight of them), else empty.
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

/// A copy of a file's or caller's text for use in a message: control bytes and invalid UTF-8 become '?', long text is cut.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace ashlar::core
