// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ashlar::onnx {

/// What a file's outermost message is.
enum class Root { kModel, kTensor, kSequence, kMap, kOptional };

/// A stretch of the scanned bytes.
struct FileSpan {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// Raw data of fewer bytes stays in the skeleton.
inline constexpr std::size_t kLeastSpan = 1024;

/// The serialised message without the tensors' raw data: a TensorProto.raw_data of kLeastSpan bytes or more is replaced by
/// data_location EXTERNAL and one external_data entry whose location span_of() reads. Walks protobuf's wire format
/// (https://protobuf.dev/programming-guides/encoding) down to the tensors; anything else is copied as it is. Never reads outside
/// `bytes`. Throws Error (kInvalidModel) for bytes that are no such message, nest more than 100 messages, hold a location that
/// would read as one of ours, or leave 2 GiB of skeleton; the caller adds the file's name.
std::string skeleton(std::span<const std::byte> bytes, Root root);

/// The span that a location of skeleton()'s making names; nothing for another location.
std::optional<FileSpan> span_of(std::string_view location);

/// Locations that start so are never a file's own: kSpanMark is skeleton()'s, kTableMark is for tensors held in memory.
inline constexpr char kSpanMark = '\x01';
inline constexpr char kTableMark = '\x02';

}  // namespace ashlar::onnx
