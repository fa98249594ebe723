// SPDX-License-Identifier: Apache-2.0
#include <ashlar/trace.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <ashlar/error.h>
#include <nlohmann/json.hpp>

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& j, int indent) { return j.dump(indent, ' ', false, Json::error_handler_t::replace); }

struct TableRow {
  std::string node, op = {}, provider = {}, outputs = {};
  std::int64_t ns = 0, queue_ns = 0;
  std::int64_t calls = 0;
  double operations = 0;
};

std::string number(double value, int digits) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  out << value;
  return out.str();
}

}  // namespace

std::int64_t Trace::unaccounted_ns() const noexcept {
  std::int64_t rest = wall_ns;
  for (const TraceEvent& e : events)
    if (e.depth == 0) rest -= e.issue_ns;
  return rest;
}

std::string Trace::table(int top) const {
  std::vector<TableRow> rows;
  std::map<std::string, std::size_t> index;
  for (const TraceEvent& e : events) {
    if (e.depth != 0) continue;
    const auto [at, inserted] = index.try_emplace(e.node + '\n' + e.op, rows.size());
    if (inserted) rows.push_back({e.node, e.op, e.provider, e.outputs});
    rows[at->second].ns += e.issue_ns;
    if (!e.queue.empty()) rows[at->second].queue_ns += e.duration_ns;
    ++rows[at->second].calls;
    rows[at->second].operations += e.operations;
  }
  std::stable_sort(rows.begin(), rows.end(), [](const TableRow& a, const TableRow& b) { return a.ns + a.queue_ns > b.ns + b.queue_ns; });
  const bool queues = std::any_of(events.begin(), events.end(), [](const TraceEvent& e) { return !e.queue.empty(); });
  const std::size_t shown = top > 0 ? std::min<std::size_t>(rows.size(), static_cast<std::size_t>(top)) : rows.size();
  if (shown < rows.size()) {
    TableRow rest{.node = std::to_string(rows.size() - shown) + " other nodes"};
    for (std::size_t i = shown; i < rows.size(); ++i) {
      rest.ns += rows[i].ns;
      rest.queue_ns += rows[i].queue_ns;
      rest.calls += rows[i].calls;
      rest.operations += rows[i].operations;
    }
    rows.resize(shown);
    rows.push_back(rest);
  }
  double operations = 0;
  for (const TableRow& r : rows) operations += r.operations;
  rows.push_back({.node = "unaccounted", .ns = unaccounted_ns()});
  rows.push_back({.node = "wall time", .ns = wall_ns, .operations = operations});

  std::size_t node = 4, op = 8, provider = 8;
  for (const TableRow& r : rows) {
    node = std::max(node, r.node.size());
    op = std::max(op, r.op.size());
    provider = std::max(provider, r.provider.size());
  }
  std::string out;
  const auto left = [&](const std::string& text, std::size_t width) {
    out += text + std::string(width + 2 - std::min(width, text.size()), ' ');
  };
  const auto right = [&](const std::string& text, std::size_t width) {
    out += std::string(width - std::min(width, text.size()), ' ') + text + "  ";
  };
  left("node", node), left("operator", op), left("provider", provider), right("calls", 5), right("ms", 10), right("%", 5),
      right("GFLOP/s", 7);
  if (queues) right("queue ms", 10);
  out += "outputs\n";
  for (const TableRow& r : rows) {
    left(r.node, node), left(r.op, op), left(r.provider, provider);
    right(r.calls ? std::to_string(r.calls) : "", 5);
    right(number(static_cast<double>(r.ns) / 1e6, 4), 10);
    right(wall_ns > 0 ? number(100.0 * static_cast<double>(r.ns) / static_cast<double>(wall_ns), 1) : "", 5);
    const std::int64_t busy = r.queue_ns ? r.queue_ns : r.ns;
    right(r.operations > 0 && busy > 0 ? number(r.operations / static_cast<double>(busy), 1) : "", 7);
    if (queues) right(r.queue_ns ? number(static_cast<double>(r.queue_ns) / 1e6, 4) : "", 10);
    out += r.outputs + "\n";
  }
  return out;
}

std::string Trace::to_json() const {
  Json j = {{"schema", 1}, {"wall_ns", wall_ns}, {"unaccounted_ns", unaccounted_ns()}, {"events", Json::array()}};
  for (const TraceEvent& e : events) {
    j["events"].push_back({{"node", e.node},
                           {"op", e.op},
                           {"provider", e.provider},
                           {"kernel", e.kernel},
                           {"outputs", e.outputs},
                           {"queue", e.queue},
                           {"start_ns", e.start_ns},
                           {"duration_ns", e.duration_ns},
                           {"issue_ns", e.issue_ns},
                           {"bytes", e.bytes},
                           {"bytes_read", e.bytes_read},
                           {"operations", e.operations},
                           {"depth", e.depth}});
    if (!e.absorbed.empty()) j["events"].back()["absorbed"] = e.absorbed;
    if (e.copy >= 0) j["events"].back()["copy"] = e.copy;
  }
  return dump(j, 2);
}

void Trace::write_chrome_json(const std::filesystem::path& file) const {
  Json events_json = Json::array();
  std::map<std::string, int> threads = {{"", 1}};  // by queue
  const auto add = [&](const std::string& name, const std::string& category, const std::string& queue, std::int64_t start_ns,
                       std::int64_t duration_ns, Json args) {
    const auto [thread, is_new] = threads.try_emplace(queue, static_cast<int>(threads.size()) + 1);
    if (is_new)
      events_json.push_back({{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", thread->second}, {"args", {{"name", queue}}}});
    events_json.push_back({{"name", name},
                           {"cat", category},
                           {"ph", "X"},
                           {"pid", 1},
                           {"tid", thread->second},
                           {"ts", static_cast<double>(start_ns) / 1e3},
                           {"dur", static_cast<double>(duration_ns) / 1e3},
                           {"args", std::move(args)}});
  };
  add("run", "run", "", 0, wall_ns, {{"unaccounted_ns", unaccounted_ns()}});
  for (const TraceEvent& e : events) {
    Json args = {{"op", e.op},
                 {"kernel", e.kernel},
                 {"outputs", e.outputs},
                 {"bytes", e.bytes},
                 {"bytes_read", e.bytes_read},
                 {"operations", e.operations},
                 {"issue_ns", e.issue_ns}};
    if (!e.absorbed.empty()) args["absorbed"] = e.absorbed;
    if (e.copy >= 0) args["copy"] = e.copy;
    add(e.node.empty() ? e.op : e.node, e.provider, e.queue, e.start_ns, e.duration_ns, std::move(args));
  }
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << dump({{"traceEvents", std::move(events_json)}, {"displayTimeUnit", "ms"}}, -1) << '\n';
  out.close();
  if (!out) throw Error(ErrorCode::kIo, "the trace could not be written", {.file = file.string()});
}

}  // namespace ashlar::inline v0
