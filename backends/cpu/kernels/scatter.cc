// SPDX-License-Identifier: Apache-2.0
// ScatterElements, ScatterND, TensorScatter: the data's elements, then the updates in their order.
#include <string>
#include <type_traits>

#include "indices.h"
#include "scalar.h"
#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

struct Replace {
  template <class C> static C apply(C, C b) { return b; }
};
struct Add {
  template <class C> static C apply(C a, C b) { return static_cast<C>(static_cast<Wrapping<C>>(a) + static_cast<Wrapping<C>>(b)); }
};
struct Mul {
  template <class C> static C apply(C a, C b) { return static_cast<C>(static_cast<Wrapping<C>>(a) * static_cast<Wrapping<C>>(b)); }
};
struct Min {
  template <class C> static C apply(C a, C b) { return a != a || a < b ? a : b; }
};
struct Max {
  template <class C> static C apply(C a, C b) { return a != a || a > b ? a : b; }
};

Verdict scatter_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype(), indices = node.input(1).dtype();
  ASHLAR_REQUIRE(is_index_type(indices), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " with indices of ", dtype_name(indices),
                 " has no kernel");
  ASHLAR_REQUIRE(node.input(2).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", dtype_name(dtype), " and updates of ",
                 dtype_name(node.input(2).dtype()), " has no kernel");
  const std::string reduction = node.text("reduction", "none");
  if (reduction == "none") return takes_bytes(node);
  ASHLAR_REQUIRE(reduction == "add" || reduction == "mul" || reduction == "min" || reduction == "max", ASHLAR_ATTRIBUTE, node.op_type(),
                 " has no reduction ", reduction);
  ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", dtype_name(dtype), " has no reduction");
  return accept();
}

/// Calls f.operator()<T, Op>() for the elements and the reduction; T of Replace is any type of the element's size.
template <class F> void dispatch_scatter(DType dtype, const std::string& reduction, F&& f) {
  if (reduction == "none") return dispatch_bytes(byte_width(dtype), [&]<class T>() { f.template operator()<T, Replace>(); });
  dispatch<NumericTypes>(dtype, [&]<class T>() {
    if (reduction == "add") return f.template operator()<T, Add>();
    if (reduction == "mul") return f.template operator()<T, Mul>();
    if (reduction == "min") return f.template operator()<T, Min>();
    f.template operator()<T, Max>();
  });
}

template <class Op, class T> void combine(T& to, const T& update) {
  if constexpr (std::is_same_v<Op, Replace>) to = update;
  else to = static_cast<T>(Op::apply(static_cast<Compute<T>>(to), static_cast<Compute<T>>(update)));
}

class ScatterElements final : public Kernel {
 public:
  explicit ScatterElements(const NodeView& node) : axis_(node.integer("axis", 0)), reduction_(node.text("reduction", "none")) {}
  std::uint64_t in_place() const override { return 1; }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), indices = context.input(1).dims(), updates = context.input(2).dims();
    check(indices == updates, "indices has the shape ", indices, ", updates ", updates);
    check(in.rank() == indices.rank(), "indices has the shape ", indices, ", the data ", in);
    const int axis = normalize_axis(axis_, in.rank());
    for (int i = 0; i < in.rank(); ++i)
      check(i == axis || indices[i] <= in[i], "indices has the shape ", indices, ", the data ", in, ", and axis is ", axis);
    context.set_output(0, in);
  }

  /// Updates that differ in another dimension than the axis go to different places: slabs of such a dimension are independent.
  void run(const RunContext& context) const override {
    const TensorView data = context.input(0), updates = context.input(2), out = context.output(0);
    const Dims in = data.dims(), dims = updates.dims(), strides = strides_of(in);
    const int axis = normalize_axis(axis_, in.rank()), last = in.rank() - 1;
    const std::int64_t size = in[axis], step = strides[axis], width = dims[last], count = updates.count();
    dispatch_indices(context.input(1), [&](const auto* indices) {
      check_indices(indices, count, size);
      copy_all(context, out, data);
      if (count == 0) return;
      Loops loops;
      for (int i = 0; i < last; ++i) loops.add(dims[i], 0, i == axis ? 0 : strides[i]);
      const std::int64_t rows = count / width, slabs = axis > 0 && last > 0 ? dims[0] : 1, each = rows / slabs;
      dispatch_scatter(out.dtype(), reduction_, [&]<class T, class Op>() {
        T* to = out.mutable_data<T>();
        const T* from = updates.data<T>();
        const std::int64_t next = axis == last ? 0 : 1;
        context.parallel_for(slabs, grain_of(each * width * 4), [=, &loops](std::int64_t begin, std::int64_t end) {
          LoopWalk row(loops, loops.rank(), begin * each);
          for (std::int64_t r = begin * each; r < end * each; ++r, row.next())
            for (std::int64_t j = 0; j < width; ++j)
              combine<Op>(to[row.from + j * next + resolved(indices[r * width + j], size) * step], from[r * width + j]);
        });
      });
    });
  }

 private:
  std::int64_t axis_;
  std::string reduction_;
};

