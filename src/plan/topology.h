// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "partition/device.h"
#include "partition/partition.h"

namespace ashlar::plan {

inline constexpr std::uint32_t kNoDevice = 0xffffffffu;

/// A session's memory spaces and lanes: the host's first, then those of every provider that has a device.
struct Topology {
  struct Space {
    std::uint32_t device = kNoDevice;  ///< index into devices
    std::uint32_t number = 0;          ///< as its provider numbers it
    std::string name = "host";
    std::vector<std::uint32_t> lanes;  ///< whose steps may touch it
  };
  /// Where steps are done in order: the calling thread, or a queue.
  struct Lane {
    std::uint32_t device = kNoDevice;
    std::uint32_t queue = 0;
    std::string name = "";  ///< "example:1"; empty for the calling thread
  };
  std::vector<std::shared_ptr<partition::Device>> devices;
  std::vector<Space> spaces;
  std::vector<Lane> lanes;

  /// With the devices of these providers, in their order.
  explicit Topology(const partition::Providers& providers = {});

  std::uint32_t space_of(std::uint32_t device, std::uint32_t number) const noexcept;  ///< 0 for number 0
  std::uint32_t lane_of(std::uint32_t device, std::uint32_t queue) const noexcept;    ///< 0 for queue 0
  /// The device of a provider by name; kNoDevice for one that has none.
  std::uint32_t device_of(const std::string& provider) const noexcept;
  /// For Ordering: lanes whose events can be waited for by each other.
  std::vector<std::uint32_t> lane_groups() const;
};

}  // namespace ashlar::plan
