// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/model.h>

#include "command.h"
#include "fail.h"
#include "print.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct Arguments {
  std::string model;
  bool json = false, text = false;
};

Json values_json(const std::vector<ValueInfo>& values) {
  Json list = Json::array();
  for (const ValueInfo& v : values) {
    Json entry = {{"name", v.name}, {"type", v.type.to_string()}};
    if (v.has_default) entry["has_default"] = true;
    list.push_back(std::move(entry));
  }
  return list;
}

template <class Pairs> Json object_of(const Pairs& pairs) {
  Json object = Json::object();
  for (const auto& [key, value] : pairs) object[key] = value;
  return object;
}

Json describe(const Model& model) {
  const Model::Info& i = model.info();
  Json opsets = Json::object();
  for (const auto& [domain, version] : i.opsets) opsets[domain.empty() ? "ai.onnx" : domain] = version;
  return {{"schema", 1},
          {"file", i.file},
          {"graph", i.graph_name},
          {"ir_version", i.ir_version},
          {"opsets", std::move(opsets)},
          {"producer", {{"name", i.producer_name}, {"version", i.producer_version}}},
          {"domain", i.domain},
          {"model_version", i.model_version},
          {"doc_string", i.doc_string},
          {"metadata", object_of(i.metadata)},
          {"inputs", values_json(model.inputs())},
          {"outputs", values_json(model.outputs())},
          {"nodes", i.node_count},
          {"operators", object_of(i.operators)},
          {"initializers", {{"count", i.initializer_count}, {"bytes", i.initializer_bytes}, {"mapped_bytes", i.mapped_bytes}}},
          {"findings", i.findings}};
}

std::string cut(const std::string& text) {
  constexpr std::size_t kLongest = 200;
  const std::string clean = printable(text.substr(0, kLongest));
  return text.size() > kLongest ? clean + " ..." : clean;
}

void print_people(const Model& model) {
  const Model::Info& i = model.info();
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) rows.push_back({key, cut(value)});
  };
  std::string opsets;
  for (const auto& [domain, version] : i.opsets)
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ", domain.empty() ? "ai.onnx" : domain, version);
  add("file", i.file);
  add("graph", i.graph_name);
  add("IR version", std::to_string(i.ir_version));
  add("opsets", opsets);
  add("producer", i.producer_name + (i.producer_version.empty() ? "" : " " + i.producer_version));
  add("domain", i.domain);
  add("model version", i.model_version == 0 ? "" : std::to_string(i.model_version));
  add("description", i.doc_string);
  add("nodes", std::to_string(i.node_count));
  add("initializers",
      fmt::format("{}, {} ({} mapped from the file)", i.initializer_count, bytes_text(i.initializer_bytes), bytes_text(i.mapped_bytes)));
  fmt::print("{}", columns(rows));

  const auto section = [](const char* title, const std::vector<std::vector<std::string>>& lines) {
    if (!lines.empty()) fmt::print("{}\n{}", title, columns(lines, "  "));
  };
  const auto values = [](const std::vector<ValueInfo>& infos) {
    std::vector<std::vector<std::string>> lines;
    for (const ValueInfo& v : infos)
      lines.push_back({printable(v.name), printable(v.type.to_string()) + (v.has_default ? "  (has a default)" : "")});
    return lines;
  };
  section("inputs", values(model.inputs()));
  section("outputs", values(model.outputs()));
  rows.clear();
  for (const auto& [op, count] : i.operators) rows.push_back({printable(op), std::to_string(count)});
  section("operators", rows);
  rows.clear();
  for (const auto& [key, value] : i.metadata) rows.push_back({printable(key), cut(value)});
  section("metadata", rows);
  rows.clear();
  for (const std::string& finding : i.findings) rows.push_back({printable(finding)});
  section("findings", rows);
}

}  // namespace

Action add_inspect(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("inspect", "What a model file is: versions, inputs, outputs, operators, weights");
  command->add_option("MODEL", args->model, "The ONNX file (needed)");
  command->add_flag("--text", args->text, "Print the graph's text form");
  command->add_flag("--json", args->json, "Print JSON");
  return [args] {
    require_model(args->model, "inspect");
    const Model model = Model::load(args->model);
    if (args->text && args->json) print_json({{"schema", 1}, {"text", model.to_text()}});
    else if (args->text) fmt::print("{}", printable_lines(model.to_text()));
    else if (args->json) print_json(describe(model));
    else print_people(model);
    return kFine;
  };
}

}  // namespace ashlar::cli
