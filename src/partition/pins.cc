// SPDX-License-Identifier: Apache-2.0
#include "partition/pins.h"

#include <algorithm>

#include "core/text.h"

namespace ashlar::partition {
namespace {

constexpr std::size_t kListed = 50;
constexpr std::string_view kOperator = "op:";

struct Pin {
  std::string pattern;
  std::size_t provider;
  SharedText sentence;  ///< of every other provider's refusal
  bool used = false;

  bool takes(const graph::Node& node) const {
    if (pattern.starts_with(kOperator)) return matches(std::string_view(pattern).substr(kOperator.size()), node.op_name());
    return matches(pattern, node.id) ||
           std::any_of(node.origins.begin(), node.origins.end(), [&](const std::string& id) { return matches(pattern, id); });
  }
};

void collect_ids(const PartitionedGraph& graph, std::vector<std::string>& out) {
  for (const graph::Node& node : graph.graph->nodes) {
    out.push_back(node.id);
    out.insert(out.end(), node.origins.begin(), node.origins.end());
  }
  for (const auto& [node, bodies] : graph.bodies)
    for (const auto& [name, body] : bodies) collect_ids(body, out);
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') star = p++, from = t;
    else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) ++p, ++t;
    else if (star != std::string_view::npos) p = star + 1, t = ++from;
    else return false;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void apply_pins(PartitionedGraph& graph, const Providers& providers, const std::vector<std::pair<std::string, std::string>>& requested) {
  std::vector<std::string> names;
  for (const auto& p : providers) names.push_back(p->name());
  std::vector<Pin> pins;
  for (const auto& [pattern, name] : requested) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end())
      throw Error(ErrorCode::kNotFound, "'" + core::printable(pattern) + "' is pinned to '" + core::printable(name) +
                                            "', which is no provider of this session" + core::suggestion(name, names));
    pins.push_back({pattern, static_cast<std::size_t>(at - names.begin()),
                    std::make_shared<const std::string>("'" + core::printable(pattern) + "' is pinned to " + name)});
  }
  std::string refused, first;
  std::size_t count = 0;
  each_graph(graph, [&](PartitionedGraph& g) {
    for (graph::NodeIndex i = 0; i < g.assignments.size(); ++i) {
      const graph::Node& node = g.graph->nodes[i];
      const auto pin = std::find_if(pins.begin(), pins.end(), [&](const Pin& p) { return p.takes(node); });
      if (pin == pins.end()) continue;
      pin->used = true;
      std::vector<Record>& records = g.assignments[i].records;
      if (records.empty()) continue;
      if (const Record& wanted = records[pin->provider]; !wanted.accepted()) {
        if (count++ == 0) first = node.id;
        if (count <= kListed)
          refused += (refused.empty() ? " " : "; ") + core::printable(node.id) + " (" + core::printable(node.op_name()) + ") to " +
                     names[pin->provider] + " (" + verdict_code_name(wanted.code) + "): " + *wanted.reason;
      }
      for (std::size_t p = 0; p < records.size(); ++p)
        if (p != pin->provider && records[p].accepted()) records[p].refuse(ASHLAR_USER_PIN, pin->sentence);
    }
  });
  for (const Pin& pin : pins) {
    if (pin.used) continue;
    std::vector<std::string> ids;
    collect_ids(graph, ids);
    throw Error(ErrorCode::kNotFound, "no node is pinned by '" + core::printable(pin.pattern) + "'" + core::suggestion(pin.pattern, ids));
  }
  if (count == 0) return;
  if (count > kListed) refused += "; and " + std::to_string(count - kListed) + " others";
  throw Error(ErrorCode::kUnsupported,
              std::to_string(count) + (count == 1 ? " node is" : " nodes are") + " pinned to a provider that refuses it:" + refused,
              {.node = first});
}

}  // namespace ashlar::partition
