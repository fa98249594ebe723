// SPDX-License-Identifier: Apache-2.0
// Operators that read or change a shape and leave the elements as they are, and those that make a tensor of a given shape.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Shape final : public Kernel {
 public:
  explicit Shape(const NodeView& node) : start_(node.integer("start", 0)), end_(node.integer("end", INT64_MAX)) {}

  void bind(BindContext& context) const override {
    const auto [first, last] = range(context.input(0).rank());
    context.set_output(0, {last - first});
  }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    const auto [first, last] = range(in.rank());
    for (std::int64_t i = first; i < last; ++i) context.output(0).mutable_data<std::int64_t>()[i - first] = in.dim(i);
  }

 private:
  std::pair<std::int64_t, std::int64_t> range(std::int64_t rank) const {
    const std::int64_t first = std::clamp<std::int64_t>(start_ < 0 ? start_ + rank : start_, 0, rank);
    const std::int64_t last = std::clamp<std::int64_t>(end_ < 0 ? end_ + rank : end_, 0, rank);
    return {first, std::max(first, last)};
  }
  std::int64_t start_, end_;
};

class Size final : public Kernel {
 public:
  explicit Size(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output(0, {}); }
  void run(const RunContext& context) const override { context.output(0).mutable_data<std::int64_t>()[0] = context.input(0).count(); }
};

/// The elements as they are under another shape; Target::shape says which.
template <class Target> class Relabel final : public Kernel {
 public:
  explicit Relabel(const NodeView& node) : target_(node) {}
  std::uint64_t bind_reads() const override { return 2; }
  void bind(BindContext& context) const override { context.set_output(0, target_.shape(context)); }
  void run(const RunContext& context) const override { ElementCopier(context.output(0), context.input(0)).all(); }

 private:
  Target target_;
};

struct Reshape {
  explicit Reshape(const NodeView& node) : allow_zero(node.integer("allowzero", 0) != 0) {}
  Dims shape(const BindContext& context) const { return reshaped(context.input(0).dims(), Dims(context.input(1).indices()), allow_zero); }
  bool allow_zero;
};

struct Flatten {
  explicit Flatten(const NodeView& node) : axis(node.integer("axis", 1)) {}
  Dims shape(const BindContext& context) const {
    const Dims in = context.input(0).dims();
    check(axis >= -in.rank() && axis <= in.rank(), "axis ", axis, " is outside [-", in.rank(), ", ", in.rank(), "]");
    const int at = static_cast<int>(axis < 0 ? axis + in.rank() : axis);
    return {in.product(0, at), in.product(at, in.rank())};
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

class Expand final : public Kernel {
 public:
  explicit Expand(const NodeView&) {}
  std::uint64_t bind_reads() const override { return 2; }
  void bind(BindContext& context) const override {
    const Dims out = broadcast(context.input(0).dims(), Dims(context.input(1).indices()));
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    const Dims dims = to.dims();
    ElementCopier(to, from).block(dims, 0, strides_of(dims), 0, broadcast_strides(from.dims(), dims));
  }
};

class ConstantOfShape final : public Kernel {
 public:
  explicit ConstantOfShape(const NodeView& node) : value_(node.tensor("value")) {
    check(!value_ || value_->count() == 1, "value has ", value_ ? value_->count() : 0, " elements");
  }
  std::uint64_t bind_reads() const override { return 1; }
  void bind(BindContext& context) const override {
    const Dims out(context.input(0).indices());
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView to = context.output(0);
    if (value_) {
      ElementCopier(to, *value_).fill(0, 0, to.count());
    } else {
      clear_elements(to, 0, to.count());
    }
  }

 private:
  std::optional<TensorView> value_;
};

Verdict range_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "Range of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class Range final : public Kernel {
 public:
  explicit Range(const NodeView&) {}
  std::uint64_t bind_reads() const override { return 0b111; }
  void bind(BindContext& context) const override {
    for (int i = 0; i < 3; ++i) check(context.input(i).count() == 1, "input ", i, " has the shape ", context.input(i).dims());
    dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
      const auto at = [&](int i) { return static_cast<Compute<T>>(context.input(i).values<T>()[0]); };
      const Dims out{count(at(0), at(1), at(2))};
      checked_count(out);
      context.set_output(0, out);
    });
  }
  void run(const RunContext& context) const override {
    const TensorView out = context.output(0);
    dispatch<NumericTypes>(out.dtype(), [&]<class T>() {
      using C = Compute<T>;
      const auto start = static_cast<C>(context.input(0).data<T>()[0]);
      const auto delta = static_cast<C>(context.input(2).data<T>()[0]);
      T* to = out.mutable_data<T>();
      for (std::int64_t i = 0; i < out.count(); ++i) {
        if constexpr (std::is_integral_v<T>) {
          to[i] = static_cast<T>(static_cast<std::uint64_t>(start) + static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(delta));
        } else {
          to[i] = static_cast<T>(static_cast<C>(static_cast<double>(start) + static_cast<double>(i) * static_cast<double>(delta)));
        }
      }
    });
  }

 private:
  template <class C> static std::int64_t count(C start, C limit, C delta) {
    check(delta != 0, "delta is 0");
    if constexpr (std::is_integral_v<C>) {
      if (delta > 0 ? limit <= start : limit >= start) return 0;
      const auto distance = delta > 0 ? static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start)
                                      : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(limit);
      const auto step = delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
      const std::uint64_t n = (distance - 1) / step + 1;
      check(n <= std::uint64_t{1} << 48, "the range has ", n, " elements");
      return static_cast<std::int64_t>(n);
    } else {
      const double n = std::ceil(static_cast<double>(limit - start) / static_cast<double>(delta));
      check(n < 0x1p48, "the range from ", start, " to ", limit, " by ", delta, " has ", n, " elements");
      return n > 0 ? static_cast<std::int64_t>(n) : 0;
    }
  }
};

