// SPDX-License-Identifier: Apache-2.0
// Slice.
#include <algorithm>
#include <limits>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Slice final : public Kernel {
 public:
  explicit Slice(const NodeView&) {}

  std::uint64_t bind_reads() const override { return 0b11110; }

  void bind(BindContext& context) const override { context.set_output(0, ranges_of(context).out); }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    const Ranges ranges = ranges_of(context);
    Dims strides = strides_of(from.dims());
    std::int64_t offset = 0;
    for (int i = 0; i < from.rank(); ++i) {
      offset += ranges.start[i] * strides[i];
      strides[i] *= ranges.step[i];
    }
    ElementCopier(to, from).block(to.dims(), 0, strides_of(to.dims()), offset, strides);
  }

 private:
  struct Ranges {
    Dims out, start, step;
  };

  template <class Context> static Ranges ranges_of(const Context& context) {
    const Dims in = context.input(0).dims();
    const std::vector<std::int64_t> starts = context.input(1).indices();
    const std::vector<std::int64_t> ends = context.input(2).indices();
    std::vector<std::int64_t> axes(starts.size()), steps(starts.size(), 1);
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
    if (context.has_input(3)) axes = context.input(3).indices();
    if (context.has_input(4)) steps = context.input(4).indices();
    check(starts.size() == ends.size() && starts.size() == axes.size() && starts.size() == steps.size(),
          "starts, ends, axes and steps have ", starts.size(), ", ", ends.size(), ", ", axes.size(), " and ", steps.size(), " elements");
    Ranges ranges{in, Dims::filled(in.rank(), 0), Dims::filled(in.rank(), 1)};
    Dims seen = Dims::filled(in.rank(), 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const int axis = normalize_axis(axes[i], in.rank());
      check(seen[axis]++ == 0, "axes has axis ", axis, " twice");
      clamp_range(in[axis], starts[i], ends[i], steps[i], ranges, axis);
    }
    return ranges;
  }

  static void clamp_range(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step, Ranges& ranges, int axis) {
    check(step != 0, "the step of axis ", axis, " is 0");
    step = std::max(step, -std::numeric_limits<std::int64_t>::max());
    if (start < 0) start += size;
    if (end < 0) end += size;
    const std::int64_t low = step > 0 ? 0 : -1;
    const std::int64_t high = step > 0 ? size : size - 1;
    start = std::clamp<std::int64_t>(start, 0, std::max<std::int64_t>(high, 0));
    end = std::clamp(end, low, std::max(high, low));
    std::int64_t count = 0;
    if (step > 0 && end > start) count = (end - start - 1) / step + 1;
    if (step < 0 && start > end && size > 0) count = (start - end - 1) / -step + 1;
    ranges.out[axis] = count;
    ranges.start[axis] = count > 0 ? start : 0;
    ranges.step[axis] = count > 1 ? step : 1;
  }
};

constexpr KernelEntry kTable[] = {{"Slice", 10, kLatest, nullptr, &make<Slice>}};

}  // namespace

std::span<const provider::KernelEntry> slice_kernels() { return kTable; }

}  // namespace ashlar::reference
