// SPDX-License-Identifier: Apache-2.0
#include "elementwise_region.h"

#include <algorithm>
#include <array>

#include "broadcast.h"

namespace ashlar::cpu {
namespace {

constexpr std::size_t kUnwanted = static_cast<std::size_t>(-1);

/// By operator, the last one that reads its result; its own number where none does.
std::vector<std::size_t> last_readers(const std::vector<RegionOp>& ops) {
  std::vector<std::size_t> last(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    last[i] = i;
    for (const RegionOperand& x : ops[i].operands)
      if (x.kind == RegionOperand::Kind::kResult) last[x.index] = i;
  }
  return last;
}

/// By operator, the buffer that its result is written to: one that nobody wants any more. The last operator has none.
std::vector<std::size_t> buffers(const std::vector<RegionOp>& ops, std::size_t* count) {
  const std::vector<std::size_t> last = last_readers(ops);
  std::vector<std::size_t> out(ops.size(), kUnwanted), wanted_until;
  for (std::size_t i = 0; i + 1 < ops.size(); ++i) {
    auto free = std::find_if(wanted_until.begin(), wanted_until.end(), [&](std::size_t until) { return until < i; });
    if (free == wanted_until.end()) free = wanted_until.insert(wanted_until.end(), i);
    *free = last[i];
    out[i] = static_cast<std::size_t>(free - wanted_until.begin());
  }
  *count = wanted_until.size();
  return out;
}

constexpr std::int64_t kPiece = 1024;

/// The operators in order, for a piece of the output at a time.
class Program {
 public:
  explicit Program(std::vector<RegionOp> ops) : ops_(std::move(ops)) {
    std::size_t count = 0;
    buffers_ = buffers(ops_, &count);
    provider::check(count <= kRegionResults, "a region of element-wise operators wants ", count, " results at one time");
    double cost = 0;
    for (const RegionOp& op : ops_) cost += 1.0 / static_cast<double>(op.op.grain());
    grain_ = std::max<std::int64_t>(kPiece, static_cast<std::int64_t>(1 / cost));
  }
  /// Elements that are worth a thread.
  std::int64_t grain() const { return grain_; }

  /// Results from element i of the operands on, `count` of them, kPiece at most.
  void run(const void* const* x, unsigned single, std::int64_t i, float* y, std::int64_t count) const {
    alignas(64) float memory[kRegionResults][kPiece];
    std::array<bool, kRegionOps> one{};  // by operator: its result is one element for all of the piece
    for (std::size_t k = 0; k < ops_.size(); ++k) {
      const RegionOp& op = ops_[k];
      std::array<const void*, kMaxTileInputs> in;
      unsigned ones = 0;
      for (std::size_t j = 0; j < op.operands.size(); ++j) {
        const RegionOperand& from = op.operands[j];
        bool is_one = true;
        if (from.kind == RegionOperand::Kind::kConstant) {
          in[j] = &from.constant;
        } else if (from.kind == RegionOperand::Kind::kResult) {
          in[j] = memory[buffers_[from.index]];
          is_one = one[from.index];
        } else {
          is_one = (single >> from.index & 1) != 0;
          in[j] = static_cast<const float*>(x[from.index]) + (is_one ? 0 : i);
        }
        ones |= unsigned{is_one} << j;
      }
      const bool last = k + 1 == ops_.size(), all_one = ones + 1 == 1u << op.operands.size();
      float* const to = last ? y : memory[buffers_[k]];
      if (!all_one) {
        op.op(in.data(), ones, to, count);
        continue;
      }
      float result;  // of single elements alone
      op.op(in.data(), 0, &result, 1);
      one[k] = true;
      std::fill_n(to, last ? count : 1, result);
    }
  }