Verdict eye_like_verdict(const NodeView& node) {
  const DType dtype = node.output(0).dtype();
  ASHLAR_REQUIRE(contains<AllFixedTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "EyeLike of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class EyeLike final : public Kernel {
 public:
  explicit EyeLike(const NodeView& node) : k_(node.integer("k", 0)) {}
  void bind(BindContext& context) const override {
    check(context.input(0).rank() == 2, "the input has the shape ", context.input(0).dims());
    context.set_output(0, context.input(0).dims());
  }
  void run(const RunContext& context) const override {
    const TensorView out = context.output(0);
    clear_elements(out, 0, out.count());
    const std::int64_t rows = out.dim(0), columns = out.dim(1);
    if (k_ <= -rows || k_ >= columns) return;
    dispatch<AllFixedTypes>(out.dtype(), [&]<class T>() {
      for (std::int64_t row = 0; row < rows; ++row)
        if (const std::int64_t column = row + k_; column >= 0 && column < columns)
          out.mutable_data<T>()[row * columns + column] = static_cast<T>(Compute<T>(1));
    });
  }

 private:
  std::int64_t k_;
};

constexpr KernelEntry kTable[] = {
    {"Shape", 1, kLatest, nullptr, &make<Shape>},
    {"Size", 1, kLatest, nullptr, &make<Size>},
    {"Reshape", 5, kLatest, nullptr, &make<Relabel<Reshape>>},
    {"Flatten", 1, kLatest, nullptr, &make<Relabel<Flatten>>},
    {"Squeeze", 13, kLatest, nullptr, &make<Relabel<Squeeze>>},
    {"Unsqueeze", 13, kLatest, nullptr, &make<Relabel<Unsqueeze>>},
    {"Expand", 8, kLatest, nullptr, &make<Expand>},
    {"ConstantOfShape", 9, kLatest, nullptr, &make<ConstantOfShape>},
    {"Range", 11, kLatest, &range_verdict, &make<Range>},
    {"EyeLike", 9, kLatest, &eye_like_verdict, &make<EyeLike>},
};

}  // namespace

std::span<const provider::KernelEntry> shape_kernels() { return kTable; }

}  // namespace ashlar::reference
