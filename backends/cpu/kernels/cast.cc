// SPDX-License-Identifier: Apache-2.0
// Changes of the element type: Cast, CastLike, and BitCast, which is a view.
#include <cstring>
#include <span>

#include "convert.h"
#include "copy.h"
#include "elementwise.h"

namespace ashlar::cpu {
namespace {

/// Cast and CastLike, which differ in where the output's dtype is said.
class Cast : public CpuKernel {
 public:
  explicit Cast(const provider::NodeView& node)
      : from_(node.input(0).dtype()), to_(node.output(0).dtype()), convert_(find_converter(from_, to_)) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType from = node.input(0).dtype(), to = node.output(0).dtype();
    ASHLAR_REQUIRE(find_converter(from, to) != nullptr, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " from ", provider::dtype_name(from),
                   " to ", provider::dtype_name(to), " has no kernel");
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t in_place() const override { return byte_width(from_) == byte_width(to_) ? 1 : 0; }
  void bind(provider::BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
    if (is_copy()) context.set_view(0, 0);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (is_copy() && x.raw() == y.raw()) return;
    const auto from = static_cast<const char*>(x.raw());
    const auto to = static_cast<char*>(y.raw());
    const std::int64_t from_bytes = byte_width(from_), to_bytes = byte_width(to_);
    context.parallel_for(x.count(), kMathGrain, [&](std::int64_t begin, std::int64_t end) {
      convert_(from + begin * from_bytes, to + begin * to_bytes, end - begin);
    });
  }

 private:
  bool is_copy() const { return from_ == to_; }
  DType from_, to_;
  Converter convert_;
};

class BitCast : public CpuKernel {
 public:
  explicit BitCast(const provider::NodeView&) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const DType from = node.input(0).dtype(), to = node.output(0).dtype();
    ASHLAR_REQUIRE(byte_width(from) > 0 && byte_width(from) == byte_width(to), ASHLAR_NO_KERNEL_DTYPE, "BitCast from ",
                   provider::dtype_name(from), " to ", provider::dtype_name(to), " has no kernel");
    return provider::accept();
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  void bind(provider::BindContext& context) const override {
    context.set_output(0, context.input(0).dims());
    context.set_layout(0, context.input(0).layout());
    context.set_view(0, 0);
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    if (x.count() > 0 && x.raw() != y.raw()) std::memcpy(y.raw(), x.raw(), static_cast<std::size_t>(x.count() * byte_width(x.dtype())));
  }
};

constexpr provider::KernelEntry kRows[] = {
    {"BitCast", 26, provider::kLatest, &BitCast::verdict, &provider::make<BitCast>},
    {"Cast", 6, provider::kLatest, &Cast::verdict, &provider::make<Cast>},
    {"CastLike", 15, provider::kLatest, &Cast::verdict, &provider::make<Cast>},
};

}  // namespace

std::span<const provider::KernelEntry> cast_kernels() { return kRows; }

}  // namespace ashlar::cpu
