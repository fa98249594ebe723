// SPDX-License-Identifier: Apache-2.0
// Moving elements of any dtype, strings and elements packed into less than a byte included, without looking at their values.
// Indices, strides and offsets count elements. The caller keeps them inside the tensors; both tensors must be of one dtype.
#pragma once

#include <cstdint>
#include <cstring>

#include <ashlar/provider/provider.h>

#include "indexing.h"
#include "scalar.h"

namespace ashlar::reference {

using provider::TensorView;

/// Bits of an element that is packed into less than a byte; 0 for all other dtypes.
inline int packed_bits(DType dtype) {
  switch (dtype) {
    case DType::kUint4:
    case DType::kInt4:
    case DType::kFloat4E2M1: return 4;
    case DType::kUint2:
    case DType::kInt2: return 2;
    default: return 0;
  }
}

/// The bits of element `i` of packed data.
inline std::uint8_t packed_get(const void* data, int bits, std::int64_t i) {
  const std::int64_t bit = i * bits;
  return static_cast<std::uint8_t>((static_cast<const std::uint8_t*>(data)[bit / 8] >> (bit % 8)) & ((1 << bits) - 1));
}

inline void packed_set(void* data, int bits, std::int64_t i, std::uint8_t value) {
  const std::int64_t bit = i * bits;
  std::uint8_t& byte = static_cast<std::uint8_t*>(data)[bit / 8];
  const int mask = ((1 << bits) - 1) << (bit % 8);
  byte = static_cast<std::uint8_t>((byte & ~mask) | ((value << (bit % 8)) & mask));
}

/// `index` brought into [0, size), negative ones counted from the end; a Failure when it is outside [-size, size).
inline std::int64_t checked_index(std::int64_t index, std::int64_t size) {
  provider::check(index >= -size && index < size, "index ", index, " is outside [-", size, ", ", size, ")");
  return index < 0 ? index + size : index;
}

/// Copies elements between two tensors of one dtype.
class ElementCopier {
 public:
  ElementCopier(const TensorView& to, const TensorView& from)
      : to_(to), from_(from), string_(to.dtype() == DType::kString), bits_(packed_bits(to.dtype())), size_(element_size(to.dtype())) {
    provider::check(to.dtype() == from.dtype(), "elements of type ", provider::dtype_name(from.dtype()), " where ",
                    provider::dtype_name(to.dtype()), " was expected");
    provider::check(string_ || bits_ || size_, "no kernel for elements of type ", provider::dtype_name(to.dtype()));
  }

  /// to[to_index + i] = from[from_index + i] for i in [0, n).
  void copy(std::int64_t to_index, std::int64_t from_index, std::int64_t n = 1) const {
    if (size_) {
      if (n > 0)
        std::memcpy(to_.mutable_data<char>() + to_index * width(), from_.data<char>() + from_index * width(),
                    static_cast<std::size_t>(n) * size_);
      return;
    }
    for (std::int64_t i = 0; i < n; ++i) one(to_index + i, from_index + i);
  }

  /// to[to_index + i] = from[from_index] for i in [0, n).
  void fill(std::int64_t to_index, std::int64_t from_index, std::int64_t n) const {
    for (std::int64_t i = 0; i < n; ++i) copy(to_index + i, from_index);
  }

  /// Copies a block of `dims`: its element at index x goes from from_offset + dot(x, from_strides) to to_offset + dot(x, to_strides).
  void block(const Dims& dims, std::int64_t to_offset, const Dims& to_strides, std::int64_t from_offset, const Dims& from_strides) const {
    Dims outer = dims;
    std::int64_t run = 1;
    while (outer.rank() > 0) {
      const int last = outer.rank() - 1;
      if (outer[last] != 1 && (to_strides[last] != run || from_strides[last] != run)) break;
      run *= outer[last];
      outer.erase(last);
    }
    if (run == 0) return;
    for_each_index<2>(outer, {to_strides, from_strides},
                      [&](std::int64_t, const std::array<std::int64_t, 2>& at) { copy(to_offset + at[0], from_offset + at[1], run); });
  }

  /// The whole tensor, of which both have the same count.
  void all() const {
    provider::check(to_.count() == from_.count(), "a tensor of ", from_.count(), " elements where ", to_.count(), " were expected");
    if (bits_ == 0) return copy(0, 0, to_.count());
    const auto bytes = static_cast<std::size_t>((to_.count() * bits_ + 7) / 8);
    if (bytes) std::memcpy(to_.raw(), from_.raw(), bytes);
  }

 private:
  std::int64_t width() const { return static_cast<std::int64_t>(size_); }
  void one(std::int64_t to_index, std::int64_t from_index) const {
    if (string_) {
      to_.set_string(to_index, from_.string(from_index));
    } else {
      packed_set(to_.raw(), bits_, to_index, packed_get(from_.raw(), bits_, from_index));
    }
  }

  TensorView to_, from_;
  bool string_;
  int bits_;
  std::size_t size_;
};

/// Makes to[first, first + n) zero, false or the empty string.
inline void clear_elements(const TensorView& to, std::int64_t first, std::int64_t n) {
  if (n <= 0) return;
  if (const std::size_t size = element_size(to.dtype())) {
    std::memset(to.mutable_data<char>() + first * static_cast<std::int64_t>(size), 0, static_cast<std::size_t>(n) * size);
    return;
  }
  const int bits = packed_bits(to.dtype());
  for (std::int64_t i = first; i < first + n; ++i) {
    if (bits) {
      packed_set(to.raw(), bits, i, 0);
    } else {
      to.set_string(i, {});
    }
  }
}

}  // namespace ashlar::reference
