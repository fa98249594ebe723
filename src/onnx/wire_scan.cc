// SPDX-License-Identifier: Apache-2.0
#include "onnx/wire_scan.h"

#include <charconv>
#include <limits>

#include <ashlar/error.h>

namespace ashlar::onnx {
namespace {

enum class Kind { kNone, kModel, kGraph, kNode, kAttribute, kFunction, kTensor, kSparse, kEntry, kSequence, kMap, kOptional };

struct Edge {
  Kind in;
  std::uint32_t field;
  Kind to;
};

// The fields of onnx-ml.proto and onnx-data.proto that lead to tensors.
constexpr Edge kEdges[] = {
    {Kind::kModel, 7, Kind::kGraph},       {Kind::kModel, 25, Kind::kFunction},     {Kind::kGraph, 1, Kind::kNode},
    {Kind::kGraph, 5, Kind::kTensor},      {Kind::kGraph, 15, Kind::kSparse},       {Kind::kNode, 5, Kind::kAttribute},
    {Kind::kFunction, 7, Kind::kNode},     {Kind::kFunction, 11, Kind::kAttribute}, {Kind::kAttribute, 5, Kind::kTensor},
    {Kind::kAttribute, 10, Kind::kTensor}, {Kind::kAttribute, 6, Kind::kGraph},     {Kind::kAttribute, 11, Kind::kGraph},
    {Kind::kAttribute, 22, Kind::kSparse}, {Kind::kAttribute, 23, Kind::kSparse},   {Kind::kSparse, 1, Kind::kTensor},
    {Kind::kSparse, 2, Kind::kTensor},     {Kind::kTensor, 13, Kind::kEntry},       {Kind::kSequence, 3, Kind::kTensor},
    {Kind::kSequence, 4, Kind::kSparse},   {Kind::kSequence, 5, Kind::kSequence},   {Kind::kSequence, 6, Kind::kMap},
    {Kind::kSequence, 7, Kind::kOptional}, {Kind::kMap, 5, Kind::kSequence},        {Kind::kOptional, 3, Kind::kTensor},
    {Kind::kOptional, 4, Kind::kSparse},   {Kind::kOptional, 5, Kind::kSequence},   {Kind::kOptional, 6, Kind::kMap},
    {Kind::kOptional, 7, Kind::kOptional},
};

constexpr std::uint32_t kRawData = 9;     // TensorProto.raw_data
constexpr std::uint32_t kEntryValue = 2;  // StringStringEntryProto.value
constexpr int kDeepest = 100;             // protobuf's own limit
constexpr std::size_t kLengthBytes = 5;   // a padded length, filled in after the message
constexpr std::size_t kLargest = std::numeric_limits<std::int32_t>::max();

Kind child(Kind in, std::uint32_t field) {
  for (const Edge& e : kEdges)
    if (e.in == in && e.field == field) return e.to;
  return Kind::kNone;
}

Kind kind_of(Root root) {
  switch (root) {
    case Root::kModel: return Kind::kModel;
    case Root::kTensor: return Kind::kTensor;
    case Root::kSequence: return Kind::kSequence;
    case Root::kMap: return Kind::kMap;
    case Root::kOptional: return Kind::kOptional;
  }
  return Kind::kNone;
}

class Scanner {
 public:
  explicit Scanner(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::string run(Root root) {
    message(kind_of(root), 0, bytes_.size(), 0);
    return std::move(out_);
  }

 private:
  [[noreturn]] static void fail(const std::string& message) { throw Error(ErrorCode::kInvalidModel, message); }
  [[noreturn]] void past_end(std::size_t at, std::size_t end) const {
    if (end == bytes_.size())
      fail("truncated at byte " + std::to_string(end) + ": what starts at byte " + std::to_string(at) + " is longer");
    fail("a field at byte " + std::to_string(at) + " runs past the message it is in");
  }

  std::uint64_t varint(std::size_t& at, std::size_t end) const {
    const std::size_t start = at;
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at >= end) past_end(start, end);
      const auto byte = static_cast<std::uint64_t>(bytes_[at++]);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail("no number ends within 10 bytes of byte " + std::to_string(start));
  }

  void require_room(std::size_t count) const {
    if (count > kLargest - out_.size()) fail("more than 2 GiB beside the tensors' raw data");
  }
  void copy(std::size_t from, std::size_t to) {
    require_room(to - from);
    out_.append(reinterpret_cast<const char*>(bytes_.data()) + from, to - from);
  }
  void append_varint(std::string& to, std::uint64_t value) const {
    for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
    to += static_cast<char>(value);
  }
  void append_field(std::string& to, std::uint32_t field, const std::string& text) const {
    append_varint(to, (field << 3) | 2);
    append_varint(to, text.size());
    to += text;
  }

