// SPDX-License-Identifier: Apache-2.0
#include "elementwise.h"

namespace ashlar::cpu {
namespace {

const TileRow* find(std::span<const TileRow> rows, std::string_view name, DType dtype) {
  const auto i = static_cast<std::size_t>(dtype);
  for (const TileRow& row : rows)
    if (row.name == name && i < row.by_dtype.size() && row.by_dtype[i]) return &row;
  return nullptr;
}

bool is_half_type(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

}  // namespace

TileOp::TileOp(std::string_view name, DType dtype, const TileParams& params) : params_(params) {
  const DType inner = is_half_type(dtype) ? DType::kFloat32 : dtype;
  const TileRow* row = find(vector_tiles(), name, inner);
  if (!row) row = find(scalar_tiles(), name, inner);
  if (!row) return;
  tile_ = row->by_dtype[static_cast<std::size_t>(inner)];
  inputs_ = row->inputs;
  grain_ = row->grain;
  output_ = row->predicate ? DType::kBool : dtype;
  if (inner != dtype) half_ = dtype;
  floats_ = dtype == DType::kFloat32 && !row->predicate;
}

void TileOp::run_half(const void* const* in, unsigned single, void* out, std::int64_t n) const {
  constexpr std::int64_t kPiece = 512;
  alignas(64) float buffers[kMaxTileInputs][kPiece];
  alignas(64) float result[kPiece];
  std::array<const void*, kMaxTileInputs> wide;
  for (std::int64_t i = 0; i < n; i += kPiece) {
    const std::int64_t count = std::min(kPiece, n - i);
    for (int k = 0; k < inputs_; ++k) {
      const bool one = (single >> k & 1) != 0;
      wide[static_cast<std::size_t>(k)] = buffers[k];
      if (!one || i == 0) widen(half_, static_cast<const std::uint16_t*>(in[k]) + (one ? 0 : i), buffers[k], one ? 1 : count);
    }
    if (output_ == DType::kBool) {
      tile_(wide.data(), single, static_cast<std::uint8_t*>(out) + i, count, params_.data());
    } else {
      tile_(wide.data(), single, result, count, params_.data());
      round_to(half_, result, static_cast<std::uint16_t*>(out) + i, count);
    }
  }
}

std::string tile_name(const provider::NodeView& node) {
  const std::string name(node.op_type());
  if (name == "Gelu" && node.text("approximate") == "tanh") return "GeluTanh";
  if (name == "Mod" && node.integer("fmod") != 0) return "Fmod";
  if (name == "BitShift")
    return node.text("direction") == "RIGHT" ? "BitShiftRight" : node.text("direction") == "LEFT" ? "BitShiftLeft" : "";
  return name;
}

TileParams tile_params(const provider::NodeView& node) {
  if (node.op_type() == "IsInf")
    return {static_cast<float>(node.integer("detect_positive", 1) != 0), static_cast<float>(node.integer("detect_negative", 1) != 0)};
  if (node.op_type() == "Shrink") return {node.real("lambd"), node.real("bias")};
  if (node.op_type() == "Selu") return {node.real("alpha"), node.real("gamma")};
  return {node.real("alpha"), node.real("beta")};
}

TileOp tile_of(const provider::NodeView& node) { return {tile_name(node), node.input(0).dtype(), tile_params(node)}; }

provider::Verdict tile_verdict(const provider::NodeView& node) {
  const std::string name = tile_name(node);
  ASHLAR_REQUIRE(!name.empty(), ASHLAR_ATTRIBUTE, "BitShift to \"", node.text("direction"), "\" is neither LEFT nor RIGHT");
  const DType dtype = node.input(0).dtype();
  const TileOp op(name, dtype);
  ASHLAR_REQUIRE(op, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype), " has no kernel");
  for (int i = 1; i < op.inputs(); ++i)
    ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                   provider::dtype_name(dtype), " has no kernel for an input ", i, " of ", provider::dtype_name(node.input(i).dtype()));
  ASHLAR_REQUIRE(!node.has_output(0) || node.output(0).dtype() == op.output(), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " gives ",
                 provider::dtype_name(op.output()), ", not ", provider::dtype_name(node.output(0).dtype()));
  return provider::accept();
}

}  // namespace ashlar::cpu
