// SPDX-License-Identifier: Apache-2.0
// Operators that order elements: TopK, Unique. NaN is above every number and equal to itself.
#include <algorithm>
#include <complex>
#include <numeric>
#include <string_view>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

/// Negative, zero or positive as a is below, equal to or above b.
template <class C> int compare(C a, C b) {
  if (a < b) return -1;
  if (a > b) return 1;
  return (a != a) - (b != b);
}
template <class C> int compare(std::complex<C> a, std::complex<C> b) {
  const int real = compare(a.real(), b.real());
  return real ? real : compare(a.imag(), b.imag());
}

Verdict top_k_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "TopK of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class TopK final : public Kernel {
 public:
  explicit TopK(const NodeView& node) : axis_(node.integer("axis", -1)), largest_(node.integer("largest", 1) != 0) {}
  std::uint64_t bind_reads() const override { return 2; }

  void bind(BindContext& context) const override {
    Dims out = context.input(0).dims();
    const int axis = normalize_axis(axis_, out.rank());
    check(context.input(1).count() == 1, "K has the shape ", context.input(1).dims());
    const std::int64_t k = context.input(1).indices()[0];
    check(k >= 0 && k <= out[axis], "K is ", k, ", axis ", axis, " of ", out, " has fewer elements");
    out[axis] = k;
    context.set_output(0, out);
    context.set_output(1, out);
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    const AxisView data(in.dims(), normalize_axis(axis_, in.rank()));
    const std::int64_t k = context.input(1).indices()[0];
    std::vector<std::int64_t> order(static_cast<std::size_t>(data.size));
    dispatch<NumericTypes>(in.dtype(), [&]<class T>() {
      for (std::int64_t o = 0; o < data.outer; ++o) {
        for (std::int64_t i = 0; i < data.inner; ++i) {
          const T* row = in.data<T>() + o * data.size * data.inner + i;
          std::iota(order.begin(), order.end(), 0);
          std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int64_t a, std::int64_t b) {
            const int c = compare(static_cast<Compute<T>>(row[a * data.inner]), static_cast<Compute<T>>(row[b * data.inner]));
            return c ? (c > 0) == largest_ : a < b;
          });
          for (std::int64_t j = 0; j < k; ++j) {
            const std::int64_t from = order[static_cast<std::size_t>(j)], to = (o * k + j) * data.inner + i;
            if (context.has_output(0)) context.output(0).mutable_data<T>()[to] = row[from * data.inner];
            if (context.has_output(1)) context.output(1).mutable_data<std::int64_t>()[to] = from;
          }
        }
      }
    });
  }

 private:
  std::int64_t axis_;
  bool largest_;
};

Verdict unique_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kString || contains<AllFixedTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "Unique of ", dtype_name(dtype),
                 " has no kernel");
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
    if (in.dtype() == DType::kString) {
      write(context, groups_by([&](std::int64_t a, std::int64_t b) { return in.string(a).compare(in.string(b)); }, view(in)));
      return;
    }
    dispatch<Join<NumericTypes, ComplexTypes>>(in.dtype() == DType::kBool ? DType::kUint8 : in.dtype(), [&]<class T>() {
      const T* data = in.data<T>();
      write(context,
            groups_by([data](std::int64_t a,
                             std::int64_t b) { return compare(static_cast<Compute<T>>(data[a]), static_cast<Compute<T>>(data[b])); },
                      view(in)));
    });
  }

 private:
  /// For each distinct slice the slices equal to it, in ascending order.
  using Groups = std::vector<std::vector<std::int64_t>>;

  Dims dims(const TensorView& in) const { return flat_ ? Dims{in.count()} : in.dims(); }
  AxisView view(const TensorView& in) const {
    const Dims d = dims(in);
    return AxisView(d, normalize_axis(axis_, d.rank()));
  }

  template <class CompareElements> Groups groups_by(CompareElements elements, const AxisView& data) const {
    const auto slices = [&](std::int64_t a, std::int64_t b) {
      for (std::int64_t o = 0; o < data.outer; ++o)
        for (std::int64_t i = 0; i < data.inner; ++i)
          if (const int c = elements((o * data.size + a) * data.inner + i, (o * data.size + b) * data.inner + i)) return c;
      return 0;
    };
    std::vector<std::int64_t> order(static_cast<std::size_t>(data.size));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return slices(a, b) < 0; });
    Groups groups;
    for (const std::int64_t slice : order) {
      if (groups.empty() || slices(groups.back()[0], slice) != 0) groups.emplace_back();
      groups.back().push_back(slice);
    }
    if (!sorted_) std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
    return groups;
  }

  void write(const RunContext& context, const Groups& groups) const {
    const TensorView in = context.input(0);
    const AxisView data = view(in);
    const auto n = static_cast<std::int64_t>(groups.size());
    Dims out = dims(in);
    out[normalize_axis(axis_, out.rank())] = n;
    context.set_output(0, out);
    context.set_output(1, {n});
    context.set_output(2, {data.size});
    context.set_output(3, {n});
    for (std::int64_t g = 0; g < n; ++g) {
      const std::vector<std::int64_t>& slices = groups[static_cast<std::size_t>(g)];
      if (context.has_output(0)) {
        const ElementCopier copier(context.output(0), in);
        for (std::int64_t o = 0; o < data.outer; ++o)
          copier.copy((o * n + g) * data.inner, (o * data.size + slices[0]) * data.inner, data.inner);
      }
      if (context.has_output(1)) context.output(1).mutable_data<std::int64_t>()[g] = slices[0];
      if (context.has_output(2))
        for (const std::int64_t slice : slices) context.output(2).mutable_data<std::int64_t>()[slice] = g;
      if (context.has_output(3)) context.output(3).mutable_data<std::int64_t>()[g] = static_cast<std::int64_t>(slices.size());
    }
  }

  bool flat_;
  std::int64_t axis_;
  bool sorted_;
};

constexpr KernelEntry kTable[] = {
    {"TopK", 10, kLatest, &top_k_verdict, &make<TopK>},
    {"Unique", 11, kLatest, &unique_verdict, &make<Unique>},
};

}  // namespace

std::span<const provider::KernelEntry> sort_kernels() { return kTable; }

}  // namespace ashlar::reference
