// SPDX-License-Identifier: Apache-2.0
#include "explain_report.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

namespace ashlar::cli {
namespace {

std::string list(const std::vector<Optimization::NodeRef>& nodes) {
  std::string out;
  for (const auto& n : nodes) out += (out.empty() ? "" : ", ") + fmt::format("{} ({})", n.node, n.op);
  return out.empty() ? "nothing" : out;
}

/// "4 copies less (-18.2 KiB a run)".
std::string change(std::int64_t copies, std::int64_t bytes) {
  const std::string size = (bytes < 0 ? "-" : "") + bytes_text(static_cast<std::uint64_t>(std::abs(bytes)));
  if (copies == 0) return fmt::format("as many copies ({} a run)", size);
  return fmt::format("{} {} {} ({} a run)", std::abs(copies), std::abs(copies) == 1 ? "copy" : "copies", copies < 0 ? "less" : "more",
                     size);
}

}  // namespace

std::string time_text(double ns) {
  if (ns < 0) return "-" + time_text(-ns);
  if (ns < 1e3) return fmt::format("{:.3g} ns", ns);
  if (ns < 1e6) return fmt::format("{:.3g} us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.3g} ms", ns / 1e6);
  return fmt::format("{:.3g} s", ns / 1e9);
}

std::string rewrite_text(const Optimization::Rewrite& r) {
  return fmt::format("{}{}: {} -> {}", r.pass, r.rule == r.pass ? "" : " [" + r.rule + "]", list(r.before), list(r.after));
}

std::string what_if_text(const std::vector<WhatIf>& kernels, std::size_t most) {
  if (kernels.empty()) return "";
  std::string out = "kernels worth writing, one at a time, by the time a run would gain (copies they add counted):\n";
  for (std::size_t i = 0; i < std::min(most, kernels.size()); ++i) {
    const WhatIf& k = kernels[i];
    out += fmt::format("  {}: {} ({}, {}: {}{}): {}, {} a run{}\n", k.provider, k.op, k.code,
                       counted(static_cast<std::int64_t>(k.nodes.size()), "node"), k.nodes.front(), k.nodes.size() > 1 ? ", ..." : "",
                       change(k.copies, k.bytes), time_text(k.nanoseconds),
                       k.moved > static_cast<std::int64_t>(k.nodes.size()) ? fmt::format("; {} would move", counted(k.moved, "node")) : "");
  }
  if (kernels.size() > most) out += fmt::format("  and {} others (--json)\n", kernels.size() - most);
  return out;
}

std::string events_text(const std::vector<PlacementEvent>& events) {
  std::string out;
  for (const PlacementEvent& e : events)
    out +=
        fmt::format("{}{} on {} ({}): {}\n", e.count > 1 ? fmt::format("{} times: ", e.count) : "", e.node, e.provider, e.code, e.reason);
  return out.empty() ? "" : "events of the run:\n" + out;
}

Json explain_json(const Session& session, const Placement& placement, const std::string& model, const std::string& environment) {
  Json out = Json::parse(placement.to_json());
  out["model"] = model;
  out["providers"] = Json::array();
  std::map<std::string, Json> known;
  for (const Json& p : Json::parse(environment)["providers"]) known[p["name"].get<std::string>()] = p;
  if (!placement.nodes.empty()) {
    std::vector<std::string> names;
    for (const NodePlacement& n : placement.nodes)
      for (const Verdict& v : n.verdicts)
        if (std::find(names.begin(), names.end(), v.provider) == names.end()) names.push_back(v.provider);
    for (const std::string& name : names) {
      const Json about = known.contains(name) ? known[name] : Json::object();
      const bool has_memory = about.contains("spaces") && !about["spaces"].empty();
      out["providers"].push_back(
          {{"name", name}, {"space", has_memory ? name : "host"}, {"device", about.value("device", about.value("reason", ""))}});
    }
  }
  out["what_if"] = Json::array();
  for (const WhatIf& w : session.what_if())
    out["what_if"].push_back({{"provider", w.provider},
                              {"op", w.op},
                              {"code", w.code},
                              {"nodes", w.nodes},
                              {"copies", w.copies},
                              {"bytes", w.bytes},
                              {"ns", w.nanoseconds},
                              {"moved", w.moved}});
  out["events"] = Json::array();
  for (const PlacementEvent& e : session.events())
    out["events"].push_back({{"node", e.node}, {"provider", e.provider}, {"code", e.code}, {"reason", e.reason}, {"count", e.count}});
  return out;
}

Json explain_page_json(Json report, const Optimization& optimization) {
  // A rewrite is of every node it met or made.
  std::map<std::string, std::vector<std::size_t>> rewrites;
  for (Json& node : report["nodes"]) {
    Json history = Json::array();
    for (const std::size_t i : optimization.history(node["node"].get<std::string>()))
      history.push_back(rewrite_text(optimization.rewrites[i]));
    if (!history.empty()) node["history"] = std::move(history);
  }
  return report;
}

PlacementDiff diff_placements(const Json& before, const Json& after) {
  PlacementDiff out;
  out.json = {{"schema", 1},           {"moved", Json::array()},      {"new", Json::array()},
              {"gone", Json::array()}, {"copies_new", Json::array()}, {"copies_gone", Json::array()}};
  std::map<std::string, const Json*> old_nodes, new_nodes;
  for (const Json& n : before.at("nodes")) old_nodes[n.at("node").get<std::string>()] = &n;
  for (const Json& n : after.at("nodes")) new_nodes[n.at("node").get<std::string>()] = &n;
  const auto text_of = [](const Json& j, const char* key) { return j.at(key).get<std::string>(); };
  for (const Json& n : after.at("nodes")) {
    const std::string id = text_of(n, "node");
    const auto old = old_nodes.find(id);
    if (old == old_nodes.end()) {
      out.text += fmt::format("new    {} ({}) on {}\n", id, text_of(n, "op"), text_of(n, "provider"));
      out.json["new"].push_back(id);
      continue;
    }
    const std::string from = text_of(*old->second, "provider"), to = text_of(n, "provider");
    const std::string kernel_before = text_of(*old->second, "kernel"), kernel_after = text_of(n, "kernel");
    if (from == to && kernel_before == kernel_after) continue;
    if (from == to) {
      out.text += fmt::format("kernel {} ({}) on {}: {} -> {}\n", id, text_of(n, "op"), to, kernel_before, kernel_after);
    } else {
      out.text += fmt::format("moved  {} ({}): {} -> {}\n", id, text_of(n, "op"), from, to);
      for (const Json& v : n.at("verdicts"))
        if (v.at("provider") == from && !v.at("accepted").get<bool>())
          out.text += fmt::format("         {} {} ({}): {}\n", from, v.contains("cost") ? "was not chosen" : "refused", text_of(v, "code"),
                                  text_of(v, "reason"));
    }
    out.json["moved"].push_back(
        {{"node", id}, {"from", from}, {"to", to}, {"kernel_before", kernel_before}, {"kernel_after", kernel_after}});
  }
  for (const Json& n : before.at("nodes"))
    if (!new_nodes.contains(text_of(n, "node"))) {
      out.text += fmt::format("gone   {} ({}), was on {}\n", text_of(n, "node"), text_of(n, "op"), text_of(n, "provider"));
      out.json["gone"].push_back(n.at("node"));
    }
  const auto key = [&](const Json& c) {
    return text_of(c, "graph") + '\n' + text_of(c, "tensor") + '\n' + text_of(c, "from") + '\n' + text_of(c, "to") + '\n' +
           text_of(c, "when");
  };
  std::map<std::string, const Json*> old_copies, new_copies;
  for (const Json& c : before.at("copies")) old_copies[key(c)] = &c;
  for (const Json& c : after.at("copies")) new_copies[key(c)] = &c;
  const auto list_copies = [&](const auto& these, const auto& those, const char* word, const char* name) {
    for (const auto& [k, c] : these)
      if (!those.contains(k)) {
        const std::string bytes = (c->at("bytes").is_null() ? "~" : "") + bytes_text(c->at("expected_bytes").template get<std::uint64_t>());
        out.text += fmt::format("{} {} -> {}, {} ({}, {})\n", word, text_of(*c, "from"), text_of(*c, "to"), text_of(*c, "tensor"), bytes,
                                c->at("when") == "once" ? "once" : "each run");
        out.json[name].push_back(*c);
      }
  };
  list_copies(new_copies, old_copies, "copy + ", "copies_new");
  list_copies(old_copies, new_copies, "copy - ", "copies_gone");
  out.differs = !out.text.empty();
  if (before.contains("totals") && after.contains("totals") && out.differs) {
    const Json &b = before["totals"], &a = after["totals"];
    const auto both = [&](const char* name) { return std::pair(b.at(name).get<std::uint64_t>(), a.at(name).get<std::uint64_t>()); };
    const auto [copies_before, copies_after] = both("copies_per_run");
    const auto [bytes_before, bytes_after] = both("bytes_per_run");
    out.text +=
        fmt::format("copies a run: {} ({}) -> {} ({}); estimated: {} -> {}\n", copies_before, bytes_text(bytes_before), copies_after,
                    bytes_text(bytes_after), time_text(before.value("cost_ns", 0.0)), time_text(after.value("cost_ns", 0.0)));
    out.json["totals"] = {{"before", b}, {"after", a}};
  }
  return out;
}

}  // namespace ashlar::cli
