// SPDX-License-Identifier: Apache-2.0
// Operators that repeat a tensor: Tile, Expand.
#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

/// bind makes a CopyBinding of input 0 to output 0, which may be one storage where nothing is repeated.
class Repeat : public Kernel {
 public:
  std::uint64_t bind_reads() const override { return 0b10; }
  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    if (to.raw() != from.raw()) context.binding<CopyBinding>().copy.run(context, to, from);
  }

 protected:
  static void repeat(BindContext& context, const Dims& out, const Loops& loops) {
    context.set_output(0, out);
    auto binding = std::make_unique<CopyBinding>(StridedCopy(context.input(0).dtype(), loops));
    if (binding->copy.is_dense()) context.set_view(0, 0);
    context.set_binding(std::move(binding));
  }
};

class Tile final : public Repeat {
 public:
  explicit Tile(const NodeView&) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), repeats(context.input(1).indices());
    check(repeats.rank() == in.rank(), "repeats has ", repeats.rank(), " elements, the input ", in.rank(), " dimensions");
    Dims out = in;
    for (int i = 0; i < out.rank(); ++i)
      check(repeats[i] >= 0 && !__builtin_mul_overflow(out[i], repeats[i], &out[i]), "repeats ", repeats, " is not possible");
    checked_count(out);
    const Dims to = strides_of(out), from = strides_of(in);
    Loops loops;
    for (int i = 0; i < out.rank(); ++i) {
      loops.add(repeats[i], to[i] * in[i], 0);
      loops.add(in[i], to[i], from[i]);
    }
    repeat(context, out, loops);
  }
};

class Expand final : public Repeat {
 public:
  explicit Expand(const NodeView&) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const Dims out = broadcast(in, Dims(context.input(1).indices()));
    checked_count(out);
    const Dims dense = strides_of(in);
    Dims from = Dims::filled(out.rank(), 0);
    for (int i = 0; i < in.rank(); ++i)
      if (in[i] != 1) from[out.rank() - in.rank() + i] = dense[i];
    repeat(context, out, {out, strides_of(out), from});
  }
};

constexpr KernelEntry kTable[] = {
    {"Tile", 6, kLatest, &takes_bytes_or_strings, &make<Tile>},
    {"Expand", 8, kLatest, &takes_bytes_or_strings, &make<Expand>},
};

}  // namespace

std::span<const provider::KernelEntry> tile_kernels() { return kTable; }

}  // namespace ashlar::cpu
