// SPDX-License-Identifier: Apache-2.0
// Concat and Split, in either layout. Parts that are one stretch of memory on both sides may share the whole's storage.
#include <algorithm>

#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

/// A copy for each part, and where in the whole it starts, in bytes.
struct Parts : Binding {
  struct Part {
    StridedCopy copy;
    std::int64_t offset;
  };
  std::vector<Part> parts;
};

class Concat final : public CpuKernel {
 public:
  explicit Concat(const NodeView& node) : axis_(node.integer("axis")) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }

  void bind(BindContext& context) const override {
    const Dims first = context.input(0).dims();
    const int axis = normalize_axis(axis_, first.rank());
    Dims out = first;
    std::uint64_t layout = context.input(0).layout();
    for (int i = 1; i < context.input_count(); ++i) {
      const Dims in = context.input(i).dims();
      layout = std::max(layout, context.input(i).layout());
      bool fits = in.rank() == out.rank();
      for (int d = 0; fits && d < out.rank(); ++d) fits = d == axis || in[d] == out[d];
      check(fits && !__builtin_add_overflow(out[axis], in[axis], &out[axis]), "input ", i, " has the shape ", in, ", input 0 ", first,
            ", and axis is ", axis);
    }
    checked_count(out);
    context.set_output(0, out);
    context.set_layout(0, layout);

    const DType dtype = context.input(0).dtype();
    const Dims strides = strides_of(out, layout);
    auto binding = std::make_unique<Parts>();
    binding->parts.reserve(static_cast<std::size_t>(context.input_count()));
    std::int64_t at = 0;
    for (int i = 0; i < context.input_count(); ++i) {
      const Dims in = context.input(i).dims();
      const std::int64_t start = at * strides[axis], offset = start * byte_width(dtype);
      binding->parts.push_back({StridedCopy(dtype, {in, strides, strides_of(in, layout)}, start), offset});
      if (binding->parts.back().copy.is_dense() && in.count() > 0) context.set_input_offset(i, static_cast<std::uint64_t>(offset));
      at += in[axis];
    }
    context.set_binding(std::move(binding));
  }

  void run(const RunContext& context) const override {
    const TensorView to = context.output(0);
    int i = 0;
    for (const Parts::Part& part : context.binding<Parts>().parts) {
      const TensorView from = context.input(i++);
      if (!part.copy.is_dense() || from.raw() != to.mutable_data<char>() + part.offset) part.copy.run(context, to, from);
    }
  }

 private:
  std::int64_t axis_;
};

class Split final : public CpuKernel {
 public:
  explicit Split(const NodeView& node) : axis_(node.integer("axis")), parts_(node.integer("num_outputs", 0)) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t bind_reads() const override { return 0b10; }

  void bind(BindContext& context) const override {
    const TensorView in = context.input(0);
    Dims dims = in.dims();
    const int axis = normalize_axis(axis_, dims.rank());
    const std::vector<std::int64_t> sizes = sizes_of(context, dims[axis]);
    const Dims strides = strides_of(dims, in.layout());
    auto binding = std::make_unique<Parts>();
    binding->parts.reserve(sizes.size());
    std::int64_t at = 0;
    for (int i = 0; i < context.output_count(); ++i) {
      dims[axis] = sizes[static_cast<std::size_t>(i)];
      context.set_output(i, dims);
      context.set_layout(i, in.layout());
      const std::int64_t start = at * strides[axis], offset = start * byte_width(in.dtype());
      binding->parts.push_back({StridedCopy(in.dtype(), {dims, strides_of(dims, in.layout()), strides}, 0, start), offset});
      if (binding->parts.back().copy.is_dense()) context.set_view(i, 0, dims[axis] > 0 ? static_cast<std::uint64_t>(offset) : 0);
      at += dims[axis];
    }
    context.set_binding(std::move(binding));
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    int i = -1;
    for (const Parts::Part& part : context.binding<Parts>().parts) {
      if (!context.has_output(++i)) continue;
      const TensorView to = context.output(i);
      if (!part.copy.is_dense() || to.raw() != from.data<char>() + part.offset) part.copy.run(context, to, from);
    }
  }

 private:
  std::vector<std::int64_t> sizes_of(const BindContext& context, std::int64_t size) const {
    const std::int64_t outputs = context.output_count();
    if (context.has_input(1)) {
      std::vector<std::int64_t> sizes = context.input(1).indices();
      check(static_cast<std::int64_t>(sizes.size()) == outputs, "split has ", sizes.size(), " sizes for ", outputs, " outputs");
      std::int64_t left = size;
      for (const std::int64_t s : sizes) {
        check(s >= 0 && s <= left, "split has the size ", s, " where ", left, " of ", size, " are left");
        left -= s;
      }
      check(left == 0, "split leaves ", left, " of ", size, " out");
      return sizes;
    }
    check(parts_ == 0 || parts_ == outputs, "num_outputs is ", parts_, ", the node has ", outputs, " outputs");
    check(parts_ != 0 || size % outputs == 0, "axis of size ", size, " does not split into ", outputs, " equal parts");
    const std::int64_t each = (size + outputs - 1) / outputs;
    std::vector<std::int64_t> sizes;
    for (std::int64_t i = 0; i < outputs; ++i) sizes.push_back(std::clamp<std::int64_t>(size - i * each, 0, each));
    return sizes;
  }

  std::int64_t axis_;
  std::int64_t parts_;
};

constexpr KernelEntry kTable[] = {
    {"Concat", 4, kLatest, &takes_bytes_or_strings, &make<Concat>},
    {"Split", 13, kLatest, &takes_bytes_or_strings, &make<Split>},
};

}  // namespace

std::span<const provider::KernelEntry> concat_kernels() { return kTable; }

}  // namespace ashlar::cpu
