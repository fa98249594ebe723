// SPDX-License-Identifier: Apache-2.0
// Gather, GatherElements, GatherND. Negative indices count from the end.
#include "indices.h"
#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

Verdict gather_verdict(const NodeView& node) {
  const DType dtype = node.input(1).dtype();
  ASHLAR_REQUIRE(dtype == DType::kInt32 || dtype == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " with indices of ",
                 dtype_name(dtype), " has no kernel");
  return takes_bytes(node);
}

Verdict gather_or_strings_verdict(const NodeView& node) {
  const Verdict verdict = gather_verdict(node);
  return node.input(0).dtype() == DType::kString && is_index_type(node.input(1).dtype()) ? accept() : verdict;
}

std::int64_t rows_per_chunk(std::int64_t bytes) { return std::max<std::int64_t>(1, kBytesPerChunk / std::max<std::int64_t>(bytes, 8)); }

/// to[r] = from[index of r] for r in [begin, end) of outer * n rows of `bytes`; T is the row where that is an element's size, else void.
template <class T, class Index>
void gather_rows(char* to, const char* from, const Index* indices, std::int64_t n, std::int64_t size, std::int64_t bytes,
                 std::int64_t begin, std::int64_t end) {
  const char* slab = from + begin / n * size * bytes;
  std::int64_t k = begin % n;
  to += begin * bytes;
  for (std::int64_t left = end - begin; left > 0;) {
    const std::int64_t stop = std::min(n, k + left);
    left -= stop - k;
    for (; k < stop; ++k, to += bytes) {
      const char* row = slab + resolved(indices[k], size) * bytes;
      if constexpr (std::is_void_v<T>) copy_bytes(to, row, bytes);
      else store_element(to, load_element<T>(row));
    }
    k = 0;
    slab += size * bytes;
  }
}

class Gather final : public Kernel {
 public:
  explicit Gather(const NodeView& node) : axis_(node.integer("axis", 0)) {
    if (const auto indices = node.input(1).constant(); indices && indices->count() == 1) index_ = indices->indices()[0];
    unaligned_ = !index_ && node.input(0).dtype() != DType::kString;  // with one index the output may be a view
  }
  std::uint64_t unaligned() const override { return unaligned_ ? 1 : 0; }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const int axis = normalize_axis(axis_, in.rank());
    Dims out;
    for (int i = 0; i < axis; ++i) out.push_back(in[i]);
    for (const std::int64_t d : context.input(1).dims()) out.push_back(d);
    for (int i = axis + 1; i < in.rank(); ++i) out.push_back(in[i]);
    checked_count(out);
    context.set_output(0, out);
    if (!index_ || in.product(0, axis) != 1) return;
    check_indices(&*index_, 1, in[axis]);
    const std::int64_t bytes = in.product(axis + 1, in.rank()) * byte_width(context.input(0).dtype());
    if (bytes > 0) context.set_view(0, 0, static_cast<std::uint64_t>(resolved(*index_, in[axis]) * bytes));
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    const AxisView data(from.dims(), normalize_axis(axis_, from.rank()));
    dispatch_indices(context.input(1), [&](const auto* indices) {
      const std::int64_t n = context.input(1).count();
      check_indices(indices, n, data.size);
      if (to.count() == 0) return;
      if (from.dtype() == DType::kString) return gather_strings(to, from, data, indices, n);
      const std::int64_t bytes = data.inner * byte_width(from.dtype());
      char* target = to.mutable_data<char>();
      const char* source = from.data<char>();
      if (data.outer == 1 && n == 1 && target == source + resolved(indices[0], data.size) * bytes) return;
      const auto rows = [&]<class T>() {
        context.parallel_for(data.outer * n, rows_per_chunk(bytes), [=, &data](std::int64_t begin, std::int64_t end) {
          gather_rows<T>(target, source, indices, n, data.size, bytes, begin, end);
        });
      };
      switch (bytes) {
        case 1: return rows.template operator()<std::uint8_t>();
        case 4: return rows.template operator()<std::uint32_t>();
        case 8: return rows.template operator()<std::uint64_t>();
        default: return rows.template operator()<void>();
      }
    });
  }

 private:
  template <class Index>
  static void gather_strings(const TensorView& to, const TensorView& from, const AxisView& data, const Index* indices, std::int64_t n) {
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < data.outer; ++o)
      for (std::int64_t k = 0; k < n; ++k)
        for (std::int64_t i = 0; i < data.inner; ++i)
          to.set_string(at++, from.string((o * data.size + resolved(indices[k], data.size)) * data.inner + i));
  }

  std::int64_t axis_;
  std::optional<std::int64_t> index_;
  bool unaligned_;
};

