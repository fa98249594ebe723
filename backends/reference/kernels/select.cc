// SPDX-License-Identifier: Apache-2.0
// Operators that pick elements by a condition or a place: NonZero, Compress, OneHot, Trilu.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

Verdict non_zero_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kString || contains<AllFixedTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "NonZero of ", dtype_name(dtype),
                 " has no kernel");
  return accept();
}

class NonZero final : public Kernel {
 public:
  explicit NonZero(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output_unknown(0); }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    std::vector<std::int64_t> found;
    if (in.dtype() == DType::kString) {
      for (std::int64_t i = 0; i < in.count(); ++i)
        if (!in.string(i).empty()) found.push_back(i);
    } else {
      dispatch<Join<NumericTypes, ComplexTypes>>(in.dtype() == DType::kBool ? DType::kUint8 : in.dtype(), [&]<class T>() {
        for (std::int64_t i = 0; i < in.count(); ++i)
          if (static_cast<Compute<T>>(in.data<T>()[i]) != Compute<T>(0)) found.push_back(i);
      });
    }
    const auto n = static_cast<std::int64_t>(found.size());
    context.set_output(0, {in.rank(), n});
    if (!context.has_output(0)) return;
    auto* to = context.output(0).mutable_data<std::int64_t>();
    const Dims dims = in.dims(), strides = strides_of(dims);
    for (int d = 0; d < in.rank(); ++d)
      for (std::int64_t i = 0; i < n; ++i) to[d * n + i] = found[static_cast<std::size_t>(i)] / strides[d] % dims[d];
  }
};

class Compress final : public Kernel {
 public:
  explicit Compress(const NodeView& node) : flat_(!node.has("axis")), axis_(node.integer("axis", 0)) {}

  void bind(BindContext& context) const override {
    const Dims dims = view_dims(context.input(0));
    check(context.input(1).rank() == 1, "condition has the shape ", context.input(1).dims());
    check(context.input(1).count() <= dims[normalize_axis(axis_, dims.rank())], "condition has ", context.input(1).count(),
          " elements for the shape ", dims);
    context.set_output_unknown(0);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), condition = context.input(1);
    Dims dims = view_dims(from);
    const int axis = normalize_axis(axis_, dims.rank());
    const AxisView data(dims, axis);
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < condition.count(); ++i)
      if (condition.data<std::uint8_t>()[i]) kept.push_back(i);
    dims[axis] = static_cast<std::int64_t>(kept.size());
    context.set_output(0, dims);
    if (!context.has_output(0)) return;
    const ElementCopier copier(context.output(0), from);
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < data.outer; ++o) {
      for (const std::int64_t i : kept) {
        copier.copy(at, (o * data.size + i) * data.inner, data.inner);
        at += data.inner;
      }
    }
  }

 private:
  Dims view_dims(const TensorView& in) const { return flat_ ? Dims{in.count()} : in.dims(); }
  bool flat_;
  std::int64_t axis_;
};

Verdict one_hot_verdict(const NodeView& node) {
  for (int i = 0; i < 2; ++i) {
    const DType dtype = node.input(i).dtype();
    ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "OneHot with ", i ? "a depth" : "indices", " of ",
                   dtype_name(dtype), " has no kernel");
  }
  return accept();
}

class OneHot final : public Kernel {
 public:
  explicit OneHot(const NodeView& node) : axis_(node.integer("axis", -1)) {}
  std::uint64_t bind_reads() const override { return 2; }

  void bind(BindContext& context) const override {
    check(context.input(1).count() == 1, "depth has the shape ", context.input(1).dims());
    check(context.input(2).dims() == Dims{2}, "values has the shape ", context.input(2).dims());
    const std::int64_t depth = integers(context.input(1))[0];
    check(depth >= 0, "depth is not possible");
    Dims out = context.input(0).dims();
    out.insert(normalize_axis(axis_, out.rank() + 1), depth);
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView to = context.output(0);
    const AxisView out(to.dims(), normalize_axis(axis_, to.rank()));
    const std::vector<std::int64_t> indices = integers(context.input(0));
    const ElementCopier copier(to, context.input(2));
    copier.fill(0, 0, to.count());
    for (std::int64_t o = 0; o < out.outer; ++o) {
      for (std::int64_t i = 0; i < out.inner; ++i) {
        std::int64_t index = indices[static_cast<std::size_t>(o * out.inner + i)];
        if (index < -out.size || index >= out.size) continue;
        if (index < 0) index += out.size;
        copier.copy((o * out.size + index) * out.inner + i, 1);
      }
    }
  }

 private:
  /// The elements as integers, rounded to zero; the lowest integer for those beyond an int64.
  static std::vector<std::int64_t> integers(const TensorView& view) {
    std::vector<std::int64_t> out;
    dispatch<NumericTypes>(view.dtype(), [&]<class T>() {
      for (const T value : view.values<T>()) {
        const auto v = static_cast<Compute<T>>(value);
        if constexpr (std::is_floating_point_v<Compute<T>>) {
          out.push_back(v > -0x1p62 && v < 0x1p62 ? static_cast<std::int64_t>(v) : INT64_MIN);
        } else if constexpr (std::is_same_v<T, std::uint64_t>) {
          out.push_back(v <= std::uint64_t{INT64_MAX} ? static_cast<std::int64_t>(v) : INT64_MIN);
        } else {
          out.push_back(static_cast<std::int64_t>(v));
        }
      }
    });
    return out;
  }
  std::int64_t axis_;
};

class Trilu final : public Kernel {
 public:
  explicit Trilu(const NodeView& node) : upper_(node.integer("upper", 1) != 0) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() >= 2, "the input has the shape ", in);
    if (context.has_input(1)) check(context.input(1).count() == 1, "k has the shape ", context.input(1).dims());
    context.set_output(0, in);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    if (to.count() == 0) return;
    const std::int64_t rows = from.dim(from.rank() - 2), columns = from.dim(from.rank() - 1);
    const std::int64_t k = std::clamp(context.has_input(1) ? context.input(1).indices()[0] : 0, -rows, columns);
    const ElementCopier copier(to, from);
    for (std::int64_t line = 0; line < from.count() / columns; ++line) {
      const std::int64_t row = line % rows, at = line * columns;
      const std::int64_t first = upper_ ? std::clamp<std::int64_t>(row + k, 0, columns) : 0;
      const std::int64_t last = upper_ ? columns : std::clamp<std::int64_t>(row + k + 1, 0, columns);
      clear_elements(to, at, first);
      copier.copy(at + first, at + first, last - first);
      clear_elements(to, at + last, columns - last);
    }
  }

 private:
  bool upper_;
};

constexpr KernelEntry kTable[] = {
    {"NonZero", 9, kLatest, &non_zero_verdict, &make<NonZero>},
    {"Compress", 9, kLatest, nullptr, &make<Compress>},
    {"OneHot", 9, kLatest, &one_hot_verdict, &make<OneHot>},
    {"Trilu", 14, kLatest, nullptr, &make<Trilu>},
};

}  // namespace

std::span<const provider::KernelEntry> select_kernels() { return kTable; }

}  // namespace ashlar::reference
