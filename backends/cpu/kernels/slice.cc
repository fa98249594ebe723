// SPDX-License-Identifier: Apache-2.0
// Slice, in either layout. A slice that is one stretch of memory may share the input's storage.
#include <algorithm>
#include <limits>

#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

struct SliceBinding : CopyBinding {
  SliceBinding(const StridedCopy& c, std::int64_t bytes) : CopyBinding(c), offset(bytes) {}
  std::int64_t offset;  ///< bytes before the slice's first element
};

class Slice final : public CpuKernel {
 public:
  explicit Slice(const NodeView&) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t bind_reads() const override { return 0b11110; }

  void bind(BindContext& context) const override {
    const TensorView in = context.input(0);
    const std::uint64_t layout = in.layout();
    const Ranges ranges = ranges_of(context);
    context.set_output(0, ranges.out);
    context.set_layout(0, layout);
    Dims strides = strides_of(in.dims(), layout);
    std::int64_t start = 0;
    for (int i = 0; i < in.rank() && ranges.out.count() > 0; ++i) {
      start += ranges.start[i] * strides[i];
      strides[i] *= ranges.step[i];
    }
    const StridedCopy copy(in.dtype(), {ranges.out, strides_of(ranges.out, layout), strides}, 0, start);
    const std::int64_t offset = start * byte_width(in.dtype());
    if (copy.is_dense()) context.set_view(0, 0, static_cast<std::uint64_t>(offset));
    context.set_binding(std::make_unique<SliceBinding>(copy, offset));
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    const auto& binding = context.binding<SliceBinding>();
    if (!binding.copy.is_dense() || to.raw() != from.data<char>() + binding.offset) binding.copy.run(context, to, from);
  }

 private:
  struct Ranges {
    Dims out, start, step;
  };

  static Ranges ranges_of(const BindContext& context) {
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

constexpr KernelEntry kTable[] = {{"Slice", 10, kLatest, &takes_bytes_or_strings, &make<Slice>}};

}  // namespace

std::span<const provider::KernelEntry> slice_kernels() { return kTable; }

}  // namespace ashlar::cpu
