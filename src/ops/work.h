// SPDX-License-Identifier: Apache-2.0
// How much arithmetic an operator is, for reports: what a step achieves is its work by its time.
#pragma once

#include <span>

#include <ashlar/tensor.h>

#include "graph/graph.h"

namespace ashlar::ops {

/// Arithmetic operations of a node in canonical form, by its operator's definition: a multiplication and the addition that takes its product are
/// two, an element that an element-wise or reducing operator gives or reads is one, moving elements is none. A kernel may need fewer (Winograd's
/// convolution) or more. Shapes stand in the order of the node's operands; null for one that is left out or not known, and 0 where one that counts is.
double operations(const graph::Node& node, std::span<const Shape* const> inputs, std::span<const Shape* const> outputs);

/// Whether the operator reads of its first input what its first output holds, and no more: a table may be far larger.
bool picks(const graph::Node& node);

}  // namespace ashlar::ops
