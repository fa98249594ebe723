// SPDX-License-Identifier: Apache-2.0
// Where: elements of one tensor or another, chosen by a third; their bits are not looked at.
#include <span>

#include "broadcast.h"
#include "elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/where.cc"
#include <hwy/foreach_target.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

/// out[i] = condition[i] ? x[i] : y[i] for 4-byte elements, as long as vectors are full; x and y are one element where their step is 0.
/// Gives the number of elements done.
std::int64_t ChooseFourBytes(const std::uint8_t* condition, const std::uint32_t* x, std::int64_t x_step, const std::uint32_t* y,
                             std::int64_t y_step, std::uint32_t* out, std::int64_t n) {
  const hn::ScalableTag<std::uint32_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const auto one_x = hn::Set(d, *x), one_y = hn::Set(d, *y);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) {
    const auto chosen = hn::Ne(hn::PromoteTo(d, hn::LoadU(d8, condition + i)), hn::Zero(d));
    const auto from_x = x_step ? hn::LoadU(d, x + i) : one_x;
    const auto from_y = y_step ? hn::LoadU(d, y + i) : one_y;
    hn::StoreU(hn::IfThenElse(chosen, from_x, from_y), d, out + i);
  }
  return i;
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {
HWY_EXPORT(ChooseFourBytes);
namespace {

struct Wide {
  std::uint64_t halves[2];
};

template <class T> void choose(const void* const* in, unsigned single, void* to, std::int64_t n) {
  const auto* condition = static_cast<const std::uint8_t*>(in[0]);
  const T *x = static_cast<const T*>(in[1]), *y = static_cast<const T*>(in[2]);
  T* out = static_cast<T*>(to);
  const std::int64_t x_step = single & 2 ? 0 : 1, y_step = single & 4 ? 0 : 1;
  if (single & 1) {
    const T* from = *condition ? x : y;
    const std::int64_t step = *condition ? x_step : y_step;
    for (std::int64_t i = 0; i < n; ++i) out[i] = from[i * step];
    return;
  }
  std::int64_t i = 0;
  if constexpr (std::is_same_v<T, std::uint32_t>) i = HWY_DYNAMIC_DISPATCH(ChooseFourBytes)(condition, x, x_step, y, y_step, out, n);
  for (; i < n; ++i) out[i] = condition[i] ? x[i * x_step] : y[i * y_step];
}

class Where : public CpuKernel {
 public:
  explicit Where(const provider::NodeView& node) : bytes_(byte_width(node.input(1).dtype())), dtype_(node.input(1).dtype()) {
    choose_ = bytes_ == 1   ? &choose<std::uint8_t>
              : bytes_ == 2 ? &choose<std::uint16_t>
              : bytes_ == 4 ? &choose<std::uint32_t>
              : bytes_ == 8 ? &choose<std::uint64_t>
                            : &choose<Wide>;
  }
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType condition = node.input(0).dtype(), dtype = node.input(1).dtype();
    ASHLAR_REQUIRE(condition == DType::kBool && node.input(2).dtype() == dtype && node.output(0).dtype() == dtype && byte_width(dtype) > 0,
                   ASHLAR_NO_KERNEL_DTYPE, "Where by ", provider::dtype_name(condition), " between ", provider::dtype_name(dtype), " and ",
                   provider::dtype_name(node.input(2).dtype()), " has no kernel");
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return bytes_ == 1 ? 7 : 6; }
  void bind(provider::BindContext& context) const override { Broadcast::bind(context, 3, dtype_); }
  void run(const provider::RunContext& context) const override {
    const void* const in[] = {context.input(0).raw(), context.input(1).raw(), context.input(2).raw()};
    context.binding<Broadcast>().run(context, in, context.output(0).raw(), kCheapGrain, choose_);
  }

 private:
  std::int64_t bytes_;
  DType dtype_;
  void (*choose_)(const void* const*, unsigned, void*, std::int64_t);
};

constexpr provider::KernelEntry kRows[] = {{"Where", 9, provider::kLatest, &Where::verdict, &provider::make<Where>}};

}  // namespace

std::span<const provider::KernelEntry> where_kernels() { return kRows; }

}  // namespace ashlar::cpu
#endif
