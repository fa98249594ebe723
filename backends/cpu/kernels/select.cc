// SPDX-License-Identifier: Apache-2.0
// Operators that pick elements by a condition or a place: NonZero, Compress, OneHot, Trilu.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "copy.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

Verdict non_zero_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kBool || contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "NonZero of ", dtype_name(dtype),
                 " has no kernel");
  return accept();
}

class NonZero final : public Kernel {
 public:
  explicit NonZero(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output_unknown(0); }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    dispatch<NumericTypes>(in.dtype() == DType::kBool ? DType::kUint8 : in.dtype(), [&]<class T>() {
      const T* data = in.data<T>();
      std::int64_t n = 0;
      for (std::int64_t i = 0; i < in.count(); ++i) n += is_set(data[i]);
      context.set_output(0, {in.rank(), n});
      if (!context.has_output(0) || n == 0) return;
      list(in.dims(), data, n, context.output(0).mutable_data<std::int64_t>());
    });
  }

 private:
  template <class T> static bool is_set(T value) { return static_cast<Compute<T>>(value) != Compute<T>(0); }

  /// The n places of elements other than 0, a column each.
  template <class T> static void list(const Dims& dims, const T* data, std::int64_t n, std::int64_t* to) {
    if (dims.rank() == 0) return;
    const int last = dims.rank() - 1;
    Dims index = Dims::filled(dims.rank(), 0);
    for (std::int64_t found = 0; found < n; data += dims[last]) {
      for (std::int64_t i = 0; i < dims[last]; ++i) {
        if (!is_set(data[i])) continue;
        for (int d = 0; d < last; ++d) to[d * n + found] = index[d];
        to[last * n + found++] = i;
      }
      for (int d = last - 1; d >= 0 && ++index[d] == dims[d]; --d) index[d] = 0;
    }
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
    const auto* keep = condition.data<std::uint8_t>();
    const std::int64_t n = condition.count();
    dims[axis] = std::count_if(keep, keep + n, [](std::uint8_t k) { return k != 0; });
    context.set_output(0, dims);
    if (!context.has_output(0) || dims.count() == 0) return;
    const std::int64_t bytes = data.inner * byte_width(from.dtype());
    char* to = context.output(0).mutable_data<char>();
    for (std::int64_t o = 0; o < data.outer; ++o) {
      const char* slab = from.data<char>() + o * data.size * bytes;
      for (std::int64_t i = 0; i < n;) {
        const std::int64_t first = i++;
        if (!keep[first]) continue;
        while (i < n && keep[i]) ++i;
        copy_bytes(to, slab + first * bytes, (i - first) * bytes);
        to += (i - first) * bytes;
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
  const DType dtype = node.input(2).dtype();
  ASHLAR_REQUIRE(byte_width(dtype) > 0, ASHLAR_NO_KERNEL_DTYPE, "OneHot of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class OneHot final : public Kernel {
 public:
  explicit OneHot(const NodeView& node) : axis_(node.integer("axis", -1)) {}
  std::uint64_t bind_reads() const override { return 0b10; }

  void bind(BindContext& context) const override {
    check(context.input(1).count() == 1, "depth has the shape ", context.input(1).dims());
    check(context.input(2).dims() == Dims{2}, "values has the shape ", context.input(2).dims());
    std::int64_t depth = 0;
    dispatch<NumericTypes>(context.input(1).dtype(), [&]<class T>() { depth = to_integer(context.input(1).values<T>()[0]); });
    check(depth >= 0, "depth is not possible");
    Dims out = context.input(0).dims();
    out.insert(normalize_axis(axis_, out.rank() + 1), depth);
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView to = context.output(0), places = context.input(0);
    if (to.count() == 0) return;
    const AxisView out(to.dims(), normalize_axis(axis_, to.rank()));
    const std::int64_t bytes = byte_width(to.dtype());
    const char* values = context.input(2).data<char>();
    char* target = to.mutable_data<char>();
    fill_parallel(context, target, values, bytes, to.count());
    dispatch<NumericTypes>(places.dtype(), [&]<class T>() {
      const T* indices = places.data<T>();
      for (std::int64_t o = 0; o < out.outer; ++o) {
        for (std::int64_t i = 0; i < out.inner; ++i) {
          const std::int64_t index = to_integer(indices[o * out.inner + i]);
          if (index < -out.size || index >= out.size) continue;
          copy_bytes(target + ((o * out.size + (index < 0 ? index + out.size : index)) * out.inner + i) * bytes, values + bytes, bytes);
        }
      }
    });
  }

 private:
  /// Rounded to zero; the lowest integer for what is beyond an int64.
  template <class T> static std::int64_t to_integer(T value) {
    if constexpr (is_float<T>) {
      const auto v = static_cast<double>(static_cast<Compute<T>>(value));
      return v > -0x1p62 && v < 0x1p62 ? static_cast<std::int64_t>(v) : INT64_MIN;
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
      return value <= std::uint64_t{INT64_MAX} ? static_cast<std::int64_t>(value) : INT64_MIN;
    } else {
      return static_cast<std::int64_t>(value);
    }
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
    const std::int64_t rows = from.dim(from.rank() - 2), columns = from.dim(from.rank() - 1), bytes = byte_width(from.dtype());
    const std::int64_t k = std::clamp(context.has_input(1) ? context.input(1).indices()[0] : 0, -rows, columns);
    const char* source = from.data<char>();
    char* target = to.mutable_data<char>();
    const std::int64_t grain = std::max<std::int64_t>(1, kBytesPerChunk / (columns * bytes));
    context.parallel_for(from.count() / columns, grain, [=, this](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t row = line % rows, at = line * columns * bytes;
        const std::int64_t first = upper_ ? std::clamp<std::int64_t>(row + k, 0, columns) : 0;
        const std::int64_t last = upper_ ? columns : std::clamp<std::int64_t>(row + k + 1, 0, columns);
        std::memset(target + at, 0, static_cast<std::size_t>(first * bytes));
        copy_bytes(target + at + first * bytes, source + at + first * bytes, (last - first) * bytes);
        std::memset(target + at + last * bytes, 0, static_cast<std::size_t>((columns - last) * bytes));
      }
    });
  }

 private:
  bool upper_;
};

constexpr KernelEntry kTable[] = {
    {"NonZero", 9, kLatest, &non_zero_verdict, &make<NonZero>},
    {"Compress", 9, kLatest, &takes_bytes, &make<Compress>},
    {"OneHot", 9, kLatest, &one_hot_verdict, &make<OneHot>},
    {"Trilu", 14, kLatest, &takes_bytes, &make<Trilu>},
};

}  // namespace

std::span<const provider::KernelEntry> select_kernels() { return kTable; }

}  // namespace ashlar::cpu
