// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/session.h>
#include <ashlar/value_io.h>

#include "command.h"
#include "compare.h"
#include "data_set.h"
#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "memory_limits.h"
#include "npy.h"
#include "pass_options.h"
#include "placement_options.h"
#include "print.h"
#include "progress.h"
#include "summary.h"
#include "utf8.h"

namespace ashlar::cli {
namespace fs = std::filesystem;

namespace {

struct Arguments {
  std::string model, data_set, output_dir, trace, mean, std;
  PlacementWords placement;
  PassWords passes;
  std::vector<std::string> limits;
  InputRequests requests;
  Tolerance tolerance;
  int threads = 0;
  std::optional<int> top;
  bool json = false;
};

std::vector<double> numbers(const std::string& text, const char* option) {
  std::vector<double> values;
  for (const std::string& part : split_list(text)) {
    double value = 0;
    const auto [end, code] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (code != std::errc() || end != part.data() + part.size() || !std::isfinite(value)) fail("{}: '{}' is not a number", option, part);
    values.push_back(value);
  }
  return values;
}

void check(const Arguments& args) {
  require_model(args.model, "run");
  if (!args.data_set.empty() && !(args.requests.inputs.empty() && args.requests.shapes.empty()))
    fail("--data-set brings its own inputs: --input and --shape exclude it");
  if (args.threads < 0) fail("--threads {} is no number of threads", args.threads);
  if (args.top && *args.top < 0) fail("--top {} is no number of rows", *args.top);
  if (!(args.tolerance.rtol >= 0) || !(args.tolerance.atol >= 0)) fail("--rtol and --atol are numbers from 0");
}

std::vector<std::string> labels_of(const Model& model) {
  for (const auto& [key, value] : model.info().metadata)
    if (key == "labels") return split_list(value);
  return {};
}

void write_outputs(const fs::path& directory, const NamedValues& outputs) {
  make_directory(directory);
  std::set<std::string> taken;
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const auto& [name, value] = outputs[j];
    write_onnx_value(directory / fmt::format("output_{}.pb", j), value, name);
    if (!value.is_tensor() || !value.defined()) continue;
    std::string file = safe_file_name(name);
    if (!taken.insert(file).second) taken.insert(file += fmt::format("_{}", j));
    write_file(directory / (file + ".npy"), format_npy(value.tensor()));
  }
}

Json comparison_json(const std::vector<ExpectedOutput>& expected, const NamedValues& outputs, const Tolerance& tolerance) {
  Json list = Json::array();
  bool passed = true;
  for (const ExpectedOutput& e : expected) {
    const auto difference = compare(outputs.at(e.name), e.value, tolerance);
    Json entry = {{"name", e.name}, {"file", e.file}, {"passed", !difference}};
    if (difference) {
      passed = false;
      entry["difference"] = difference->to_string();
      if (difference->reason.empty() && difference->numeric) {
        const auto finite = [](double v) { return std::isfinite(v) ? Json(v) : Json("inf"); };
        entry["max_abs"] = finite(difference->max_abs);
        entry["max_rel"] = finite(difference->max_rel);
      }
      if (difference->reason.empty()) {
        entry["differing"] = difference->differing;
        entry["elements"] = difference->elements;
        entry["index"] = difference->index;
        entry["actual"] = difference->actual;
        entry["expected"] = difference->expected;
      }
    }
    list.push_back(std::move(entry));
  }
  return {{"passed", passed}, {"rtol", tolerance.rtol}, {"atol", tolerance.atol}, {"outputs", std::move(list)}};
}

void print_comparison(const Json& comparison) {
  std::size_t agreeing = 0;
  for (const Json& o : comparison["outputs"]) {
    if (o["passed"].get<bool>()) ++agreeing;
    else
      fmt::print("{} differs from {}: {}\n", printable(o["name"].get<std::string>()), o["file"].get<std::string>(),
                 printable(o["difference"].get<std::string>()));
  }
  fmt::print("{} of {} compared outputs agree (rtol {:g}, atol {:g})\n", agreeing, comparison["outputs"].size(),
             comparison["rtol"].get<double>(), comparison["atol"].get<double>());
}

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> passed = now - last_;
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

int run(Arguments args) {
  check(args);
  args.requests.normalization = {numbers(args.mean, "--mean"), numbers(args.std, "--std")};
  Json report = {{"schema", 1}, {"model", args.model}};
  Progress progress;
  Stopwatch watch;
  progress.show("loading");
  const Model model = Model::load(args.model);
  report["load_ms"] = watch.lap_ms();
  progress.clear();

  NamedValues inputs;
  std::vector<ExpectedOutput> expected;
  report["inputs"] = Json::array();
  const auto add_input = [&](const std::string& name, const Value& value, const std::string& source) {
    inputs.add(name, value);
    report["inputs"].push_back({{"name", name}, {"type", value.type_string()}, {"source", source}});
  };
  if (!args.data_set.empty()) {
    for (const auto& [name, value] : read_data_set_inputs(args.data_set, model.inputs())) add_input(name, value, args.data_set);
    expected = read_data_set_outputs(args.data_set, model.outputs());
  } else {
    for (const GivenInput& g : gather_inputs(model.inputs(), args.requests)) add_input(g.name, g.value, g.source);
  }

  watch.lap_ms();
  progress.show("preparing");
  SessionOptions options = args.placement.parse();
  options.threads = args.threads;
  options.memory_limits = parse_limits(args.limits);
  options.passes = args.passes.parse();
  const Session session(model, options);
  report["prepare_ms"] = watch.lap_ms();
  progress.show("running");
  Trace trace;
  const bool traced = args.top || !args.trace.empty();
  const NamedValues outputs = session.run(inputs, {.trace = traced ? &trace : nullptr});
  report["run_ms"] = watch.lap_ms();
  progress.clear();

  if (!args.trace.empty()) trace.write_chrome_json(args.trace);
  if (!args.output_dir.empty()) write_outputs(args.output_dir, outputs);
  const std::vector<std::string> labels = labels_of(model);
  report["outputs"] = Json::array();
  for (const auto& [name, value] : outputs) report["outputs"].push_back(summarize(name, value, labels));
  if (!expected.empty()) report["comparison"] = comparison_json(expected, outputs, args.tolerance);
  if (args.top) report["trace"] = Json::parse(trace.to_json());

  if (args.json) {
    print_json(report);
  } else {
    for (const Json& output : report["outputs"]) fmt::print("{}", summary_text(output));
    if (!expected.empty()) print_comparison(report["comparison"]);
    if (args.top) fmt::print("{}", printable_lines(trace.table(*args.top)));
  }
  return expected.empty() || report["comparison"]["passed"].get<bool>() ? kFine : kCheckFailed;
}

}  // namespace

