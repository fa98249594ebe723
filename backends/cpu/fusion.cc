// SPDX-License-Identifier: Apache-2.0
#include "fusion.h"

#include <cmath>
#include <limits>
#include <string_view>

namespace ashlar::cpu {

using provider::NodeView;
using provider::ValueView;
using Kind = PostOp::Kind;

namespace {

template <class Row> const Row& row(const Row* rows, std::uint32_t stride, std::uint32_t i) {
  return *reinterpret_cast<const Row*>(reinterpret_cast<const char*>(rows) + std::size_t{i} * stride);
}

/// The one element of a float32 constant.
std::optional<float> scalar(const ValueView& value) {
  const auto constant = value.constant();
  if (!constant || constant->dtype() != DType::kFloat32 || constant->count() != 1) return std::nullopt;
  return constant->values<float>()[0];
}

bool near(float a, float b) { return std::abs(a - b) <= 1e-6f; }

/// A float32 operator of one input as a post-operation.
std::optional<PostOp> activation(const NodeView& node) {
  const std::string_view op = node.op_type();
  if (!node.domain().empty()) return std::nullopt;
  if (op == "Relu") return PostOp{.kind = Kind::kRelu};
  if (op == "LeakyRelu") return PostOp{.kind = Kind::kLeakyRelu, .alpha = node.real("alpha", 0.01f)};
  if (op == "Sigmoid") return PostOp{.kind = Kind::kSigmoid};
  if (op == "HardSigmoid") return PostOp{.kind = Kind::kHardSigmoid, .alpha = node.real("alpha", 0.2f), .beta = node.real("beta", 0.5f)};
  if (op == "HardSwish") return PostOp{.kind = Kind::kHardSwish};
  if (op == "Swish") return PostOp{.kind = Kind::kSwish, .alpha = node.real("alpha", 1)};
  if (op == "Mish") return PostOp{.kind = Kind::kMish};
  if (op == "Tanh") return PostOp{.kind = Kind::kTanh};
  if (op == "Elu") return PostOp{.kind = Kind::kElu, .alpha = node.real("alpha", 1)};
  if (op == "Gelu") return PostOp{.kind = node.text("approximate") == "tanh" ? Kind::kGeluTanh : Kind::kGelu};
  if (op != "Clip") return std::nullopt;
  const auto bound = [&](int i, float otherwise) { return node.has_input(i) ? scalar(node.input(i)) : std::optional(otherwise); };
  const auto low = bound(1, std::numeric_limits<float>::lowest()), high = bound(2, std::numeric_limits<float>::max());
  if (!low || !high || *low > *high) return std::nullopt;
  return PostOp{.kind = Kind::kClip, .alpha = *low, .beta = *high};
}

/// x * f(x) of these two nodes, whichever comes first.
std::optional<Follower> gated(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, std::uint32_t value) {
  const auto& readers = uses.readers(value);
  for (const auto& [gate_index, product_index] : {std::pair(readers[0], readers[1]), std::pair(readers[1], readers[0])}) {
    const NodeView gate(graph, gate_index, host), product(graph, product_index, host);
    if (product.op_type() != "Mul" || gate.output_count() != 1 || uses.leaves(gate.output_id(0)) ||
        uses.readers(gate.output_id(0)) != std::vector{product_index})
      continue;
    const auto op = activation(gate);
    if (!op) continue;
    Follower f{.op = {.kind = Kind::kSwish, .alpha = 1}, .nodes = {gate_index, product_index}, .output = product.output_id(0)};
    if (op->kind == Kind::kSigmoid) return f;
    f.op.kind = Kind::kHardSwish;
    if (op->kind == Kind::kHardSigmoid && near(op->alpha, 1.f / 6) && near(op->beta, 0.5f)) return f;
  }
  return std::nullopt;
}

/// The one node that reads the value, where it has one output.
std::optional<NodeView> only_reader(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, std::uint32_t value) {
  if (uses.leaves(value) || uses.readers(value).size() != 1) return std::nullopt;
  const NodeView node(graph, uses.readers(value)[0], host);
  if (!node.domain().empty() || node.output_count() != 1 || node.output_id(0) == ASHLAR_NONE) return std::nullopt;
  return node;
}

/// Whether the node is that operator of the value and that scalar.
bool by_scalar(const NodeView& node, std::string_view op, std::uint32_t value, float by) {
  if (node.op_type() != op || node.input_count() != 2) return false;
  const int other = node.input_id(0) == value ? 1 : 0;
  if (op == "Div" && other == 0) return false;
  const auto number = scalar(node.input(other));
  return number && near(*number, by);
}

/// x * (1 + erf(x / sqrt(2))) / 2, the half taken of either factor or of the product.
std::optional<Follower> gelu(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, std::uint32_t value) {
  constexpr float kRoot = 1.41421356f;
  const auto& readers = uses.readers(value);
  for (const auto& [inner, outer] : {std::pair(readers[0], readers[1]), std::pair(readers[1], readers[0])}) {
    const NodeView scale(graph, inner, host);
    if (!by_scalar(scale, "Div", value, kRoot) && !by_scalar(scale, "Mul", value, 1 / kRoot)) continue;
    Follower f{.op = {.kind = Kind::kGelu}, .nodes = {inner}};
    const auto erf = only_reader(graph, host, uses, scale.output_id(0));
    if (!erf || erf->op_type() != "Erf") continue;
    const auto plus = only_reader(graph, host, uses, erf->output_id(0));
    if (!plus || !by_scalar(*plus, "Add", erf->output_id(0), 1)) continue;
    f.nodes.insert(f.nodes.end(), {erf->index(), plus->index()});
    std::uint32_t factor = plus->output_id(0), other = value;
    bool halved = false;
    auto product = only_reader(graph, host, uses, factor);
    if (product && by_scalar(*product, "Mul", factor, 0.5f)) {
      halved = true;
      f.nodes.push_back(product->index());
      factor = product->output_id(0);
      product = only_reader(graph, host, uses, factor);
    }
    if (const NodeView half(graph, outer, host); !halved && by_scalar(half, "Mul", value, 0.5f)) {
      if (uses.leaves(half.output_id(0)) || uses.readers(half.output_id(0)).size() != 1) continue;
      halved = true;
      f.nodes.push_back(outer);
      other = half.output_id(0);
    }
    if (!product || product->op_type() != "Mul" || product->input_count() != 2) continue;
    if (!((product->input_id(0) == factor && product->input_id(1) == other) ||
          (product->input_id(1) == factor && product->input_id(0) == other)))
      continue;
    f.nodes.push_back(product->index());
    f.output = product->output_id(0);
    if (!halved) {
      const auto half = only_reader(graph, host, uses, f.output);
      if (!half || !by_scalar(*half, "Mul", f.output, 0.5f)) continue;
      f.nodes.push_back(half->index());
      f.output = half->output_id(0);
    }
    return f;
  }
  return std::nullopt;
}

/// Whether two values have one shape in every run.
bool same_shape(const AshlarValue& a, const AshlarValue& b) {
  if (a.rank < 0 || a.rank != b.rank) return false;
  for (std::int32_t i = 0; i < a.rank; ++i) {
    if (a.dims[i] != b.dims[i]) return false;
    if (a.dims[i] >= 0) continue;
    const std::string_view x = a.symbols[i], y = b.symbols[i];
    if (x.empty() || x != y) return false;
  }
  return true;
}

/// Whether an operand of known shape broadcasts into the value without making it larger.
bool fits_into(const AshlarValue& operand, const AshlarValue& value) {
  if (operand.rank < 0 || value.rank < 0 || operand.rank > value.rank) return false;
  for (std::int32_t i = 0; i < operand.rank; ++i) {
    const std::int64_t d = operand.dims[i];
    if (d < 0 || (d != 1 && d != value.dims[value.rank - operand.rank + i])) return false;
  }
  return true;
}

std::optional<Follower> binary(const AshlarGraph* graph, const NodeView& node, std::uint32_t value) {
  const bool add = node.op_type() == "Add";
  if ((!add && node.op_type() != "Mul") || !node.domain().empty() || node.input_count() != 2) return std::nullopt;
  const int other = node.input_id(0) == value ? 1 : 0;
  Follower f{.op = {.kind = add ? Kind::kAdd : Kind::kMultiply},
             .operand = node.input_id(other),
             .nodes = {node.index()},
             .output = node.output_id(0)};
  if (f.operand == value || f.operand == ASHLAR_NONE) return std::nullopt;
  const AshlarValue& a = row(graph->values, graph->value_stride, value);
  const AshlarValue& b = row(graph->values, graph->value_stride, f.operand);
  if (b.dtype != static_cast<std::int32_t>(DType::kFloat32)) return std::nullopt;
  f.op.same_shape = same_shape(a, b);
  if (!f.op.same_shape && !fits_into(b, a)) return std::nullopt;
  if (b.rank >= 0) f.op.operand_dims = provider::Dims(std::span(b.dims, static_cast<std::size_t>(b.rank)));
  return f;
}

}  // namespace

bool same_shape(const AshlarGraph* graph, std::uint32_t a, std::uint32_t b) {
  return same_shape(row(graph->values, graph->value_stride, a), row(graph->values, graph->value_stride, b));
}

Uses::Uses(const AshlarGraph* graph) : readers_(graph->value_count), leaves_(graph->value_count) {
  for (std::uint32_t i = 0; i < graph->node_count; ++i) {
    const AshlarNode& node = row(graph->nodes, graph->node_stride, i);
    for (std::uint32_t k = 0; k < node.input_count; ++k)
      if (node.inputs[k] != ASHLAR_NONE) readers_[node.inputs[k]].push_back(i);
    for (std::uint64_t k = 0; k < node.capture_count; ++k) leaves_[node.captures[k]] = 1;
  }
  for (std::uint32_t i = 0; i < graph->output_count; ++i) leaves_[graph->outputs[i]] = 1;
}

std::optional<Follower> follower(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, std::uint32_t value) {
  if (uses.leaves(value) || row(graph->values, graph->value_stride, value).dtype != static_cast<std::int32_t>(DType::kFloat32))
    return std::nullopt;
  const auto& readers = uses.readers(value);
  if (readers.size() == 2 && readers[0] != readers[1]) {
    if (auto f = gated(graph, host, uses, value)) return f;
    return gelu(graph, host, uses, value);
  }
  if (readers.size() != 1) return std::nullopt;
  const NodeView node(graph, readers[0], host);
  if (node.output_count() != 1 || node.output_id(0) == ASHLAR_NONE) return std::nullopt;
  if (const auto op = activation(node); op && node.input_id(0) == value)
    return Follower{.op = *op, .nodes = {node.index()}, .output = node.output_id(0)};
  return binary(graph, node, value);
}

int channel_scale(const AshlarGraph* graph, const NodeView& mul) {
  if (mul.op_type() != "Mul" || !mul.domain().empty() || mul.input_count() != 2) return -1;
  for (const int i : {0, 1}) {
    const AshlarValue& scale = row(graph->values, graph->value_stride, mul.input_id(i));
    const AshlarValue& image = row(graph->values, graph->value_stride, mul.input_id(1 - i));
    if (image.rank < 3 || scale.rank != image.rank || image.dtype != static_cast<std::int32_t>(DType::kFloat32)) continue;
    const auto same = [&](int d) {
      if (scale.dims[d] >= 0) return scale.dims[d] == image.dims[d];
      return image.dims[d] < 0 && *scale.symbols[d] != 0 && std::string_view(scale.symbols[d]) == image.symbols[d];
    };
    bool takes = same(1) && (scale.dims[0] == 1 || same(0));
    for (std::int32_t d = 2; d < image.rank; ++d) takes = takes && scale.dims[d] == 1;
    if (takes) return i;
  }
  return -1;
}

std::vector<Columns> split_columns(const NodeView& node) {
  if (node.op_type() != "Split" || !node.domain().empty() || node.input(0).rank() != 3) return {};
  const std::int64_t axis = node.integer("axis"), outputs = node.output_count();
  if (axis != 2 && axis != -1) return {};
  std::vector<std::int64_t> sizes;
  const std::int64_t total = node.input(0).dim(2);
  if (node.has_input(1)) {
    const auto constant = node.input(1).constant();
    if (!constant) return {};
    sizes = constant->indices();
  } else if (total > 0 && total % outputs == 0) {
    sizes.assign(static_cast<std::size_t>(outputs), total / outputs);
  }
  if (static_cast<std::int64_t>(sizes.size()) != outputs) return {};
  std::vector<Columns> parts;
  std::int64_t first = 0;
  for (const std::int64_t size : sizes) {
    if (size <= 0 || __builtin_add_overflow(first, size, &first)) return {};
    parts.push_back({first - size, size, 0});
  }
  for (Columns& part : parts) part.total = first;
  return total < 0 || total == first ? parts : std::vector<Columns>{};
}

}  // namespace ashlar::cpu
