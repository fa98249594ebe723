// SPDX-License-Identifier: Apache-2.0
#include "partition/require.h"

#include <algorithm>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::partition {
namespace {

constexpr std::size_t kListed = 50;

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// "conv1 (Conv) on cpu, stone (no_kernel_dtype): Conv of float64 has no kernel"
std::string explained(const NodePlacement& node, const std::vector<std::string>& required) {
  std::string out = core::printable(node.node) + " (" + core::printable(node.op) + ") on " + node.provider;
  for (const Verdict& v : node.verdicts)
    if (!v.accepted && contains(required, v.provider)) out += ", " + v.provider + " (" + v.code + "): " + v.reason;
  return out;
}

}  // namespace

void check_required(const Placement& placement, const Providers& providers, const std::vector<std::string>& required,
                    const std::vector<std::string>& allowed_operators) {
  if (required.empty()) return;
  std::vector<std::string> names;
  for (const auto& p : providers) names.push_back(p->name());
  std::string wanted;
  for (const std::string& name : required) {
    if (!contains(names, name))
      throw Error(ErrorCode::kNotFound,
                  "required is '" + core::printable(name) + "', which is no provider of this session" + core::suggestion(name, names));
    wanted += (wanted.empty() ? "" : " or ") + name;
  }
  std::string list;
  std::string first;
  std::size_t count = 0;
  for (const NodePlacement& node : placement.nodes) {
    if (node.verdicts.empty() || contains(required, node.provider) || contains(allowed_operators, node.op)) continue;
    if (count++ == 0) first = node.node;
    if (count <= kListed) list += (list.empty() ? " " : "; ") + explained(node, required);
  }
  if (count == 0) return;
  if (count > kListed) list += "; and " + std::to_string(count - kListed) + " others";
  throw Error(
      ErrorCode::kUnsupported,
      std::to_string(count) + (count == 1 ? " node does not run on " : " nodes do not run on ") + wanted + ", which was required:" + list,
      {.node = first});
}

}  // namespace ashlar::partition
