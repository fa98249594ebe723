// SPDX-License-Identifier: Apache-2.0
// How a provider fails: exceptions inside, statuses at the border.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/provider/abi.h>

namespace ashlar::provider {

/// What kernels throw; TableProvider makes it the status of the call.
class Failure : public std::exception {
 public:
  Failure(AshlarCode code, std::string message, AshlarVerdictCode verdict = ASHLAR_ACCEPTED)
      : code_(code), verdict_(verdict), message_(std::move(message)) {}
  AshlarCode code() const noexcept { return code_; }
  /// Of an instance that cannot be made: ASHLAR_DEVICE_MISSING or ASHLAR_LIBRARY_MISSING; ASHLAR_ACCEPTED: not said.
  AshlarVerdictCode verdict() const noexcept { return verdict_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  AshlarCode code_;
  AshlarVerdictCode verdict_;
  std::string message_;
};

/// The arguments, written one after the other.
template <class... Args> std::string concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// Throws a Failure when the data makes the operator impossible (an index out of range, shapes that do not go together).
template <class... Args> void check(bool condition, const Args&... message) {
  if (!condition) [[unlikely]]
    throw Failure(ASHLAR_RUNTIME, concat(message...));
}

inline void set_status(AshlarStatus* status, AshlarCode code, std::string_view message) noexcept {
  if (!status) return;
  status->code = code;
  status->node = ASHLAR_NONE;
  status->verdict = ASHLAR_ACCEPTED;
  const std::size_t n = std::min(message.size(), sizeof(status->message) - 1);
  std::memcpy(status->message, message.data(), n);
  status->message[n] = 0;
}

/// Runs `body` and makes any exception a status.
template <class Body> AshlarCode guarded(AshlarStatus* status, Body&& body) noexcept {
  try {
    body();
    return ASHLAR_OK;
  } catch (const Failure& e) {
    set_status(status, e.code(), e.what());
    if (status) status->verdict = e.verdict();
    return e.code();
  } catch (const std::bad_alloc&) {
    set_status(status, ASHLAR_OUT_OF_MEMORY, "out of memory");
    return ASHLAR_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    set_status(status, ASHLAR_INTERNAL, e.what());
    return ASHLAR_INTERNAL;
  } catch (...) {
    set_status(status, ASHLAR_INTERNAL, "an exception of unknown type");
    return ASHLAR_INTERNAL;
  }
}

/// An empty status with its size set.
inline AshlarStatus new_status() noexcept {
  AshlarStatus status;
  status.struct_size = sizeof(AshlarStatus);
  status.code = ASHLAR_OK;
  status.node = ASHLAR_NONE;
  status.verdict = ASHLAR_ACCEPTED;
  status.message[0] = 0;
  return status;
}

}  // namespace ashlar::provider
