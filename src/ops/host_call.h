// SPDX-License-Identifier: Apache-2.0
// What the operators of host_evaluate work with. Errors are those that host_evaluate documents.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/error.h>
#include <ashlar/tensor.h>

#include "graph/graph.h"

namespace ashlar::ops {

using Ints = std::vector<std::int64_t>;
using Tensors = std::vector<Tensor>;

[[noreturn]] void host_fail(const std::string& message, ErrorCode code = ErrorCode::kRuntime);

/// A node being evaluated.
struct HostCall {
  const graph::Node& node;
  std::span<const Tensor* const> inputs;
  std::span<const Shape> shapes;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i]; }
  const Tensor& in(std::size_t i) const;
  /// The elements of an input that must be int32 or int64.
  Ints ints(std::size_t i) const;
  std::int64_t integer(const char* name, std::int64_t otherwise) const {
    const auto* value = node.find_as<std::int64_t>(name);
    return value ? *value : otherwise;
  }
};

/// An operator: its name, the oldest version of the form it is evaluated in, and the evaluation.
struct HostRow {
  std::string_view op;
  int since;
  Tensors (*evaluate)(const HostCall&);
};
template <Tensor (*kOne)(const HostCall&)> Tensors host_one(const HostCall& call) { return {kOne(call)}; }

/// Operators that read shapes or move elements, and those that calculate with them.
std::span<const HostRow> host_moves();
std::span<const HostRow> host_math();

/// The number of elements; an Error for a negative dimension or more than kHostEvaluateLimit.
std::int64_t checked_count(const Shape& shape);
/// An Error for more dimensions than a Shape holds.
Shape shape_of(const Ints& dims);
/// The dimension an axis names, which may count from the end.
std::size_t checked_axis(std::int64_t axis, std::size_t rank);
/// One flag for each of `rank` dimensions: whether `axes` names it, which it may do once.
std::vector<char> axis_flags(const Ints& axes, std::size_t rank);
/// The shape that both broadcast to.
Shape broadcast_shape(const Shape& a, const Shape& b);
/// For each element of `to`, which `from` broadcasts to, the element of `from` that stands there.
Ints broadcast_positions(const Shape& from, const Shape& to);

/// A new tensor of zeros, within the limit.
Tensor make_tensor(DType dtype, const Shape& shape);
/// Copies elements between tensors of one dtype.
void copy_elements(Tensor& to, std::int64_t at, const Tensor& from, std::int64_t first, std::int64_t count);
/// The tensor broadcast to `shape`; it shares the storage when that is its shape.
Tensor broadcast_to(const Tensor& t, const Shape& shape);

inline bool is_real(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64; }

/// f.operator()<T>() for the dtype's element type; false for a dtype that is not known.
template <class F> bool dispatch(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBool: f.template operator()<bool>(); return true;
    case DType::kUint8: f.template operator()<std::uint8_t>(); return true;
    case DType::kInt32: f.template operator()<std::int32_t>(); return true;
    case DType::kInt64: f.template operator()<std::int64_t>(); return true;
    case DType::kFloat32: f.template operator()<float>(); return true;
    case DType::kFloat64: f.template operator()<double>(); return true;
    default: return false;
  }
}

/// f.operator()<W>() for the type that elements are calculated with: double for reals, else int64_t.
template <class F> auto calculate(DType dtype, F&& f) {
  return is_real(dtype) ? f.template operator()<double>() : f.template operator()<std::int64_t>();
}

/// A number as an element of type T. Reals become integers by dropping the fraction; what is beyond int64 wraps as uint64 if
/// positive, else becomes the lowest int64, as NaN does. Integers keep their low bits.
template <class T, class W> T convert(W value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != W{};
  } else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<W>) {
    if (value >= W{-0x1p63} && value < W{0x1p63}) return static_cast<T>(static_cast<std::int64_t>(value));
    if (value >= W{0x1p63} && value < W{0x1p64}) return static_cast<T>(static_cast<std::uint64_t>(value));
    return static_cast<T>(std::numeric_limits<std::int64_t>::min());
  } else {
    return static_cast<T>(value);
  }
}

template <class W> std::vector<W> elements(const Tensor& t) {
  std::vector<W> out(static_cast<std::size_t>(t.element_count()));
  dispatch(t.dtype(), [&]<class T>() {
    constexpr bool kBool = std::is_same_v<T, bool>;
    const auto* from = static_cast<const std::byte*>(t.raw());
    for (W& to : out) {
      std::conditional_t<kBool, std::uint8_t, T> element;
      std::memcpy(&element, from, sizeof(element));
      to = kBool ? static_cast<W>(element != 0) : convert<W>(element);
      from += sizeof(element);
    }
  });
  return out;
}

template <class W> Tensor tensor_of(DType dtype, const Shape& shape, const std::vector<W>& values) {
  Tensor out = make_tensor(dtype, shape);
  dispatch(dtype, [&]<class T>() {
    T* to = out.mutable_data<T>();
    for (const W value : values) *to++ = convert<T>(value);
  });
  return out;
}

}  // namespace ashlar::ops
