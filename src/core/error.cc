// SPDX-License-Identifier: Apache-2.0
#include <ashlar/error.h>

#include <nlohmann/json.hpp>

#include "core/text.h"

namespace ashlar::inline v0 {
namespace {

std::string compose(ErrorCode code, const std::string& message, const ErrorContext& c) {
  std::string out = std::string(to_string(code)) + ": " + message;
  std::string details;
  const auto add = [&](const char* label, const std::string& value) {
    if (!value.empty()) details += (details.empty() ? "" : ", ") + std::string(label) + " " + core::printable(value);
  };
  add("node", c.node);
  add("op", c.op.empty() || c.opset == 0 ? c.op : c.op + "@" + std::to_string(c.opset));
  add("provider", c.provider);
  add("tensor", c.tensor);
  add("inputs", c.inputs);
  add("file", c.file);
  return details.empty() ? out : out + " (" + details + ")";
}

}  // namespace

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kInvalidModel: return "invalid_model";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kOutOfMemory: return "out_of_memory";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kDeadlineExceeded: return "deadline_exceeded";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kDeviceError: return "device_error";
    case ErrorCode::kRuntime: return "runtime";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

Error::Error(ErrorCode code, std::string message, ErrorContext context)
    : code_(code), message_(std::move(message)), context_(std::move(context)), what_(compose(code_, message_, context_)) {}
Error::Error(const Error&) = default;
Error& Error::operator=(const Error&) = default;
Error::~Error() = default;

std::string Error::to_json() const {
  nlohmann::ordered_json j = {{"schema", 1}, {"code", to_string(code_)}, {"message", message_}};
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) j[key] = value;
  };
  add("node", context_.node);
  add("op", context_.op);
  if (context_.opset) j["opset"] = context_.opset;
  add("provider", context_.provider);
  add("tensor", context_.tensor);
  add("inputs", context_.inputs);
  add("file", context_.file);
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Error Error::with(const ErrorContext& outer) const {
  ErrorContext c = context_;
  const auto fill = [](std::string& to, const std::string& from) {
    if (to.empty()) to = from;
  };
  fill(c.node, outer.node);
  fill(c.op, outer.op);
  if (c.opset == 0) c.opset = outer.opset;
  fill(c.provider, outer.provider);
  fill(c.tensor, outer.tensor);
  fill(c.inputs, outer.inputs);
  fill(c.file, outer.file);
  return Error(code_, message_, std::move(c));
}

}  // namespace ashlar::inline v0
