// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ashlar::cli {

/// The whole of a regular file. Throws Error: kNotFound, or kIo when it cannot be read or is no regular file.
std::vector<std::byte> read_file(const std::filesystem::path& file);
std::string read_text(const std::filesystem::path& file);

/// Replaces the file. Throws Error (kIo).
void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes);

/// Creates a directory with its parents; one that exists is fine. Throws Error (kIo).
void make_directory(const std::filesystem::path& directory);

/// A name with every character that is not a letter, a digit, '.', '_' or '-' replaced by '_', a leading '.' too, cut to 120
/// characters; "_" for an empty one.
std::string safe_file_name(const std::string& name);

}  // namespace ashlar::cli
