// SPDX-License-Identifier: Apache-2.0
// TopK: the first k entries of each line are selected, then sorted.
#include <algorithm>
#include <functional>
#include <span>

#include "order.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

constexpr std::int64_t kSlots = 16;  // lines that are worked on at once, at most

class TopK final : public provider::Kernel {
 public:
  explicit TopK(const NodeView& node) : axis_(node.integer("axis", -1)), largest_(node.integer("largest", 1) != 0) {
    if (const auto k = node.input(1).constant(); k && k->count() == 1) k_ = k->indices()[0];
  }
  static provider::Verdict verdict(const NodeView& node) {
    const DType dtype = node.input(0).dtype();
    ASHLAR_REQUIRE(contains<NumericTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "TopK of ", provider::dtype_name(dtype), " has no kernel");
    return provider::accept();
  }
  std::uint64_t bind_reads() const override { return k_ ? 0 : 2; }

  void bind(BindContext& context) const override {
    Dims out = context.input(0).dims();
    const int axis = provider::normalize_axis(axis_, out.rank());
    auto plan = std::make_unique<Plan>(out, axis);
    const AxisView& v = plan->view;
    check(v.size <= std::numeric_limits<std::uint32_t>::max(), "axis ", axis, " of ", out, " is too long");
    check(context.input(1).count() == 1, "K has the shape ", context.input(1).dims());
    plan->k = k_ ? *k_ : context.input(1).indices()[0];
    check(plan->k >= 0 && plan->k <= out[axis], "K is ", plan->k, ", axis ", axis, " of ", out, " has fewer elements");
    plan->slots = std::min(kSlots, v.size == 0 ? 0 : out.count() / v.size);
    out[axis] = plan->k;
    context.set_output(0, out);
    context.set_output(1, out);
    dispatch<NumericTypes>(context.input(0).dtype(),
                           [&]<class T>() { context.set_workspace(static_cast<std::uint64_t>(plan->slots * v.size) * sizeof(Entry<T>)); });
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const auto& plan = context.binding<Plan>();
    if (plan.k == 0 || plan.slots == 0) return;
    const std::int64_t lines = plan.view.outer * plan.view.inner, size = plan.view.size;
    dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
      auto* entries = static_cast<Entry<T>*>(context.workspace());
      const std::int64_t each = (lines + plan.slots - 1) / plan.slots;
      context.parallel_for(plan.slots, grain_of(each * size * 4), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t slot = begin; slot < end; ++slot)
          for (std::int64_t i = slot * each; i < std::min(lines, (slot + 1) * each); ++i) line<T>(context, plan, i, entries + slot * size);
      });
    });
  }

 private:
  struct Plan : provider::Binding {
    Plan(const Dims& dims, int axis) : view(dims, axis) {}
    AxisView view;
    std::int64_t k = 0, slots = 0;
  };
  template <class T> void line(const RunContext& context, const Plan& plan, std::int64_t i, Entry<T>* entries) const {
    const AxisView& v = plan.view;
    const T* x = context.input(0).data<T>() + i / v.inner * v.size * v.inner + i % v.inner;
    for (std::int64_t a = 0; a < v.size; ++a) entries[a] = make_entry(x[a * v.inner], static_cast<std::uint32_t>(a), largest_);
    if (plan.k * 8 <= v.size) {
      std::partial_sort(entries, entries + plan.k, entries + v.size, std::greater<>());
    } else {
      if (plan.k < v.size) std::nth_element(entries, entries + plan.k - 1, entries + v.size, std::greater<>());
      std::sort(entries, entries + plan.k, std::greater<>());
    }
    const std::int64_t first = i / v.inner * plan.k * v.inner + i % v.inner;
    T* values = context.has_output(0) ? context.output(0).mutable_data<T>() + first : nullptr;
    auto* places = context.has_output(1) ? context.output(1).mutable_data<std::int64_t>() + first : nullptr;
    for (std::int64_t j = 0; j < plan.k; ++j) {
      const std::int64_t place = place_of(entries[j]);
      if (values) values[j * v.inner] = x[place * v.inner];
      if (places) places[j * v.inner] = place;
    }
  }

  std::int64_t axis_;
  bool largest_;
  std::optional<std::int64_t> k_;  ///< known before any run
};

constexpr provider::KernelEntry kRows[] = {{"TopK", 10, provider::kLatest, &TopK::verdict, &provider::make<TopK>}};

}  // namespace

std::span<const provider::KernelEntry> sort_kernels() { return kRows; }

}  // namespace ashlar::cpu
