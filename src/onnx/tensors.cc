// SPDX-License-Identifier: Apache-2.0
#include "onnx/tensors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include <ashlar/error.h>

#include "core/text.h"
#include "onnx/wire_scan.h"

static_assert(std::endian::native == std::endian::little, "raw data and spans of files are little endian");

namespace ashlar::onnx {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 58;  // Shape's own limit

bool is_six_bit(DType d) { return d == DType::kFloat6E2M3 || d == DType::kFloat6E3M2; }
bool is_complex(DType d) { return d == DType::kComplex64 || d == DType::kComplex128; }

[[noreturn]] void fail(ErrorCode code, const std::string& name, const std::string& why) {
  ErrorContext context;
  context.tensor = name;
  throw Error(code, "tensor '" + core::printable(name) + "' " + why, std::move(context));
}

template <class Dims> Shape checked_shape(const Dims& dims, const std::string& name) {
  if (dims.size() > Shape::kMaxRank)
    fail(ErrorCode::kUnsupported, name,
         "has " + std::to_string(dims.size()) + " dimensions; at most " + std::to_string(Shape::kMaxRank) + " are supported");
  std::int64_t count = 1;
  for (const std::int64_t d : dims) {
    if (d < 0) fail(ErrorCode::kInvalidModel, name, "has the dimension " + std::to_string(d));
    if (d > 0 && count > kMostElements / d) fail(ErrorCode::kInvalidModel, name, "has more elements than any memory holds");
    count *= std::max<std::int64_t>(d, 1);
  }
  return Shape(std::span<const std::int64_t>(dims.data(), static_cast<std::size_t>(dims.size())));
}

DType checked_dtype(std::int32_t number, const std::string& name) {
  if (number <= 0 || number >= kDTypeCount) fail(ErrorCode::kInvalidModel, name, "has the unknown data type " + std::to_string(number));
  return static_cast<DType>(number);
}

/// The repeated field of TensorProto that holds a dtype's elements when raw_data does not.
enum class Field { kFloat, kInt32, kString, kInt64, kDouble, kUint64 };

Field field_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kComplex64: return Field::kFloat;
    case DType::kFloat64:
    case DType::kComplex128: return Field::kDouble;
    case DType::kInt64: return Field::kInt64;
    case DType::kUint32:
    case DType::kUint64: return Field::kUint64;
    case DType::kString: return Field::kString;
    default: return Field::kInt32;
  }
}

/// Entries of the repeated field; sub-byte elements come a byte an entry, complex ones two entries an element.
std::uint64_t entries(DType dtype, std::uint64_t count) {
  if (is_complex(dtype)) return 2 * count;
  return bit_width(dtype) > 0 && bit_width(dtype) < 8 ? byte_size(dtype, count) : count;
}

/// The low `width` bytes of each entry; bools become 0 and 1.
template <class Entries> void store_low_bytes(const Entries& from, std::size_t width, bool boolean, std::byte* to) {
  for (const auto entry : from) {
    const auto value = boolean ? static_cast<std::remove_cvref_t<decltype(entry)>>(entry != 0) : entry;
    std::memcpy(to, &value, width);
    to += width;
  }
}

void unpack_six_bit(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bit = 6 * i;
    unsigned pair = static_cast<unsigned>(from[bit / 8]);
    if (bit % 8 > 2) pair |= static_cast<unsigned>(from[bit / 8 + 1]) << 8;
    to[i] = static_cast<std::byte>((pair >> bit % 8) & 0x3f);
  }
}

std::string pack_six_bit(const std::byte* from, std::size_t count) {
  std::string out((6 * count + 7) / 8, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned value = (static_cast<unsigned>(from[i]) & 0x3f) << (6 * i % 8);
    out[6 * i / 8] = static_cast<char>(out[6 * i / 8] | (value & 0xff));
    if (value > 0xff) out[6 * i / 8 + 1] = static_cast<char>(value >> 8);
  }
  return out;
}

Tensor from_fields(DType dtype, const Shape& shape, const proto::TensorProto& tensor, const std::string& name) {
  const auto count = static_cast<std::uint64_t>(shape.element_count());
  const auto require = [&](std::uint64_t have) {
    if (have != entries(dtype, count))
      fail(ErrorCode::kInvalidModel, name,
           "has " + std::to_string(have) + " data entries, but " + std::string(to_string(dtype)) + shape.to_string() + " needs " +
               std::to_string(entries(dtype, count)));
    return Tensor::zeros(dtype, shape);
  };
  const auto width = static_cast<std::size_t>(std::max(bit_width(dtype) / (is_complex(dtype) ? 16 : 8), 1));
  const auto store = [&](const auto& field) {
    Tensor out = require(static_cast<std::uint64_t>(field.size()));
    store_low_bytes(field, width, dtype == DType::kBool, static_cast<std::byte*>(out.mutable_raw()));
    return out;
  };
  switch (field_of(dtype)) {
    case Field::kFloat: return store(tensor.float_data());
    case Field::kDouble: return store(tensor.double_data());
    case Field::kInt64: return store(tensor.int64_data());
    case Field::kUint64: return store(tensor.uint64_data());
    case Field::kInt32:
      if (is_six_bit(dtype))
        for (const std::int32_t v : tensor.int32_data())
          if (v < 0 || v > 0x3f) fail(ErrorCode::kInvalidModel, name, "has a 6-bit element of the value " + std::to_string(v));
      return store(tensor.int32_data());
    case Field::kString: break;
  }
  Tensor out = require(static_cast<std::uint64_t>(tensor.string_data_size()));
  std::copy(tensor.string_data().begin(), tensor.string_data().end(), out.mutable_data<std::string>());
  return out;
}

