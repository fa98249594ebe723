// SPDX-License-Identifier: Apache-2.0
#include <span>

#include "packed.h"

namespace ashlar::reference {
namespace {

class Where : public provider::Kernel {
 public:
  explicit Where(const provider::NodeView&) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType dtype = node.input(1).dtype();
    ASHLAR_REQUIRE(node.input(0).dtype() == DType::kBool && node.input(2).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, "Where by ",
                   provider::dtype_name(node.input(0).dtype()), " between ", provider::dtype_name(dtype), " and ",
                   provider::dtype_name(node.input(2).dtype()), " has no kernel");
    return gives(node, dtype);
  }
  void bind(provider::BindContext& context) const override {
    context.set_output(0,
                       provider::broadcast(provider::broadcast(context.input(0).dims(), context.input(1).dims()), context.input(2).dims()));
  }
  void run(const provider::RunContext& context) const override {
    const auto condition = context.input(0), x = context.input(1), y = context.input(2), out = context.output(0);
    const Dims dims = out.dims();
    const std::array strides = {broadcast_strides(condition.dims(), dims), broadcast_strides(x.dims(), dims),
                                broadcast_strides(y.dims(), dims)};
    const auto* chosen = condition.data<std::uint8_t>();
    const ElementCopier from_x(out, x), from_y(out, y);
    for_each_index<3>(dims, strides,
                      [&](std::int64_t i, const auto& at) { chosen[at[0]] ? from_x.copy(i, at[1]) : from_y.copy(i, at[2]); });
  }
};

constexpr provider::KernelEntry kRows[] = {{"Where", 9, provider::kLatest, &Where::verdict, &provider::make<Where>}};

}  // namespace

std::span<const provider::KernelEntry> where_kernels() { return kRows; }

}  // namespace ashlar::reference
