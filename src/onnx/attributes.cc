// SPDX-License-Identifier: Apache-2.0
#include "onnx/attributes.h"

#include <ashlar/error.h>

#include "core/text.h"
#include "onnx/types.h"

namespace ashlar::onnx {
namespace {

using Proto = proto::AttributeProto;

template <class... F> struct Overloaded : F... { using F::operator()...; };
template <class... F> Overloaded(F...) -> Overloaded<F...>;

[[noreturn]] void fail(ErrorCode code, const std::string& name, const std::string& why) {
  throw Error(code, "attribute '" + core::printable(name) + "' " + why);
}

void put_tensor(const Tensor& tensor, std::int64_t most_elements, proto::TensorProto* out) {
  if (tensor.element_count() <= most_elements) {
    *out = to_proto(tensor);
    return;
  }
  out->set_data_type(static_cast<std::int32_t>(tensor.dtype()));
  for (const std::int64_t d : tensor.shape()) out->add_dims(d);
}

void put_signature(const graph::Graph& graph, proto::GraphProto* out) {
  const auto put = [&](graph::ValueId v, proto::ValueInfoProto* to) {
    to->set_name(graph.values[v].name);
    if (is_known(graph.values[v].type)) *to->mutable_type() = to_proto(graph.values[v].type);
  };
  for (const graph::ValueId v : graph.inputs) put(v, out->add_input());
  for (const graph::ValueId v : graph.outputs) put(v, out->add_output());
}

}  // namespace

Proto::AttributeType type_of(const Proto& a) {
  if (a.type() != Proto::UNDEFINED) return a.type();
  if (a.has_f()) return Proto::FLOAT;
  if (a.has_i()) return Proto::INT;
  if (a.has_s()) return Proto::STRING;
  if (a.has_t()) return Proto::TENSOR;
  if (a.has_g()) return Proto::GRAPH;
  if (a.floats_size()) return Proto::FLOATS;
  if (a.ints_size()) return Proto::INTS;
  if (a.strings_size()) return Proto::STRINGS;
  if (a.tensors_size()) return Proto::TENSORS;
  return Proto::UNDEFINED;
}

graph::Attribute to_attribute(const Proto& a, TensorReader& tensors) {
  switch (type_of(a)) {
    case Proto::FLOAT: return a.f();
    case Proto::INT: return a.i();
    case Proto::STRING: return a.s();
    case Proto::FLOATS: return std::vector<float>(a.floats().begin(), a.floats().end());
    case Proto::INTS: return std::vector<std::int64_t>(a.ints().begin(), a.ints().end());
    case Proto::STRINGS: return std::vector<std::string>(a.strings().begin(), a.strings().end());
    case Proto::TYPE_PROTO: return to_type(a.tp(), a.name());
    case Proto::TENSOR:
      if (!a.has_t()) fail(ErrorCode::kInvalidModel, a.name(), "is a tensor that is not there");
      return tensors.read(a.t(), a.name());
    case Proto::SPARSE_TENSOR:
      if (!a.has_sparse_tensor()) fail(ErrorCode::kInvalidModel, a.name(), "is a sparse tensor that is not there");
      return tensors.read(a.sparse_tensor(), a.name());
    case Proto::TENSORS: {
      std::vector<Tensor> list;
      for (const auto& t : a.tensors()) list.push_back(tensors.read(t, a.name()));
      return list;
    }
    case Proto::GRAPHS: fail(ErrorCode::kUnsupported, a.name(), "is a list of graphs");
    case Proto::SPARSE_TENSORS: fail(ErrorCode::kUnsupported, a.name(), "is a list of sparse tensors");
    case Proto::TYPE_PROTOS: fail(ErrorCode::kUnsupported, a.name(), "is a list of types");
    case Proto::GRAPH: fail(ErrorCode::kInternal, a.name(), "is a graph");
    case Proto::UNDEFINED: break;
  }
  fail(ErrorCode::kInvalidModel, a.name(), "has no type");
}

Proto::AttributeType type_of(const graph::Attribute& value) {
  return std::visit(
      Overloaded{[](std::int64_t) { return Proto::INT; }, [](float) { return Proto::FLOAT; },
                 [](const std::string&) { return Proto::STRING; }, [](const std::vector<std::int64_t>&) { return Proto::INTS; },
                 [](const std::vector<float>&) { return Proto::FLOATS; }, [](const std::vector<std::string>&) { return Proto::STRINGS; },
                 [](const Tensor&) { return Proto::TENSOR; }, [](const std::vector<Tensor>&) { return Proto::TENSORS; },
                 [](const std::shared_ptr<graph::Graph>&) { return Proto::GRAPH; }, [](const ValueType&) { return Proto::TYPE_PROTO; }},
      value);
}

Proto to_proto(const std::string& name, const graph::Attribute& value, std::int64_t most_elements) {
  Proto out;
  out.set_name(name);
  out.set_type(type_of(value));
  std::visit(Overloaded{[&](std::int64_t v) { out.set_i(v); }, [&](float v) { out.set_f(v); }, [&](const std::string& v) { out.set_s(v); },
                        [&](const std::vector<std::int64_t>& v) { out.mutable_ints()->Add(v.begin(), v.end()); },
                        [&](const std::vector<float>& v) { out.mutable_floats()->Add(v.begin(), v.end()); },
                        [&](const std::vector<std::string>& v) { out.mutable_strings()->Assign(v.begin(), v.end()); },
                        [&](const Tensor& v) { put_tensor(v, most_elements, out.mutable_t()); },
                        [&](const std::vector<Tensor>& v) {
                          for (const Tensor& t : v) put_tensor(t, most_elements, out.add_tensors());
                        },
                        [&](const std::shared_ptr<graph::Graph>& v) { put_signature(*v, out.mutable_g()); },
                        [&](const ValueType& v) { *out.mutable_tp() = to_proto(v); }},
             value);
  return out;
}

}  // namespace ashlar::onnx
