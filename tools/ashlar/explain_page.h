// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "print.h"

namespace ashlar::cli {

/// Writes the report as one page that opens without a network (explain_page.html). Throws Error (kIo).
void write_page(const std::filesystem::path& file, const Json& report);

}  // namespace ashlar::cli
