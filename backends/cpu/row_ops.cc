// SPDX-License-Identifier: Apache-2.0
#include "row_ops.h"

namespace ashlar::cpu {
namespace {

struct Name {
  PostOp::Kind kind;
  const char* tile;
};
constexpr Name kNames[] = {
    {PostOp::Kind::kAdd, "Add"},
    {PostOp::Kind::kMultiply, "Mul"},
    {PostOp::Kind::kRelu, "Relu"},
    {PostOp::Kind::kLeakyRelu, "LeakyRelu"},
    {PostOp::Kind::kClip, "Clip"},
    {PostOp::Kind::kSigmoid, "Sigmoid"},
    {PostOp::Kind::kSwish, "Swish"},
    {PostOp::Kind::kMish, "Mish"},
    {PostOp::Kind::kHardSigmoid, "HardSigmoid"},
    {PostOp::Kind::kHardSwish, "HardSwish"},
    {PostOp::Kind::kTanh, "Tanh"},
    {PostOp::Kind::kGelu, "Gelu"},
    {PostOp::Kind::kGeluTanh, "GeluTanh"},
    {PostOp::Kind::kElu, "Elu"},
};

TileOp float_tile(const char* name, const TileParams& params = {}) { return {name, DType::kFloat32, params}; }

}  // namespace

void RowOps::scale(float factor) { ops_.push_back({.tile = float_tile("Mul"), .constants = 1, .values = {factor}}); }

void RowOps::add(int input, float factor) { ops_.push_back({.tile = float_tile("Add"), .input = input, .values = {factor}}); }

bool RowOps::append(const PostOp& op) {
  if (ops_.size() == kMost) return false;
  for (const Name& name : kNames) {
    if (name.kind != op.kind) continue;
    Op row{.tile = float_tile(name.tile, {op.alpha, op.beta}), .input = op.input, .values = {1.0f}};
    if (op.kind == PostOp::Kind::kClip) {
      row.constants = 2;
      row.values = {op.alpha, op.beta};
    }
    if (!row.tile) return false;
    ops_.push_back(row);
    return true;
  }
  return false;
}

RowOperands::RowOperands(const RowOps& ops, const provider::BindContext& context, const Dims& output, int appended) {
  for (const RowOps::Op& op : ops.ops()) {
    Operand& operand = operands_.emplace_back();
    if (op.input < 0) continue;
    Dims dims = context.input(op.input).dims();
    for (int i = 0; i < appended; ++i) dims.push_back(1);
    provider::check(dims.rank() <= output.rank() && provider::broadcast(dims, output) == output, "an operand of shape ", dims,
                    " does not broadcast to ", output);
    std::int64_t stride = 1;
    for (int i = dims.rank() - 1, o = output.rank() - 1; o >= 0; --i, --o) {
      const std::int64_t n = i < 0 ? 1 : dims[i], step = n == 1 ? 0 : stride;
      stride *= n;
      if (o == output.rank() - 1) {
        operand.single = step == 0;
      } else if (output[o] != 1) {
        Loop* last = operand.loops.empty() ? nullptr : &operand.loops.back();
        if (last && step == last->step * last->length) last->length *= output[o];
        else operand.loops.push_back({output[o], step});
      }
    }
  }
}

RowRun::RowRun(const RowOps& ops, const RowOperands& operands, const provider::RunContext& context) : ops_(ops), operands_(operands) {
  for (std::size_t i = 0; i < ops.ops().size(); ++i)
    if (const int input = ops.ops()[i].input; input >= 0) pointers_[i] = context.input(input).data<float>();
}

void RowRun::apply(const void* self, float* c, std::int64_t row, std::int64_t column, std::int64_t count) {
  const RowRun& run = *static_cast<const RowRun*>(self);
  for (std::size_t i = 0; i < run.ops_.ops().size(); ++i) {
    const RowOps::Op& op = run.ops_.ops()[i];
    if (op.input < 0) {
      const void* in[] = {c, &op.values[0], &op.values[1]};
      op.tile(in, op.constants == 0 ? 0u : op.constants == 1 ? 2u : 6u, c, count);
      continue;
    }
    const RowOperands::Operand& operand = run.operands_.operands_[i];
    const float* y = run.pointers_[i] + (operand.single ? 0 : column);
    std::int64_t rest = row;
    for (std::size_t l = 0; l < operand.loops.size(); ++l) {
      const bool last = l + 1 == operand.loops.size();
      y += (last ? rest : rest % operand.loops[l].length) * operand.loops[l].step;
      if (!last) rest /= operand.loops[l].length;
    }
    if (const float factor = op.values[0]; factor != 1) {
      for (std::int64_t j = 0; j < count; ++j) c[j] += factor * y[operand.single ? 0 : j];
      continue;
    }
    const void* in[] = {c, y};
    op.tile(in, operand.single ? 2 : 0, c, count);
  }
}

}  // namespace ashlar::cpu
