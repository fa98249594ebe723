// SPDX-License-Identifier: Apache-2.0
// Moving elements without looking at their values: sizes, checks, and copies of stretches of memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <ashlar/provider/provider.h>

#include "kernel.h"
#include "scalar.h"

namespace ashlar::cpu {

/// Bytes of memory that make it worth waking another thread.
inline constexpr std::int64_t kBytesPerChunk = 128 << 10;

/// The bytes an element takes; 0 for strings and for elements packed into less than a byte.
inline std::int64_t byte_width(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kInt8:
    case DType::kUint8:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0:
    case DType::kFloat6E2M3:
    case DType::kFloat6E3M2: return 1;
    case DType::kInt16:
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: return 2;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint32: return 4;
    case DType::kFloat64:
    case DType::kInt64:
    case DType::kUint64:
    case DType::kComplex64: return 8;
    case DType::kComplex128: return 16;
    default: return 0;
  }
}

/// Verdicts: input 0 has elements of whole bytes; or those, or strings.
inline provider::Verdict takes_bytes(const provider::NodeView& node) {
  ASHLAR_REQUIRE(byte_width(node.input(0).dtype()) > 0, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                 provider::dtype_name(node.input(0).dtype()), " has no kernel");
  return provider::accept();
}
inline provider::Verdict takes_bytes_or_strings(const provider::NodeView& node) {
  return node.input(0).dtype() == DType::kString ? provider::accept() : takes_bytes(node);
}

/// The number of elements of a shape; a Failure where their bytes do not fit into 63 bits, or a dimension is negative.
inline std::int64_t checked_count(const Dims& dims) {
  std::int64_t bytes = 16;
  for (const std::int64_t d : dims)
    provider::check(d >= 0 && !__builtin_mul_overflow(bytes, d, &bytes), "a tensor of shape ", dims, " is too large");
  return bytes / 16;
}

/// For each of the dims, in the operator's order, the elements between neighbours in a dense tensor of that layout; 0 where it is empty.
inline Dims strides_of(const Dims& dims, std::uint64_t layout = kPlain) {
  const Dims physical = physical_dims(dims, layout);
  Dims steps = Dims::filled(dims.rank(), 0), strides = steps;
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return strides;
  std::int64_t step = 1;
  for (int i = dims.rank() - 1; i >= 0; --i) {
    steps[i] = step;
    step *= physical[i];
  }
  for (int i = 0; i < dims.rank(); ++i) strides[i] = steps[physical_axis(i, dims.rank(), layout)];
  return strides;
}

/// memcpy, inline for the short stretches that rows often are.
inline void copy_bytes(char* to, const char* from, std::int64_t bytes) {
  const auto move = [&](std::int64_t at, auto block) {
    std::memcpy(&block, from + at, sizeof(block));
    std::memcpy(to + at, &block, sizeof(block));
  };
  struct Block {
    std::uint64_t words[2];
  };
  if (bytes > 512) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  } else if (bytes >= 16) {
    for (std::int64_t at = 0; at + 16 < bytes; at += 16) move(at, Block{});
    move(bytes - 16, Block{});
  } else if (bytes >= 8) {
    move(0, std::uint64_t{});
    move(bytes - 8, std::uint64_t{});
  } else if (bytes >= 4) {
    move(0, std::uint32_t{});
    move(bytes - 4, std::uint32_t{});
  } else {
    for (std::int64_t at = 0; at < bytes; ++at) to[at] = from[at];
  }
}

/// Calls f.operator()<T>() for the unsigned type, or a pair of them, of 1, 2, 4, 8 or 16 bytes.
struct Bytes16 {
  std::uint64_t words[2];
};
template <class F> void dispatch_bytes(std::int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f.template operator()<std::uint8_t>();
    case 2: return f.template operator()<std::uint16_t>();
    case 4: return f.template operator()<std::uint32_t>();
    case 8: return f.template operator()<std::uint64_t>();
    case 16: return f.template operator()<Bytes16>();
    default: provider::check(false, "no kernel for elements of ", bytes, " bytes");
  }
}

/// An element at any address.
template <class T> T load_element(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T> void store_element(char* to, T value) { std::memcpy(to, &value, sizeof(T)); }

/// Writes `count` times the element of `size` bytes at `value`.
inline void fill_elements(char* to, const char* value, std::int64_t size, std::int64_t count) {
  if (count <= 0) return;
  if (std::all_of(value, value + size, [&](char c) { return c == *value; })) {
    std::memset(to, *value, static_cast<std::size_t>(size * count));
    return;
  }
  dispatch_bytes(size, [&]<class T>() {
    const T v = load_element<T>(value);
    for (std::int64_t i = 0; i < count; ++i) store_element(to + i * static_cast<std::int64_t>(sizeof(T)), v);
  });
}
inline void fill_parallel(const provider::RunContext& context, char* to, const char* value, std::int64_t size, std::int64_t count) {
  context.parallel_for(count, kBytesPerChunk / size,
                       [=](std::int64_t begin, std::int64_t end) { fill_elements(to + begin * size, value, size, end - begin); });
}

/// Copies all elements, of whatever dtype, between dense tensors of one dtype, count and layout; nothing where they share storage.
inline void copy_all(const provider::RunContext& context, const provider::TensorView& to, const provider::TensorView& from) {
  if (to.dtype() == DType::kString) {
    for (std::int64_t i = 0; i < to.count() && to.raw() != from.raw(); ++i) to.set_string(i, from.string(i));
    return;
  }
  if (to.raw() == from.raw()) return;
  const auto bytes = static_cast<std::int64_t>(std::min(to.bytes(), from.bytes()));
  char* target = to.mutable_data<char>();
  const char* source = from.data<char>();
  context.parallel_for(bytes, kBytesPerChunk, [=](std::int64_t begin, std::int64_t end) {
    std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
  });
}

}  // namespace ashlar::cpu
