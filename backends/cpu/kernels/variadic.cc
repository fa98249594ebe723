// SPDX-License-Identifier: Apache-2.0
// Max, Min, Sum and Mean of several tensors that broadcast together, a piece at a time, rounded once.
#include <cstddef>
#include <cstring>
#include <span>

#include "broadcast.h"
#include "elementwise.h"

namespace ashlar::cpu {
namespace {

class Variadic : public CpuKernel {
 public:
  explicit Variadic(const provider::NodeView& node)
      : dtype_(node.input(0).dtype()), inner_(is_half_type(dtype_) ? DType::kFloat32 : dtype_), count_(node.input_count()),
        mean_(node.op_type() == "Mean"), op_(mean_ || node.op_type() == "Sum" ? "Add" : node.op_type(), inner_), divide_("Div", inner_) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const int count = node.input_count();
    ASHLAR_REQUIRE(count <= Broadcast::kMaxOperands, ASHLAR_ATTRIBUTE, node.op_type(), " of ", count, " tensors has no kernel");
    for (int i = 0; i < std::max(1, count); ++i)
      ASHLAR_REQUIRE(node.has_input(i), ASHLAR_ATTRIBUTE, node.op_type(), " without an input ", i);
    return node.op_type() == "Sum" || node.op_type() == "Mean" ? uniform<FloatTypes>(node) : uniform<NumericTypes>(node);
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return (std::uint64_t{1} << count_) - 1; }
  void bind(provider::BindContext& context) const override { Broadcast::bind(context, count_, dtype_); }
  void run(const provider::RunContext& context) const override {
    const auto& walk = context.binding<Broadcast>();
    std::array<const void*, Broadcast::kMaxOperands> in{};
    for (int k = 0; k < count_; ++k) in[static_cast<std::size_t>(k)] = context.input(k).raw();
    walk.run(context, in.data(), context.output(0).raw(), op_.grain() / count_,
             [&](const void* const* x, unsigned single, void* y, std::int64_t n) { combine(x, single, static_cast<char*>(y), n); });
  }

 private:
  static constexpr std::int64_t kPiece = 512;
  static bool is_half_type(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

  /// Where an operand's elements [i, i + n) are in the type to calculate in; `wide` is room for them.
  const void* operand(const void* x, bool one, std::int64_t i, std::int64_t n, float* wide) const {
    const void* from = static_cast<const char*>(x) + (one ? 0 : i * byte_width(dtype_));
    if (inner_ == dtype_) return from;
    widen(dtype_, from, wide, one ? 1 : n);
    return wide;
  }
  /// Every input's piece is read before the output's is written, which may be the same memory.
  void combine(const void* const* x, unsigned single, char* y, std::int64_t n) const {
    alignas(64) std::byte sum[kPiece * 8], first[8];
    alignas(64) float left[kPiece], right[kPiece];
    const bool direct = count_ == 2 && !mean_ && inner_ == dtype_;
    if (direct) return op_(x, single, y, n);
    const double real_count = count_;
    const float float_count = static_cast<float>(count_);
    for (std::int64_t i = 0; i < n; i += kPiece) {
      const std::int64_t count = std::min(kPiece, n - i);
      const void* in[2] = {operand(x[0], single & 1, i, count, left), nullptr};
      unsigned one = single & 1;
      for (int k = 1; k < count_; ++k) {
        in[1] = operand(x[k], single >> k & 1, i, count, right);
        one |= (single >> k & 1) << 1;
        const bool both = one == 3;
        op_(in, both ? 0 : one, both ? first : sum, both ? 1 : count);
        in[0] = both ? first : sum;
        one = both ? 1 : 0;
      }
      if (mean_) {
        in[1] = inner_ == DType::kFloat64 ? static_cast<const void*>(&real_count) : &float_count;
        divide_(in, 2, sum, count);
        in[0] = sum;
      }
      void* to = y + i * byte_width(dtype_);
      if (inner_ != dtype_) round_to(dtype_, static_cast<const float*>(in[0]), to, count);
      else if (in[0] != to) std::memcpy(to, in[0], static_cast<std::size_t>(count * byte_width(dtype_)));
    }
  }

  DType dtype_, inner_;
  int count_;
  bool mean_;
  TileOp op_, divide_;
};

constexpr provider::KernelEntry row(const char* op) { return {op, 8, provider::kLatest, &Variadic::verdict, &provider::make<Variadic>}; }

constexpr provider::KernelEntry kRows[] = {row("Max"), row("Mean"), row("Min"), row("Sum")};

}  // namespace

std::span<const provider::KernelEntry> variadic_kernels() { return kRows; }

}  // namespace ashlar::cpu
