// SPDX-License-Identifier: Apache-2.0
// Pad, in either layout. Negative pads crop first; reflect, edge and wrap then extend what is left, as often as the pad asks. The output is made
// of rows along the innermost padded dimension; what lies further in moves as one block.
#include <algorithm>
#include <numeric>
#include <string>

#include "strided.h"

namespace ashlar::cpu {
namespace {

using namespace provider;

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

Verdict pad_verdict(const NodeView& node) {
  const std::string mode = node.text("mode", "constant");
  ASHLAR_REQUIRE(mode == "constant" || mode == "reflect" || mode == "edge" || mode == "wrap", ASHLAR_ATTRIBUTE, "Pad has no mode ", mode);
  return takes_bytes(node);
}

struct PadBinding : Binding {
  static constexpr std::int64_t kConstant = -1;
  Dims rows;                                   ///< the dims before the innermost padded one
  std::vector<std::int64_t> sources;           ///< for each index of each of them the offset into the input in bytes, or kConstant
  std::int64_t block = 0;                      ///< bytes that move as one
  std::int64_t left = 0, kept = 0, right = 0;  ///< of a row, in blocks; the kept ones start at `first` of the input's
  std::int64_t first = 0;
  std::vector<std::int64_t> edges;  ///< the input's block for each block of left and right, unless that is constant
  bool copies_all = false;
};

class Pad final : public CpuKernel {
 public:
  explicit Pad(const NodeView& node) {
    const std::string mode = node.text("mode", "constant");
    mode_ = mode == "reflect" ? PadMode::kReflect : mode == "edge" ? PadMode::kEdge : mode == "wrap" ? PadMode::kWrap : PadMode::kConstant;
  }
  LayoutRule layout_rule() const override { return LayoutRule::kFollows; }
  std::uint64_t bind_reads() const override { return 0b1010; }

  void bind(BindContext& context) const override {
    const TensorView input = context.input(0);
    const Dims in = input.dims();
    const Pads pads = pads_of(context);
    Dims out = in;
    for (int i = 0; i < in.rank(); ++i) {
      const std::int64_t kept = in[i] + std::min<std::int64_t>(pads.before[i], 0) + std::min<std::int64_t>(pads.after[i], 0);
      check(!__builtin_add_overflow(out[i], pads.before[i] + pads.after[i], &out[i]) && out[i] >= 0 && kept >= 0, "the pads ",
            pads.before[i], " and ", pads.after[i], " of dimension ", i, " of ", in, " are not possible");
      check(mode_ == PadMode::kConstant || kept > 0 || out[i] == 0, "dimension ", i, " of ", in, " has nothing to extend");
    }
    if (context.has_input(2)) {
      check(context.input(2).count() == 1, "constant_value has the shape ", context.input(2).dims());
      check(context.input(2).dtype() == input.dtype(), "constant_value is of type ", dtype_name(context.input(2).dtype()));
    }
    checked_count(out);
    context.set_output(0, out);
    context.set_layout(0, input.layout());
    context.set_binding(prepare(input, out, pads));
    if (out == in && pads.none()) context.set_view(0, 0);
  }

  void run(const RunContext& context) const override {
    const TensorView from = context.input(0), to = context.output(0);
    const auto& plan = context.binding<PadBinding>();
    if (to.count() == 0) return;
    if (plan.copies_all) return copy_all(context, to, from);
    const std::int64_t element = byte_width(from.dtype()), width = plan.left + plan.kept + plan.right;
    static constexpr char kZero[16] = {};
    const char* value = context.has_input(2) ? context.input(2).data<char>() : kZero;
    const std::int64_t rows = plan.rows.count();
    const std::int64_t grain = std::max<std::int64_t>(1, kBytesPerChunk / (width * plan.block));
    context.parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      Dims index = Dims::filled(plan.rows.rank(), 0);
      for (std::int64_t d = plan.rows.rank() - 1, row = begin; d >= 0; --d) {
        index[d] = row % plan.rows[d];
        row /= plan.rows[d];
      }
      char* target = to.mutable_data<char>() + begin * width * plan.block;
      for (std::int64_t row = begin; row < end; ++row, target += width * plan.block) {
        std::int64_t at = 0, base = 0;
        for (int d = 0; d < plan.rows.rank() && at >= 0; ++d) {
          const std::int64_t source = plan.sources[static_cast<std::size_t>(base + index[d])];
          at = source < 0 ? source : at + source;
          base += plan.rows[d];
        }
        if (at < 0) fill_elements(target, value, element, width * plan.block / element);
        else pad_row(plan, target, from.data<char>() + at, value, element);
        for (int d = plan.rows.rank() - 1; d >= 0 && ++index[d] == plan.rows[d]; --d) index[d] = 0;
      }
    });
  }

