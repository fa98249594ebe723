// SPDX-License-Identifier: Apache-2.0
#include "onnx/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <ashlar/error.h>

#include "core/mapped_pages.h"
#include "core/text.h"

namespace ashlar::onnx {
namespace {

[[noreturn]] void fail(ErrorCode code, const std::string& message, const std::string& name) {
  ErrorContext context;
  context.file = name;
  throw Error(code, message, std::move(context));
}

std::string system_message(int error) { return std::generic_category().message(error); }

}  // namespace

Bytes map_descriptor(int descriptor, const std::string& name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(ErrorCode::kIo, "cannot be examined: " + system_message(errno), name);
  if (S_ISDIR(status.st_mode)) fail(ErrorCode::kIo, "is a directory, not a file", name);
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::kIo, "is not a regular file", name);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) fail(ErrorCode::kIo, "cannot be mapped: " + system_message(errno), name);
  std::shared_ptr<const void> owner(data, [size](const void* p) {
    core::remove_mapped_pages(p);
    ::munmap(const_cast<void*>(p), size);
  });
  core::add_mapped_pages(data, size);
  return {{static_cast<const std::byte*>(data), size}, std::move(owner)};
}

Bytes zeros(std::uint64_t bytes, const std::string& name) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  if (bytes == 0) return {};
  void* data = bytes > kMost ? MAP_FAILED : ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    fail(ErrorCode::kOutOfMemory, "is missing, and there is no room for " + std::to_string(bytes) + " bytes in its place", name);
  return {{static_cast<const std::byte*>(data), bytes}, {data, [bytes](const void* p) { ::munmap(const_cast<void*>(p), bytes); }}};
}

Bytes map_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    fail(missing ? ErrorCode::kNotFound : ErrorCode::kIo, missing ? "there is no such file" : "cannot be opened: " + system_message(errno),
         file.string());
  }
  const std::shared_ptr<const void> close(nullptr, [descriptor](const void*) { ::close(descriptor); });
  return map_descriptor(descriptor, file.string());
}

}  // namespace ashlar::onnx
