// SPDX-License-Identifier: Apache-2.0
#include "plan/topology.h"

namespace ashlar::plan {

Topology::Topology(const partition::Providers& providers) : spaces(1), lanes(1) {
  spaces[0].lanes = {0};
  for (const auto& provider : providers) {
    std::shared_ptr<partition::Device> device = partition::Device::create(provider);
    if (!device) continue;
    const auto index = static_cast<std::uint32_t>(devices.size());
    std::vector<std::uint32_t> own;
    for (std::uint32_t queue = 1; queue <= device->queue_count(); ++queue) {
      own.push_back(static_cast<std::uint32_t>(lanes.size()));
      lanes.push_back({.device = index, .queue = queue, .name = device->name() + ":" + std::to_string(queue)});
    }
    for (std::uint32_t number = 1; number <= device->space_count(); ++number) {
      const partition::Device::Space& space = device->space(number);
      Space& added = spaces.emplace_back(Space{.device = index, .number = number, .name = space.name, .lanes = own});
      if (space.host_accessible) added.lanes.push_back(0);
    }
    spaces[0].lanes.insert(spaces[0].lanes.end(), own.begin(), own.end());
    devices.push_back(std::move(device));
  }
}

std::uint32_t Topology::space_of(std::uint32_t device, std::uint32_t number) const noexcept {
  for (std::uint32_t i = 1; i < spaces.size(); ++i)
    if (spaces[i].device == device && spaces[i].number == number) return i;
  return 0;
}

std::uint32_t Topology::lane_of(std::uint32_t device, std::uint32_t queue) const noexcept {
  for (std::uint32_t i = 1; i < lanes.size(); ++i)
    if (lanes[i].device == device && lanes[i].queue == queue) return i;
  return 0;
}

std::uint32_t Topology::device_of(const std::string& provider) const noexcept {
  for (std::uint32_t i = 0; i < devices.size(); ++i)
    if (devices[i]->name() == provider) return i;
  return kNoDevice;
}

std::vector<std::uint32_t> Topology::lane_groups() const {
  std::vector<std::uint32_t> groups;
  for (const Lane& lane : lanes) groups.push_back(lane.device == kNoDevice ? 0 : lane.device + 1);
  return groups;
}

}  // namespace ashlar::plan
