// SPDX-License-Identifier: Apache-2.0
#include "onnx/sort.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::onnx {
namespace {

using Names = std::unordered_set<std::string>;

/// The names that a body uses and does not define. Bodies nest no deeper than protobuf parses them.
void add_free_names(const proto::GraphProto& body, Names& to);

void add_used_names(const proto::NodeProto& node, Names& to) {
  for (const std::string& name : node.input())
    if (!name.empty()) to.insert(name);
  for (const auto& attribute : node.attribute())
    if (attribute.has_g()) add_free_names(attribute.g(), to);
}

void add_free_names(const proto::GraphProto& body, Names& to) {
  Names used, defined;
  for (const auto& v : body.input()) defined.insert(v.name());
  for (const auto& t : body.initializer()) defined.insert(t.name());
  for (const auto& t : body.sparse_initializer()) defined.insert(t.values().name());
  for (const auto& node : body.node()) {
    add_used_names(node, used);
    defined.insert(node.output().begin(), node.output().end());
  }
  for (const auto& v : body.output()) used.insert(v.name());
  for (const std::string& name : used)
    if (!defined.contains(name)) to.insert(name);
}

/// Follows unplaced producers from an unplaced node until one comes again.
[[noreturn]] void fail_cycle(const Nodes& nodes, const std::vector<std::vector<int>>& producers, const std::vector<int>& missing) {
  int at = static_cast<int>(std::find_if(missing.begin(), missing.end(), [](int m) { return m > 0; }) - missing.begin());
  std::vector<int> path;
  std::vector<char> seen(static_cast<std::size_t>(nodes.size()), 0);
  while (!seen[static_cast<std::size_t>(at)]) {
    seen[static_cast<std::size_t>(at)] = 1;
    path.push_back(at);
    const auto& from = producers[static_cast<std::size_t>(at)];
    at = *std::find_if(from.begin(), from.end(), [&](int p) { return missing[static_cast<std::size_t>(p)] > 0; });
  }
  std::string cycle = label(nodes[at], at);
  std::size_t shown = 1;
  for (auto i = path.rbegin(); i != path.rend(); ++i) {
    if (shown++ < 8 || *i == at) cycle += " -> " + label(nodes[*i], *i);
    if (*i == at) break;
  }
  throw Error(ErrorCode::kInvalidModel, "the graph has a cycle: " + cycle);
}

}  // namespace

std::string label(const proto::NodeProto& node, int index) {
  return "node '" + core::printable(node.name().empty() ? node.op_type() + "#" + std::to_string(index) : node.name()) + "'";
}

std::vector<int> execution_order(const Nodes& nodes) {
  const auto count = static_cast<std::size_t>(nodes.size());
  std::unordered_map<std::string, int> producer;
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string& name : nodes[i].output())
      if (!name.empty()) producer.emplace(name, i);
  std::vector<std::vector<int>> producers(count), users(count);
  std::vector<int> missing(count, 0);
  for (int i = 0; i < nodes.size(); ++i) {
    Names used;
    add_used_names(nodes[i], used);
    for (const std::string& name : used) {
      const auto found = producer.find(name);
      if (found == producer.end()) continue;
      producers[static_cast<std::size_t>(i)].push_back(found->second);
      users[static_cast<std::size_t>(found->second)].push_back(i);
      ++missing[static_cast<std::size_t>(i)];
    }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t i = 0; i < count; ++i)
    if (missing[i] == 0) ready.push(static_cast<int>(i));
  std::vector<int> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const int u : users[static_cast<std::size_t>(i)])
      if (--missing[static_cast<std::size_t>(u)] == 0) ready.push(u);
  }
  if (order.size() < count) fail_cycle(nodes, producers, missing);
  return order;
}

}  // namespace ashlar::onnx
