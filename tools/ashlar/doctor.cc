// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/environment.h>

#include "command.h"
#include "print.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

// A JSON value on one line: lists joined, objects as "key value".
std::string flat(const Json& j) {
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (j.is_object()) {
    for (const auto& [key, value] : j.items()) add((key.empty() ? "ai.onnx" : key) + " " + flat(value));
  } else if (j.is_array()) {
    for (const Json& element : j) add(flat(element));
  } else {
    out = j.is_string() ? j.get<std::string>() : j.is_null() ? "unknown" : j.dump();
  }
  return printable(out);
}

void print_people(const Json& environment) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : environment.items()) {
    if (key == "schema" || key == "providers") continue;
    if (key.ends_with("_bytes") && value.is_number_unsigned()) {
      rows.push_back({key == "memory_bytes" ? "memory" : "memory available", bytes_text(value.get<std::uint64_t>())});
      continue;
    }
    if (value.is_object())
      for (const auto& [part, detail] : value.items()) {
        if (part == "threads_decided_by") rows.back().back() += ", decided by " + flat(detail);
        else rows.push_back({key + " " + part, part == "quota" && detail.is_null() ? "unlimited" : flat(detail)});
      }
    else rows.push_back({key, flat(value)});
  }
  fmt::print("{}", columns(rows));
  if (!environment.contains("providers")) return;
  fmt::print("providers\n");
  rows.clear();
  for (const Json& p : environment["providers"]) {
    const bool available = p.value("available", false);
    const char* state = available ? "available" : "not available";
    std::vector<std::string> row = {flat(p.value("name", Json())), flat(p.value("version", Json())), state};
    if (const std::string reason = p.value("reason", std::string()); !reason.empty()) row.push_back(printable(reason));
    rows.push_back(std::move(row));
  }
  fmt::print("{}", columns(rows, "  "));
}

}  // namespace

Action add_doctor(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("doctor", "What this build and this machine are");
  command->add_flag("--json", *json, "Print JSON");
  return [json] {
    const Json environment = Json::parse(environment_json());
    if (*json) print_json(environment);
    else print_people(environment);
    return kFine;
  };
}

}  // namespace ashlar::cli
