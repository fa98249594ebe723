// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <ashlar/error.h>

#include "onnx/onnx.h"
#include "ops/internal.h"
#include "ops/rewriter.h"
#include "optimizer/editor.h"

namespace ashlar::optimizer {
namespace {

Node make(const std::string& op, std::vector<ValueId> inputs, Attributes attributes) {
  Node node;
  const std::size_t domain = op.rfind("::");
  node.op_type = domain == std::string::npos ? op : op.substr(domain + 2);
  if (domain != std::string::npos) node.domain = op.substr(0, domain);
  node.inputs = std::move(inputs);
  while (!node.inputs.empty() && node.inputs.back() == kNone) node.inputs.pop_back();
  node.attributes = std::move(attributes);
  if (node.domain == ops::kInternalDomain) {
    node.version = ops::kInternalVersion;
    ops::fill_internal_defaults(node);
  } else {
    node.version = ops::newest_version(node.op_type, node.domain).value_or(0);
    ops::fill_defaults(node, node.version);
  }
  node.original_version = node.version;
  return node;
}

ValueType type_of(const Tensor& tensor) {
  ValueType type;
  type.dtype = tensor.dtype();
  type.shape.emplace();
  for (const std::int64_t d : tensor.shape().dims()) type.shape->push_back({d, ""});
  return type;
}

}  // namespace

std::vector<ValueId> Patch::add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes, std::size_t outputs) {
  std::vector<ValueId> out;
  const std::string hint = rule_ + "/" + op.substr(op.rfind(':') == std::string::npos ? 0 : op.rfind(':') + 1);
  for (std::size_t i = 0; i < outputs; ++i) out.push_back(value(hint));
  add_writing(op, std::move(inputs), out, std::move(attributes));
  return out;
}

void Patch::add_writing(const std::string& op, std::vector<ValueId> inputs, std::vector<ValueId> outputs, Attributes attributes) {
  Node node = make(op, std::move(inputs), std::move(attributes));
  node.outputs = std::move(outputs);
  while (!node.outputs.empty() && node.outputs.back() == kNone) node.outputs.pop_back();
  for (const NodeIndex n : from_)
    for (const std::string& origin : editor_.node(n).origins)
      if (std::find(node.origins.begin(), node.origins.end(), origin) == node.origins.end()) node.origins.push_back(origin);
  const auto unknown = [&](ValueId v) { return v != kNone && (editor_.dtype(v) == DType::kUndefined || !editor_.shape(v)); };
  if (std::any_of(node.outputs.begin(), node.outputs.end(), unknown)) editor_.infer(node);
  added_.push_back(std::move(node));
  bases_.push_back(from_.size() == 1 ? from_[0] : kNone);
}

ValueId Patch::value(const std::string& hint, ValueType type) {
  const std::string& place = editor_.path();
  return editor_.add_value(editor_.unique_name(place.empty() ? hint : place + "/" + hint), std::move(type));
}

ValueId Patch::constant(const std::string& hint, Tensor tensor) {
  ValueType type = type_of(tensor);
  return editor_.add_value(editor_.unique_name(rule_ + "/" + hint), std::move(type), std::move(tensor));
}

ValueId Patch::constant(const std::string& hint, const std::vector<std::int64_t>& elements) {
  return constant(hint, ops::int64_tensor(elements));
}

ValueId Patch::scalar(const std::string& hint, DType dtype, double value) {
  auto tensor = ops::scalar_of(dtype, value);
  if (!tensor) throw Error(ErrorCode::kInternal, "no scalar of dtype " + std::to_string(static_cast<int>(dtype)) + " can be made");
  return constant(hint, std::move(*tensor));
}

}  // namespace ashlar::optimizer
