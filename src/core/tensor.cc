// SPDX-License-Identifier: Apache-2.0
#include <ashlar/tensor.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <ashlar/error.h>

#include "core/allocate.h"

namespace ashlar::inline v0 {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 58;

[[noreturn]] void invalid(std::string message) { throw Error(ErrorCode::kInvalidArgument, std::move(message)); }

void require_known(DType dtype) {
  if (dtype == DType::kUndefined || to_string(dtype) == "undefined") invalid("a tensor needs a dtype");
}

}  // namespace

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank)
    invalid("a shape of " + std::to_string(dims.size()) + " dimensions; at most " + std::to_string(kMaxRank) + " are supported");
  std::copy(dims.begin(), dims.end(), dims_);
  rank_ = static_cast<int>(dims.size());
}

std::int64_t Shape::element_count() const {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t d : *this) {
    if (d < 0) invalid("the shape " + to_string() + " has a negative dimension");
    if (d == 0) empty = true;
    else if (count > kMostElements / d) invalid("the shape " + to_string() + " has more elements than any memory holds");
    else count *= d;
  }
  return empty ? 0 : count;
}

std::string Shape::to_string() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) s += (i ? "," : "") + std::to_string(dims_[i]);
  return s + "]";
}

Tensor Tensor::zeros(DType dtype, const Shape& shape) {
  require_known(dtype);
  Tensor t;
  t.dtype_ = dtype;
  t.shape_ = shape;
  t.count_ = shape.element_count();
  const auto count = static_cast<std::size_t>(t.count_);
  if (dtype == DType::kString) {
    try {
      auto strings = std::make_shared<std::vector<std::string>>(count);
      t.data_ = strings->data();
      t.owner_ = std::move(strings);
    } catch (const std::exception&) {
      throw Error(ErrorCode::kOutOfMemory, "no memory for " + t.type_string());
    }
    return t;
  }
  const std::size_t bytes = byte_size(dtype, count);
  std::shared_ptr<void> memory = core::allocate_aligned(bytes);
  if (!memory) throw Error(ErrorCode::kOutOfMemory, "no memory for the " + std::to_string(bytes) + " bytes of " + t.type_string());
  std::memset(memory.get(), 0, bytes);
  t.data_ = memory.get();
  t.owner_ = std::move(memory);
  return t;
}

Tensor Tensor::borrowed(DType dtype, const Shape& shape, const void* data, bool read_only) {
  return adopt(dtype, shape, const_cast<void*>(data), nullptr, read_only);
}

Tensor Tensor::adopt(DType dtype, const Shape& shape, void* data, std::shared_ptr<const void> owner, bool read_only) {
  require_known(dtype);
  Tensor t;
  t.dtype_ = dtype;
  t.shape_ = shape;
  t.count_ = shape.element_count();
  if (!data && t.count_ > 0) invalid("a view of " + t.type_string() + " over no memory");
  t.data_ = data;
  t.owner_ = std::move(owner);
  t.read_only_ = read_only;
  return t;
}

Tensor Tensor::view_bytes(DType dtype, const Shape& shape, std::span<const std::byte> bytes) {
  Tensor t = adopt(dtype, shape, const_cast<std::byte*>(bytes.data()), nullptr, true);
  if (dtype == DType::kString || t.bytes() != bytes.size())
    invalid("a view of " + t.type_string() + " needs " + std::to_string(t.bytes()) + " bytes, got " + std::to_string(bytes.size()));
  return t;
}

Tensor Tensor::view_bytes(DType dtype, const Shape& shape, std::span<std::byte> bytes) {
  Tensor t = view_bytes(dtype, shape, std::span<const std::byte>(bytes));
  t.read_only_ = false;
  return t;
}

std::size_t Tensor::bytes() const noexcept {
  const auto count = static_cast<std::size_t>(count_);
  return dtype_ == DType::kString ? count * sizeof(std::string) : byte_size(dtype_, count);
}

void* Tensor::mutable_raw() {
  if (read_only_) invalid("the tensor " + type_string() + " is read-only");
  return data_;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (shape.element_count() != count_) invalid(type_string() + " cannot take the shape " + shape.to_string());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = zeros(dtype_, shape_);
  if (dtype_ == DType::kString) std::copy_n(static_cast<const std::string*>(data_), count_, static_cast<std::string*>(t.data_));
  else if (count_ > 0) std::memcpy(t.data_, data_, bytes());
  return t;
}

std::string Tensor::type_string() const { return std::string(ashlar::to_string(dtype_)) + shape_.to_string(); }

void Tensor::require_count(const Shape& shape, std::size_t count) {
  if (static_cast<std::size_t>(shape.element_count()) != count)
    invalid("the shape " + shape.to_string() + " needs " + std::to_string(shape.element_count()) + " elements, got " +
            std::to_string(count));
}

void Tensor::require_dtype(DType wanted) const {
  if (dtype_ != wanted) invalid("the tensor is " + type_string() + ", not " + std::string(ashlar::to_string(wanted)));
}

}  // namespace ashlar::inline v0
