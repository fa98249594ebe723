// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <fstream>
#include <system_error>

#include "fail.h"

namespace ashlar::cli {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail_file(ErrorCode code, const std::string& message, const fs::path& file) {
  throw Error(code, message, {.file = file.string()});
}

template <class Container> Container read_as(const fs::path& file) {
  std::error_code code;
  const fs::file_status status = fs::status(file, code);
  if (status.type() == fs::file_type::not_found) fail_file(ErrorCode::kNotFound, "no such file", file);
  if (!fs::is_regular_file(status)) fail_file(ErrorCode::kIo, "not a regular file", file);
  const std::uintmax_t size = fs::file_size(file, code);
  std::ifstream in(file, std::ios::binary);
  if (code || !in) fail_file(ErrorCode::kIo, "cannot be opened", file);
  Container bytes;
  bytes.resize(size);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(in.gcount()) != size) fail_file(ErrorCode::kIo, "could not be read to its end", file);
  return bytes;
}

}  // namespace

std::vector<std::byte> read_file(const fs::path& file) { return read_as<std::vector<std::byte>>(file); }
std::string read_text(const fs::path& file) { return read_as<std::string>(file); }

void write_file(const fs::path& file, std::span<const std::byte> bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) fail_file(ErrorCode::kIo, "cannot be written", file);
}

void make_directory(const fs::path& directory) {
  std::error_code code;
  fs::create_directories(directory, code);
  if (code || !fs::is_directory(directory, code)) fail_file(ErrorCode::kIo, "cannot be created as a directory", directory);
}

std::string safe_file_name(const std::string& name) {
  constexpr std::size_t kLongest = 120;
  std::string safe = name.substr(0, kLongest);
  for (char& c : safe) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!kept) c = '_';
  }
  if (safe.empty()) return "_";
  if (safe.front() == '.') safe.front() = '_';
  return safe;
}

}  // namespace ashlar::cli
