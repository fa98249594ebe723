// SPDX-License-Identifier: Apache-2.0
#include "row_ops.h"

#include <algorithm>

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

void RowOps::scale(float factor) {
  ops_.push_back({.kind = PostOp::Kind::kMultiply, .tile = float_tile("Mul"), .constants = 1, .values = {factor}});
}

void RowOps::add(int input, float factor) {
  ops_.push_back({.kind = PostOp::Kind::kAdd, .tile = float_tile("Add"), .input = input, .values = {factor}});
}

void RowOps::add_bias(int input) {
  add(input, 1);
  ops_.back().by_column = true;
}

bool RowOps::append(const PostOp& op) {
  if (ops_.size() == kMost) return false;
  for (const Name& name : kNames) {
    if (name.kind != op.kind) continue;
    Op row{.kind = op.kind, .tile = float_tile(name.tile, {op.alpha, op.beta}), .input = op.input, .values = {1.0f}};
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

RowOperands::RowOperands(const RowOps& ops, const provider::BindContext& context, const Dims& logical, int appended, std::uint64_t layout) {
  const Dims output = physical_dims(logical, layout);
  for (const RowOps::Op& op : ops.ops()) {
    Operand& operand = operands_.emplace_back();
    if (op.input < 0) continue;
    Dims dims = context.input(op.input).dims();
    if (op.by_column) {
      provider::check(dims == Dims{output[output.rank() - 1]}, "a bias of shape ", dims, " for a product of shape ", logical);
      operand.bias = true;
      continue;
    }
    for (int i = 0; i < appended; ++i) dims.push_back(1);
    provider::check(dims.rank() <= logical.rank() && provider::broadcast(dims, logical) == logical, "an operand of shape ", dims,
                    " does not broadcast to ", logical);
    if (layout != kPlain) {
      while (dims.rank() < logical.rank()) dims.insert(0, 1);
      dims = physical_dims(dims, layout);
    }
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
    const auto& loops = operand.loops;
    operand.bias = !operand.single && std::all_of(loops.begin(), loops.end(), [](const Loop& l) { return l.step == 0; });
    operand.whole = !operand.single && dims == output;
  }
  const auto next = [&](auto condition, int* role) {
    if (finished_ == ops.ops().size() || !condition(ops.ops()[finished_], operands_[finished_])) return;
    *role = static_cast<int>(finished_++);
  };
  const auto adds = [](const RowOps::Op& op) { return op.kind == PostOp::Kind::kAdd && op.input >= 0 && op.values[0] == 1; };
  next([&](const RowOps::Op& op, const Operand& operand) { return adds(op) && operand.bias; }, &bias_);
  next([&](const RowOps::Op& op, const Operand& operand) { return adds(op) && operand.whole; }, &residual_);
  next([&](const RowOps::Op& op, const Operand&) { return op.kind == PostOp::Kind::kRelu || op.kind == PostOp::Kind::kClip; }, &clip_);
  next([&](const RowOps::Op& op, const Operand&) { return op.kind == PostOp::Kind::kHardSwish; }, &gate_);
}

RowRun::RowRun(const RowOps& ops, const RowOperands& operands, const provider::RunContext& context) : ops_(ops), operands_(operands) {
  for (std::size_t i = 0; i < ops.ops().size(); ++i)
    if (const int input = ops.ops()[i].input; input >= 0) pointers_[i] = context.input(input).data<float>();
}

Finish RowRun::finish() const {
  const auto at = [](auto& list, int i) -> auto& { return list[static_cast<std::size_t>(i)]; };
  Finish out;
  if (operands_.bias_ >= 0) out.bias = at(pointers_, operands_.bias_);
  if (operands_.residual_ >= 0) out.residual = at(pointers_, operands_.residual_);
  if (operands_.gate_ >= 0) out.slope = 1.0f / 6, out.offset = 0.5f;
  if (operands_.clip_ < 0) return out;
  const RowOps::Op& clip = at(ops_.ops(), operands_.clip_);
  const bool relu = clip.kind == PostOp::Kind::kRelu;
  out.low = relu ? 0 : clip.values[0];
  if (!relu) out.high = clip.values[1];
  return out;
}

Epilogue RowRun::epilogue() const {
  const auto first = ops_.ops().begin() + static_cast<std::ptrdiff_t>(operands_.finished_), last = ops_.ops().end();
  if (first == last) return {};
  return {&apply, this, std::all_of(first, last, [](const RowOps::Op& op) { return op.input < 0; })};
}

void RowRun::apply(const void* self, float* c, std::int64_t row, std::int64_t column, std::int64_t count) {
  const RowRun& run = *static_cast<const RowRun*>(self);
  for (std::size_t i = run.operands_.finished_; i < run.ops_.ops().size(); ++i) {
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
