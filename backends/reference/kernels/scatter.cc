// SPDX-License-Identifier: Apache-2.0
// ScatterElements, ScatterND, TensorScatter. Both Scatter operators list pairs of places, one in the updates and one in the
// output; a reduction then combines them in the order of the updates, in the type to calculate in, and rounds once.
#include <string>
#include <type_traits>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

struct Add {
  template <class C> static C apply(C a, C b) {
    if constexpr (std::is_integral_v<C>) return static_cast<C>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    else return a + b;
  }
};
struct Mul {
  template <class C> static C apply(C a, C b) {
    if constexpr (std::is_integral_v<C>) return static_cast<C>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    else return a * b;
  }
};
struct Min {
  template <class C> static C apply(C a, C b) { return a != a || a < b ? a : b; }
};
struct Max {
  template <class C> static C apply(C a, C b) { return a != a || a > b ? a : b; }
};

Verdict scatter_verdict(const NodeView& node) {
  const std::string reduction = node.text("reduction", "none");
  if (reduction == "none") return accept();
  ASHLAR_REQUIRE(reduction == "add" || reduction == "mul" || reduction == "min" || reduction == "max", ASHLAR_ATTRIBUTE, node.op_type(),
                 " has no reduction ", reduction);
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", dtype_name(dtype), " has no reduction");
  return accept();
}

/// `length` updates from updates[update] go to output[target].
struct Move {
  std::int64_t update, target;
};

template <class Op>
void reduce(const TensorView& out, const TensorView& data, const TensorView& updates, const std::vector<Move>& moves, std::int64_t length) {
  dispatch<NumericTypes>(out.dtype(), [&]<class T>() {
    using C = Compute<T>;
    std::vector<C> sums(static_cast<std::size_t>(data.count()));
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<C>(data.data<T>()[i]);
    for (const Move& move : moves) {
      for (std::int64_t i = 0; i < length; ++i) {
        C& sum = sums[static_cast<std::size_t>(move.target + i)];
        sum = Op::apply(sum, static_cast<C>(updates.data<T>()[move.update + i]));
      }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) out.mutable_data<T>()[i] = static_cast<T>(sums[i]);
  });
}

void scatter(const RunContext& context, const std::string& reduction, const std::vector<Move>& moves, std::int64_t length) {
  const TensorView data = context.input(0), updates = context.input(2), out = context.output(0);
  check(data.dtype() == updates.dtype() && data.dtype() == out.dtype(), "data and updates are of different types");
  if (reduction == "add") return reduce<Add>(out, data, updates, moves, length);
  if (reduction == "mul") return reduce<Mul>(out, data, updates, moves, length);
  if (reduction == "min") return reduce<Min>(out, data, updates, moves, length);
  if (reduction == "max") return reduce<Max>(out, data, updates, moves, length);
  ElementCopier(out, data).all();
  const ElementCopier copier(out, updates);
  for (const Move& move : moves) copier.copy(move.target, move.update, length);
}

class ScatterElements final : public Kernel {
 public:
  explicit ScatterElements(const NodeView& node) : axis_(node.integer("axis", 0)), reduction_(node.text("reduction", "none")) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), indices = context.input(1).dims(), updates = context.input(2).dims();
    check(indices == updates, "indices has the shape ", indices, ", updates ", updates);
    check(in.rank() == indices.rank(), "indices has the shape ", indices, ", the data ", in);
    const int axis = normalize_axis(axis_, in.rank());
    for (int i = 0; i < in.rank(); ++i)
      check(i == axis || indices[i] <= in[i], "indices has the shape ", indices, ", the data ", in, ", and axis is ", axis);
    context.set_output(0, in);
  }

  void run(const RunContext& context) const override {
    const Dims in = context.input(0).dims();
    const int axis = normalize_axis(axis_, in.rank());
    const std::vector<std::int64_t> indices = context.input(1).indices();
    Dims strides = strides_of(in);
    const std::int64_t step = strides[axis];
    strides[axis] = 0;
    std::vector<Move> moves;
    moves.reserve(indices.size());
    for_each_index<1>(context.input(1).dims(), {strides}, [&](std::int64_t i, const std::array<std::int64_t, 1>& at) {
      moves.push_back({i, at[0] + checked_index(indices[static_cast<std::size_t>(i)], in[axis]) * step});
    });
    scatter(context, reduction_, moves, 1);
  }

 private:
  std::int64_t axis_;
  std::string reduction_;
};

class ScatterND final : public Kernel {
 public:
  explicit ScatterND(const NodeView& node) : reduction_(node.text("reduction", "none")) {}

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

  void run(const RunContext& context) const override {
    const Dims in = context.input(0).dims(), shape = context.input(1).dims(), strides = strides_of(in);
    const std::vector<std::int64_t> indices = context.input(1).indices();
    const int last = shape.rank() - 1;
    const std::int64_t depth = shape[last], rows = shape.product(0, last), length = in.product(static_cast<int>(depth), in.rank());
    std::vector<Move> moves;
    if (length > 0) moves.reserve(static_cast<std::size_t>(rows));
    for (std::int64_t row = 0; row < rows && length > 0; ++row) {
      std::int64_t at = 0;
      for (std::int64_t i = 0; i < depth; ++i) at += checked_index(indices[static_cast<std::size_t>(row * depth + i)], in[i]) * strides[i];
      moves.push_back({row * length, at});
    }
    scatter(context, reduction_, moves, length);
  }

 private:
  std::string reduction_;
};

Verdict tensor_scatter_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "linear");
  ASHLAR_REQUIRE(mode == "linear" || mode == "circular", ASHLAR_ATTRIBUTE, "TensorScatter has no mode ", mode);
  return accept();
}

class TensorScatter final : public Kernel {
 public:
  explicit TensorScatter(const NodeView& node) : axis_(node.integer("axis", -2)), circular_(node.text("mode", "linear") == "circular") {}

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
    const int axis = normalize_axis(axis_, past.rank());
    const AxisView cache(past.dims(), axis);
    const std::int64_t steps = update.dim(axis);
    const std::vector<std::int64_t> given = context.has_input(2) ? context.input(2).indices() : std::vector<std::int64_t>();
    ElementCopier(out, past).all();
    const ElementCopier copier(out, update);
    for (std::int64_t o = 0; o < cache.outer; ++o) {
      std::int64_t first = given.empty() ? 0 : given[static_cast<std::size_t>(o / (cache.outer / past.dim(0)))];
      check(first >= 0 && (circular_ || first <= cache.size - steps), "a write of ", steps, " at ", first, " does not fit into ",
            cache.size);
      if (circular_ && cache.size > 0) first %= cache.size;
      for (std::int64_t s = 0; s < steps; ++s)
        copier.copy((o * cache.size + (first + s) % cache.size) * cache.inner, (o * steps + s) * cache.inner, cache.inner);
    }
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

}  // namespace ashlar::reference
