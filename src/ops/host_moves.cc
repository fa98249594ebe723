// SPDX-License-Identifier: Apache-2.0
// Operators that read a shape, change it, or move elements.
#include <algorithm>

#include "ops/host_call.h"

namespace ashlar::ops {
namespace {

std::int64_t length(const auto& list) { return static_cast<std::int64_t>(list.size()); }

/// The tensor seen from `axis`: [outer, size, inner].
struct AxisView {
  std::int64_t outer = 1, size, inner = 1;
  AxisView(const Shape& shape, std::size_t axis) : size(shape[axis]) {
    for (std::size_t i = 0; i < axis; ++i) outer *= shape[i];
    for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  }
};

Tensor relabel(const Tensor& t, const Shape& shape) {
  if (checked_count(shape) != t.element_count()) host_fail(t.type_string() + " cannot take the shape " + shape.to_string());
  Tensor out = make_tensor(t.dtype(), shape);
  copy_elements(out, 0, t, 0, t.element_count());
  return out;
}

Tensor identity(const HostCall& c) { return relabel(c.in(0), c.in(0).shape()); }

/// The slices of `t` along `axis` with these indices, which are in range.
Tensor take(const Tensor& t, std::size_t axis, const Ints& indices) {
  Shape shape = t.shape();
  shape[axis] = length(indices);
  Tensor out = make_tensor(t.dtype(), shape);
  if (out.element_count() == 0) return out;
  const AxisView view(t.shape(), axis);
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < view.outer; ++o)
    for (const std::int64_t i : indices) {
      copy_elements(out, at, t, (o * view.size + i) * view.inner, view.inner);
      at += view.inner;
    }
  return out;
}

/// `count` numbers from `start`.
Ints counted(std::int64_t count, std::int64_t start, std::int64_t step) {
  checked_count({count});
  Ints out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(start + i * step);
  return out;
}

Tensor gather(const HostCall& c) {
  const Tensor& data = c.in(0);
  const std::size_t axis = checked_axis(c.integer("axis", 0), data.shape().size());
  const std::int64_t size = data.shape()[axis];
  Ints indices = c.ints(1);
  for (std::int64_t& i : indices) {
    if (i < -size || i >= size) host_fail("index " + std::to_string(i) + " is outside a dimension of " + std::to_string(size));
    if (i < 0) i += size;
  }
  const auto dims = data.shape().dims();
  Ints shape(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis));
  for (const std::int64_t d : c.in(1).shape()) shape.push_back(d);
  shape.insert(shape.end(), dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end());
  return take(data, axis, indices).reshaped(shape_of(shape));
}

/// The indices that ONNX's Slice takes from a dimension.
Ints slice_indices(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step) {
  if (step == 0) host_fail("a step is 0");
  step = std::max(step, -std::numeric_limits<std::int64_t>::max());
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  start = std::clamp(start < 0 ? start + size : start, std::int64_t{0}, std::max(high, std::int64_t{0}));
  end = std::clamp(end < 0 ? end + size : end, low, std::max(high, low));
  std::int64_t count = 0;
  if (step > 0 && end > start) count = (end - start - 1) / step + 1;
  if (step < 0 && start > end && size > 0) count = (start - end - 1) / -step + 1;
  return counted(count, start, count > 1 ? step : 1);
}

