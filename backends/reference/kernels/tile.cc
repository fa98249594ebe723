// SPDX-License-Identifier: Apache-2.0
// Operators that repeat or rearrange blocks of a tensor: Tile, DepthToSpace, SpaceToDepth, ReverseSequence.
#include <algorithm>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class Tile final : public Kernel {
 public:
  explicit Tile(const NodeView&) {}
  std::uint64_t bind_reads() const override { return 2; }

  void bind(BindContext& context) const override {
    Dims out = context.input(0).dims();
    const Dims repeats(context.input(1).indices());
    check(repeats.rank() == out.rank(), "repeats has ", repeats.rank(), " elements, the input ", out.rank(), " dimensions");
    for (int i = 0; i < out.rank(); ++i) {
      check(repeats[i] >= 0 && !__builtin_mul_overflow(out[i], repeats[i], &out[i]), "repeats ", repeats, " is not possible");
    }
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    if (to.count() == 0) return;
    const ElementCopier copier(to, from);
    if (to.rank() == 0) return copier.copy(0, 0);
    const Dims in = from.dims(), out = to.dims(), strides = strides_of(in);
    const int last = out.rank() - 1;
    Dims index = Dims::filled(last, 0);
    for (std::int64_t o = 0; o < to.count();) {
      std::int64_t row = 0;
      for (int i = 0; i < last; ++i) row += index[i] % in[i] * strides[i];
      for (const std::int64_t end = o + out[last]; o < end; o += in[last]) copier.copy(o, row, in[last]);
      for (int i = last - 1; i >= 0 && ++index[i] == out[i]; --i) index[i] = 0;
    }
  }
};

Verdict blocks_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "DCR");
  ASHLAR_REQUIRE(mode == "DCR" || mode == "CRD", ASHLAR_ATTRIBUTE, node.op_type(), " has no mode ", mode);
  const std::int64_t block = node.integer("blocksize", 0);
  ASHLAR_REQUIRE(block > 0 && block < (1 << 20), ASHLAR_ATTRIBUTE, node.op_type(), " has the blocksize ", block);
  return accept();
}

/// DepthToSpace, and SpaceToDepth as the same move with the two sides exchanged: the space side is [N, C, H*b, W*b] and seen as
/// [N, C, H, b, W, b], the depth side is [N, C*b*b, H, W] with the channel seen as [b, b, C] (DCR) or [C, b, b] (CRD).
template <bool kToSpace> class Blocks final : public Kernel {
 public:
  explicit Blocks(const NodeView& node) : crd_(node.text("mode", "DCR") == "CRD"), block_(node.integer("blocksize")) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() == 4, "the input has the shape ", in, ", which is not of rank 4");
    if (kToSpace) {
      check(in[1] % (block_ * block_) == 0, in[1], " channels do not divide by the blocksize ", block_, " squared");
      context.set_output(0, {in[0], in[1] / (block_ * block_), in[2] * block_, in[3] * block_});
    } else {
      check(in[2] % block_ == 0 && in[3] % block_ == 0, "the shape ", in, " does not divide by the blocksize ", block_);
      context.set_output(0, {in[0], in[1] * block_ * block_, in[2] / block_, in[3] / block_});
    }
  }

  void run(const RunContext& context) const override {
    const Dims space = (kToSpace ? context.output(0) : context.input(0)).dims();
    const std::int64_t b = block_, n = space[0], c = space[1], h = space[2] / b, w = space[3] / b;
    const Dims walk{n, c, h, b, w, b};
    const Dims space_strides = strides_of(walk);
    const Dims s = strides_of(crd_ ? Dims{n, c, b, b, h, w} : Dims{n, b, b, c, h, w});
    const Dims depth_strides = crd_ ? Dims{s[0], s[1], s[4], s[2], s[5], s[3]} : Dims{s[0], s[3], s[4], s[1], s[5], s[2]};
    ElementCopier(context.output(0), context.input(0))
        .block(walk, 0, kToSpace ? space_strides : depth_strides, 0, kToSpace ? depth_strides : space_strides);
  }

 private:
  bool crd_;
  std::int64_t block_;
};

Verdict reverse_verdict(const NodeView& node) {
  const std::int64_t batch = node.integer("batch_axis", 1), time = node.integer("time_axis", 0);
  ASHLAR_REQUIRE((batch == 0 && time == 1) || (batch == 1 && time == 0), ASHLAR_ATTRIBUTE, "ReverseSequence with batch_axis ", batch,
                 " and time_axis ", time);
  return accept();
}

class ReverseSequence final : public Kernel {
 public:
  explicit ReverseSequence(const NodeView& node) : time_first_(node.integer("time_axis", 0) == 0) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() >= 2, "the input has the shape ", in);
    const std::int64_t batch = in[time_first_ ? 1 : 0];
    check(context.input(1).dims() == Dims{batch}, "sequence_lens has the shape ", context.input(1).dims(), " for a batch of ", batch);
    context.set_output(0, in);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const Dims dims = from.dims();
    const std::int64_t inner = dims.product(2, dims.rank());
    const std::int64_t batches = dims[time_first_ ? 1 : 0], times = dims[time_first_ ? 0 : 1];
    const std::vector<std::int64_t> lengths = context.input(1).indices();
    const ElementCopier copier(context.output(0), from);
    for (std::int64_t b = 0; b < batches; ++b) {
      const std::int64_t length = lengths[static_cast<std::size_t>(b)];
      check(length >= 0 && length <= times, "sequence_lens[", b, "] is ", length, ", the time axis has ", times);
      const auto row = [&](std::int64_t t) { return (time_first_ ? t * batches + b : b * times + t) * inner; };
      for (std::int64_t t = 0; t < times; ++t) copier.copy(row(t), row(t < length ? length - 1 - t : t), inner);
    }
  }

 private:
  bool time_first_;
};

constexpr KernelEntry kTable[] = {
    {"Tile", 6, kLatest, nullptr, &make<Tile>},
    {"DepthToSpace", 1, kLatest, &blocks_verdict, &make<Blocks<true>>},
    {"SpaceToDepth", 1, kLatest, &blocks_verdict, &make<Blocks<false>>},
    {"ReverseSequence", 10, kLatest, &reverse_verdict, &make<ReverseSequence>},
};

}  // namespace

std::span<const provider::KernelEntry> tile_kernels() { return kTable; }

}  // namespace ashlar::reference
