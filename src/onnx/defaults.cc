// SPDX-License-Identifier: Apache-2.0
#include <onnx/defs/schema.h>

#include "onnx/onnx.h"

namespace ashlar::onnx {
namespace {

using ::ONNX_NAMESPACE::AttributeProto;

std::optional<graph::Attribute> value_of(const AttributeProto& a) {
  switch (a.type()) {
    case AttributeProto::INT: return a.i();
    case AttributeProto::FLOAT: return a.f();
    case AttributeProto::STRING: return a.s();
    case AttributeProto::INTS: return std::vector<std::int64_t>(a.ints().begin(), a.ints().end());
    case AttributeProto::FLOATS: return std::vector<float>(a.floats().begin(), a.floats().end());
    case AttributeProto::STRINGS: return std::vector<std::string>(a.strings().begin(), a.strings().end());
    default: return std::nullopt;
  }
}

}  // namespace

std::vector<std::pair<std::string, graph::Attribute>> default_attributes(const std::string& op, const std::string& domain, int version) {
  std::vector<std::pair<std::string, graph::Attribute>> out;
  const auto* schema = ::ONNX_NAMESPACE::OpSchemaRegistry::Schema(op, version, domain);
  if (!schema) return out;
  for (const auto& [name, attribute] : schema->attributes())
    if (auto value = value_of(attribute.default_value)) out.emplace_back(name, std::move(*value));
  return out;
}

}  // namespace ashlar::onnx