Tensor slice(const HostCall& c) {
  const Ints starts = c.ints(1), ends = c.ints(2);
  const Ints axes = c.has(3) ? c.ints(3) : counted(length(starts), 0, 1);
  const Ints steps = c.has(4) ? c.ints(4) : Ints(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    host_fail("starts, ends, axes and steps are not of one length");
  Tensor out = c.in(0);
  axis_flags(axes, out.shape().size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t axis = checked_axis(axes[i], out.shape().size());
    out = take(out, axis, slice_indices(out.shape()[axis], starts[i], ends[i], steps[i]));
  }
  return axes.empty() ? identity(c) : out;
}

Tensor concat(const HostCall& c) {
  Shape shape = c.in(0).shape();
  const std::size_t axis = checked_axis(c.integer("axis", 0), shape.size());
  for (std::size_t k = 1; k < c.inputs.size(); ++k) {
    const Tensor& t = c.in(k);
    Shape like = t.shape();
    if (like.size() == shape.size()) like[axis] = shape[axis];
    if (t.dtype() != c.in(0).dtype() || !(like == shape))
      host_fail(t.type_string() + " cannot be joined to " + c.in(0).type_string() + " along axis " + std::to_string(axis));
    if (__builtin_add_overflow(shape[axis], t.shape()[axis], &shape[axis])) host_fail("the result is too large");
  }
  Tensor out = make_tensor(c.in(0).dtype(), shape);
  if (out.element_count() == 0) return out;
  const AxisView all(shape, axis);
  std::int64_t at = 0;
  for (const Tensor* t : c.inputs) {
    const std::int64_t run = t->shape()[axis] * all.inner;
    for (std::int64_t o = 0; o < all.outer; ++o) copy_elements(out, o * all.size * all.inner + at, *t, o * run, run);
    at += run;
  }
  return out;
}

Ints split_sizes(const HostCall& c, std::int64_t size) {
  const std::int64_t parts = length(c.node.outputs);
  if (c.has(1)) {
    const Ints sizes = c.ints(1);
    std::int64_t left = size;
    for (const std::int64_t s : sizes)
      if (s < 0 || s > left) host_fail("a part of " + std::to_string(s) + " where " + std::to_string(left) + " are left");
      else left -= s;
    if (left != 0 || length(sizes) != parts) host_fail("the parts of split are not those of a dimension of " + std::to_string(size));
    return sizes;
  }
  if (parts == 0 || c.integer("num_outputs", parts) != parts)
    host_fail("num_outputs is not the number of outputs", ErrorCode::kInvalidModel);
  if (!c.node.find("num_outputs") && size % parts != 0)
    host_fail("a dimension of " + std::to_string(size) + " does not split into " + std::to_string(parts) + " equal parts");
  const std::int64_t each = size / parts + (size % parts != 0);
  Ints sizes;
  for (std::int64_t left = size; length(sizes) < parts; left -= sizes.back()) sizes.push_back(std::min(each, left));
  return sizes;
}

Tensors split(const HostCall& c) {
  const Tensor& t = c.in(0);
  const std::size_t axis = checked_axis(c.integer("axis", 0), t.shape().size());
  Tensors out;
  std::int64_t at = 0;
  for (const std::int64_t size : split_sizes(c, t.shape()[axis])) {
    out.push_back(take(t, axis, counted(size, at, 1)));
    at += size;
  }
  return out;
}

Tensor tile(const HostCall& c) {
  Tensor out = identity(c);
  const Ints repeats = c.ints(1);
  Ints dims;
  if (repeats.size() != out.shape().size()) host_fail("there is not one repeat for each dimension");
  for (std::size_t axis = 0; axis < repeats.size(); ++axis) {
    dims.push_back(0);
    if (repeats[axis] < 0 || __builtin_mul_overflow(out.shape()[axis], repeats[axis], &dims.back())) host_fail("a repeat is not possible");
  }
  const Shape shape = shape_of(dims);
  if (checked_count(shape) == 0) return make_tensor(out.dtype(), shape);
  for (std::size_t axis = 0; axis < repeats.size(); ++axis) {
    Ints indices = counted(shape[axis], 0, 1);
    for (std::int64_t& i : indices) i %= out.shape()[axis];
    out = take(out, axis, indices);
  }
  return out;
}

Tensor reshape(const HostCall& c) {
  const Shape& in = c.in(0).shape();
  Shape out = shape_of(c.ints(1));
  std::int64_t* inferred = nullptr;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0 && c.integer("allowzero", 0) == 0) {
      if (i >= in.size()) host_fail("dimension " + std::to_string(i) + " is to be copied from the shape " + in.to_string());
      out[i] = in[i];
    } else if (out[i] == -1) {
      if (inferred) host_fail("the shape " + out.to_string() + " has -1 twice");
      inferred = &out[i];
      *inferred = 1;
    }
  }
  if (inferred) {
    const std::int64_t count = checked_count(out);
    if (count == 0) host_fail("the -1 is not determined for the shape " + in.to_string());
    *inferred = c.in(0).element_count() / count;
  }
  return relabel(c.in(0), out);
}

Tensor squeeze(const HostCall& c) {
  const Shape& in = c.in(0).shape();
  std::vector<char> flags(in.size());
  if (c.has(1)) flags = axis_flags(c.ints(1), in.size());
  else std::transform(in.begin(), in.end(), flags.begin(), [](std::int64_t d) { return d == 1; });
  Ints out;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!flags[i]) out.push_back(in[i]);
    else if (in[i] != 1) host_fail("dimension " + std::to_string(i) + " of the shape " + in.to_string() + " is not 1");
  return relabel(c.in(0), shape_of(out));
}

