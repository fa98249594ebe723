// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/environment.h>

#include "command.h"
#include "files.h"
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

void print_provider(const Json& p) {
  const auto text = [&](const char* key) { return p.contains(key) ? flat(p[key]) : std::string(); };
  const bool available = p.value("available", false);
  std::string line = "  " + text("name");
  if (p.contains("version")) line += " " + text("version");
  line += available ? ": available" : ": not available: " + text("reason");
  fmt::print("{}\n", line);
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const char* title, const std::string& value) {
    if (!value.empty()) rows.push_back({title, value});
  };
  add("origin", text("origin"));
  add("border", text("border"));
  add("device", text("device"));
  for (const Json& space : p.value("spaces", Json::array())) {
    std::string about = flat(space["name"]) + ": ";
    about += space["bytes"].is_null() ? "size unknown" : bytes_text(space["bytes"].get<std::uint64_t>());
    if (space.value("host_accessible", false)) about += ", host accessible";
    if (space.value("staging", false)) about += ", the host side of copies";
    add("space", about);
  }
  if (p.value("queues", 0u) > 0)
    add("queues", fmt::format("{}, uploads on {}, downloads on {}", text("queues"), text("upload_queue"), text("download_queue")));
  add("rates", text("rates"));
  add("attributes", text("attributes"));
  add("features", text("features"));
  add("needs", text("required_features"));
  fmt::print("{}", columns(rows, "    "));
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
  for (const Json& p : environment["providers"]) print_provider(p);
}

}  // namespace

Action add_doctor(CLI::App& app) {
  struct Arguments {
    bool json = false;
    std::string providers, devices;
  };
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("doctor", "What this build and this machine are");
  command->add_option("--providers", args->providers, "Providers to report, by name or path; default: those of this build");
  command->add_option("--device-json", args->devices,
                      "Write what providers and devices are there: for explain --plan-only --device elsewhere");
  command->add_flag("--json", args->json, "Print JSON");
  return [args] {
    const Json environment = Json::parse(environment_json(split_list(args->providers)));
    if (!args->devices.empty()) {
      const std::string text = Json{{"schema", 1}, {"providers", environment["providers"]}}.dump(2) + "\n";
      write_file(args->devices, std::as_bytes(std::span(text)));
    }
    if (args->json) print_json(environment);
    else print_people(environment);
    return kFine;
  };
}

}  // namespace ashlar::cli
