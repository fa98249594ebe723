// SPDX-License-Identifier: Apache-2.0
// Operators that give the elements as they are under another shape: Identity, Reshape, Flatten, Squeeze, Unsqueeze.
#include <ashlar/provider/shapes.h>

#include "copy.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

Verdict takes_tensors(const NodeView& node) {
  ASHLAR_REQUIRE(node.input(0).is_tensor(), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of what is no tensor has no kernel");
  return accept();
}

class Identity final : public CpuKernel {
 public:
  explicit Identity(const NodeView&) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  void bind(BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
    context.set_view(0, 0);
  }
  void run(const RunContext& context) const override { copy_all(context, context.output(0), context.input(0)); }
};

/// Target::shape says which shape.
template <class Target> class Relabel final : public Kernel {
 public:
  explicit Relabel(const NodeView& node) : target_(node) {}
  std::uint64_t bind_reads() const override { return 0b10; }
  void bind(BindContext& context) const override {
    context.set_output(0, target_.shape(context));
    context.set_view(0, 0);
  }
  void run(const RunContext& context) const override { copy_all(context, context.output(0), context.input(0)); }

 private:
  Target target_;
};

struct Reshape {
  explicit Reshape(const NodeView& node) : allow_zero(node.integer("allowzero", 0) != 0) {}
  Dims shape(const BindContext& context) const {
    return provider::reshaped(context.input(0).dims(), Dims(context.input(1).indices()), allow_zero);
  }
  bool allow_zero;
};

struct Flatten {
  explicit Flatten(const NodeView& node) : axis(node.integer("axis", 1)) {}
  Dims shape(const BindContext& context) const {
    const Dims in = context.input(0).dims();
    const int split = axis == in.rank() ? in.rank() : normalize_axis(axis, in.rank());
    return {in.product(0, split), in.product(split, in.rank())};
  }
  std::int64_t axis;
};

/// One flag for each of `rank` dimensions, 1 where `axes` names it; a Failure when one is named twice.
Dims axis_flags(const TensorView& axes, int rank) {
  Dims flags = Dims::filled(rank, 0);
  for (const std::int64_t axis : axes.indices()) check(flags[normalize_axis(axis, rank)]++ == 0, "axes has axis ", axis, " twice");
  return flags;
}

struct Squeeze {
  explicit Squeeze(const NodeView&) {}
  Dims shape(const BindContext& context) const {
    const Dims in = context.input(0).dims();
    Dims flags = Dims::filled(in.rank(), 0);
    if (context.has_input(1)) {
      flags = axis_flags(context.input(1), in.rank());
    } else {
      for (int i = 0; i < in.rank(); ++i) flags[i] = in[i] == 1;
    }
    Dims out;
    for (int i = 0; i < in.rank(); ++i) {
      check(!flags[i] || in[i] == 1, "dimension ", i, " of the shape ", in, " is not 1");
      if (!flags[i]) out.push_back(in[i]);
    }
    return out;
  }
};

struct Unsqueeze {
  explicit Unsqueeze(const NodeView&) {}
  Dims shape(const BindContext& context) const {
    const Dims in = context.input(0).dims();
    const std::int64_t rank = in.rank() + context.input(1).count();
    check(rank <= ASHLAR_MAX_RANK, "more than ", ASHLAR_MAX_RANK, " dimensions");
    Dims out = axis_flags(context.input(1), static_cast<int>(rank));
    int next = 0;
    for (std::int64_t& d : out) d = d ? 1 : in[next++];
    return out;
  }
};

constexpr KernelEntry kTable[] = {
    {"Identity", 1, kLatest, &takes_tensors, &make<Identity>},      {"Reshape", 5, kLatest, nullptr, &make<Relabel<Reshape>>},
    {"Flatten", 1, kLatest, nullptr, &make<Relabel<Flatten>>},      {"Squeeze", 13, kLatest, nullptr, &make<Relabel<Squeeze>>},
    {"Unsqueeze", 13, kLatest, nullptr, &make<Relabel<Unsqueeze>>},
};

}  // namespace

std::span<const provider::KernelEntry> view_kernels() { return kTable; }

}  // namespace ashlar::cpu
