// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <ashlar/dtype.h>
#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// The dimensions of a tensor, outermost first. Holds up to kMaxRank dimensions in place, so it never allocates.
class ASHLAR_API Shape {
 public:
  static constexpr int kMaxRank = 16;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  /// Throws Error (kInvalidArgument) for more than kMaxRank dimensions. Does not check the dimensions' signs.
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const noexcept { return rank_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(rank_); }
  std::int64_t operator[](std::size_t i) const noexcept { return dims_[i]; }
  std::int64_t& operator[](std::size_t i) noexcept { return dims_[i]; }
  const std::int64_t* begin() const noexcept { return dims_; }
  const std::int64_t* end() const noexcept { return dims_ + rank_; }
  const std::int64_t* data() const noexcept { return dims_; }
  std::span<const std::int64_t> dims() const noexcept { return {dims_, size()}; }

  /// The product of the dimensions (1 for a scalar). Throws Error (kInvalidArgument) for a negative dimension, or for a
  /// product of 2^58 and more, which no memory could hold.
  std::int64_t element_count() const;
  /// "[1,3,224,224]"; "[]" for a scalar.
  std::string to_string() const;
  friend bool operator==(const Shape& a, const Shape& b) noexcept {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.dims_[i] != b.dims_[i]) return false;
    return true;
  }

 private:
  std::int64_t dims_[kMaxRank] = {};
  int rank_ = 0;
};

/// A dense, row-major array in host memory: a dtype, a shape, and storage that is owned (shared between copies of the Tensor)
/// or borrowed from the caller. Copying a Tensor never copies elements. Not synchronised: concurrent readers are fine.
/// Strings are stored as std::string objects; sub-byte elements are packed, the first in the low bits.
class ASHLAR_API Tensor {
 public:
  /// An empty tensor: dtype kUndefined, no storage.
  Tensor() = default;

  /// New storage, aligned to 64 bytes, its bytes zero and its strings empty. Throws Error: kInvalidArgument for a bad shape
  /// or dtype, kOutOfMemory when the bytes cannot be had.
  static Tensor zeros(DType dtype, const Shape& shape);

  /// A view of the caller's memory, which must hold shape.element_count() elements and outlive every use of the view.
  /// A view of const elements is read-only: it can be an input, not an output.
  template <class T> static Tensor view(T* data, const Shape& shape) {
    return borrowed(DTypeOf<std::remove_const_t<T>>::value, shape, data, std::is_const_v<T>);
  }
  /// The same over a contiguous container. Throws Error (kInvalidArgument) when its size is not shape.element_count().
  template <class Container>
  requires requires(Container& c) {
    c.data();
    c.size();
  }
  static Tensor view(Container& elements, const Shape& shape) {
    auto* data = elements.data();
    require_count(shape, elements.size());
    return view(data, shape);
  }
  /// A view by explicit dtype, for elements C++ has no type for. `bytes` must be byte_size(dtype, element count) long, else
  /// Error (kInvalidArgument).
  static Tensor view_bytes(DType dtype, const Shape& shape, std::span<std::byte> bytes);
  static Tensor view_bytes(DType dtype, const Shape& shape, std::span<const std::byte> bytes);
  /// Storage kept alive by `owner`, for memory that Ashlar did not allocate (a mapped file, another library's buffer).
  static Tensor adopt(DType dtype, const Shape& shape, void* data, std::shared_ptr<const void> owner, bool read_only);

  /// An owned copy of `elements`, such as Tensor::of<float>({2, 2}, {1, 2, 3, 4}). A shape of one dimension is taken from
  /// the elements when none is given.
  template <class T> static Tensor of(const Shape& shape, std::initializer_list<T> elements) {
    require_count(shape, elements.size());
    Tensor t = zeros(DTypeOf<T>::value, shape);
    T* out = t.mutable_data<T>();
    for (const T& e : elements) *out++ = e;
    return t;
  }
  template <class T> static Tensor scalar(const T& value) { return of<T>({}, {value}); }

  bool defined() const noexcept { return dtype_ != DType::kUndefined; }
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t element_count() const noexcept { return count_; }
  /// Bytes of the elements; for strings, of the std::string objects.
  std::size_t bytes() const noexcept;
  bool read_only() const noexcept { return read_only_; }

  const void* raw() const noexcept { return data_; }
  /// Throws Error (kInvalidArgument) for a read-only tensor.
  void* mutable_raw();

  /// The elements. Throws Error (kInvalidArgument) when T is not the dtype's type.
  template <class T> const T* data() const {
    require_dtype(DTypeOf<T>::value);
    return static_cast<const T*>(data_);
  }
  template <class T> T* mutable_data() {
    require_dtype(DTypeOf<T>::value);
    return static_cast<T*>(mutable_raw());
  }
  template <class T> std::span<const T> span() const { return {data<T>(), static_cast<std::size_t>(count_)}; }

  /// The same elements under another shape of as many elements; else Error (kInvalidArgument). Shares the storage.
  Tensor reshaped(const Shape& shape) const;
  /// An owned deep copy.
  Tensor clone() const;
  /// "float32[1,3,224,224]".
  std::string type_string() const;

 private:
  static Tensor borrowed(DType dtype, const Shape& shape, const void* data, bool read_only);
  static void require_count(const Shape& shape, std::size_t count);
  void require_dtype(DType wanted) const;

  DType dtype_ = DType::kUndefined;
  bool read_only_ = false;
  Shape shape_;
  std::int64_t count_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

}  // namespace ashlar::inline v0
