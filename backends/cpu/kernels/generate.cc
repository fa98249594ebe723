// SPDX-License-Identifier: Apache-2.0
// Operators that make a tensor of a shape, or of given numbers: Shape, Size, ConstantOfShape, Range, EyeLike.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "copy.h"

namespace ashlar::cpu {
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

Verdict gives_bytes(const NodeView& node) {
  const DType dtype = node.output(0).dtype();
  ASHLAR_REQUIRE(byte_width(dtype) > 0, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class ConstantOfShape final : public Kernel {
 public:
  explicit ConstantOfShape(const NodeView& node) {
    const auto value = node.tensor("value");
    if (!value) return;
    check(value->count() == 1, "value has ", value->count(), " elements");
    check(value->bytes() <= sizeof(value_), "value is of type ", dtype_name(value->dtype()));
    std::memcpy(value_, value->raw(), value->bytes());
  }
  std::uint64_t bind_reads() const override { return 1; }
  void bind(BindContext& context) const override {
    const Dims out(context.input(0).indices());
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView to = context.output(0);
    fill_parallel(context, to.mutable_data<char>(), value_, byte_width(to.dtype()), to.count());
  }

 private:
  char value_[16] = {};
};

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

Verdict range_verdict(const NodeView& node) { return uniform<NumericTypes>(node); }

Verdict eye_like_verdict(const NodeView& node) {
  const DType dtype = node.output(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kBool || contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "EyeLike of ", dtype_name(dtype),
                 " has no kernel");
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
    if (out.count() == 0) return;
    std::memset(out.raw(), 0, static_cast<std::size_t>(out.bytes()));
    const std::int64_t rows = out.dim(0), columns = out.dim(1);
    if (k_ <= -rows || k_ >= columns) return;
    dispatch<NumericTypes>(out.dtype() == DType::kBool ? DType::kUint8 : out.dtype(), [&]<class T>() {
      for (std::int64_t row = std::max<std::int64_t>(0, -k_); row < std::min(rows, columns - k_); ++row)
        out.mutable_data<T>()[row * columns + row + k_] = static_cast<T>(Compute<T>(1));
    });
  }

 private:
  std::int64_t k_;
};

constexpr KernelEntry kTable[] = {
    {"Shape", 1, kLatest, nullptr, &make<Shape>},
    {"Size", 1, kLatest, nullptr, &make<Size>},
    {"ConstantOfShape", 9, kLatest, &gives_bytes, &make<ConstantOfShape>},
    {"Range", 11, kLatest, &range_verdict, &make<Range>},
    {"EyeLike", 9, kLatest, &eye_like_verdict, &make<EyeLike>},
};

}  // namespace

std::span<const provider::KernelEntry> generate_kernels() { return kTable; }

}  // namespace ashlar::cpu
