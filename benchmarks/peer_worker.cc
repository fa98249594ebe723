// SPDX-License-Identifier: Apache-2.0
// Ashlar as one engine among others, behind a pipe: ashlar_peer_worker [options] MODEL THREADS FEEDS_DIR.
//
// FEEDS_DIR/K/NAME.npy, K = 0, 1, 2, ...: sets of inputs. It loads MODEL, runs set 0 once and prints {"load_ms", "rss_mb"}: from before the
// model is opened to the first result, and the process's peak resident memory then. After that it answers each line of standard input:
//   run N      N runs over the sets in turn: a JSON list of N latencies in microseconds, each from inputs in the caller's memory (binding
//              them included) to outputs readable there
//   trace N    N traced runs of set 0: {"wall_us", "steps": [{"node", "op", "kernel", "outputs", "us", "operations", "bytes"}, ...]}, medians
//              of the wall time and of each step's; bytes are read and written
//   out DIR    runs every set and writes DIR/K/J.npy, J = the output's index in the graph: prints "done"
// One Run serves all sets. Exit status: 0 at the end of the input, 1 for an error.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ashlar/ashlar.h>

#include "fail.h"
#include "files.h"
#include "npy.h"

namespace {
namespace fs = std::filesystem;
using ashlar::cli::fail;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string model, feeds, precision = "strict", tune = "cached";
  ashlar::SessionOptions session;
};

/// One set: values by their index in Session::inputs().
using Feeds = std::vector<std::pair<std::size_t, ashlar::Value>>;

double microseconds_since(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }

/// Peak resident memory of this program in MB. Not getrusage's, which starts from what the process that launched this one used.
double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (double kilobytes = 0; word == "VmHWM:" && status >> kilobytes) return kilobytes / 1024;
  fail(ashlar::ErrorCode::kIo, "/proc/self/status does not tell the peak resident memory");
}

std::vector<ashlar::NamedValues> read_sets(const fs::path& folder) {
  std::vector<ashlar::NamedValues> sets;
  if (!fs::is_directory(folder)) fail(ashlar::ErrorCode::kNotFound, "{} is no folder", folder.string());
  for (fs::path set; fs::is_directory(set = folder / std::to_string(sets.size()));) {
    ashlar::NamedValues& values = sets.emplace_back();
    for (const auto& entry : fs::directory_iterator(set))
      if (entry.path().extension() == ".npy")
        values.add(entry.path().stem().string(), ashlar::cli::parse_npy(ashlar::cli::read_file(entry.path())));
  }
  if (sets.empty()) fail("{} holds no set of inputs: the first would be {}", folder.string(), (folder / "0").string());
  return sets;
}

class Worker {
 public:
  explicit Worker(const Arguments& arguments) {
    const std::vector<ashlar::NamedValues> sets = read_sets(arguments.feeds);
    const Clock::time_point start = Clock::now();
    session_.emplace(ashlar::Model::load(arguments.model), arguments.session);
    for (const ashlar::NamedValues& set : sets) sets_.push_back(indexed(set));
    run_.emplace(session_->prepare());
    run(0);
    fmt::print("{{\"load_ms\": {:.3f}, \"rss_mb\": {:.3f}}}\n", microseconds_since(start) / 1e3, peak_mb());
  }

  void answer(std::string_view line) {
    const std::size_t space = line.find(' ');
    const std::string_view verb = line.substr(0, space);
    const std::string_view argument = space == line.npos ? "" : line.substr(space + 1);
    if (verb == "run" && !argument.empty()) time_runs(argument);
    else if (verb == "trace" && !argument.empty()) trace_runs(argument);
    else if (verb == "out" && !argument.empty()) write_outputs(fs::path(argument));
    else fail("'{}' is neither 'run N', 'trace N' nor 'out DIR'", line);
  }

 private:
  Feeds indexed(const ashlar::NamedValues& set) const {
    Feeds feeds;
    for (std::size_t i = 0; i < session_->inputs().size(); ++i) {
      const ashlar::ValueInfo& info = session_->inputs()[i];
      if (set.contains(info.name) || !info.has_default) feeds.emplace_back(i, set.at(info.name));
    }
    if (feeds.size() != set.size()) fail("the sets hold {} arrays, {} of them inputs of the model", set.size(), feeds.size());
    return feeds;
  }

  void run(std::size_t set) {
    for (const auto& [index, value] : sets_[set]) run_->bind_input(index, value);
    (*run_)();
  }

