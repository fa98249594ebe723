// SPDX-License-Identifier: Apache-2.0
// Operators that rearrange a tensor: Transpose, DepthToSpace, SpaceToDepth, ReverseSequence.
#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

/// Kernels whose bind made a CopyBinding of input 0 to output 0.
class Rearrange : public Kernel {
 public:
  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    if (to.raw() != from.raw()) context.binding<CopyBinding>().copy.run(context, to, from);
  }

 protected:
  /// The output is the input's storage where the copy has nothing to rearrange.
  static void rearrange(BindContext& context, const Loops& loops) {
    auto binding = std::make_unique<CopyBinding>(StridedCopy(context.input(0).dtype(), loops));
    if (binding->copy.is_dense()) context.set_view(0, 0);
    context.set_binding(std::move(binding));
  }
};

class Transpose final : public Rearrange {
 public:
  explicit Transpose(const NodeView& node) : perm_(node.integers("perm")), given_(node.has("perm")) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims(), strides = strides_of(in);
    check(!given_ || static_cast<int>(perm_.size()) == in.rank(), "perm has ", perm_.size(), " axes, the input has ", in.rank());
    Dims seen = Dims::filled(in.rank(), 0), out, from;
    for (int i = 0; i < in.rank(); ++i) {
      const int axis = given_ ? normalize_axis(perm_[static_cast<std::size_t>(i)], in.rank()) : in.rank() - 1 - i;
      check(seen[axis]++ == 0, "perm has axis ", axis, " twice");
      out.push_back(in[axis]);
      from.push_back(strides[axis]);
    }
    context.set_output(0, out);
    rearrange(context, {out, strides_of(out), from});
  }

 private:
  std::vector<std::int64_t> perm_;
  bool given_;
};

Verdict blocks_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "DCR");
  ASHLAR_REQUIRE(mode == "DCR" || mode == "CRD", ASHLAR_ATTRIBUTE, node.op_type(), " has no mode ", mode);
  const std::int64_t block = node.integer("blocksize", 0);
  ASHLAR_REQUIRE(block > 0 && block < (1 << 11), ASHLAR_ATTRIBUTE, node.op_type(), " has the blocksize ", block);
  return takes_bytes_or_strings(node);
}

/// DepthToSpace, and SpaceToDepth as the same move with the two sides exchanged: the space side is [N, C, H*b, W*b] and seen as
/// [N, C, H, b, W, b], the depth side is [N, C*b*b, H, W] with the channel seen as [b, b, C] (DCR) or [C, b, b] (CRD).
template <bool kToSpace> class Blocks final : public Rearrange {
 public:
  explicit Blocks(const NodeView& node) : crd_(node.text("mode", "DCR") == "CRD"), block_(node.integer("blocksize")) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const std::int64_t b = block_;
    check(in.rank() == 4, "the input has the shape ", in, ", which is not of rank 4");
    for (const std::int64_t d : in) check(d <= std::int64_t{1} << 40, "the input has the shape ", in);
    Dims space = in, out;
    if (kToSpace) {
      check(in[1] % (b * b) == 0, in[1], " channels do not divide by the blocksize ", b, " squared");
      out = space = Dims{in[0], in[1] / (b * b), in[2] * b, in[3] * b};
    } else {
      check(in[2] % b == 0 && in[3] % b == 0, "the shape ", in, " does not divide by the blocksize ", b);
      out = Dims{in[0], in[1] * b * b, in[2] / b, in[3] / b};
    }
    checked_count(out);
    context.set_output(0, out);
    const std::int64_t n = space[0], c = space[1], h = space[2] / b, w = space[3] / b;
    const Dims walk{n, c, h, b, w, b};
    const Dims s = strides_of(crd_ ? Dims{n, c, b, b, h, w} : Dims{n, b, b, c, h, w});
    const Dims depth = crd_ ? Dims{s[0], s[1], s[4], s[2], s[5], s[3]} : Dims{s[0], s[3], s[4], s[1], s[5], s[2]};
    rearrange(context, {walk, kToSpace ? strides_of(walk) : depth, kToSpace ? depth : strides_of(walk)});
  }

 private:
  bool crd_;
  std::int64_t block_;
};

Verdict reverse_verdict(const NodeView& node) {
  const std::int64_t batch = node.integer("batch_axis", 1), time = node.integer("time_axis", 0);
  ASHLAR_REQUIRE((batch == 0 && time == 1) || (batch == 1 && time == 0), ASHLAR_ATTRIBUTE, "ReverseSequence with batch_axis ", batch,
                 " and time_axis ", time);
  return takes_bytes(node);
}

class ReverseSequence final : public Kernel {
 public:
  explicit ReverseSequence(const NodeView& node) : time_first_(node.integer("time_axis", 0) == 0) {}

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() >= 2, "the input has the shape ", in);
    const std::int64_t batch = in[time_first_ ? 1 : 0];
    check(context.input(1).dims() == Dims{batch}, "sequence_lens has the shape ", context.input(1).dims(), " for a batch of ", batch);
    check(context.input(1).dtype() == DType::kInt64, "sequence_lens is of type ", dtype_name(context.input(1).dtype()));
    context.set_output(0, in);
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    const Dims dims = in.dims();
    const std::int64_t bytes = dims.product(2, dims.rank()) * byte_width(in.dtype());
    const std::int64_t batches = dims[time_first_ ? 1 : 0], times = dims[time_first_ ? 0 : 1];
    const auto* lengths = context.input(1).data<std::int64_t>();
    for (std::int64_t b = 0; b < batches; ++b)
      check(lengths[b] >= 0 && lengths[b] <= times, "sequence_lens[", b, "] is ", lengths[b], ", the time axis has ", times);
    if (in.count() == 0) return;
    const char* from = in.data<char>();
    char* to = context.output(0).mutable_data<char>();
    const std::int64_t batch_step = (time_first_ ? 1 : times) * bytes, time_step = (time_first_ ? batches : 1) * bytes;
    context.parallel_for(batches * times, std::max<std::int64_t>(1, kBytesPerChunk / bytes), [=](std::int64_t begin, std::int64_t end) {
      std::int64_t b = begin / times, t = begin % times;
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t source = t < lengths[b] ? lengths[b] - 1 - t : t;
        copy_bytes(to + b * batch_step + t * time_step, from + b * batch_step + source * time_step, bytes);
        if (++t < times) continue;
        t = 0;
        ++b;
      }
    });
  }

 private:
  bool time_first_;
};

constexpr KernelEntry kTable[] = {
    {"Transpose", 1, kLatest, &takes_bytes_or_strings, &make<Transpose>},
    {"DepthToSpace", 1, kLatest, &blocks_verdict, &make<Blocks<true>>},
    {"SpaceToDepth", 1, kLatest, &blocks_verdict, &make<Blocks<false>>},
    {"ReverseSequence", 10, kLatest, &reverse_verdict, &make<ReverseSequence>},
};

}  // namespace

std::span<const provider::KernelEntry> transpose_kernels() { return kTable; }

}  // namespace ashlar::cpu