int value_fields(const proto::TensorProto& t) {
  return !t.raw_data().empty() + !t.float_data().empty() + !t.int32_data().empty() + !t.string_data().empty() + !t.int64_data().empty() +
         !t.double_data().empty() + !t.uint64_data().empty();
}

void require_raw_size(DType dtype, const Shape& shape, std::uint64_t have, const std::string& name) {
  const std::uint64_t need = raw_size(dtype, static_cast<std::uint64_t>(shape.element_count()));
  if (dtype == DType::kString) fail(ErrorCode::kInvalidModel, name, "has strings as raw data");
  if (have != need)
    fail(ErrorCode::kInvalidModel, name,
         "has " + std::to_string(have) + " bytes of data, but " + std::string(to_string(dtype)) + shape.to_string() + " needs " +
             std::to_string(need));
}

}  // namespace

std::uint64_t raw_size(DType dtype, std::uint64_t count) { return is_six_bit(dtype) ? (6 * count + 7) / 8 : byte_size(dtype, count); }

Tensor TensorReader::from_raw(DType dtype, const Shape& shape, Bytes raw) {
  const auto count = static_cast<std::size_t>(shape.element_count());
  const std::byte* data = raw.bytes.data();
  const auto is_bit = [](std::byte b) { return static_cast<unsigned>(b) <= 1; };
  const bool odd_bools = dtype == DType::kBool && !std::all_of(raw.bytes.begin(), raw.bytes.end(), is_bit);
  if (raw.owner && !is_six_bit(dtype) && !odd_bools && count > 0)
    return Tensor::adopt(dtype, shape, const_cast<std::byte*>(data), std::move(raw.owner), true);
  Tensor out = Tensor::zeros(dtype, shape);
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  if (is_six_bit(dtype)) unpack_six_bit(data, count, to);
  else if (odd_bools) std::transform(data, data + count, to, [](std::byte b) { return static_cast<std::byte>(b != std::byte{0}); });
  else if (count > 0) std::memcpy(to, data, raw.bytes.size());
  return out;
}

Tensor TensorReader::decode(const proto::TensorProto& tensor, const std::string& name) {
  const DType dtype = checked_dtype(tensor.data_type(), name);
  const Shape shape = checked_shape(tensor.dims(), name);
  if (tensor.has_segment()) fail(ErrorCode::kUnsupported, name, "is a segment of a larger tensor");
  const int fields = value_fields(tensor);
  if (tensor.data_location() == proto::TensorProto::EXTERNAL) {
    if (fields > 0) fail(ErrorCode::kInvalidModel, name, "has both external data and data of its own");
    std::string location;
    for (const auto& entry : tensor.external_data()) {
      const bool ours = !entry.value().empty() && (entry.value()[0] == kSpanMark || entry.value()[0] == kTableMark);
      if (ours && tensor.external_data_size() > 1) fail(ErrorCode::kInvalidModel, name, "has both external data and data of its own");
      if (ours) location = entry.value();
    }
    if (location.empty()) {
      const std::uint64_t need = raw_size(dtype, static_cast<std::uint64_t>(shape.element_count()));
      Bytes raw = external_.read(tensor, name, need);
      require_raw_size(dtype, shape, raw.bytes.size(), name);
      return from_raw(dtype, shape, std::move(raw));
    }
    if (location[0] == kTableMark) {
      std::size_t index = table_.size();
      std::from_chars(location.data() + 1, location.data() + location.size(), index);
      if (index >= table_.size()) fail(ErrorCode::kInvalidModel, name, "refers to a tensor that does not exist");
      return table_[index];
    }
    const auto span = span_of(location);
    if (!span || span->offset > file_.bytes.size() || span->length > file_.bytes.size() - span->offset)
      fail(ErrorCode::kInvalidModel, name, "refers to bytes that do not exist");
    require_raw_size(dtype, shape, span->length, name);
    return from_raw(dtype, shape,
                    {file_.bytes.subspan(static_cast<std::size_t>(span->offset), static_cast<std::size_t>(span->length)), file_.owner});
  }
  if (fields > 1) fail(ErrorCode::kInvalidModel, name, "has its data in more than one field");
  if (tensor.raw_data().empty()) return from_fields(dtype, shape, tensor, name);
  require_raw_size(dtype, shape, tensor.raw_data().size(), name);
  return from_raw(dtype, shape, {std::as_bytes(std::span(tensor.raw_data())), nullptr});
}

