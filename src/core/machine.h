// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ashlar::core {

/// What this process may use of the machine.
struct Machine {
  std::string cpu_model;              ///< empty when the system does not say
  std::vector<std::string> isa;       ///< of "sse4.1", "avx2", "fma", "avx512f", ..., those the CPU and the system have
  int processors = 1;                 ///< online
  int affinity = 1;                   ///< in the affinity mask
  int physical_cores = 1;             ///< among those of the mask
  std::optional<double> quota;        ///< processors the cgroup allows; nothing when unlimited
  std::uint64_t memory_bytes = 0;     ///< installed
  std::uint64_t available_bytes = 0;  ///< that an allocation may take now: the system's figure, and the cgroup's limit
};
Machine read_machine();

/// Machine::available_bytes alone; everything when the system does not say.
std::uint64_t available_bytes() noexcept;

/// Bytes of the caches that so many threads of this process may count on: each one's second-level cache (1 MB where the system does not say), and
/// half of the third-level one, 8 MB a thread at most: virtual machines name sizes of which they have a share.
std::uint64_t cache_bytes(int threads) noexcept;

/// The number of threads a run uses by default: the smallest of affinity mask, cgroup quota and physical cores.
int default_threads(const Machine& machine);

}  // namespace ashlar::core
