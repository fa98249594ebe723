// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <fmt/format.h>

#include <ashlar/error.h>

namespace ashlar::cli {

/// Throws Error with a formatted message.
template <class... Args> [[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// The common case: the caller passed something that cannot be right.
template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ashlar::cli
