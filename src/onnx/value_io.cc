// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <limits>

#include <ashlar/error.h>

#include "onnx/mapped_file.h"
#include "onnx/onnx.h"
#include "onnx/onnx_error.h"
#include "onnx/tensors.h"
#include "onnx/wire_scan.h"

namespace ashlar::onnx {
namespace {

using proto::OptionalProto;
using proto::SequenceProto;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

/// Turns messages into values of their own memory.
class ValueReader {
 public:
  explicit ValueReader(Bytes file) : tensors_(std::move(file), ExternalData({})) {}

  Value tensor(const proto::TensorProto& from) {
    const Tensor read = tensors_.read(from, from.name());
    return read.read_only() ? read.clone() : read;
  }
  Value sparse(const proto::SparseTensorProto& from) { return tensors_.read(from, from.values().name()); }

  Value sequence(const SequenceProto& from) {
    Sequence out;
    switch (from.elem_type()) {
      case SequenceProto::UNDEFINED:
      case SequenceProto::TENSOR:
        for (const auto& t : from.tensor_values()) out.elements.push_back(tensor(t));
        break;
      case SequenceProto::SPARSE_TENSOR:
        for (const auto& t : from.sparse_tensor_values()) out.elements.push_back(sparse(t));
        break;
      case SequenceProto::SEQUENCE:
        for (const auto& s : from.sequence_values()) out.elements.push_back(sequence(s));
        break;
      case SequenceProto::MAP:
        for (const auto& m : from.map_values()) out.elements.push_back(map(m));
        break;
      case SequenceProto::OPTIONAL:
        for (const auto& o : from.optional_values()) out.elements.push_back(optional(o));
        break;
      default: fail("a sequence has the unknown element kind " + std::to_string(from.elem_type()));
    }
    if (!out.elements.empty() && out.elements[0].is_tensor()) out.element_dtype = out.elements[0].tensor().dtype();
    return out;
  }

  Value optional(const OptionalProto& from) {
    switch (from.elem_type()) {
      case OptionalProto::UNDEFINED: return Optional{};
      case OptionalProto::TENSOR: return from.has_tensor_value() ? present(tensor(from.tensor_value())) : Optional{};
      case OptionalProto::SPARSE_TENSOR: return from.has_sparse_tensor_value() ? present(sparse(from.sparse_tensor_value())) : Optional{};
      case OptionalProto::SEQUENCE: return from.has_sequence_value() ? present(sequence(from.sequence_value())) : Optional{};
      case OptionalProto::MAP: return from.has_map_value() ? present(map(from.map_value())) : Optional{};
      case OptionalProto::OPTIONAL: return from.has_optional_value() ? present(optional(from.optional_value())) : Optional{};
      default: fail("an optional has the unknown element kind " + std::to_string(from.elem_type()));
    }
  }

  Value map(const proto::MapProto& from) {
    Map out;
    proto::TensorProto keys;
    keys.set_data_type(from.key_type());
    const bool strings = from.key_type() == proto::TensorProto::STRING;
    keys.add_dims(strings ? from.string_keys_size() : from.keys_size());
    if (strings) *keys.mutable_string_data() = from.string_keys();
    else if (from.key_type() == proto::TensorProto::INT64) *keys.mutable_int64_data() = from.keys();
    else if (from.key_type() == proto::TensorProto::UINT64 || from.key_type() == proto::TensorProto::UINT32)
      keys.mutable_uint64_data()->Add(from.keys().begin(), from.keys().end());
    else keys.mutable_int32_data()->Add(from.keys().begin(), from.keys().end());
    out.keys = TensorReader({}, ExternalData({})).read(keys, from.name());
    out.values = sequence(from.values()).sequence().elements;
    if (static_cast<std::int64_t>(out.values.size()) != out.keys.element_count())
      fail("a map has " + std::to_string(out.keys.element_count()) + " keys and " + std::to_string(out.values.size()) + " values");
    return out;
  }