class ScatterND final : public Kernel {
 public:
  explicit ScatterND(const NodeView& node) : reduction_(node.text("reduction", "none")) {}
  std::uint64_t in_place() const override { return 1; }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), indices = context.input(1).dims(), updates = context.input(2).dims();
    const int last = indices.rank() - 1;
    check(last >= 0 && indices[last] <= in.rank(), "indices has the shape ", indices, ", the data ", in);
    Dims expected;
    for (int i = 0; i < last; ++i) expected.push_back(indices[i]);
    for (int i = static_cast<int>(indices[last]); i < in.rank(); ++i) expected.push_back(in[i]);
    check(updates == expected, "updates has the shape ", updates, ", not ", expected);
    context.set_output(0, in);
  }

  /// Rows of updates may go to one place, so threads share out the columns, not the rows.
  void run(const RunContext& context) const override {
    const TensorView data = context.input(0), updates = context.input(2), out = context.output(0);
    const Dims in = data.dims(), shape = context.input(1).dims(), strides = strides_of(in);
    const int last = shape.rank() - 1;
    const std::int64_t depth = shape[last], rows = shape.product(0, last), length = in.product(static_cast<int>(depth), in.rank());
    dispatch_indices(context.input(1), [&](const auto* indices) {
      for (std::int64_t d = 0; d < depth; ++d) check_indices(indices + d, rows, in[d], depth);
      copy_all(context, out, data);
      if (rows == 0 || length == 0) return;
      dispatch_scatter(out.dtype(), reduction_, [&]<class T, class Op>() {
        T* to = out.mutable_data<T>();
        const T* from = updates.data<T>();
        context.parallel_for(length, std::max<std::int64_t>(64, grain_of(rows)), [=, &in, &strides](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = 0; row < rows; ++row) {
            std::int64_t at = 0;
            for (std::int64_t d = 0; d < depth; ++d) at += resolved(indices[row * depth + d], in[d]) * strides[d];
            for (std::int64_t i = begin; i < end; ++i) combine<Op>(to[at + i], from[row * length + i]);
          }
        });
      });
    });
  }

 private:
  std::string reduction_;
};

Verdict tensor_scatter_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "linear");
  ASHLAR_REQUIRE(mode == "linear" || mode == "circular", ASHLAR_ATTRIBUTE, "TensorScatter has no mode ", mode);
  return takes_bytes(node);
}

class TensorScatter final : public Kernel {
 public:
  explicit TensorScatter(const NodeView& node) : axis_(node.integer("axis", -2)), circular_(node.text("mode", "linear") == "circular") {}
  std::uint64_t in_place() const override { return 1; }

  void bind(BindContext& context) const override {
    const Dims cache = context.input(0).dims(), update = context.input(1).dims();
    const int axis = normalize_axis(axis_, cache.rank());
    check(axis > 0, "axis 0 is the batch");
    check(update.rank() == cache.rank() && update[axis] <= cache[axis], "the update has the shape ", update, ", the cache ", cache);
    for (int i = 0; i < cache.rank(); ++i)
      check(i == axis || update[i] == cache[i], "the update has the shape ", update, ", the cache ", cache);
    if (context.has_input(2))
      check(context.input(2).dims() == Dims{cache[0]}, "write_indices has the shape ", context.input(2).dims(), " for a batch of ",
            cache[0]);
    context.set_output(0, cache);
  }

  void run(const RunContext& context) const override {
    const TensorView past = context.input(0), update = context.input(1), out = context.output(0);
    const Dims dims = past.dims();
    const int axis = normalize_axis(axis_, dims.rank());
    const AxisView cache(dims, axis);
    const std::int64_t steps = update.dim(axis), per_batch = dims.product(1, axis);
    if (past.count() == 0) return;
    const bool given = context.has_input(2);
    const auto first_of = [&](std::int64_t batch) {
      if (!given) return std::int64_t{0};
      const TensorView at = context.input(2);
      return at.dtype() == DType::kInt32 ? at.data<std::int32_t>()[batch] : at.data<std::int64_t>()[batch];
    };
    if (given) check(is_index_type(context.input(2).dtype()), "write_indices is of type ", dtype_name(context.input(2).dtype()));
    for (std::int64_t b = 0; b < dims[0]; ++b)
      check(first_of(b) >= 0 && (circular_ || first_of(b) <= cache.size - steps), "a write of ", steps, " at ", first_of(b),
            " does not fit into ", cache.size);
    copy_all(context, out, past);
    const std::int64_t bytes = cache.inner * byte_width(past.dtype());
    char* to = out.mutable_data<char>();
    const char* from = update.data<char>();
    context.parallel_for(cache.outer, grain_of(steps * bytes / 4), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) {
        const std::int64_t first = first_of(o / per_batch) % cache.size, straight = std::min(steps, cache.size - first);
        char* slab = to + o * cache.size * bytes;
        copy_bytes(slab + first * bytes, from + o * steps * bytes, straight * bytes);
        copy_bytes(slab, from + (o * steps + straight) * bytes, (steps - straight) * bytes);
      }
    });
  }

 private:
  std::int64_t axis_;
  bool circular_;
};

constexpr KernelEntry kTable[] = {
    {"ScatterElements", 11, kLatest, &scatter_verdict, &make<ScatterElements>},
    {"ScatterND", 11, kLatest, &scatter_verdict, &make<ScatterND>},
    {"TensorScatter", 24, kLatest, &tensor_scatter_verdict, &make<TensorScatter>},
};

}  // namespace

std::span<const provider::KernelEntry> scatter_kernels() { return kTable; }

}  // namespace ashlar::cpu
