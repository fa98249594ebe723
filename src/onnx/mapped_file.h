// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace ashlar::onnx {

/// A file's bytes, or bytes a caller keeps: valid as long as `owner` lives. A mapped file must not be shortened meanwhile.
struct Bytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

/// Maps a regular file read-only and private, following symbolic links. Throws Error: kNotFound when it does not exist, kIo when
/// it is a directory, another kind of file, or may not be read.
Bytes map_file(const std::filesystem::path& file);

/// So many bytes of zeros, which take no memory until they are written; `name` stands for them in errors. Throws Error (kOutOfMemory).
Bytes zeros(std::uint64_t bytes, const std::string& name);

/// The same of an open descriptor, which stays the caller's; `name` stands for it in errors.
Bytes map_descriptor(int descriptor, const std::string& name);

}  // namespace ashlar::onnx