  void nested(Kind kind, std::size_t at, std::size_t end, int depth) {
    require_room(kLengthBytes);
    const std::size_t length_at = out_.size();
    out_.append(kLengthBytes, '\0');
    message(kind, at, end, depth);
    std::size_t length = out_.size() - length_at - kLengthBytes;
    for (std::size_t i = 0; i < kLengthBytes; ++i, length >>= 7)
      out_[length_at + i] = static_cast<char>((length & 0x7f) | (i + 1 < kLengthBytes ? 0x80 : 0));
  }

  void check_entry(std::size_t at, std::size_t end) const {
    while (at < end) {
      const Field f = field(at, end);
      if (f.wire == 2 && f.number == kEntryValue && f.end > f.data) {
        const char first = static_cast<char>(bytes_[f.data]);
        if (first == kSpanMark || first == kTableMark)
          fail("an external data entry at byte " + std::to_string(f.data) + " starts with a control byte");
      }
    }
  }

  void external_entry(FileSpan span) {
    std::string entry, fields;
    append_field(entry, 1, "location");
    append_field(entry, kEntryValue, kSpanMark + std::to_string(span.offset) + "," + std::to_string(span.length));
    append_field(fields, 13, entry);
    append_varint(fields, 14 << 3);
    append_varint(fields, 1);
    require_room(fields.size());
    out_ += fields;
  }

  struct Field {
    std::uint32_t number;
    unsigned wire;
    std::size_t header;  // where the length of a length-delimited field stands
    std::size_t data;
    std::size_t end;
  };

  /// Reads the field at `at` and moves behind it.
  Field field(std::size_t& at, std::size_t end) const {
    const std::size_t start = at;
    const std::uint64_t key = varint(at, end);
    Field f{static_cast<std::uint32_t>(key >> 3), static_cast<unsigned>(key & 7), at, at, at};
    if (key > std::numeric_limits<std::uint32_t>::max() || f.number == 0) fail("no field starts at byte " + std::to_string(start));
    std::uint64_t length = 0;
    switch (f.wire) {
      case 0: varint(at, end); break;
      case 1: length = 8; break;
      case 2: length = varint(at, end); break;
      case 5: length = 4; break;
      default: fail("no field starts at byte " + std::to_string(start));
    }
    if (length > end - at) past_end(start, end);
    f.data = at;
    f.end = at += static_cast<std::size_t>(length);
    return f;
  }

  void message(Kind kind, std::size_t at, std::size_t end, int depth) {
    if (depth > kDeepest) fail("messages are nested more than " + std::to_string(kDeepest) + " deep");
    std::optional<FileSpan> raw;
    std::size_t pending = at;
    while (at < end) {
      const std::size_t start = at;
      const Field f = field(at, end);
      if (f.wire != 2) continue;
      const Kind inner = child(kind, f.number);
      if (inner == Kind::kEntry) {
        check_entry(f.data, f.end);
      } else if (inner != Kind::kNone) {
        copy(pending, f.header);
        nested(inner, f.data, f.end, depth + 1);
        pending = at;
      } else if (kind == Kind::kTensor && f.number == kRawData && f.end - f.data >= kLeastSpan) {
        if (raw) fail("a tensor at byte " + std::to_string(start) + " has raw data twice");
        raw = FileSpan{f.data, f.end - f.data};
        copy(pending, start);
        pending = at;
      }
    }
    copy(pending, end);
    if (raw) external_entry(*raw);
  }

  std::span<const std::byte> bytes_;
  std::string out_;
};

}  // namespace

std::string skeleton(std::span<const std::byte> bytes, Root root) { return Scanner(bytes).run(root); }

std::optional<FileSpan> span_of(std::string_view location) {
  if (location.empty() || location.front() != kSpanMark) return std::nullopt;
  FileSpan span;
  const char* end = location.data() + location.size();
  const auto offset = std::from_chars(location.data() + 1, end, span.offset);
  if (offset.ec != std::errc() || offset.ptr == end || *offset.ptr != ',') return std::nullopt;
  const auto length = std::from_chars(offset.ptr + 1, end, span.length);
  if (length.ec != std::errc() || length.ptr != end) return std::nullopt;
  return span;
}

}  // namespace ashlar::onnx
