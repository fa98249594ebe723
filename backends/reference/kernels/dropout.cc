// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <span>

#include "convert.h"
#include "draws.h"

namespace ashlar::reference {
namespace {

using DropoutTypes = Join<FloatTypes, Float8Types>;

/// A copy outside training; in training each element is dropped with probability `ratio`, and the others are scaled up.
class Dropout : public provider::Kernel {
 public:
  explicit Dropout(const provider::NodeView& node) : seed_(seed_of(node)) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const auto data = uniform<DropoutTypes, 1>(node);
    return data.code != ASHLAR_ACCEPTED || !node.has_input(1) ? data : require_dtype<DropoutTypes>(node, node.input(1));
  }
  void bind(provider::BindContext& context) const override {
    for (int i = 1; i < 3; ++i)
      if (context.has_input(i))
        provider::check(context.input(i).count() == 1, "input ", i, " of shape ", context.input(i).dims(), " is not a scalar");
    context.set_output(0, context.input(0).dims());
    context.set_output(1, context.input(0).dims());
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0);
    const bool training = context.has_input(2) && load<bool>(context.input(2).raw(), 0);
    const double ratio = !training ? 0 : !context.has_input(1) ? 0.5 : reader<double>(context.input(1).dtype())(context.input(1).raw(), 0);
    provider::check(ratio >= 0 && ratio < 1, "a dropout ratio of ", ratio, " is outside [0, 1)");
    void* y = context.has_output(0) ? context.output(0).raw() : nullptr;
    auto* mask = context.has_output(1) ? context.output(1).mutable_data<std::uint8_t>() : nullptr;
    if (ratio == 0) {
      if (y && x.count() > 0) std::memcpy(y, x.raw(), x.bytes());
      if (mask && x.count() > 0) std::memset(mask, 1, static_cast<std::size_t>(x.count()));
      return;
    }
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(x.dtype());
    Draws draws(seed_);
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const bool kept = draws.uniform() >= ratio;
      if (y) write(y, i, kept ? read(x.raw(), i) / (1 - ratio) : 0);
      if (mask) mask[i] = kept;
    }
  }

 private:
  std::optional<std::uint32_t> seed_;
};

constexpr provider::KernelEntry kRows[] = {{"Dropout", 12, provider::kLatest, &Dropout::verdict, &provider::make<Dropout>}};

}  // namespace

std::span<const provider::KernelEntry> dropout_kernels() { return kRows; }

}  // namespace ashlar::reference
