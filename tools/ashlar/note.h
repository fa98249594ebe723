// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "utf8.h"

namespace ashlar::cli {

/// A line on standard error that is no error: what was assumed or found.
template <class... Args> void note(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stderr, "ashlar: note: {}\n", printable(fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace ashlar::cli
