// SPDX-License-Identifier: Apache-2.0
// Gather, GatherElements, GatherND. Negative indices count from the end.
#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Gather final : public Kernel {
 public:
  explicit Gather(const NodeView& node) : axis_(node.integer("axis", 0)) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    context.set_output(0, gathered(in, normalize_axis(axis_, in.rank()), context.input(1).dims()));
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const AxisView data(from.dims(), normalize_axis(axis_, from.rank()));
    std::vector<std::int64_t> indices = context.input(1).indices();
    for (std::int64_t& index : indices) index = checked_index(index, data.size);
    const ElementCopier copier(context.output(0), from);
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < data.outer; ++o) {
      for (const std::int64_t index : indices) {
        copier.copy(at, (o * data.size + index) * data.inner, data.inner);
        at += data.inner;
      }
    }
  }

 private:
  std::int64_t axis_;
};

class GatherElements final : public Kernel {
 public:
  explicit GatherElements(const NodeView& node) : axis_(node.integer("axis", 0)) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), out = context.input(1).dims();
    check(in.rank() == out.rank(), "indices has the shape ", out, ", the data ", in);
    const int axis = normalize_axis(axis_, in.rank());
    for (int i = 0; i < in.rank(); ++i)
      check(i == axis || out[i] <= in[i], "indices has the shape ", out, ", the data ", in, ", and axis is ", axis);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const int axis = normalize_axis(axis_, from.rank());
    const std::vector<std::int64_t> indices = context.input(1).indices();
    const std::int64_t size = from.dim(axis);
    Dims strides = strides_of(from.dims());
    const std::int64_t step = strides[axis];
    strides[axis] = 0;
    const ElementCopier copier(context.output(0), from);
    for_each_index<1>(context.input(1).dims(), {strides}, [&](std::int64_t i, const std::array<std::int64_t, 1>& at) {
      copier.copy(i, at[0] + checked_index(indices[static_cast<std::size_t>(i)], size) * step);
    });
  }

 private:
  std::int64_t axis_;
};

class GatherND final : public Kernel {
 public:
  explicit GatherND(const NodeView& node) : batch_(node.integer("batch_dims", 0)) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), indices = context.input(1).dims();
    check(indices.rank() > 0 && batch_ >= 0 && batch_ < in.rank() && batch_ < indices.rank(), "batch_dims is ", batch_,
          ", the data has the shape ", in, ", indices ", indices);
    const int batch = static_cast<int>(batch_);
    for (int i = 0; i < batch; ++i)
      check(in[i] == indices[i], "the data has the shape ", in, ", indices ", indices, ", and batch_dims is ", batch);
    const int last = indices.rank() - 1;
    check(indices[last] >= 0 && indices[last] <= in.rank() - batch, "indices has the shape ", indices, ", the data ", in);
    Dims out;
    for (int i = 0; i < last; ++i) out.push_back(indices[i]);
    for (int i = batch + static_cast<int>(indices[last]); i < in.rank(); ++i) out.push_back(in[i]);
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const Dims in = from.dims(), strides = strides_of(in), shape = context.input(1).dims();
    const std::vector<std::int64_t> indices = context.input(1).indices();
    const int batch = static_cast<int>(batch_), last = shape.rank() - 1;
    const std::int64_t depth = shape[last], batches = shape.product(0, batch), each = shape.product(batch, last);
    const std::int64_t batch_size = in.product(batch, in.rank());
    const std::int64_t run = in.product(batch + static_cast<int>(depth), in.rank());
    const ElementCopier copier(context.output(0), from);
    for (std::int64_t row = 0; row < batches * each; ++row) {
      std::int64_t at = row / each * batch_size;
      for (std::int64_t i = 0; i < depth; ++i)
        at += checked_index(indices[static_cast<std::size_t>(row * depth + i)], in[batch + i]) * strides[batch + i];
      copier.copy(row * run, at, run);
    }
  }

 private:
  std::int64_t batch_;
};

constexpr KernelEntry kTable[] = {
    {"Gather", 1, kLatest, nullptr, &make<Gather>},
    {"GatherElements", 11, kLatest, nullptr, &make<GatherElements>},
    {"GatherND", 11, kLatest, nullptr, &make<GatherND>},
};

}  // namespace

std::span<const provider::KernelEntry> gather_kernels() { return kTable; }

}  // namespace ashlar::reference
