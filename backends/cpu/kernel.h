// SPDX-License-Identifier: Apache-2.0
// What the CPU provider's kernels have beyond provider::Kernel: layouts, and operators that they absorb.
#pragma once

#include <cstdint>
#include <memory>

#include <ashlar/provider/provider.h>

namespace ashlar::cpu {

using provider::DType;

/// Tags of AshlarTensor::layout. Dims are always the operator's own (N, C, spatial...); the tag says how elements lie in memory.
enum Layout : std::uint64_t {
  kPlain = 0,         ///< row-major over the dims
  kChannelsLast = 1,  ///< rank 3 and more: row-major over (N, spatial..., C), dense
};

/// How a kernel treats the layouts of its operands. Decided before any shape is known, for the node.
enum class LayoutRule {
  kPlain,    ///< reads and writes plain tensors only
  kFollows,  ///< all inputs of full rank have one layout, whichever, and the output has it too (element-wise, Concat, ...)
  kPrefers,  ///< input 0 and output 0 are channels-last; other inputs are plain
  kReads,    ///< input 0 has any layout; everything else is plain
};

/// An operator applied to a kernel's output before it is stored.
struct PostOp {
  enum class Kind {
    kAdd,          ///< x + operand
    kMultiply,     ///< x * operand
    kRelu,         ///< max(x, 0)
    kLeakyRelu,    ///< x < 0 ? alpha * x : x
    kClip,         ///< min(max(x, alpha), beta)
    kSigmoid,      ///< 1 / (1 + exp(-x))
    kSwish,        ///< x * sigmoid(alpha * x)
    kMish,         ///< x * tanh(ln(1 + exp(x)))
    kHardSigmoid,  ///< max(0, min(1, alpha * x + beta))
    kHardSwish,    ///< x * max(0, min(1, x / 6 + 1 / 2))
    kTanh,
    kGelu,      ///< x / 2 * (1 + erf(x / sqrt(2)))
    kGeluTanh,  ///< its approximation by tanh
    kElu,       ///< x < 0 ? alpha * (exp(x) - 1) : x
  };
  Kind kind;
  float alpha = 0, beta = 0;
  /// kAdd, kMultiply: the operand, an input of the step after the node's own. It has the output's layout, or one element, or
  /// one element a channel (plain, dims as broadcasting asks).
  int input = -1;
  /// The operand has the output's shape, whatever that will be. Otherwise operand_dims says all of its shape.
  bool same_shape = false;
  provider::Dims operand_dims = {};
};

/// How the provider was asked to work: the options of its instance.
struct Settings {
  bool own_convolutions = true;  ///< else all are oneDNN's
  bool winograd = true;          ///< whether convolutions may be Winograd's
};

/// A range of columns: of a tensor's last dimension, which is `total` long.
struct Columns {
  std::int64_t first, count, total;
};

struct TileCall;
struct RowFold;

/// A kernel of this provider. Kernels that derive from provider::Kernel alone are LayoutRule::kPlain and absorb nothing.
class CpuKernel : public provider::Kernel {
 public:
  /// Called first, once.
  virtual void set(const Settings& /*settings*/) {}
  virtual LayoutRule layout_rule() const { return LayoutRule::kPlain; }
  /// Called between creation and the first bind, in the order of application: true when the kernel applies `op` to its output 0.
  virtual bool fuse(const PostOp& /*op*/) { return false; }
  /// What the kernel is, where it is one element-wise operator on float32 that may become part of a region (elementwise_region.h); else null.
  virtual std::unique_ptr<TileCall> tile_call() const;
  /// What it is, where it reduces the last dimensions of its float32 input 0, of that rank, and reads nothing else at a run; else null.
  virtual std::unique_ptr<RowFold> row_fold(int rank) const;
  /// Whether input i may be columns of a wider tensor, which then stands in its place in bind and run. Called at any time after creation.
  virtual bool reads_columns(int /*input*/) const { return false; }
  /// Called before the first bind, for an input that reads_columns(): it is those columns.
  virtual void set_columns(int /*input*/, const Columns& /*columns*/) {}
  /// Whether input 0 may be multiplied by another input first, which has one element a channel of an image, or of all.
  virtual bool scales_input() const { return false; }
  /// Called before the first bind, where scales_input(): the input that is that other.
  virtual void set_input_scale(int /*input*/) {}
  /// Called last, for kPrefers: the layout in which output 0 is wanted. Inputs tell theirs in bind.
  virtual void set_output_layout(Layout /*layout*/) {}
};

/// The dims in the order in which elements lie in memory, outermost first.
inline provider::Dims physical_dims(const provider::Dims& dims, std::uint64_t layout) {
  if (layout != kChannelsLast || dims.rank() < 3) return dims;
  provider::Dims out = dims;
  std::rotate(out.begin() + 1, out.begin() + 2, out.end());
  return out;
}
/// The place of `axis` among physical_dims.
inline int physical_axis(int axis, int rank, std::uint64_t layout) {
  if (layout != kChannelsLast || rank < 3 || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}

}  // namespace ashlar::cpu