 private:
  static Value present(Value value) { return Optional{std::make_shared<Value>(std::move(value))}; }
  TensorReader tensors_;
};

template <class Message> Message parse_message(std::span<const std::byte> bytes, Root root) {
  const std::string small = skeleton(bytes, root);
  Message out;
  if (!out.ParseFromArray(small.data(), static_cast<int>(small.size()))) fail("protobuf cannot parse it");
  return out;
}

Value read(const Bytes& file, const ValueType& type) {
  ValueReader reader(file);
  switch (type.kind) {
    case ValueType::Kind::kSequence: {
      Value out = reader.sequence(parse_message<SequenceProto>(file.bytes, Root::kSequence));
      Sequence sequence = out.sequence();
      if (sequence.element_dtype == DType::kUndefined) sequence.element_dtype = type.dtype;
      return sequence;
    }
    case ValueType::Kind::kOptional: return reader.optional(parse_message<OptionalProto>(file.bytes, Root::kOptional));
    case ValueType::Kind::kMap: return reader.map(parse_message<proto::MapProto>(file.bytes, Root::kMap));
    case ValueType::Kind::kSparseTensor: fail("reading a sparse tensor is not supported");
    case ValueType::Kind::kTensor: break;
  }
  const auto message = parse_message<proto::TensorProto>(file.bytes, Root::kTensor);
  if (message.data_type() == proto::TensorProto::UNDEFINED) fail("it holds no tensor");
  Value out = reader.tensor(message);
  if (type.dtype != DType::kUndefined && out.tensor().dtype() != type.dtype)
    fail("it holds " + out.tensor().type_string() + ", not " + type.to_string());
  return out;
}

void put(const Tensor& value, proto::TensorProto* to) { *to = to_proto(value); }

void put(const Sequence& value, SequenceProto* to);
void put(const Optional& value, OptionalProto* to);

void put(const Map& value, proto::MapProto* to) {
  to->set_key_type(static_cast<std::int32_t>(value.keys.dtype()));
  const auto add = [&]<class T>(T) {
    for (const T key : value.keys.span<T>()) to->add_keys(static_cast<std::int64_t>(key));
  };
  switch (value.keys.dtype()) {
    case DType::kString:
      to->mutable_string_keys()->Assign(value.keys.span<std::string>().begin(), value.keys.span<std::string>().end());
      break;
    case DType::kInt8: add(std::int8_t{}); break;
    case DType::kInt16: add(std::int16_t{}); break;
    case DType::kInt32: add(std::int32_t{}); break;
    case DType::kInt64: add(std::int64_t{}); break;
    case DType::kUint8: add(std::uint8_t{}); break;
    case DType::kUint16: add(std::uint16_t{}); break;
    case DType::kUint32: add(std::uint32_t{}); break;
    case DType::kUint64: add(std::uint64_t{}); break;
    default: fail("a map's keys are integers or strings, not " + std::string(to_string(value.keys.dtype())));
  }
  put(Sequence{DType::kUndefined, value.values}, to->mutable_values());
}

void put(const Sequence& value, SequenceProto* to) {
  const auto& e = value.elements;
  to->set_elem_type(e.empty() || e[0].is_tensor() ? SequenceProto::TENSOR
                    : e[0].is_sequence()          ? SequenceProto::SEQUENCE
                    : e[0].is_map()               ? SequenceProto::MAP
                                                  : SequenceProto::OPTIONAL);
  for (const Value& v : e) {
    if (v.is_tensor()) put(v.tensor(), to->add_tensor_values());
    else if (v.is_sequence()) put(v.sequence(), to->add_sequence_values());
    else if (v.is_map()) put(v.map(), to->add_map_values());
    else put(v.optional(), to->add_optional_values());
  }
}

void put(const Optional& value, OptionalProto* to) {
  to->set_elem_type(OptionalProto::UNDEFINED);
  if (!value.value) return;
  const Value& v = *value.value;
  if (v.is_tensor()) {
    to->set_elem_type(OptionalProto::TENSOR);
    put(v.tensor(), to->mutable_tensor_value());
  } else if (v.is_sequence()) {
    to->set_elem_type(OptionalProto::SEQUENCE);
    put(v.sequence(), to->mutable_sequence_value());
  } else if (v.is_map()) {
    to->set_elem_type(OptionalProto::MAP);
    put(v.map(), to->mutable_map_value());
  } else {
    to->set_elem_type(OptionalProto::OPTIONAL);
    put(v.optional(), to->mutable_optional_value());
  }
}

template <class Message, class T> std::string serialize(const T& value, const std::string& name) {
  Message message;
  put(value, &message);
  message.set_name(name);
  if (message.ByteSizeLong() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    fail("a value of more than 2 GiB cannot be written");
  return message.SerializeAsString();
}

}  // namespace

Value read_value(const std::filesystem::path& file, const ValueType& type) {
  ErrorContext about;
  about.file = file.string();
  const Bytes bytes = map_file(file);
  try {
    return guarded(ErrorCode::kInvalidArgument, "", about, [&] { return read(bytes, type); });
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kInvalidModel) throw;
    throw Error(ErrorCode::kInvalidArgument, "not a value of type " + type.to_string() + ": " + e.message(), e.context());
  }
}

void write_value(const std::filesystem::path& file, const Value& value, const std::string& name) {
  ErrorContext about;
  about.file = file.string();
  guarded(ErrorCode::kIo, "", about, [&] {
    if (!value.defined()) fail("there is no value to write");
    const std::string bytes = value.is_tensor()     ? serialize<proto::TensorProto>(value.tensor(), name)
                              : value.is_sequence() ? serialize<SequenceProto>(value.sequence(), name)
                              : value.is_map()      ? serialize<proto::MapProto>(value.map(), name)
                                                    : serialize<OptionalProto>(value.optional(), name);
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) throw Error(ErrorCode::kIo, "cannot be written");
  });
}

}  // namespace ashlar::onnx
