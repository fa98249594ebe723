// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <unordered_set>

#include <ashlar/error.h>

#include "onnx/importer.h"
#include "onnx/infer.h"
#include "onnx/mapped_file.h"
#include "onnx/onnx.h"
#include "onnx/onnx_error.h"
#include "onnx/wire_scan.h"

namespace ashlar::onnx {
namespace {

[[noreturn]] void fail(const std::string& message, ErrorCode code = ErrorCode::kInvalidModel) { throw Error(code, message); }

void parse_model(std::span<const std::byte> bytes, proto::ModelProto& model) {
  if (bytes.empty()) fail("the file is empty");
  const std::string small = [&] {
    try {
      return skeleton(bytes, Root::kModel);
    } catch (const Error& e) {
      throw Error(e.code(), "not an ONNX model: " + e.message());
    }
  }();
  if (!model.ParseFromArray(small.data(), static_cast<int>(small.size()))) fail("not an ONNX model: protobuf cannot parse it");
  if (!model.has_graph()) fail("not an ONNX model: it has no graph");
  if (!model.has_ir_version() || model.ir_version() < 1) fail("not an ONNX model: it has no IR version");
  if (model.ir_version() > known_ir_version())
    fail("IR version " + std::to_string(model.ir_version()) + " is newer than the newest this library knows, " +
             std::to_string(known_ir_version()),
         ErrorCode::kUnsupported);
}

void count_constants(const graph::Graph& graph, std::unordered_set<const void*>& seen, Model::Info& info) {
  for (const graph::Value& v : graph.values) {
    if (!v.constant.defined() || !seen.insert(v.constant.raw()).second) continue;
    ++info.initializer_count;
    info.initializer_bytes += v.constant.bytes();
    if (v.constant.read_only()) info.mapped_bytes += v.constant.bytes();
  }
  for (const graph::Node& node : graph.nodes)
    for (const auto& [name, body] : graph::bodies(node)) count_constants(*body, seen, info);
}

Model::Info describe(const proto::ModelProto& model, const graph::Graph& graph, const Opsets& opsets) {
  Model::Info info;
  info.graph_name = model.graph().name();
  info.producer_name = model.producer_name();
  info.producer_version = model.producer_version();
  info.domain = model.domain();
  info.doc_string = model.doc_string();
  info.ir_version = model.ir_version();
  info.model_version = model.model_version();
  info.opsets.assign(opsets.begin(), opsets.end());
  for (const auto& entry : model.metadata_props()) info.metadata.emplace_back(entry.key(), entry.value());
  info.operators = graph::count_operators(graph);
  for (const auto& [op, count] : info.operators) info.node_count += count;
  std::unordered_set<const void*> seen;
  count_constants(graph, seen, info);
  return info;
}

Opsets opsets_of(const proto::ModelProto& model, Importer& importer) {
  Opsets opsets = read_opsets(model.opset_import());
  if (opsets.empty() && model.ir_version() < 3) {
    importer.find("the model imports no opset; opset 1 is taken, as its IR version means");
    opsets[""] = 1;
  }
  if (opsets.empty()) fail("the model imports no opset");
  return opsets;
}

Imported import_model(const proto::ModelProto& model, Bytes file, const std::filesystem::path& directory, bool without_weights) {
  TensorReader tensors(std::move(file), ExternalData(directory, without_weights));
  Importer importer(tensors);
  const Opsets opsets = opsets_of(model, importer);
  for (const auto& function : model.functions()) importer.add_function(function);
  Imported out;
  importer.import_main(model.graph(), opsets, model.ir_version(), out.graph);
  infer_graph(out.graph, {.strict = true, .inputs_are_constant = false});
  graph::verify(out.graph);
  if (model.training_info_size() > 0) importer.find("the model's training information is not used");
  out.info = describe(model, out.graph, opsets);
  out.info.findings = importer.findings();
  return out;
}

}  // namespace

Imported parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::filesystem::path& directory,
               const std::string& name, bool without_weights) {
  ErrorContext about;
  about.file = name;
  return guarded(ErrorCode::kInvalidModel, "", about, [&] {
    proto::ModelProto model;
    parse_model(bytes, model);
    Imported out = import_model(model, {bytes, std::move(owner)}, directory, without_weights);
    out.info.file = name;
    return out;
  });
}

Imported load(const std::filesystem::path& file, bool without_weights) {
  const Bytes mapped = map_file(file);
  std::error_code ignored;
  const std::filesystem::path directory =
      std::filesystem::canonical(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."), ignored);
  return parse(mapped.bytes, mapped.owner, directory, file.string(), without_weights);
}

}  // namespace ashlar::onnx
