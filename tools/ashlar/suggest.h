// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ashlar::cli {

/// "; did you mean 'x'?" with the candidate of the smallest edit distance where one is near, else "; there are: a, b, c" (at
/// most eight of them), else empty.
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

}  // namespace ashlar::cli