 private:
  std::vector<RegionOp> ops_;
  std::vector<std::size_t> buffers_;
  std::int64_t grain_;
};

using Pointers = std::array<const void*, kRegionInputs>;
Pointers pointers(const provider::RunContext& context, int inputs) {
  Pointers out{};
  for (int i = 0; i < inputs; ++i) out[static_cast<std::size_t>(i)] = context.input(i).raw();
  return out;
}

class Region final : public CpuKernel {
 public:
  Region(std::vector<RegionOp> ops, int inputs) : program_(std::move(ops)), inputs_(inputs) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return (std::uint64_t{1} << inputs_) - 1; }
  void bind(provider::BindContext& context) const override { Broadcast::bind(context, inputs_, DType::kFloat32); }
  void run(const provider::RunContext& context) const override {
    context.binding<Broadcast>().run(context, pointers(context, inputs_).data(), context.output(0).raw(), program_.grain(),
                                     [&](const void* const* x, unsigned single, void* y, std::int64_t n) {
                                       for (std::int64_t i = 0; i < n; i += kPiece)
                                         program_.run(x, single, i, static_cast<float*>(y) + i, std::min(kPiece, n - i));
                                     });
  }

 private:
  Program program_;
  int inputs_;
};

class FoldedRegion final : public CpuKernel {
 public:
  FoldedRegion(std::vector<RegionOp> ops, int inputs, const RowFold& fold) : program_(std::move(ops)), inputs_(inputs), fold_(fold) {}
  void bind(provider::BindContext& context) const override {
    Dims all = context.input(0).dims();
    for (int k = 1; k < inputs_; ++k) all = provider::broadcast(all, context.input(k).dims());
    provider::check(fold_.axes <= all.rank(), "a reduction of ", fold_.axes, " dimensions of ", all);
    const int kept = all.rank() - fold_.axes;
    Dims out;
    for (int d = 0; d < kept || (fold_.keepdims && d < all.rank()); ++d) out.push_back(d < kept ? all[d] : 1);
    context.set_output(0, out);
    context.set_binding(std::make_unique<Walk>(Broadcast(context, inputs_, all, kPlain, DType::kFloat32), all.product(kept, all.rank())));
  }
  void run(const provider::RunContext& context) const override {
    const auto& walk = context.binding<Walk>();
    const provider::TensorView output = context.output(0);
    float* const y = output.mutable_data<float>();
    if (walk.broadcast.count() == 0) {
      std::fill_n(y, output.count(), fold_.finish(fold_.identity, walk.length));
      return;
    }
    walk.broadcast.read(context, pointers(context, inputs_).data(), walk.length, program_.grain(), Rows{*this, y, walk.length});
  }

 private:
  struct Walk : provider::Binding {
    Walk(const Broadcast& b, std::int64_t n) : broadcast(b), length(n) {}
    Broadcast broadcast;
    std::int64_t length;  ///< of a row
  };
  /// Folds pieces, which come in order from the start of a row to the end of one, on one thread.
  struct Rows {
    const FoldedRegion& region;
    float* y;
    std::int64_t length;

    void operator()(const void* const* x, unsigned single, std::int64_t element, std::int64_t n) const {
      alignas(64) float results[kPiece];
      const RowFold& fold = region.fold_;
      thread_local double value;
      for (std::int64_t i = 0; i < n;) {
        const std::int64_t column = (element + i) % length, count = std::min({kPiece, n - i, length - column});
        region.program_.run(x, single, i, results, count);
        const double part = fold_row(fold.fold, results, count);
        value = column == 0 ? part : fold.merge(value, part);
        if (column + count == length) y[(element + i) / length] = fold.finish(value, length);
        i += count;
      }
    }
  };

  Program program_;
  int inputs_;
  RowFold fold_;
};

}  // namespace

std::unique_ptr<TileCall> CpuKernel::tile_call() const { return nullptr; }
std::unique_ptr<RowFold> CpuKernel::row_fold(int /*rank*/) const { return nullptr; }

std::unique_ptr<TileCall> tile_call_of(const TileOp& op, std::vector<int> operands, std::vector<float> constants) {
  if (!op.of_floats()) return nullptr;
  return std::make_unique<TileCall>(TileCall{op, std::move(operands), std::move(constants)});
}

std::size_t results_at_once(const std::vector<RegionOp>& ops) {
  std::size_t count = 0;
  buffers(ops, &count);
  return count;
}

std::unique_ptr<provider::Kernel> elementwise_region(std::vector<RegionOp> ops, int inputs) {
  return std::make_unique<Region>(std::move(ops), inputs);
}
std::unique_ptr<provider::Kernel> elementwise_region(std::vector<RegionOp> ops, int inputs, const RowFold& fold) {
  return std::make_unique<FoldedRegion>(std::move(ops), inputs, fold);
}

}  // namespace ashlar::cpu
