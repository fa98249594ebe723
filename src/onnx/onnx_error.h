// SPDX-License-Identifier: Apache-2.0
// Where exceptions of the ONNX library and of protobuf become Error.
#pragma once

#include <new>
#include <string>
#include <string_view>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::onnx {

/// The library's message without the tags and the trailing context it adds.
inline std::string library_message(std::string_view text) {
  for (const std::string_view tag : {"[TypeInferenceError] ", "[ShapeInferenceError] "})
    if (text.starts_with(tag)) text.remove_prefix(tag.size());
  text = text.substr(0, text.find("\n\n==> Context"));
  return core::printable(text, 500);
}

/// A name from a file, in quotes and printable.
inline std::string in_quotes(std::string_view name) { return "'" + core::printable(name) + "'"; }

/// Runs `f`. What it throws leaves as Error: an Error gains `context`, an allocation that failed is kOutOfMemory, and anything
/// else has `code`, its message behind `prefix`.
template <class F> decltype(auto) guarded(ErrorCode code, const std::string& prefix, const ErrorContext& context, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    throw e.with(context);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, prefix + "no memory", context);
  } catch (const std::exception& e) {
    throw Error(code, prefix + library_message(e.what()), context);
  }
}

}  // namespace ashlar::onnx
