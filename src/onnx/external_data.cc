// SPDX-License-Identifier: Apache-2.0
#include "onnx/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::onnx {
namespace {

/// An open descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

struct Place {
  const std::string& location;
  const std::string& tensor;

  [[noreturn]] void fail(ErrorCode code, const std::string& why) const {
    ErrorContext context;
    context.tensor = tensor;
    throw Error(code, "tensor '" + core::printable(tensor) + "' is stored in '" + core::printable(location) + "', which " + why,
                std::move(context));
  }
  [[noreturn]] void refuse(const std::string& why) const { fail(ErrorCode::kInvalidModel, why); }
  /// For the errno of an open that did not follow links.
  [[noreturn]] void fail_open(int error) const {
    if (error == ENOENT) fail(ErrorCode::kNotFound, "does not exist");
    if (error == ELOOP || error == EMLINK) refuse("is, or lies behind, a symbolic link");
    if (error == ENOTDIR) refuse("lies behind a symbolic link or a file");
    fail(ErrorCode::kIo, "cannot be opened: " + std::generic_category().message(error));
  }
};

Descriptor descend(const std::filesystem::path& directory, const Place& place) {
  const std::filesystem::path path(place.location);
  if (place.location.empty() || place.location.find('\0') != std::string::npos) place.refuse("is not a path");
  if (path.is_absolute()) place.refuse("is an absolute path");
  for (const auto& part : path)
    if (part == "..") place.refuse("leaves the model's directory");
  Descriptor at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.number() < 0) place.fail_open(errno);
  for (auto part = path.begin(); part != path.end(); ++part) {
    const bool last = std::next(part) == path.end();
    if (*part == "." || (part->empty() && !last)) continue;
    if (part->empty()) place.refuse("is a directory");
    Descriptor next(::openat(at.number(), part->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY)));
    if (next.number() < 0) place.fail_open(errno);
    at = std::move(next);
  }
  struct stat status {};
  if (::fstat(at.number(), &status) != 0) place.fail_open(errno);
  if (!S_ISREG(status.st_mode)) place.refuse("is not a regular file");
  if (status.st_nlink > 1) place.refuse("has more than one name (hard links)");
  return at;
}

std::uint64_t number(const std::string& text, const char* key, const Place& place) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size())
    place.refuse(std::string("has the ") + key + " '" + core::printable(text) + "', which is no number of bytes");
  return value;
}

}  // namespace

const Bytes& ExternalData::open(const std::string& location, const std::string& tensor) {
  if (const auto known = files_.find(location); known != files_.end()) return known->second;
  const Place place{location, tensor};
  if (directory_.empty()) place.refuse("cannot be looked for: no directory was given");
  const Descriptor file = descend(directory_, place);
  return files_.emplace(location, map_descriptor(file.number(), (directory_ / location).string())).first->second;
}

Bytes ExternalData::read(const proto::TensorProto& tensor, const std::string& name, std::uint64_t length) {
  std::string location, offset_text = "0", length_text;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset_text = entry.value();
    if (entry.key() == "length") length_text = entry.value();
  }
  const Place place{location, name};
  const std::uint64_t offset = number(offset_text, "offset", place);
  if (!length_text.empty() && number(length_text, "length", place) != length)
    place.refuse("gives it " + core::printable(length_text) + " bytes, but its type and shape need " + std::to_string(length));
  if (zeros_where_missing_ && !files_.contains(location)) {
    try {
      open(location, name);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kNotFound) throw;
      return zeros(length, location);
    }
  }
  const Bytes& file = open(location, name);
  if (offset > file.bytes.size() || length > file.bytes.size() - offset)
    place.refuse("is too short: it has " + std::to_string(file.bytes.size()) + " bytes, and the tensor needs " + std::to_string(length) +
                 " from byte " + std::to_string(offset));
  return {file.bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length)), file.owner};
}

}  // namespace ashlar::onnx
