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

class Region final : public CpuKernel {
 public:
  Region(std::vector<RegionOp> ops, int inputs) : ops_(std::move(ops)), inputs_(inputs) {
    std::size_t count = 0;
    buffers_ = buffers(ops_, &count);
    provider::check(count <= kRegionResults, "a region of element-wise operators wants ", count, " results at one time");
    double cost = 0;
    for (const RegionOp& op : ops_) cost += 1.0 / static_cast<double>(op.op.grain());
    grain_ = std::max<std::int64_t>(1024, static_cast<std::int64_t>(1 / cost));
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return (std::uint64_t{1} << inputs_) - 1; }
  void bind(provider::BindContext& context) const override { Broadcast::bind(context, inputs_, DType::kFloat32); }
  void run(const provider::RunContext& context) const override {
    std::array<const void*, kRegionInputs> in{};
    for (int i = 0; i < inputs_; ++i) in[static_cast<std::size_t>(i)] = context.input(i).raw();
    context.binding<Broadcast>().run(
        context, in.data(), context.output(0).raw(), grain_,
        [&](const void* const* x, unsigned single, void* y, std::int64_t n) { apply(x, single, static_cast<float*>(y), n); });
  }

 private:
  static constexpr std::int64_t kPiece = 1024;

  void apply(const void* const* x, unsigned single, float* y, std::int64_t n) const {
    alignas(64) float memory[kRegionResults][kPiece];
    for (std::int64_t i = 0; i < n; i += kPiece) {
      const std::int64_t count = std::min(kPiece, n - i);
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
        float* const to = last ? y + i : memory[buffers_[k]];
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
  }

  std::vector<RegionOp> ops_;
  std::vector<std::size_t> buffers_;
  int inputs_;
  std::int64_t grain_;
};

}  // namespace

std::unique_ptr<TileCall> CpuKernel::tile_call() const { return nullptr; }

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

}  // namespace ashlar::cpu