 private:
  struct Pads {
    Dims before, after;
    bool none() const {
      const auto zero = [](std::int64_t pad) { return pad == 0; };
      return std::all_of(before.begin(), before.end(), zero) && std::all_of(after.begin(), after.end(), zero);
    }
  };

  static Pads pads_of(const BindContext& context) {
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

  std::unique_ptr<PadBinding> prepare(const TensorView& input, const Dims& out, const Pads& pads) const {
    auto plan = std::make_unique<PadBinding>();
    if (out.count() == 0) return plan;
    const Dims in = physical_dims(input.dims(), input.layout()), padded = physical_dims(out, input.layout());
    const Dims before = physical_dims(pads.before, input.layout()), after = physical_dims(pads.after, input.layout());
    const Dims strides = strides_of(in);
    int inner = in.rank() - 1;
    while (inner >= 0 && before[inner] == 0 && after[inner] == 0) --inner;
    plan->copies_all = inner < 0;
    if (inner < 0) return plan;
    const std::int64_t element = byte_width(input.dtype());
    plan->sources.reserve(static_cast<std::size_t>(std::accumulate(padded.begin(), padded.begin() + inner, std::int64_t{0})));
    for (int d = 0; d < inner; ++d) {
      plan->rows.push_back(padded[d]);
      for (std::int64_t o = 0; o < padded[d]; ++o) {
        const std::int64_t i = source_of(o, in[d], before[d], after[d]);
        plan->sources.push_back(i < 0 ? PadBinding::kConstant : i * strides[d] * element);
      }
    }
    plan->block = padded.product(inner + 1, padded.rank()) * element;
    plan->left = std::max<std::int64_t>(before[inner], 0);
    plan->right = std::max<std::int64_t>(after[inner], 0);
    plan->kept = padded[inner] - plan->left - plan->right;
    plan->first = std::max<std::int64_t>(-before[inner], 0);
    if (mode_ == PadMode::kConstant) return plan;
    for (std::int64_t o = 0; o < plan->left; ++o) plan->edges.push_back(source_of(o, in[inner], before[inner], after[inner]));
    for (std::int64_t o = plan->left + plan->kept; o < padded[inner]; ++o)
      plan->edges.push_back(source_of(o, in[inner], before[inner], after[inner]));
    return plan;
  }

  static void pad_row(const PadBinding& plan, char* to, const char* from, const char* value, std::int64_t element) {
    const std::int64_t block = plan.block, middle = plan.left * block, end = (plan.left + plan.kept) * block;
    copy_bytes(to + middle, from + plan.first * block, plan.kept * block);
    if (plan.edges.empty()) {
      fill_elements(to, value, element, middle / element);
      fill_elements(to + end, value, element, plan.right * block / element);
      return;
    }
    const std::int64_t* edge = plan.edges.data();
    for (std::int64_t i = 0; i < plan.left; ++i) copy_bytes(to + i * block, from + *edge++ * block, block);
    for (std::int64_t i = 0; i < plan.right; ++i) copy_bytes(to + end + i * block, from + *edge++ * block, block);
  }

  /// The input's index for one of the padded dimension, -1 where that is the constant.
  std::int64_t source_of(std::int64_t o, std::int64_t size, std::int64_t before, std::int64_t after) const {
    const std::int64_t first = std::max<std::int64_t>(-before, 0);
    const std::int64_t i = extended(o - std::max<std::int64_t>(before, 0), size - first - std::max<std::int64_t>(-after, 0));
    return i < 0 ? -1 : first + i;
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

}  // namespace ashlar::cpu
