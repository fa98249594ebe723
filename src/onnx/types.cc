// SPDX-License-Identifier: Apache-2.0
#include "onnx/types.h"

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::onnx {
namespace {

using Kind = ValueType::Kind;

[[noreturn]] void fail(ErrorCode code, const std::string& message, const std::string& value) {
  ErrorContext context;
  context.tensor = value;
  throw Error(code, message, std::move(context));
}

DType to_dtype(std::int32_t number, const std::string& value) {
  if (number < 0 || number >= kDTypeCount) fail(ErrorCode::kInvalidModel, "has the unknown element type " + std::to_string(number), value);
  return static_cast<DType>(number);
}

template <class P> void read_tensor(const P& tensor, const std::string& value, ValueType& out) {
  out.dtype = to_dtype(tensor.elem_type(), value);
  if (!tensor.has_shape()) return;
  auto& shape = out.shape.emplace();
  for (const auto& d : tensor.shape().dim()) {
    Dim dim;
    if (d.has_dim_value() && d.dim_value() >= 0) dim.value = d.dim_value();
    if (d.has_dim_param()) dim.symbol = d.dim_param();
    shape.push_back(std::move(dim));
  }
}

template <class P> void write_tensor(const ValueType& type, P* tensor) {
  tensor->set_elem_type(static_cast<std::int32_t>(type.dtype));
  if (!type.shape) return;
  auto* shape = tensor->mutable_shape();
  for (const Dim& d : *type.shape) {
    auto* dim = shape->add_dim();
    if (d.fixed()) dim->set_dim_value(d.value);
    else if (!d.symbol.empty()) dim->set_dim_param(d.symbol);
  }
}

bool is_empty(const ValueType& t) { return t.kind == Kind::kTensor && t.dtype == DType::kUndefined && !t.shape; }

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kTensor: return "a tensor";
    case Kind::kSequence: return "a sequence";
    case Kind::kOptional: return "an optional";
    case Kind::kMap: return "a map";
    case Kind::kSparseTensor: return "a sparse tensor";
  }
  return "unknown";
}

std::string merge_shapes(std::optional<std::vector<Dim>>& shape, const std::optional<std::vector<Dim>>& more) {
  if (!more) return {};
  if (!shape) {
    shape = more;
    return {};
  }
  if (shape->size() != more->size()) return "the rank is " + std::to_string(shape->size()) + " and " + std::to_string(more->size());
  std::string conflict;
  for (std::size_t i = 0; i < shape->size(); ++i) {
    Dim& a = (*shape)[i];
    const Dim& b = (*more)[i];
    if (a.fixed() && b.fixed() && a.value != b.value && conflict.empty())
      conflict = "dimension " + std::to_string(i) + " is " + std::to_string(a.value) + " and " + std::to_string(b.value);
    if (!a.fixed() && (b.fixed() || a.symbol.empty())) a = b;
  }
  return conflict;
}

std::string merge_dtypes(DType& dtype, DType more) {
  if (dtype == DType::kUndefined) dtype = more;
  if (more == DType::kUndefined || dtype == more) return {};
  return "the element type is " + std::string(to_string(dtype)) + " and " + std::string(to_string(more));
}

}  // namespace

ValueType to_type(const proto::TypeProto& type, const std::string& value) {
  ValueType out;
  switch (type.value_case()) {
    case proto::TypeProto::kTensorType: read_tensor(type.tensor_type(), value, out); break;
    case proto::TypeProto::kSparseTensorType:
      out.kind = Kind::kSparseTensor;
      read_tensor(type.sparse_tensor_type(), value, out);
      break;
    case proto::TypeProto::kSequenceType:
      out.kind = Kind::kSequence;
      out.element = std::make_shared<ValueType>(to_type(type.sequence_type().elem_type(), value));
      break;
    case proto::TypeProto::kOptionalType:
      out.kind = Kind::kOptional;
      out.element = std::make_shared<ValueType>(to_type(type.optional_type().elem_type(), value));
      break;
    case proto::TypeProto::kMapType:
      out.kind = Kind::kMap;
      out.key = to_dtype(type.map_type().key_type(), value);
      out.element = std::make_shared<ValueType>(to_type(type.map_type().value_type(), value));
      break;
    case proto::TypeProto::kOpaqueType: fail(ErrorCode::kUnsupported, "has an opaque type", value);
    case proto::TypeProto::VALUE_NOT_SET: break;
  }
  if (out.element) out.dtype = out.element->dtype;
  return out;
}

proto::TypeProto to_proto(const ValueType& type) {
  proto::TypeProto out;
  const auto element = [&] { return type.element ? to_proto(*type.element) : proto::TypeProto(); };
  switch (type.kind) {
    case Kind::kTensor:
      if (!is_empty(type)) write_tensor(type, out.mutable_tensor_type());
      break;
    case Kind::kSparseTensor: write_tensor(type, out.mutable_sparse_tensor_type()); break;
    case Kind::kSequence: *out.mutable_sequence_type()->mutable_elem_type() = element(); break;
    case Kind::kOptional: *out.mutable_optional_type()->mutable_elem_type() = element(); break;
    case Kind::kMap:
      out.mutable_map_type()->set_key_type(static_cast<std::int32_t>(type.key));
      *out.mutable_map_type()->mutable_value_type() = element();
      break;
  }
  return out;
}

ValueType type_of(const Tensor& tensor) {
  ValueType out;
  out.dtype = tensor.dtype();
  auto& shape = out.shape.emplace();
  for (const std::int64_t d : tensor.shape()) shape.push_back({d, {}});
  return out;
}

bool is_known(const ValueType& type) {
  switch (type.kind) {
    case Kind::kTensor:
    case Kind::kSparseTensor: return type.dtype != DType::kUndefined;
    case Kind::kMap: return type.key != DType::kUndefined && type.element && is_known(*type.element);
    case Kind::kSequence:
    case Kind::kOptional: return type.element && is_known(*type.element);
  }
  return false;
}

std::string merge(ValueType& type, const ValueType& more) {
  if (is_empty(more)) return {};
  if (is_empty(type)) {
    type = more;
    return {};
  }
  if (type.kind != more.kind) return std::string("it is ") + name_of(type.kind) + " and " + name_of(more.kind);
  std::string conflict;
  if (type.kind == Kind::kTensor || type.kind == Kind::kSparseTensor) {
    conflict = merge_dtypes(type.dtype, more.dtype);
    const std::string shapes = merge_shapes(type.shape, more.shape);
    return conflict.empty() ? shapes : conflict;
  }
  if (type.kind == Kind::kMap) conflict = merge_dtypes(type.key, more.key);
  if (!more.element) return conflict;
  ValueType element = type.element ? *type.element : ValueType();
  const std::string inner = merge(element, *more.element);
  type.dtype = element.dtype;
  type.element = std::make_shared<ValueType>(std::move(element));
  return conflict.empty() ? inner : conflict;
}

}  // namespace ashlar::onnx
