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
    context.set_output(0, permuted(in, permutation(in.rank(), given_, perm_)));
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    const Dims strides = permuted(strides_of(from.dims()), permutation(from.rank(), given_, perm_));
    ElementCopier(to, from).block(to.dims(), 0, strides_of(to.dims()), 0, strides);
  }

 private:
  std::vector<std::int64_t> perm_;
  bool given_;
};

constexpr KernelEntry kTable[] = {{"Transpose", 1, kLatest, nullptr, &make<Transpose>}};

}  // namespace

std::span<const provider::KernelEntry> transpose_kernels() { return kTable; }

}  // namespace ashlar::reference