class GatherElements final : public Kernel {
 public:
  explicit GatherElements(const NodeView& node) : axis_(node.integer("axis", 0)) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), out = context.input(1).dims();
    check(in.rank() == out.rank(), "indices has the shape ", out, ", the data ", in);
    const int axis = normalize_axis(axis_, in.rank());
    for (int i = 0; i < in.rank(); ++i)
      check(i == axis || out[i] <= in[i], "indices has the shape ", out, ", the data ", in, ", and axis is ", axis);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    const Dims out = to.dims(), strides = strides_of(from.dims());
    const int axis = normalize_axis(axis_, from.rank()), last = out.rank() - 1;
    const std::int64_t size = from.dim(axis), step = strides[axis], width = out[last];
    Loops loops;
    for (int i = 0; i < last; ++i) loops.add(out[i], 0, i == axis ? 0 : strides[i]);
    dispatch_indices(context.input(1), [&](const auto* indices) {
      check_indices(indices, to.count(), size);
      if (to.count() == 0) return;
      dispatch_bytes(byte_width(from.dtype()), [&]<class T>() {
        const T* source = from.data<T>();
        T* target = to.mutable_data<T>();
        const std::int64_t next = axis == last ? 0 : 1;
        context.parallel_for(to.count() / width, rows_per_chunk(width * 8), [=, &loops](std::int64_t begin, std::int64_t end) {
          LoopWalk row(loops, loops.rank(), begin);
          for (std::int64_t r = begin; r < end; ++r, row.next())
            for (std::int64_t j = 0; j < width; ++j)
              target[r * width + j] = source[row.from + j * next + resolved(indices[r * width + j], size) * step];
        });
      });
    });
  }

 private:
  std::int64_t axis_;
};

class GatherND final : public Kernel {
 public:
  explicit GatherND(const NodeView& node) : batch_(node.integer("batch_dims", 0)) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), indices = context.input(1).dims();
    check(indices.rank() > 0 && batch_ >= 0 && batch_ < in.rank() && batch_ < indices.rank(), "batch_dims is ", batch_,
          ", the data has the shape ", in, ", indices ", indices);
    const int batch = static_cast<int>(batch_);
    for (int i = 0; i < batch; ++i)
      check(in[i] == indices[i], "the data has the shape ", in, ", indices ", indices, ", and batch_dims is ", batch);
    const int last = indices.rank() - 1;
    check(indices[last] >= 0 && indices[last] <= in.rank() - batch, "indices has the shape ", indices, ", the data ", in);
    Dims out;
    for (int i = 0; i < last; ++i) out.push_back(indices[i]);
    for (int i = batch + static_cast<int>(indices[last]); i < in.rank(); ++i) out.push_back(in[i]);
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    const Dims in = from.dims(), shape = context.input(1).dims(), strides = strides_of(in);
    const int batch = static_cast<int>(batch_), last = shape.rank() - 1;
    const std::int64_t depth = shape[last], each = shape.product(batch, last), rows = shape.product(0, last);
    const std::int64_t bytes = in.product(batch + static_cast<int>(depth), in.rank()) * byte_width(from.dtype());
    const std::int64_t batch_size = in.product(batch, in.rank()), element = byte_width(from.dtype());
    dispatch_indices(context.input(1), [&](const auto* indices) {
      for (std::int64_t d = 0; d < depth; ++d) check_indices(indices + d, rows, in[batch + d], depth);
      if (to.count() == 0) return;
      char* target = to.mutable_data<char>();
      const char* source = from.data<char>();
      context.parallel_for(rows, rows_per_chunk(bytes), [&, indices, target, source](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          std::int64_t at = row / each * batch_size;
          for (std::int64_t d = 0; d < depth; ++d) at += resolved(indices[row * depth + d], in[batch + d]) * strides[batch + d];
          copy_bytes(target + row * bytes, source + at * element, bytes);
        }
      });
    });
  }

 private:
  std::int64_t batch_;
};

constexpr KernelEntry kTable[] = {
    {"Gather", 1, kLatest, &gather_or_strings_verdict, &make<Gather>},
    {"GatherElements", 11, kLatest, &gather_verdict, &make<GatherElements>},
    {"GatherND", 11, kLatest, &gather_verdict, &make<GatherND>},
};

}  // namespace

std::span<const provider::KernelEntry> gather_kernels() { return kTable; }

}  // namespace ashlar::cpu
