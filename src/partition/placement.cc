// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iomanip>
#include <map>
#include <ostream>

#include <ashlar/placement.h>
#include <nlohmann/json.hpp>

namespace ashlar::inline v0 {

std::string Placement::to_json() const {
  nlohmann::ordered_json j = {{"schema", 1}, {"nodes", nlohmann::ordered_json::array()}};
  for (const NodePlacement& n : nodes) {
    nlohmann::ordered_json verdicts = nlohmann::ordered_json::array();
    for (const Verdict& v : n.verdicts) {
      nlohmann::ordered_json one = {{"provider", v.provider}, {"accepted", v.accepted}};
      if (!v.accepted) {
        one["code"] = v.code;
        one["reason"] = v.reason;
      }
      verdicts.push_back(std::move(one));
    }
    j["nodes"].push_back({{"node", n.node},
                          {"op", n.op},
                          {"opset", n.opset},
                          {"provider", n.provider},
                          {"kernel", n.kernel},
                          {"outputs", n.outputs},
                          {"verdicts", std::move(verdicts)}});
  }
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::ostream& operator<<(std::ostream& out, const Placement& placement) {
  std::size_t node = 4, op = 8, provider = 8, kernel = 6;
  std::map<std::string, std::size_t> counts;
  for (const NodePlacement& n : placement.nodes) {
    node = std::max(node, n.node.size());
    op = std::max(op, n.op.size() + 1 + std::to_string(n.opset).size());
    provider = std::max(provider, n.provider.size());
    kernel = std::max(kernel, n.kernel.size());
    ++counts[n.provider];
  }
  const auto cell = [&](const std::string& text, std::size_t width) {
    out << text << std::string(width + 2 - std::min(width, text.size()), ' ');
  };
  cell("node", node), cell("operator", op), cell("provider", provider), cell("kernel", kernel);
  out << "outputs\n";
  for (const NodePlacement& n : placement.nodes) {
    cell(n.node, node), cell(n.op + "@" + std::to_string(n.opset), op), cell(n.provider, provider), cell(n.kernel, kernel);
    out << n.outputs << '\n';
    for (const Verdict& v : n.verdicts)
      if (!v.accepted) out << "    " << v.provider << " refused (" << v.code << "): " << v.reason << '\n';
  }
  out << placement.nodes.size() << " nodes";
  const char* separator = ": ";
  for (const auto& [name, count] : counts) {
    out << separator << count << " on " << name;
    separator = ", ";
  }
  return out << '\n';
}

}  // namespace ashlar::inline v0