Tensor TensorReader::read(const proto::TensorProto& tensor, const std::string& name) {
  if (const auto known = read_.find(&tensor); known != read_.end()) return known->second;
  Tensor out = decode(tensor, name);
  read_.emplace(&tensor, out);
  return out;
}

Tensor TensorReader::read(const proto::SparseTensorProto& sparse, const std::string& name) {
  if (const auto known = read_.find(&sparse); known != read_.end()) return known->second;
  Tensor out = decode(sparse, name);
  read_.emplace(&sparse, out);
  return out;
}

namespace {

/// Copies one element between dense tensors of a dtype.
void copy_element(const Tensor& from, std::size_t i, Tensor& to, std::size_t j) {
  if (from.dtype() == DType::kString) {
    to.mutable_data<std::string>()[j] = from.data<std::string>()[i];
    return;
  }
  const auto bits = static_cast<std::size_t>(bit_width(from.dtype()));
  const auto* source = static_cast<const std::byte*>(from.raw());
  auto* target = static_cast<std::byte*>(to.mutable_raw());
  if (bits >= 8) {
    std::memcpy(target + j * bits / 8, source + i * bits / 8, bits / 8);
    return;
  }
  const std::byte mask = static_cast<std::byte>((1u << bits) - 1);
  const std::byte value = (source[i * bits / 8] >> (i * bits % 8)) & mask;
  target[j * bits / 8] |= value << (j * bits % 8);
}

}  // namespace

Tensor TensorReader::decode(const proto::SparseTensorProto& sparse, const std::string& name) {
  const Tensor values = decode(sparse.values(), name);
  const Shape shape = checked_shape(sparse.dims(), name);
  const std::int64_t total = shape.element_count();
  const auto refuse = [&](const std::string& why) { fail(ErrorCode::kInvalidModel, name, why); };
  if (values.shape().rank() != 1) refuse("is sparse, and its values are not a list");
  const std::int64_t count = values.element_count();
  Tensor indices;
  if (sparse.has_indices()) indices = decode(sparse.indices(), name);
  else if (count > 0) refuse("is sparse and has no indices");
  const std::uint64_t width =
      values.dtype() == DType::kString ? sizeof(std::string) : static_cast<std::uint64_t>(bit_width(values.dtype()) + 7) / 8;
  if (static_cast<std::uint64_t>(total) > kLargestDense / width)
    fail(ErrorCode::kUnsupported, name,
         "is sparse, and as a dense " + std::string(to_string(values.dtype())) + shape.to_string() + " it is larger than " +
             std::to_string(kLargestDense) + " bytes");
  const int rank = shape.rank();
  const bool linear = indices.shape().rank() == 1;
  if (count > 0) {
    if (indices.dtype() != DType::kInt64) refuse("is sparse, and its indices are not int64");
    if (indices.shape() != (linear ? Shape{count} : Shape{count, rank}))
      refuse("is sparse, and its indices have the shape " + indices.shape().to_string());
  }
  Tensor out = Tensor::zeros(values.dtype(), shape);
  std::int64_t previous = -1;
  const auto* raw = static_cast<const std::byte*>(indices.raw());
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t position = 0;
    for (int k = 0; k < (linear ? 1 : rank); ++k) {
      std::int64_t index = 0;
      std::memcpy(&index, raw + (linear ? i : i * rank + k) * 8, sizeof index);
      const std::int64_t extent = linear ? total : shape[static_cast<std::size_t>(k)];
      if (index < 0 || index >= extent)
        refuse("is sparse, and has the index " + std::to_string(index) + " outside of " + shape.to_string());
      position = linear ? index : position * extent + index;
    }
    if (position <= previous) refuse("is sparse, and its indices do not ascend");
    if (position >= total) refuse("is sparse, and has an index outside of " + shape.to_string());
    previous = position;
    copy_element(values, static_cast<std::size_t>(i), out, static_cast<std::size_t>(position));
  }
  return out;
}

void TensorReader::refer(const Tensor& tensor, proto::TensorProto* message) {
  message->set_data_type(static_cast<std::int32_t>(tensor.dtype()));
  for (const std::int64_t d : tensor.shape()) message->add_dims(d);
  auto* entry = message->add_external_data();
  entry->set_key("location");
  entry->set_value(kTableMark + std::to_string(table_.size()));
  message->set_data_location(proto::TensorProto::EXTERNAL);
  table_.push_back(tensor);
}

proto::TensorProto to_proto(const Tensor& tensor) {
  proto::TensorProto out;
  out.set_data_type(static_cast<std::int32_t>(tensor.dtype()));
  for (const std::int64_t d : tensor.shape()) out.add_dims(d);
  const auto count = static_cast<std::size_t>(tensor.element_count());
  if (tensor.dtype() == DType::kString)
    for (const std::string& s : tensor.span<std::string>()) out.add_string_data(s);
  else if (is_six_bit(tensor.dtype())) out.set_raw_data(pack_six_bit(static_cast<const std::byte*>(tensor.raw()), count));
  else if (count > 0) out.set_raw_data(tensor.raw(), byte_size(tensor.dtype(), count));
  return out;
}

}  // namespace ashlar::onnx
