// SPDX-License-Identifier: Apache-2.0
// What passes ask of constants and of operators.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// Whether every element of the tensor is that number; false for dtypes other than real numbers, integers and bool, and for tensors that are large.
bool all_equal(const Tensor& tensor, double number);
/// The same of a value: by its constant, or by what is known of its elements.
bool all_equal(const Editor& editor, ValueId v, double number);

/// Whether two tensors have the same dtype, shape and bytes.
bool same_bytes(const Tensor& a, const Tensor& b);

/// Whether the operator is known to give the same outputs for the same inputs, each time.
bool deterministic(const Node& node);

/// An attribute of the node, or `otherwise`.
std::int64_t integer(const Node& node, const char* name, std::int64_t otherwise = 0);

/// `axis` counted from the front of `rank` dimensions; nothing where there is no such.
std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank);

/// "Add_29", or the name of a value that no node makes: for messages.
std::string name_of(const Editor& editor, ValueId v);

}  // namespace ashlar::optimizer