Tensor unsqueeze(const HostCall& c) {
  const Shape& in = c.in(0).shape();
  const Ints axes = c.ints(1);
  const std::vector<char> flags = axis_flags(axes, in.size() + axes.size());
  Ints out;
  std::size_t next = 0;
  for (const char added : flags) out.push_back(added ? 1 : in[next++]);
  return relabel(c.in(0), shape_of(out));
}

Tensor transpose(const HostCall& c) {
  if (c.in(0).shape().rank() > 1)
    host_fail("Transpose of " + c.in(0).type_string() + " is not evaluated on the host", ErrorCode::kUnsupported);
  return identity(c);
}

Tensor expand(const HostCall& c) {
  const Shape shape = broadcast_shape(c.in(0).shape(), shape_of(c.ints(1)));
  return shape == c.in(0).shape() ? identity(c) : broadcast_to(c.in(0), shape);
}

Tensor constant_of_shape(const HostCall& c) {
  const Shape shape = shape_of(c.ints(0));
  const auto* value = c.node.find_as<Tensor>("value");
  if (!value) return make_tensor(DType::kFloat32, shape);
  if (value->element_count() != 1) host_fail("value is " + value->type_string() + ", not one element", ErrorCode::kInvalidModel);
  Tensor out = make_tensor(value->dtype(), shape);
  for (std::int64_t i = 0; i < out.element_count(); ++i) copy_elements(out, i, *value, 0, 1);
  return out;
}

const Shape& input_shape(const HostCall& c) {
  if (c.shapes.empty()) host_fail("input 0 is missing", ErrorCode::kInvalidModel);
  return c.shapes[0];
}

Tensor shape(const HostCall& c) {
  const Shape& in = input_shape(c);
  const std::int64_t rank = in.rank();
  const auto bound = [rank](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t first = bound(c.integer("start", 0)), last = bound(c.integer("end", rank));
  return tensor_of(DType::kInt64, {std::max<std::int64_t>(last - first, 0)}, Ints(in.begin() + first, in.begin() + std::max(first, last)));
}

Tensor size(const HostCall& c) { return Tensor::scalar(input_shape(c).element_count()); }

Tensor where(const HostCall& c) {
  const Tensor &chosen = c.in(0), &x = c.in(1), &y = c.in(2);
  if (chosen.dtype() != DType::kBool || x.dtype() != y.dtype())
    host_fail("Where by " + chosen.type_string() + " of " + x.type_string() + " and " + y.type_string(), ErrorCode::kInvalidModel);
  Tensor out = make_tensor(x.dtype(), broadcast_shape(broadcast_shape(chosen.shape(), x.shape()), y.shape()));
  const auto by = elements<std::int64_t>(broadcast_to(chosen, out.shape()));
  const Ints from_x = broadcast_positions(x.shape(), out.shape()), from_y = broadcast_positions(y.shape(), out.shape());
  for (std::size_t i = 0; i < by.size(); ++i)
    copy_elements(out, static_cast<std::int64_t>(i), by[i] ? x : y, by[i] ? from_x[i] : from_y[i], 1);
  return out;
}

constexpr HostRow kRows[] = {
    {"Shape", 1, &host_one<&shape>},
    {"Size", 1, &host_one<&size>},
    {"Identity", 1, &host_one<&identity>},
    {"Gather", 1, &host_one<&gather>},
    {"Slice", 10, &host_one<&slice>},
    {"Concat", 4, &host_one<&concat>},
    {"Split", 18, &split},
    {"Tile", 6, &host_one<&tile>},
    {"Reshape", 5, &host_one<&reshape>},
    {"Squeeze", 13, &host_one<&squeeze>},
    {"Unsqueeze", 13, &host_one<&unsqueeze>},
    {"Transpose", 1, &host_one<&transpose>},
    {"Expand", 8, &host_one<&expand>},
    {"ConstantOfShape", 9, &host_one<&constant_of_shape>},
    {"Where", 9, &host_one<&where>},
};

}  // namespace

std::span<const HostRow> host_moves() { return kRows; }

}  // namespace ashlar::ops
