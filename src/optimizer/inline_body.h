// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// Moves the nodes of a body into a patch of the graph around it, with their ids, in place of the node that owns the body (which the patch must
/// remove). `inputs` are the values of that graph that the body's inputs stand for; `outputs` the owner's outputs in the order of the body's, of
/// which `from` skips the first ones, kNone for one that is not wanted. What can is written as the owner's output, the others are replaced.
void inline_body(Editor& editor, Patch& patch, const Editor& body, const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs,
                 std::size_t from = 0);

/// Makes readers of `gone` read `instead`, or a copy of it where the graph's output must keep its name.
void replace_or_copy(Editor& editor, Patch& patch, ValueId gone, ValueId instead);

}  // namespace ashlar::optimizer
