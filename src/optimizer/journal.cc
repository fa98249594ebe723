// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iomanip>
#include <ostream>
#include <set>

#include <ashlar/passes.h>
#include <nlohmann/json.hpp>

#include "optimizer/pass.h"

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

Json to_json_list(const std::vector<Optimization::NodeRef>& nodes) {
  Json out = Json::array();
  for (const auto& n : nodes) out.push_back({{"node", n.node}, {"op", n.op}, {"origins", n.origins}});
  return out;
}

std::string list(const std::vector<Optimization::NodeRef>& nodes) {
  std::string out;
  for (const auto& n : nodes) out += (out.empty() ? "" : ", ") + n.node + " (" + n.op + ")";
  return out.empty() ? "nothing" : out;
}

double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

}  // namespace

std::vector<PassInfo> passes() { return optimizer::pass_list(); }

std::vector<std::size_t> Optimization::history(const std::string& node) const {
  const auto touches = [](const std::vector<NodeRef>& nodes, const std::set<std::string>& ids) {
    return std::any_of(nodes.begin(), nodes.end(), [&](const NodeRef& n) { return ids.contains(n.node); });
  };
  std::set<std::size_t> found;
  std::set<std::string> ids = {node};
  for (std::size_t i = rewrites.size(); i-- > 0;) {
    if (!touches(rewrites[i].after, ids)) continue;
    found.insert(i);
    for (const NodeRef& n : rewrites[i].before) ids.insert(n.node);
  }
  ids = {node};
  for (std::size_t i = 0; i < rewrites.size(); ++i) {
    if (!touches(rewrites[i].before, ids)) continue;
    found.insert(i);
    for (const NodeRef& n : rewrites[i].after) ids.insert(n.node);
  }
  return {found.begin(), found.end()};
}

std::vector<std::string> Optimization::successors(const std::string& node) const {
  std::vector<std::string> now = {node};
  for (const Rewrite& r : rewrites) {
    const auto is_before = [&](const std::string& id) {
      return std::any_of(r.before.begin(), r.before.end(), [&](const NodeRef& n) { return n.node == id; });
    };
    if (std::none_of(now.begin(), now.end(), is_before)) continue;
    std::erase_if(now, is_before);
    for (const NodeRef& n : r.after)
      if (std::find(now.begin(), now.end(), n.node) == now.end()) now.push_back(n.node);
  }
  return now;
}

std::string Optimization::to_json() const {
  Json j = {{"schema", 1},
            {"nodes_before", nodes_before},
            {"nodes_after", nodes_after},
            {"constant_bytes_before", constant_bytes_before},
            {"constant_bytes_after", constant_bytes_after},
            {"nanoseconds", nanoseconds},
            {"folding_nanoseconds", folding_nanoseconds},
            {"passes", Json::array()},
            {"rewrites", Json::array()},
            {"near_misses", Json::array()}};
  for (const Pass& p : passes)
    j["passes"].push_back({{"pass", p.name},
                           {"enabled", p.enabled},
                           {"runs", p.runs},
                           {"rewrites", p.rewrites},
                           {"near_misses", p.near_misses},
                           {"nodes_before", p.nodes_before},
                           {"nodes_after", p.nodes_after},
                           {"nanoseconds", p.nanoseconds}});
  for (const Rewrite& r : rewrites) {
    Json tensors = Json::array();
    for (const auto& [gone, instead] : r.tensors) tensors.push_back({{"gone", gone}, {"instead", instead}});
    j["rewrites"].push_back({{"pass", r.pass},
                             {"rule", r.rule},
                             {"graph", r.graph},
                             {"before", to_json_list(r.before)},
                             {"after", to_json_list(r.after)},
                             {"tensors", std::move(tensors)},
                             {"nanoseconds", r.nanoseconds}});
  }
  for (const NearMiss& m : near_misses)
    j["near_misses"].push_back({{"pass", m.pass},
                                {"rule", m.rule},
                                {"graph", m.graph},
                                {"node", m.anchor.node},
                                {"op", m.anchor.op},
                                {"origins", m.anchor.origins},
                                {"matched", m.matched},
                                {"total", m.total},
                                {"reason", m.reason}});
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::ostream& operator<<(std::ostream& out, const Optimization& o) {
  std::size_t width = 4;
  for (const auto& p : o.passes) width = std::max(width, p.name.size());
  const auto flags = out.flags();
  const auto cell = [&](const std::string& text) { out << text << std::string(width + 2 - std::min(width, text.size()), ' '); };
  cell("pass");
  out << "  runs  rewrites  near misses    nodes       time us\n";
  for (const auto& p : o.passes) {
    cell(p.name);
    if (!p.enabled) {
      out << "  disabled\n";
      continue;
    }
    out << std::setw(6) << p.runs << std::setw(10) << p.rewrites << std::setw(13) << p.near_misses << std::setw(9)
        << p.nodes_after - p.nodes_before << std::setw(14) << std::fixed << std::setprecision(1) << microseconds(p.nanoseconds) << '\n';
  }
  out << "\nrewrites, in order\n";
  std::size_t number = 0;
  for (const auto& r : o.rewrites) {
    out << std::setw(5) << ++number << "  " << r.pass;
    if (r.rule != r.pass) out << " [" << r.rule << ']';
    if (!r.graph.empty()) out << " in " << r.graph;
    out << ": " << list(r.before) << " -> " << list(r.after) << '\n';
    for (const auto& [gone, instead] : r.tensors) out << "         " << gone << " is " << instead << '\n';
  }
  out << "\nnear misses\n";
  for (const auto& m : o.near_misses)
    out << "  " << m.rule << (m.graph.empty() ? "" : " in " + m.graph) << " at " << m.anchor.node << " (" << m.anchor.op
        << "): " << m.matched << " of " << m.total << ": " << m.reason << '\n';
  if (o.near_misses.empty()) out << "  none\n";
  out << '\n'
      << o.nodes_before << " nodes became " << o.nodes_after << " by " << o.rewrites.size() << " rewrites in " << std::fixed
      << std::setprecision(1) << microseconds(o.nanoseconds) / 1e3 << " ms (" << microseconds(o.folding_nanoseconds) / 1e3
      << " ms of it for constants); constants " << o.constant_bytes_before << " -> " << o.constant_bytes_after << " bytes\n";
  out.flags(flags);
  return out;
}

}  // namespace ashlar::inline v0
