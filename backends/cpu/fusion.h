// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernel.h"

namespace ashlar::cpu {

/// Who reads the values of a graph.
class Uses {
 public:
  explicit Uses(const AshlarGraph* graph);
  /// The nodes that read the value, one entry for each place, in order.
  const std::vector<std::uint32_t>& readers(std::uint32_t value) const { return readers_[value]; }
  /// A graph output, or read by the body of a control-flow node.
  bool leaves(std::uint32_t value) const { return leaves_[value] != 0; }

 private:
  std::vector<std::vector<std::uint32_t>> readers_;
  std::vector<char> leaves_;
};

/// An operator, of one node or several, that can follow a kernel on the same value.
struct Follower {
  PostOp op;
  std::uint32_t operand = ASHLAR_NONE;  ///< value id of kAdd's and kMultiply's operand
  std::vector<std::uint32_t> nodes;     ///< in order
  std::uint32_t output = ASHLAR_NONE;   ///< the value that takes the place of the one followed
};

/// Whether two values have one shape in every run, as far as the graph tells.
bool same_shape(const AshlarGraph* graph, std::uint32_t a, std::uint32_t b);

/// What follows a value that nothing else reads: an activation, written as one operator or as several; an
/// addition or a product.
std::optional<Follower> follower(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, std::uint32_t value);

/// Which operand of a Mul has one element a channel of the other, a float32 image [N, C, spatial...], for each image or for all; -1: none.
int channel_scale(const AshlarGraph* graph, const provider::NodeView& mul);

/// The parts of a Split of a rank 3 tensor's last dimension into sizes that are known, in order of the outputs; else none.
std::vector<Columns> split_columns(const provider::NodeView& node);

}  // namespace ashlar::cpu
