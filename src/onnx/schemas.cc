// SPDX-License-Identifier: Apache-2.0
#include "onnx/schemas.h"

#include <set>

#include "core/text.h"
#include "onnx/attributes.h"
#include "onnx/onnx.h"
#include "onnx/onnx_error.h"

namespace ashlar::onnx {
namespace {

using Registry = ::ONNX_NAMESPACE::OpSchemaRegistry;
using ::ONNX_NAMESPACE::OpSchema;

const std::unordered_map<std::string, std::pair<int, int>>& known_domains() { return Registry::DomainToVersionRange::Instance().Map(); }

std::string domain_name(const std::string& domain) {
  return domain.empty() ? "the standard domain" : "domain '" + core::printable(domain) + "'";
}

[[noreturn]] void no_operator(const std::string& op, const std::string& domain, int version) {
  const std::string opset =
      "opset " + std::to_string(version) + " of " + domain_name(domain) + " has no operator '" + core::printable(op) + "'";
  if (const OpSchema* newest = Registry::Schema(op, newest_version(domain), domain); newest && !newest->Deprecated()) {
    int first = newest->SinceVersion();
    for (int v = first; v > version; --v)
      if (const OpSchema* older = Registry::Schema(op, v, domain)) first = older->SinceVersion();
    throw Error(ErrorCode::kInvalidModel, opset + "; it has one since opset " + std::to_string(first));
  }
  std::set<std::string> names;
  for (const OpSchema& s : Registry::get_all_schemas())
    if (s.domain() == domain) names.insert(s.Name());
  const std::vector<std::string> candidates(names.begin(), names.end());
  const std::string near = core::nearest(op, candidates);
  throw Error(ErrorCode::kInvalidModel, opset + (near.empty() ? "" : "; did you mean '" + near + "'?"));
}

}  // namespace

std::string normal_domain(std::string_view domain) { return domain == "ai.onnx" ? std::string() : std::string(domain); }

int newest_version(const std::string& domain) {
  const auto known = known_domains().find(domain);
  return known == known_domains().end() ? 0 : known->second.second;
}

const OpSchema& find_schema(const std::string& op, const std::string& domain, const Opsets& opsets) {
  if (newest_version(domain) == 0)
    throw Error(ErrorCode::kUnsupported, domain_name(domain) + " of operator '" + core::printable(op) +
                                             "' is not known, and the model defines no function of that name");
  const auto imported = opsets.find(domain);
  if (imported == opsets.end())
    throw Error(ErrorCode::kInvalidModel,
                "operator '" + core::printable(op) + "' is of " + domain_name(domain) + ", of which no opset is imported");
  const OpSchema* schema = Registry::Schema(op, imported->second, domain);
  if (!schema) no_operator(op, domain, imported->second);
  if (schema->Deprecated())
    throw Error(ErrorCode::kInvalidModel, "operator '" + op + "' is deprecated since opset " + std::to_string(schema->SinceVersion()) +
                                              " of " + domain_name(domain) + "; the model imports opset " +
                                              std::to_string(imported->second));
  return *schema;
}

const OpSchema* schema_of(const graph::Node& node) { return Registry::Schema(node.op_type, node.version, node.domain); }

void check(const graph::Node& node, const OpSchema& schema) {
  proto::NodeProto form;
  form.set_name(core::printable(node.id));
  form.set_op_type(node.op_type);
  for (const graph::ValueId v : node.inputs) form.add_input(v == graph::kNone ? "" : "v");
  for (const graph::ValueId v : node.outputs) form.add_output(v == graph::kNone ? "" : "v");
  for (const auto& [name, value] : node.attributes) {
    auto* a = form.add_attribute();
    a->set_name(name);
    const auto known = schema.attributes().find(name);
    const bool sparse = known != schema.attributes().end() && known->second.type == proto::AttributeProto::SPARSE_TENSOR;
    a->set_type(sparse && std::holds_alternative<Tensor>(value) ? proto::AttributeProto::SPARSE_TENSOR : type_of(value));
    if (sparse) a->mutable_sparse_tensor();
    if (a->type() == proto::AttributeProto::TENSOR) a->mutable_t();
    if (a->type() == proto::AttributeProto::GRAPH) a->mutable_g();
    if (a->type() == proto::AttributeProto::TYPE_PROTO) a->mutable_tp();
  }
  guarded(ErrorCode::kInvalidModel, "", context_of(node), [&] { schema.Verify(form); });
}

void add_defaults(graph::Node& node, const OpSchema& schema) {
  for (auto& [name, value] : default_attributes(schema.Name(), schema.domain(), schema.SinceVersion()))
    node.attributes.try_emplace(name, std::move(value));
}

ErrorContext context_of(const graph::Node& node) {
  ErrorContext context;
  context.node = node.id;
  context.op = node.op_name();
  context.opset = node.version;
  return context;
}

std::optional<int> since_version(const std::string& op, const std::string& domain, int version) {
  const OpSchema* schema = Registry::Schema(op, version, normal_domain(domain));
  if (!schema || schema->Deprecated() || version > newest_version(normal_domain(domain))) return std::nullopt;
  return schema->SinceVersion();
}

std::vector<std::pair<std::string, int>> known_opsets() {
  std::map<std::string, int> sorted;
  for (const auto& [domain, range] : known_domains()) sorted[domain] = range.second;
  return {sorted.begin(), sorted.end()};
}

int known_ir_version() { return proto::Version::IR_VERSION; }

}  // namespace ashlar::onnx
