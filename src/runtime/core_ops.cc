// SPDX-License-Identifier: Apache-2.0
#include "runtime/core_ops.h"

#include <cstring>

namespace ashlar::runtime {
namespace {

/// Copies a block of `rows` runs of `run` elements between row strides counted in elements.
void copy_rows(const Tensor& from, std::int64_t from_offset, std::int64_t from_stride, Tensor& to, std::int64_t to_offset,
               std::int64_t to_stride, std::int64_t rows, std::int64_t run) {
  if (rows == 0 || run == 0) return;
  if (from.dtype() == DType::kString) {
    const auto* source = from.data<std::string>();
    auto* target = to.mutable_data<std::string>();
    for (std::int64_t r = 0; r < rows; ++r) std::copy_n(source + from_offset + r * from_stride, run, target + to_offset + r * to_stride);
    return;
  }
  if (bit_width(from.dtype()) < 8)
    throw Error(ErrorCode::kUnsupported, "packed " + std::string(to_string(from.dtype())) + " elements cannot be sliced");
  const auto size = static_cast<std::int64_t>(byte_size(from.dtype(), 1));
  const auto* source = static_cast<const std::byte*>(from.raw());
  auto* target = static_cast<std::byte*>(to.mutable_raw());
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(target + (to_offset + r * to_stride) * size, source + (from_offset + r * from_stride) * size,
                static_cast<std::size_t>(run * size));
}

std::int64_t product(const Shape& shape, int first, int last) {
  std::int64_t p = 1;
  for (int i = first; i < last; ++i) p *= shape[static_cast<std::size_t>(i)];
  return p;
}

}  // namespace

const Value& CoreCall::input(std::size_t i) const {
  if (!has_input(i)) throw Error(ErrorCode::kInvalidModel, "input " + std::to_string(i) + " is missing");
  return frame.value(step.inputs[i]);
}

void CoreCall::set_output(std::size_t i, Value value) const {
  if (i < step.outputs.size() && step.outputs[i] != plan::kNoSlot) frame.set(step.outputs[i], std::move(value));
}

std::int64_t CoreCall::integer(const char* attribute, std::int64_t otherwise) const {
  const auto* a = node().find_as<std::int64_t>(attribute);
  return a ? *a : otherwise;
}

std::vector<std::int64_t> CoreCall::integers(const char* attribute) const {
  const auto* a = node().find_as<std::vector<std::int64_t>>(attribute);
  return a ? *a : std::vector<std::int64_t>();
}

std::int64_t scalar(const Value& value, const char* what) {
  const Tensor& t = value.tensor();
  if (t.element_count() != 1) throw Error(ErrorCode::kRuntime, std::string(what) + " must be one number, it is " + t.type_string());
  if (t.dtype() == DType::kBool) return *t.data<bool>() ? 1 : 0;
  if (t.dtype() == DType::kInt32) return *t.data<std::int32_t>();
  return *t.data<std::int64_t>();
}

std::int64_t position(std::int64_t index, std::int64_t size, bool end_too, const char* what) {
  const std::int64_t last = end_too ? size : size - 1;
  if (index < -size || index > last)
    throw Error(ErrorCode::kRuntime, std::string(what) + " " + std::to_string(index) + " is outside a sequence of " + std::to_string(size));
  return index < 0 ? index + size : index;
}

Tensor slice(BufferPool& pool, const Tensor& tensor, int axis, std::int64_t begin, std::int64_t end) {
  Shape shape = tensor.shape();
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t inner = product(shape, axis + 1, shape.rank()), extent = shape[a], rows = product(shape, 0, axis);
  shape[a] = end - begin;
  Tensor out = pool.allocate(tensor.dtype(), shape);
  copy_rows(tensor, begin * inner, extent * inner, out, 0, (end - begin) * inner, rows, (end - begin) * inner);
  return out;
}

Tensor concat(BufferPool& pool, const std::vector<Tensor>& tensors, int axis) {
  const auto a = static_cast<std::size_t>(axis);
  Shape shape = tensors.at(0).shape();
  shape[a] = 0;
  for (const Tensor& t : tensors) {
    Shape other = t.shape();
    const std::int64_t extent = other.rank() > axis ? other[a] : 0;
    if (other.rank() > axis) other[a] = shape[a];
    if (t.dtype() != tensors[0].dtype() || !(other == shape))
      throw Error(ErrorCode::kRuntime,
                  t.type_string() + " does not continue " + tensors[0].type_string() + " along axis " + std::to_string(axis));
    shape[a] += extent;
  }
  Tensor out = pool.allocate(tensors[0].dtype(), shape);
  const std::int64_t inner = product(shape, axis + 1, shape.rank()), rows = product(shape, 0, axis);
  std::int64_t offset = 0;
  for (const Tensor& t : tensors) {
    const std::int64_t run = t.shape()[a] * inner;
    copy_rows(t, 0, run, out, offset, shape[a] * inner, rows, run);
    offset += run;
  }
  return out;
}

Tensor unsqueezed(const Tensor& tensor, int axis) {
  std::vector<std::int64_t> dims(tensor.shape().begin(), tensor.shape().end());
  dims.insert(dims.begin() + axis, 1);
  return tensor.reshaped(Shape(std::span<const std::int64_t>(dims)));
}

Tensor squeezed(const Tensor& tensor, int axis) {
  std::vector<std::int64_t> dims(tensor.shape().begin(), tensor.shape().end());
  dims.erase(dims.begin() + axis);
  return tensor.reshaped(Shape(std::span<const std::int64_t>(dims)));
}

void run_core_step(Frame& frame, const plan::Step& step, const RunState& state) {
  const CoreCall call{frame, step, state};
  const std::string& op = call.node().op_type;
  if (op == "If") run_if(call);
  else if (op == "Loop") run_loop(call);
  else if (op == "Scan") run_scan(call);
  else run_container(call);
}

}  // namespace ashlar::runtime
