// SPDX-License-Identifier: Apache-2.0
// Transpose.
#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Transpose final : public Kernel {
 public:
  explicit Transpose(const NodeView& node) : perm_(node.integers("perm")), given_(node.has("perm")) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const Dims axes = permutation(in);
    Dims out;
    for (const std::int64_t axis : axes) out.push_back(in[axis]);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    const Dims strides = strides_of(from.dims());
    Dims from_strides;
    for (const std::int64_t axis : permutation(from.dims())) from_strides.push_back(strides[axis]);
    ElementCopier(to, from).block(to.dims(), 0, strides_of(to.dims()), 0, from_strides);
  }

 private:
  Dims permutation(const Dims& in) const {
    Dims axes;
    if (!given_) {
      for (int i = in.rank() - 1; i >= 0; --i) axes.push_back(i);
      return axes;
    }
    check(static_cast<int>(perm_.size()) == in.rank(), "perm has ", perm_.size(), " axes, the input has ", in.rank());
    Dims seen = Dims::filled(in.rank(), 0);
    for (const std::int64_t axis : perm_) {
      const int a = normalize_axis(axis, in.rank());
      check(seen[a]++ == 0, "perm has axis ", a, " twice");
      axes.push_back(a);
    }
    return axes;
  }

  std::vector<std::int64_t> perm_;
  bool given_;
};

constexpr KernelEntry kTable[] = {{"Transpose", 1, kLatest, nullptr, &make<Transpose>}};

}  // namespace

std::span<const provider::KernelEntry> transpose_kernels() { return kTable; }

}  // namespace ashlar::reference
