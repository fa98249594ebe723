// SPDX-License-Identifier: Apache-2.0
// Unique. NaN is above every number and equal to itself.
#include <algorithm>
#include <numeric>
#include <string_view>

#include "copy.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

/// Negative, zero or positive as a is below, equal to or above b.
template <class C> int compare(C a, C b) {
  if (a < b) return -1;
  if (a > b) return 1;
  return (a != a) - (b != b);
}

Verdict unique_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kString || dtype == DType::kBool || contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "Unique of ",
                 dtype_name(dtype), " has no kernel");
  return accept();
}

class Unique final : public Kernel {
 public:
  explicit Unique(const NodeView& node)
      : flat_(!node.has("axis")), axis_(node.integer("axis", 0)), sorted_(node.integer("sorted", 1) != 0) {}

  void bind(BindContext& context) const override {
    if (!flat_) normalize_axis(axis_, context.input(0).rank());
    for (int i = 0; i < context.output_count(); ++i) context.set_output_unknown(i);
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    const Dims dims = flat_ ? Dims{in.count()} : in.dims();
    const int axis = normalize_axis(axis_, dims.rank());
    const AxisView data(dims, axis);
    if (in.dtype() == DType::kString) {
      write(context, dims, axis, groups_by(data, [&](std::int64_t a, std::int64_t b) { return in.string(a).compare(in.string(b)); }));
      return;
    }
    dispatch<NumericTypes>(in.dtype() == DType::kBool ? DType::kUint8 : in.dtype(), [&]<class T>() {
      const T* values = in.data<T>();
      write(context, dims, axis, groups_by(data, [values](std::int64_t a, std::int64_t b) {
              return compare(static_cast<Compute<T>>(values[a]), static_cast<Compute<T>>(values[b]));
            }));
    });
  }

 private:
  /// Slices along the axis, equal ones next to one another in ascending order; each group's slices are order[start[g], start[g + 1]).
  struct Groups {
    std::vector<std::int64_t> order, start;
  };

  template <class CompareElements> Groups groups_by(const AxisView& data, CompareElements elements) const {
    const auto slices = [&](std::int64_t a, std::int64_t b) {
      for (std::int64_t o = 0; o < data.outer; ++o)
        for (std::int64_t i = 0; i < data.inner; ++i)
          if (const int c = elements((o * data.size + a) * data.inner + i, (o * data.size + b) * data.inner + i)) return c;
      return 0;
    };
    Groups groups;
    groups.order.resize(static_cast<std::size_t>(data.size));
    std::iota(groups.order.begin(), groups.order.end(), 0);
    std::sort(groups.order.begin(), groups.order.end(), [&](std::int64_t a, std::int64_t b) {
      const int c = slices(a, b);
      return c ? c < 0 : a < b;
    });
    for (std::size_t i = 0; i < groups.order.size(); ++i)
      if (i == 0 || slices(groups.order[i - 1], groups.order[i]) != 0) groups.start.push_back(static_cast<std::int64_t>(i));
    return groups;
  }

  void write(const RunContext& context, Dims dims, int axis, const Groups& groups) const {
    const TensorView in = context.input(0);
    const AxisView data(dims, axis);
    const auto n = static_cast<std::int64_t>(groups.start.size());
    dims[axis] = n;
    context.set_output(0, dims);
    context.set_output(1, {n});
    context.set_output(2, {data.size});
    context.set_output(3, {n});
    const auto start = [&](std::int64_t g) { return g < n ? groups.start[static_cast<std::size_t>(g)] : data.size; };
    const auto slice = [&](std::int64_t i) { return groups.order[static_cast<std::size_t>(i)]; };
    std::vector<std::int64_t> ranks(static_cast<std::size_t>(n));
    std::iota(ranks.begin(), ranks.end(), 0);
    if (!sorted_) std::sort(ranks.begin(), ranks.end(), [&](std::int64_t a, std::int64_t b) { return slice(start(a)) < slice(start(b)); });
    const auto integers = [&](int i) { return context.has_output(i) ? context.output(i).mutable_data<std::int64_t>() : nullptr; };
    std::int64_t *const firsts = integers(1), *const inverse = integers(2), *const counts = integers(3);
    for (std::int64_t to = 0; to < n; ++to) {
      const std::int64_t g = ranks[static_cast<std::size_t>(to)], first = start(g), last = start(g + 1);
      if (context.has_output(0))
        for (std::int64_t o = 0; o < data.outer; ++o)
          copy(context.output(0), (o * n + to) * data.inner, in, (o * data.size + slice(first)) * data.inner, data.inner);
      if (firsts) firsts[to] = slice(first);
      if (counts) counts[to] = last - first;
      for (std::int64_t i = first; inverse && i < last; ++i) inverse[slice(i)] = to;
    }
  }

  static void copy(const TensorView& to, std::int64_t to_index, const TensorView& from, std::int64_t from_index, std::int64_t n) {
    if (const std::int64_t bytes = byte_width(to.dtype())) {
      copy_bytes(to.mutable_data<char>() + to_index * bytes, from.data<char>() + from_index * bytes, n * bytes);
      return;
    }
    for (std::int64_t i = 0; i < n; ++i) to.set_string(to_index + i, from.string(from_index + i));
  }

  bool flat_;
  std::int64_t axis_;
  bool sorted_;
};

constexpr KernelEntry kTable[] = {{"Unique", 11, kLatest, &unique_verdict, &make<Unique>}};

}  // namespace

std::span<const provider::KernelEntry> unique_kernels() { return kTable; }

}  // namespace ashlar::cpu
