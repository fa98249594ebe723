// SPDX-License-Identifier: Apache-2.0
#include "ops/host_evaluate.h"

#include <algorithm>

#include "ops/host_call.h"

namespace ashlar::ops {
namespace {

const HostRow* find_row(const graph::Node& node) {
  if (!node.domain.empty()) return nullptr;
  for (const auto rows : {host_moves(), host_math()})
    for (const HostRow& row : rows)
      if (row.op == node.op_type) return node.version >= row.since ? &row : nullptr;
  return nullptr;
}

}  // namespace

bool host_evaluable(const graph::Node& node) { return find_row(node) != nullptr; }

bool host_evaluable(DType dtype) {
  return dispatch(dtype, []<class T>() {});
}

bool reads_shape_only(const graph::Node& node) { return node.domain.empty() && (node.op_type == "Shape" || node.op_type == "Size"); }

std::vector<Tensor> host_evaluate(const graph::Node& node, std::span<const Tensor* const> inputs, std::span<const Shape> input_shapes) {
  const HostRow* row = find_row(node);
  if (!row) host_fail(node.op_name() + " is not evaluated on the host", ErrorCode::kUnsupported);
  if (!reads_shape_only(node))
    for (const Tensor* t : inputs)
      if (t && !host_evaluable(t->dtype())) host_fail(t->type_string() + " is not evaluated on the host", ErrorCode::kUnsupported);
  return row->evaluate({node, inputs, input_shapes});
}

}  // namespace ashlar::ops
