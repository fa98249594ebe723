// SPDX-License-Identifier: Apache-2.0
#include "ops/host_call.h"

#include "ops/host_evaluate.h"

namespace ashlar::ops {

void host_fail(const std::string& message, ErrorCode code) { throw Error(code, message); }

const Tensor& HostCall::in(std::size_t i) const {
  if (!has(i)) host_fail("input " + std::to_string(i) + " is missing", ErrorCode::kInvalidModel);
  return *inputs[i];
}

Ints HostCall::ints(std::size_t i) const {
  const Tensor& t = in(i);
  if (t.dtype() != DType::kInt64 && t.dtype() != DType::kInt32)
    host_fail("input " + std::to_string(i) + " is " + t.type_string() + ", not int32 or int64", ErrorCode::kInvalidModel);
  return elements<std::int64_t>(t);
}

std::int64_t checked_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(count, d, &count)) host_fail("a tensor of shape " + shape.to_string() + " is not possible");
  if (count > kHostEvaluateLimit)
    host_fail("a tensor of shape " + shape.to_string() + " has more than the " + std::to_string(kHostEvaluateLimit) +
              " elements that are evaluated on the host");
  return count;
}

Shape shape_of(const Ints& dims) {
  if (dims.size() > Shape::kMaxRank) host_fail("a shape of " + std::to_string(dims.size()) + " dimensions is not possible");
  return Shape(std::span<const std::int64_t>(dims));
}

std::size_t checked_axis(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r) host_fail("axis " + std::to_string(axis) + " does not exist in " + std::to_string(rank) + " dimensions");
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

std::vector<char> axis_flags(const Ints& axes, std::size_t rank) {
  std::vector<char> flags(rank, 0);
  for (const std::int64_t axis : axes) {
    char& flag = flags[checked_axis(axis, rank)];
    if (flag) host_fail("axis " + std::to_string(axis) + " is named twice");
    flag = 1;
  }
  return flags;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  const std::size_t missing = out.size() - other.size();
  for (std::size_t i = 0; i < other.size(); ++i) {
    std::int64_t& d = out[missing + i];
    if (d != other[i] && d != 1 && other[i] != 1) host_fail("the shapes " + a.to_string() + " and " + b.to_string() + " do not broadcast");
    if (d == 1) d = other[i];
  }
  return out;
}

Ints broadcast_positions(const Shape& from, const Shape& to) {
  const std::int64_t count = checked_count(to);
  Ints out(static_cast<std::size_t>(count), 0);
  std::int64_t stride = 1, repeat = 1;
  for (std::size_t i = 1; count > 0 && i <= to.size(); ++i) {
    const std::int64_t size = to[to.size() - i], dim = i <= from.size() ? from[from.size() - i] : 1;
    if (dim != 1)
      for (std::size_t at = 0; at < out.size(); ++at) out[at] += static_cast<std::int64_t>(at) / repeat % size * stride;
    stride *= dim;
    repeat *= size;
  }
  return out;
}

Tensor make_tensor(DType dtype, const Shape& shape) {
  checked_count(shape);
  if (!host_evaluable(dtype))
    host_fail("elements of " + std::string(to_string(dtype)) + " are not evaluated on the host", ErrorCode::kUnsupported);
  return Tensor::zeros(dtype, shape);
}

void copy_elements(Tensor& to, std::int64_t at, const Tensor& from, std::int64_t first, std::int64_t count) {
  const auto width = static_cast<std::size_t>(bit_width(to.dtype()) / 8);
  const auto bytes = [width](std::int64_t n) { return static_cast<std::size_t>(n) * width; };
  if (count <= 0) return;
  std::memcpy(static_cast<std::byte*>(to.mutable_raw()) + bytes(at), static_cast<const std::byte*>(from.raw()) + bytes(first),
              bytes(count));
}

Tensor broadcast_to(const Tensor& t, const Shape& shape) {
  if (t.shape() == shape) return t;
  const Ints from = broadcast_positions(t.shape(), shape);
  Tensor out = make_tensor(t.dtype(), shape);
  for (std::size_t i = 0; i < from.size(); ++i) copy_elements(out, static_cast<std::int64_t>(i), t, from[i], 1);
  return out;
}

}  // namespace ashlar::ops
