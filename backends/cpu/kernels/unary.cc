// SPDX-License-Identifier: Apache-2.0
// Operators of one input, element by element, and those that hand it on.
#include <cmath>
#include <cstring>
#include <span>

#include "copy.h"
#include "elementwise.h"
#include "elementwise_region.h"

namespace ashlar::cpu {
namespace {

class Unary : public CpuKernel {
 public:
  explicit Unary(const provider::NodeView& node)
      : op_(tile_of(node)), same_size_(byte_width(op_.output()) == byte_width(node.input(0).dtype())) {}
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return same_size_ ? 1 : 0; }
  std::unique_ptr<TileCall> tile_call() const override { return tile_call_of(op_, {0}); }
  void bind(provider::BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    const auto from = static_cast<const char*>(x.raw());
    const auto to = static_cast<char*>(y.raw());
    const std::int64_t from_bytes = byte_width(x.dtype()), to_bytes = byte_width(y.dtype());
    context.parallel_for(x.count(), op_.grain(), [&](std::int64_t begin, std::int64_t end) {
      const void* const in[] = {from + begin * from_bytes};
      op_(in, 0, to + begin * to_bytes, end - begin);
    });
  }

 private:
  TileOp op_;
  bool same_size_;
};

/// min(max(x, low), high); a bound that is left out does not bind.
class Clip : public CpuKernel {
 public:
  explicit Clip(const provider::NodeView& node) : op_(tile_of(node)) {
    dispatch<NumericTypes>(node.input(0).dtype(), [&]<class T>() {
      if constexpr (is_float<T>) set_limits<T>(T(-INFINITY), T(INFINITY));
      else set_limits<T>(std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
    });
    if (node.input(0).dtype() != DType::kFloat32) return;
    for (int i = 1; i < 3; ++i) {
      const auto bound = node.has_input(i) ? node.input(i).constant() : std::nullopt;
      bounds_known_ = bounds_known_ && (!node.has_input(i) || (bound && bound->count() == 1));
      if (bound && bound->count() == 1) bounds_[static_cast<std::size_t>(i - 1)] = bound->values<float>()[0];
    }
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return 1; }
  std::unique_ptr<TileCall> tile_call() const override { return bounds_known_ ? tile_call_of(op_, {0, -1, -2}, bounds_) : nullptr; }
  void bind(provider::BindContext& context) const override {
    for (int i = 1; i < 3; ++i)
      if (context.has_input(i))
        provider::check(context.input(i).count() == 1, "a bound of shape ", context.input(i).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const auto from = static_cast<const char*>(x.raw());
    const auto to = static_cast<char*>(context.output(0).raw());
    const std::int64_t bytes = byte_width(x.dtype());
    const void* low = context.has_input(1) ? context.input(1).raw() : low_.data();
    const void* high = context.has_input(2) ? context.input(2).raw() : high_.data();
    context.parallel_for(x.count(), op_.grain(), [&](std::int64_t begin, std::int64_t end) {
      const void* const in[] = {from + begin * bytes, low, high};
      op_(in, 6, to + begin * bytes, end - begin);
    });
  }

 private:
  template <class T> void set_limits(T low, T high) {
    std::memcpy(low_.data(), &low, sizeof(T));
    std::memcpy(high_.data(), &high, sizeof(T));
  }
  TileOp op_;
  bool bounds_known_ = true;  ///< of a float32 operator
  std::vector<float> bounds_ = {-INFINITY, INFINITY};
  alignas(8) std::array<std::byte, 8> low_{}, high_{};
};

/// Dropout outside training: its input, and a mask of what was kept, which is all.
class Dropout : public CpuKernel {
 public:
  explicit Dropout(const provider::NodeView&) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const provider::ValueView x = node.input(0);
    ASHLAR_REQUIRE(x.is_tensor() && byte_width(x.dtype()) > 0 && node.output(0).dtype() == x.dtype(), ASHLAR_NO_KERNEL_DTYPE, "Dropout of ",
                   provider::dtype_name(x.dtype()), " has no kernel");
    if (!node.has_input(2)) return provider::accept();
    const auto training = node.input(2).constant();
    ASHLAR_REQUIRE(training && training->count() == 1 && training->values<std::uint8_t>()[0] == 0, ASHLAR_ATTRIBUTE,
                   "Dropout has a kernel only where training_mode is known to be false");
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  void bind(provider::BindContext& context) const override {
    for (int i = 1; i < 3; ++i)
      if (context.has_input(i))
        provider::check(context.input(i).count() == 1, "input ", i, " of shape ", context.input(i).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
    context.set_view(0, 0);
    context.set_output(1, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    if (context.has_output(0) && context.output(0).raw() != x.raw() && x.count() > 0)
      std::memcpy(context.output(0).raw(), x.raw(), static_cast<std::size_t>(x.count() * byte_width(x.dtype())));
    if (context.has_output(1) && x.count() > 0) std::memset(context.output(1).raw(), 1, static_cast<std::size_t>(x.count()));
  }
};

constexpr provider::KernelEntry row(const char* op, int since) {
  return {op, since, provider::kLatest, &tile_verdict, &provider::make<Unary>};
}

constexpr provider::KernelEntry kRows[] = {
    row("Abs", 1),
    row("Acos", 7),
    row("Acosh", 9),
    row("Asin", 7),
    row("Asinh", 9),
    row("Atan", 7),
    row("Atanh", 9),
    row("BitwiseNot", 18),
    row("Ceil", 1),
    row("Celu", 12),
    row("Cos", 7),
    row("Cosh", 9),
    row("Elu", 6),
    row("Erf", 9),
    row("Exp", 1),
    row("Floor", 1),
    row("Gelu", 20),
    row("HardSigmoid", 6),
    row("HardSwish", 14),
    row("IsInf", 10),
    row("IsNaN", 9),
    row("LeakyRelu", 6),
    row("Log", 1),
    row("Mish", 18),
    row("Neg", 1),
    row("Not", 1),
    row("Reciprocal", 1),
    row("Relu", 1),
    row("Round", 11),
    row("Selu", 6),
    row("Shrink", 9),
    row("Sigmoid", 1),
    row("Sign", 9),
    row("Sin", 7),
    row("Sinh", 9),
    row("Softplus", 1),
    row("Softsign", 1),
    row("Sqrt", 1),
    row("Swish", 24),
    row("Tan", 7),
    row("Tanh", 1),
    row("ThresholdedRelu", 10),
    {"Clip", 11, provider::kLatest, &tile_verdict, &provider::make<Clip>},
    {"Dropout", 12, provider::kLatest, &Dropout::verdict, &provider::make<Dropout>},
};

}  // namespace

std::span<const provider::KernelEntry> unary_kernels() { return kRows; }

}  // namespace ashlar::cpu
