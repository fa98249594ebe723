// SPDX-License-Identifier: Apache-2.0
// Pad. Negative pads crop first; reflect, edge and wrap then extend what is left, as often as the pad asks.
#include <algorithm>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

Verdict pad_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "constant");
  ASHLAR_REQUIRE(mode == "constant" || mode == "reflect" || mode == "edge" || mode == "wrap", ASHLAR_ATTRIBUTE, "Pad has no mode ", mode);
  return accept();
}

class Pad final : public Kernel {
 public:
  explicit Pad(const NodeView& node) {
    const std::string mode = node.text("mode", "constant");
    mode_ = mode == "reflect" ? PadMode::kReflect : mode == "edge" ? PadMode::kEdge : mode == "wrap" ? PadMode::kWrap : PadMode::kConstant;
  }

  std::uint64_t bind_reads() const override { return 0b1010; }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const Pads pads = pads_of(context);
    Dims out = in;
    for (int i = 0; i < in.rank(); ++i) {
      out[i] += pads.before[i] + pads.after[i];
      const std::int64_t kept = in[i] + std::min<std::int64_t>(pads.before[i], 0) + std::min<std::int64_t>(pads.after[i], 0);
      check(out[i] >= 0 && kept >= 0, "the pads ", pads.before[i], " and ", pads.after[i], " crop dimension ", i, " of ", in,
            " to nothing");
      check(mode_ == PadMode::kConstant || kept > 0 || out[i] == 0, "dimension ", i, " of ", in, " has nothing to extend");
    }
    if (context.has_input(2)) check(context.input(2).count() == 1, "constant_value has the shape ", context.input(2).dims());
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const TensorView to = context.output(0);
    if (to.count() == 0) return;
    const Dims in = from.dims(), out = to.dims(), strides = strides_of(in);
    const int rank = in.rank();
    std::vector<std::vector<std::int64_t>> sources(static_cast<std::size_t>(rank));
    const Pads pads = pads_of(context);
    for (int i = 0; i < rank; ++i) sources[static_cast<std::size_t>(i)] = sources_of(in[i], pads.before[i], pads.after[i], out[i]);

    const ElementCopier copier(to, from);
    Dims index = Dims::filled(rank, 0);
    for (std::int64_t o = 0; o < to.count(); ++o) {
      std::int64_t at = 0;
      for (int i = 0; i < rank && at >= 0; ++i) {
        const std::int64_t source = sources[static_cast<std::size_t>(i)][static_cast<std::size_t>(index[i])];
        at = source < 0 ? -1 : at + source * strides[i];
      }
      if (at >= 0) {
        copier.copy(o, at);
      } else if (context.has_input(2)) {
        ElementCopier(to, context.input(2)).copy(o, 0);
      } else {
        clear_elements(to, o, 1);
      }
      for (int i = rank - 1; i >= 0 && ++index[i] == out[i]; --i) index[i] = 0;
    }
  }

 private:
  struct Pads {
    Dims before, after;
  };

  template <class Context> static Pads pads_of(const Context& context) {
    const int rank = context.input(0).rank();
    const std::vector<std::int64_t> given = context.input(1).indices();
    std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
    if (context.has_input(3)) axes = context.input(3).indices();
    check(given.size() == 2 * axes.size(), "pads has ", given.size(), " elements for ", axes.size(), " axes");
    Pads pads{Dims::filled(rank, 0), Dims::filled(rank, 0)};
    Dims seen = Dims::filled(rank, 0);
    constexpr std::int64_t kMost = std::int64_t{1} << 48;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const int axis = normalize_axis(axes[i], rank);
      check(seen[axis]++ == 0, "axes has axis ", axis, " twice");
      pads.before[axis] = given[i];
      pads.after[axis] = given[i + axes.size()];
      for (const std::int64_t pad : {pads.before[axis], pads.after[axis]})
        check(pad >= -kMost && pad <= kMost, "a pad of ", pad, " is not possible");
    }
    return pads;
  }

  /// For each index of a padded dimension the index it takes its elements from, -1 where that is the constant.
  std::vector<std::int64_t> sources_of(std::int64_t size, std::int64_t before, std::int64_t after, std::int64_t padded) const {
    const std::int64_t first = std::max<std::int64_t>(-before, 0);
    const std::int64_t kept = size - first - std::max<std::int64_t>(-after, 0);
    std::vector<std::int64_t> sources(static_cast<std::size_t>(padded));
    for (std::int64_t o = 0; o < padded; ++o) {
      const std::int64_t i = extended(o - std::max<std::int64_t>(before, 0), kept);
      sources[static_cast<std::size_t>(o)] = i < 0 ? -1 : first + i;
    }
    return sources;
  }

  std::int64_t extended(std::int64_t i, std::int64_t size) const {
    if (i >= 0 && i < size) return i;
    switch (mode_) {
      case PadMode::kConstant: return -1;
      case PadMode::kEdge: return i < 0 ? 0 : size - 1;
      case PadMode::kWrap: return (i % size + size) % size;
      case PadMode::kReflect: break;
    }
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1);
    const std::int64_t phase = (i % period + period) % period;
    return std::min(phase, period - phase);
  }

  PadMode mode_;
};

constexpr KernelEntry kTable[] = {{"Pad", 11, kLatest, &pad_verdict, &make<Pad>}};

}  // namespace

std::span<const provider::KernelEntry> pad_kernels() { return kTable; }

}  // namespace ashlar::reference