  static std::size_t count_of(std::string_view verb, std::string_view text) {
    std::size_t count = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (code != std::errc() || end != text.data() + text.size()) fail("{} {}: not a number of runs", verb, text);
    return count;
  }

  void time_runs(std::string_view text) {
    std::vector<double> latencies(count_of("run", text));
    for (double& latency : latencies) {
      const Clock::time_point start = Clock::now();
      run(turn_);
      latency = microseconds_since(start);
      turn_ = (turn_ + 1) % sets_.size();
    }
    fmt::print("[{:.3f}]\n", fmt::join(latencies, ", "));
  }

  void trace_runs(std::string_view text) {
    for (int warm = 0; warm < 3; ++warm) run(0);  // the shapes' plan is kept, so that every run has the same steps
    std::vector<double> walls;
    std::vector<std::vector<double>> times;
    ashlar::Trace trace;
    for (std::size_t i = count_of("trace", text); i-- > 0;) {
      (*run_)({.trace = &trace});
      walls.push_back(static_cast<double>(trace.wall_ns) / 1e3);
      times.resize(trace.events.size());
      for (std::size_t k = 0; k < times.size(); ++k) times[k].push_back(static_cast<double>(trace.events[k].duration_ns) / 1e3);
    }
    const auto median = [](std::vector<double> values) {
      if (values.empty()) return 0.0;
      std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
      return values[values.size() / 2];
    };
    nlohmann::ordered_json report = {{"wall_us", median(walls)}, {"steps", nlohmann::ordered_json::array()}};
    for (std::size_t k = 0; k < times.size(); ++k) {
      const ashlar::TraceEvent& e = trace.events[k];
      report["steps"].push_back({{"node", e.node},
                                 {"op", e.op},
                                 {"kernel", e.kernel},
                                 {"outputs", e.outputs},
                                 {"us", median(times[k])},
                                 {"operations", e.operations},
                                 {"bytes", e.bytes + e.bytes_read}});
    }
    fmt::print("{}\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

  void write_outputs(const fs::path& folder) {
    for (std::size_t k = 0; k < sets_.size(); ++k) {
      run(k);
      const fs::path set = folder / std::to_string(k);
      ashlar::cli::make_directory(set);
      for (std::size_t j = 0; j < session_->outputs().size(); ++j)
        ashlar::cli::write_file(set / fmt::format("{}.npy", j), ashlar::cli::format_npy(run_->output(j).tensor()));
    }
    fmt::print("done\n");
  }

  std::optional<ashlar::Session> session_;
  std::optional<ashlar::Run> run_;
  std::vector<Feeds> sets_;
  std::size_t turn_ = 0;
};

void serve(const Arguments& arguments) {
  if (arguments.precision != "strict") fail(ashlar::ErrorCode::kUnsupported, "--precision {} is not supported yet", arguments.precision);
  if (arguments.tune == "on") fail(ashlar::ErrorCode::kUnsupported, "--tune on is not supported yet");
  Worker worker(arguments);
  const auto deliver = [] {
    if (std::fflush(stdout) != 0) fail(ashlar::ErrorCode::kIo, "standard output cannot be written");
  };
  deliver();
  for (std::string line; std::getline(std::cin, line);) {
    worker.answer(line);
    deliver();
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Ashlar as an engine of a latency comparison: reads 'run N' and 'out DIR' from standard input.", "ashlar_peer_worker");
  app.add_option("--precision", arguments.precision, "Float32 arithmetic; only strict is supported now")
      ->check(CLI::IsMember({"strict", "tf32", "bf16", "fp16"}))
      ->capture_default_str();
  app.add_option("--tune", arguments.tune, "How implementations are chosen; off and cached are accepted now and mean the fixed choice")
      ->check(CLI::IsMember({"off", "cached", "on"}))
      ->capture_default_str();
  app.add_option("--providers", arguments.session.providers, "In order of preference, comma-separated; the build's default ones otherwise")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("MODEL", arguments.model, "The ONNX file")->required();
  app.add_option("THREADS", arguments.session.threads, "Threads of a run; 0: chosen for the machine")
      ->required()
      ->check(CLI::NonNegativeNumber);
  app.add_option("FEEDS_DIR", arguments.feeds, "FEEDS_DIR/K/NAME.npy, K = 0, 1, 2, ...: sets of inputs")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  try {
    serve(arguments);
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_peer_worker: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
