// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace ashlar::partition {

/// Why the file cannot be loaded into this process: "it is no ELF file", "it is built for AArch64, this process is x86-64", "it ends at byte
/// 700, its contents at byte 14568". Empty where its headers show no reason; the loader may still find one. The loader itself says of another
/// architecture that there is no such file, and a file that was cut short would end the process.
std::string why_not_loadable(const std::filesystem::path& path);

}  // namespace ashlar::partition
