// SPDX-License-Identifier: Apache-2.0
// Concat and Split.
#include <algorithm>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Concat final : public Kernel {
 public:
  explicit Concat(const NodeView& node) : axis_(node.integer("axis")) {}

  void bind(BindContext& context) const override {
    std::vector<Dims> inputs;
    for (int i = 0; i < context.input_count(); ++i) inputs.push_back(context.input(i).dims());
    context.set_output(0, concatenated(inputs, normalize_axis(axis_, inputs.at(0).rank())));
  }

  void run(const RunContext& context) const override {
    const TensorView to = context.output(0);
    const AxisView all(to.dims(), normalize_axis(axis_, to.rank()));
    std::int64_t at = 0;
    for (int i = 0; i < context.input_count(); ++i) {
      const TensorView from = context.input(i);
      const std::int64_t run = from.dim(normalize_axis(axis_, to.rank())) * all.inner;
      const ElementCopier copier(to, from);
      for (std::int64_t o = 0; o < all.outer; ++o) copier.copy(o * all.size * all.inner + at, o * run, run);
      at += run;
    }
  }

 private:
  std::int64_t axis_;
};

class Split final : public Kernel {
 public:
  explicit Split(const NodeView& node) : axis_(node.integer("axis")), parts_(node.integer("num_outputs", 0)) {}

  std::uint64_t bind_reads() const override { return 2; }

  void bind(BindContext& context) const override {
    Dims dims = context.input(0).dims();
    const int axis = normalize_axis(axis_, dims.rank());
    const std::vector<std::int64_t> sizes = sizes_of(context, dims[axis]);
    for (int i = 0; i < context.output_count(); ++i) {
      dims[axis] = sizes[static_cast<std::size_t>(i)];
      context.set_output(i, dims);
    }
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const int axis = normalize_axis(axis_, from.rank());
    const AxisView all(from.dims(), axis);
    const std::vector<std::int64_t> sizes = sizes_of(context, all.size);
    std::int64_t at = 0;
    for (int i = 0; i < context.output_count(); ++i) {
      const std::int64_t run = sizes[static_cast<std::size_t>(i)] * all.inner;
      if (context.has_output(i)) {
        const ElementCopier copier(context.output(i), from);
        for (std::int64_t o = 0; o < all.outer; ++o) copier.copy(o * run, o * all.size * all.inner + at, run);
      }
      at += run;
    }
  }

 private:
  template <class Context> std::vector<std::int64_t> sizes_of(const Context& context, std::int64_t size) const {
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
    {"Concat", 4, kLatest, nullptr, &make<Concat>},
    {"Split", 13, kLatest, nullptr, &make<Split>},
};

}  // namespace

std::span<const provider::KernelEntry> concat_kernels() { return kTable; }

}  // namespace ashlar::reference
