// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <sstream>

#include <ashlar/error.h>
#include <ashlar/profile.h>
#include <ashlar/trace.h>
#include <nlohmann/json.hpp>

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::json;

/// An event as Trace::to_json has it, or as write_chrome_json has it.
TraceEvent event_of(const Json& j) {
  TraceEvent e;
  const bool chrome = j.contains("ph");
  const Json& about = chrome ? j.at("args") : j;
  e.op = about.at("op").get<std::string>();
  e.kernel = about.at("kernel").get<std::string>();
  e.bytes = about.at("bytes").get<std::uint64_t>();
  e.issue_ns = std::max<std::int64_t>(0, about.at("issue_ns").get<std::int64_t>());
  e.absorbed = about.value("absorbed", std::vector<std::string>());
  e.node = j.at(chrome ? "name" : "node").get<std::string>();
  e.provider = j.at(chrome ? "cat" : "provider").get<std::string>();
  constexpr double kMost = 1e15;  // ns
  const double duration = chrome ? j.at("dur").get<double>() * 1e3 : j.at("duration_ns").get<double>();
  e.duration_ns = static_cast<std::int64_t>(std::clamp(duration, 0.0, kMost));
  e.queue = chrome ? (j.at("tid").get<int>() == 1 ? "" : "queue") : j.at("queue").get<std::string>();
  return e;
}

Trace read_trace(const Json& j) {
  Trace out;
  if (j.contains("traceEvents")) {
    for (const Json& e : j.at("traceEvents"))
      if (e.at("ph") == "X" && e.at("cat") != "run") out.events.push_back(event_of(e));
    return out;
  }
  for (const Json& e : (j.contains("trace") ? j.at("trace") : j).at("events")) out.events.push_back(event_of(e));
  return out;
}

}  // namespace

void Profile::add(const Trace& trace) {
  std::vector<Step> run;
  for (const TraceEvent& e : trace.events) {
    const auto ns = static_cast<double>(!e.queue.empty() && e.duration_ns > 0 ? e.duration_ns : e.issue_ns);
    if (e.op == "(copy)") {
      const std::size_t arrow = e.kernel.find(" -> ");
      if (arrow == std::string::npos) continue;
      const std::string from = e.kernel.substr(0, arrow), to = e.kernel.substr(arrow + 4);
      auto at = std::find_if(copies.begin(), copies.end(), [&](const Copies& c) { return c.from == from && c.to == to; });
      if (at == copies.end()) at = copies.insert(at, {from, to});
      at->nanoseconds += ns;
      at->bytes += e.bytes;
      ++at->count;
      continue;
    }
    if (e.op.starts_with('(') || e.provider == "core") continue;
    // What a step of a body took in all its rounds, and what a node's layout copies took, is the node's in this run.
    auto at = std::find_if(run.rbegin(), run.rend(), [&](const Step& s) { return s.nodes.front() == e.node && s.provider == e.provider; });
    if (at == run.rend()) {
      run.push_back({.nodes = {e.node}, .provider = e.provider, .runs = 1});
      at = run.rbegin();
    }
    at->nanoseconds += ns;
    for (const std::string& id : e.absorbed)
      if (std::find(at->nodes.begin(), at->nodes.end(), id) == at->nodes.end()) at->nodes.push_back(id);
  }
  for (Step& step : run) {
    const auto at =
        std::find_if(steps.begin(), steps.end(), [&](const Step& s) { return s.nodes == step.nodes && s.provider == step.provider; });
    if (at == steps.end()) {
      steps.push_back(std::move(step));
    } else {
      at->nanoseconds += step.nanoseconds;
      ++at->runs;
    }
  }
}

Profile Profile::load(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) throw Error(ErrorCode::kIo, "the profile could not be read", {.file = file.string()});
  Profile out;
  out.source = file.filename().string();
  try {
    out.add(read_trace(Json::parse(text.str())));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kInvalidArgument,
                "it is no trace: neither what `ashlar run --trace` nor what `ashlar run --json --top 0` writes", {.file = file.string()});
  }
  if (out.steps.empty()) throw Error(ErrorCode::kInvalidArgument, "the trace has no step of a provider", {.file = file.string()});
  return out;
}

}  // namespace ashlar::inline v0
