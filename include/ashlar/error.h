// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// Why a call failed. The numbers are also the status codes of the provider border (provider/abi.h).
enum class ErrorCode : int {
  kInvalidArgument = 1,   ///< the caller passed something that cannot be right (name, shape, dtype, option)
  kInvalidModel = 2,      ///< the file is not a valid ONNX model, or the graph contradicts itself
  kUnsupported = 3,       ///< valid, but no enabled provider can run it
  kNotFound = 4,          ///< a file, an input, an operator or a provider by that name does not exist
  kIo = 5,                ///< the operating system refused to read or write a file
  kOutOfMemory = 6,       ///< an allocation failed or a memory limit was reached
  kCancelled = 7,         ///< the caller cancelled the run
  kDeadlineExceeded = 8,  ///< the run's deadline passed
  kUnavailable = 9,       ///< a device or library that was asked for is missing on this machine
  kDeviceError = 10,      ///< a device or vendor library reported a failure while running
  kRuntime = 11,          ///< the data makes an operator impossible (an index out of range, say)
  kInternal = 12,         ///< a defect in Ashlar or in a provider
};

/// The code's name as it appears in messages and JSON, such as "invalid_model".
ASHLAR_API const char* to_string(ErrorCode code) noexcept;

/// What an error is about. Empty fields do not apply.
struct ErrorContext {
  std::string node = {};      ///< the original node's id: path and name, or `Op#index`
  std::string op = {};        ///< the operator, as `domain::Op` or `Op` for the standard domain
  int opset = 0;              ///< the operator's since_version; 0 when unknown
  std::string provider = {};  ///< the provider that failed or refused
  std::string tensor = {};    ///< the value, input or output concerned
  std::string inputs = {};    ///< the node's input dtypes and shapes, such as "float32[1,3,224,224], int64[2]"
  std::string file = {};      ///< the file being read or written
};

/// The one exception type Ashlar throws. It can be copied and rethrown on any thread and caught across the library border.
class ASHLAR_API Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, ErrorContext context = {});
  Error(const Error&);
  Error& operator=(const Error&);
  ~Error() override;

  ErrorCode code() const noexcept { return code_; }
  /// The sentence that says what is wrong, without the context.
  const std::string& message() const noexcept { return message_; }
  const ErrorContext& context() const noexcept { return context_; }
  /// Code, message and every context field in one line of text.
  const char* what() const noexcept override { return what_.c_str(); }
  /// The same as a JSON object: {"schema": 1, "code", "message", and the context's fields that are set}.
  std::string to_json() const;

  /// A copy in which the fields that are empty here are filled from `outer`: context is added as an error climbs.
  Error with(const ErrorContext& outer) const;

 private:
  ErrorCode code_;
  std::string message_;
  ErrorContext context_;
  std::string what_;
};

}  // namespace ashlar::inline v0