Action add_run(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("run", "Run a model once and show its outputs");
  command->footer(kValueGrammar);
  const auto repeatable = [&](const char* name, std::vector<std::string>& into, const char* help) {
    command->add_option(name, into, help)->allow_extra_args(false)->type_name("NAME=...");
  };
  command->add_option("MODEL", args->model, "The ONNX file (needed)");
  repeatable("--input", args->requests.inputs, "An input's value, NAME=VALUE; without any, random ones are made up");
  repeatable("--shape", args->requests.shapes, "An input's shape where the model leaves it open, NAME=1x3x224x224");
  command->add_option("--data-set", args->data_set, "A directory of input_J.pb files; output_J.pb beside them are compared (exit code 2)");
  command->add_option("--rtol", args->tolerance.rtol, "Relative tolerance of that comparison")->capture_default_str();
  command->add_option("--atol", args->tolerance.atol, "Absolute tolerance of that comparison")->capture_default_str();
  command->add_option("--output-dir", args->output_dir, "Write output_J.pb and NAME.npy files there");
  command->add_option("--mean", args->mean, "Of pictures: subtracted from value / 255, one number or one per channel");
  command->add_option("--std", args->std, "Of pictures: divided by after that, one number or one per channel");
  add_placement_options(*command, args->placement);
  add_pass_options(*command, args->passes);
  command->add_option("--memory-limit", args->limits, kLimitHelp);
  command->add_option("--threads", args->threads, "Threads to use; 0: one per processor");
  command->add_option("--trace", args->trace, "Write a Chrome trace (JSON) there");
  command->add_option("--top", args->top, "Print a table of the K costliest nodes; 0: all");
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return run(*args); };
}

}  // namespace ashlar::cli
