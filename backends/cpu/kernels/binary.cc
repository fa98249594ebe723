// SPDX-License-Identifier: Apache-2.0
// Operators of two inputs that broadcast together.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>

#include "broadcast.h"
#include "convert.h"
#include "elementwise.h"
#include "elementwise_region.h"

namespace ashlar::cpu {
namespace {

bool has_zero(const provider::TensorView& x) {
  bool found = false;
  dispatch<IntTypes>(x.dtype(),
                     [&]<class T>() { found = std::find(x.data<T>(), x.data<T>() + x.count(), T{}) != x.data<T>() + x.count(); });
  return found;
}

class Binary : public CpuKernel {
 public:
  explicit Binary(const provider::NodeView& node) : op_(tile_of(node)) {
    const DType dtype = node.input(0).dtype();
    in_place_ = byte_width(op_.output()) == byte_width(dtype) ? 3 : 0;
    divides_ = contains<IntTypes>(dtype) && (node.op_type() == "Div" || node.op_type() == "Mod");
    one_way_ = node.op_type() == "PRelu";
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return in_place_; }
  std::unique_ptr<TileCall> tile_call() const override { return one_way_ ? nullptr : tile_call_of(op_, {0, 1}); }
  void bind(provider::BindContext& context) const override {
    const Dims a = context.input(0).dims(), b = context.input(1).dims();
    provider::check(!one_way_ || provider::broadcast(a, b) == a, "a slope of shape ", b, " does not broadcast to ", a);
    Broadcast::bind(context, 2, op_.output());
  }
  void run(const provider::RunContext& context) const override {
    const auto& walk = context.binding<Broadcast>();
    if (walk.count() == 0) return;
    provider::check(!divides_ || !has_zero(context.input(1)), "an integer is divided by zero");
    const void* const in[] = {context.input(0).raw(), context.input(1).raw()};
    walk.run(context, in, context.output(0).raw(), op_.grain(),
             [&](const void* const* x, unsigned single, void* y, std::int64_t n) { op_(x, single, y, n); });
  }

 private:
  TileOp op_;
  std::uint64_t in_place_;
  bool divides_, one_way_;
};

template <class B> std::int64_t power(std::int64_t base, B exponent) {
  if (exponent < 0 && base != 1 && base != -1) return 0;
  auto square = static_cast<std::uint64_t>(base);
  std::uint64_t result = 1;
  const auto magnitude = static_cast<std::uint64_t>(exponent);
  for (std::uint64_t n = exponent < 0 ? 0 - magnitude : magnitude; n > 0; n >>= 1) {
    if (n & 1) result *= square;
    square *= square;
  }
  return static_cast<std::int64_t>(result);
}
double power(double base, double exponent) { return std::pow(base, exponent); }

/// Powers of operands that are not both of one floating-point type: both become A and B, and the result the base's type. Powers of integers
/// by integers wrap.
class MixedPow : public CpuKernel {
 public:
  explicit MixedPow(const provider::NodeView& node) : base_(node.input(0).dtype()), exponent_(node.input(1).dtype()) {
    whole_ = contains<IntTypes>(base_) && contains<IntTypes>(exponent_);
    const DType wide = whole_ ? DType::kInt64 : DType::kFloat64;
    widen_base_ = find_converter(base_, wide);
    widen_exponent_ = find_converter(exponent_, wide);
    narrow_ = find_converter(wide, base_);
  }
  static provider::Verdict verdict(const provider::NodeView& node) {
    for (int i = 0; i < 2; ++i)
      ASHLAR_REQUIRE(contains<NumericTypes>(node.input(i).dtype()), ASHLAR_NO_KERNEL_DTYPE, "Pow of ",
                     provider::dtype_name(node.input(i).dtype()), " has no kernel");
    ASHLAR_REQUIRE(node.output(0).dtype() == node.input(0).dtype(), ASHLAR_NO_KERNEL_DTYPE, "Pow gives the base's type, not ",
                   provider::dtype_name(node.output(0).dtype()));
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return 1; }
  void bind(provider::BindContext& context) const override { Broadcast::bind(context, 2, base_); }
  void run(const provider::RunContext& context) const override {
    if (whole_ && exponent_ == DType::kUint64) each<std::int64_t, std::uint64_t>(context);
    else if (whole_) each<std::int64_t, std::int64_t>(context);
    else each<double, double>(context);
  }

 private:
  template <class A, class B> void each(const provider::RunContext& context) const {
    const auto& walk = context.binding<Broadcast>();
    const void* const in[] = {context.input(0).raw(), context.input(1).raw()};
    std::atomic<bool> impossible = false;
    walk.run(context, in, context.output(0).raw(), kSlowGrain, [&](const void* const* x, unsigned single, void* y, std::int64_t n) {
      constexpr std::int64_t kPiece = 256;
      A base[kPiece];
      B exponent[kPiece];
      const std::int64_t base_step = single & 1 ? 0 : 1, exponent_step = single & 2 ? 0 : 1;
      for (std::int64_t i = 0; i < n; i += kPiece) {
        const std::int64_t count = std::min(kPiece, n - i);
        widen_base_(at(x[0], i * base_step, base_), base, base_step ? count : 1);
        widen_exponent_(at(x[1], i * exponent_step, exponent_), exponent, exponent_step ? count : 1);
        A result[kPiece];
        for (std::int64_t k = 0; k < count; ++k) {
          const A b = base[k * base_step];
          const B e = exponent[k * exponent_step];
          if constexpr (std::is_same_v<A, std::int64_t>)
            if (b == 0 && e < 0) impossible = true;
          result[k] = power(b, e);
        }
        narrow_(result, const_cast<void*>(at(y, i, base_)), count);
      }
    });
    provider::check(!impossible, "the integer 0 has no negative power");
  }
  static const void* at(const void* data, std::int64_t i, DType dtype) { return static_cast<const char*>(data) + i * byte_width(dtype); }

  DType base_, exponent_;
  bool whole_;
  Converter widen_base_, widen_exponent_, narrow_;
};

constexpr provider::KernelEntry row(const char* op, int since) {
  return {op, since, provider::kLatest, &tile_verdict, &provider::make<Binary>};
}

constexpr provider::KernelEntry kRows[] = {
    row("Add", 7),        row("And", 7),
    row("BitShift", 11),  row("BitwiseAnd", 18),
    row("BitwiseOr", 18), row("BitwiseXor", 18),
    row("Div", 7),        row("Equal", 7),
    row("Greater", 7),    row("GreaterOrEqual", 12),
    row("Less", 7),       row("LessOrEqual", 12),
    row("Mod", 10),       row("Mul", 7),
    row("Or", 7),         row("PRelu", 7),
    row("Pow", 7),        {"Pow", 7, provider::kLatest, &MixedPow::verdict, &provider::make<MixedPow>},
    row("Sub", 7),        row("Xor", 7),
};

}  // namespace

std::span<const provider::KernelEntry> binary_kernels() { return kRows; }

}  // namespace ashlar::cpu
