// SPDX-License-Identifier: Apache-2.0
#include <ostream>

#include <ashlar/memory.h>
#include <nlohmann/json.hpp>

namespace ashlar::inline v0 {

std::string MemoryPlan::to_json() const {
  nlohmann::ordered_json j = {{"schema", 1}, {"spaces", nlohmann::ordered_json::array()}, {"known_up_to", known_up_to}};
  for (const SpaceMemory& s : spaces) {
    nlohmann::ordered_json largest = nlohmann::ordered_json::array();
    for (const SpaceMemory::Item& item : s.largest) largest.push_back({{"name", item.name}, {"type", item.type}, {"bytes", item.bytes}});
    j["spaces"].push_back({{"space", s.space},
                           {"peak", s.peak()},
                           {"constants", s.constants},
                           {"arena", s.arena},
                           {"buffers", s.buffers},
                           {"largest", std::move(largest)}});
  }
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::ostream& operator<<(std::ostream& out, const MemoryPlan& plan) {
  for (const SpaceMemory& s : plan.spaces) {
    out << s.space << ": " << s.peak() << " bytes: constants " << s.constants << ", arenas " << s.arena << ", buffers " << s.buffers
        << '\n';
    for (const SpaceMemory::Item& item : s.largest) out << "    " << item.bytes << "  " << item.name << ' ' << item.type << '\n';
  }
  if (!plan.known_up_to.empty()) out << "known up to " << plan.known_up_to << '\n';
  return out;
}

}  // namespace ashlar::inline v0
