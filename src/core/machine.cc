// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

namespace ashlar::core {
namespace {

std::string first_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The value after "key:" in a file such as /proc/cpuinfo or /proc/meminfo.
std::string field(const std::string& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::uint64_t kilobytes(const std::string& key) {
  std::istringstream in(field("/proc/meminfo", key));
  std::uint64_t n = 0;
  in >> n;
  return n * 1024;
}

std::vector<std::string> read_isa() {
  __builtin_cpu_init();
  std::vector<std::string> isa;
  const std::pair<const char*, int> features[] = {
      {"sse4.1", __builtin_cpu_supports("sse4.1")},
      {"avx", __builtin_cpu_supports("avx")},
      {"avx2", __builtin_cpu_supports("avx2")},
      {"fma", __builtin_cpu_supports("fma")},
      {"avx512f", __builtin_cpu_supports("avx512f")},
      {"avx512bw", __builtin_cpu_supports("avx512bw")},
      {"avx512vl", __builtin_cpu_supports("avx512vl")},
      {"avx512vnni", __builtin_cpu_supports("avx512vnni")},
      {"avx512bf16", __builtin_cpu_supports("avx512bf16")},
  };
  for (const auto& [name, has] : features)
    if (has) isa.push_back(name);
  const std::string flags = " " + field("/proc/cpuinfo", "flags") + " ";
  for (const char* name : {"amx_tile", "amx_int8", "amx_bf16", "avx512_fp16"})
    if (flags.find(" " + std::string(name) + " ") != std::string::npos) isa.push_back(name);
  return isa;
}

/// This process's group in the unified hierarchy, and every group above it.
std::vector<std::string> cgroup_folders() {
  std::vector<std::string> out;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, 3, "0::") != 0) continue;
    for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
      out.push_back("/sys/fs/cgroup" + (path == "/" ? "" : path));
      if (path.empty() || path == "/" || path.rfind('/') == std::string::npos) break;
    }
  }
  return out;
}

std::optional<double> read_quota() {
  std::optional<double> least;
  for (const std::string& folder : cgroup_folders()) {
    std::istringstream in(first_line(folder + "/cpu.max"));
    std::string quota;
    double period = 0;
    if (in >> quota >> period && quota != "max" && period > 0) least = std::min(least.value_or(1e9), std::stod(quota) / period);
  }
  return least;
}

std::uint64_t cgroup_free(std::uint64_t otherwise) {
  for (const std::string& folder : cgroup_folders()) {
    std::istringstream limit(first_line(folder + "/memory.max")), used(first_line(folder + "/memory.current"));
    std::uint64_t most = 0, now = 0;
    if (limit >> most && used >> now) otherwise = std::min(otherwise, most > now ? most - now : 0);
  }
  return otherwise;
}

int physical_cores(const cpu_set_t& mask) {
  std::set<std::string> cores;
  int unknown = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string siblings = first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    if (siblings.empty()) ++unknown;
    else cores.insert(siblings);
  }
  return std::max(1, static_cast<int>(cores.size()) + unknown);
}

}  // namespace

std::uint64_t available_bytes() noexcept {
  try {
    const std::uint64_t system = kilobytes("MemAvailable");
    return cgroup_free(system ? system : UINT64_MAX);
  } catch (...) {
    return UINT64_MAX;
  }
}

Machine read_machine() {
  Machine m;
  m.cpu_model = field("/proc/cpuinfo", "model name");
  m.isa = read_isa();
  m.processors = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
    m.affinity = std::max(1, CPU_COUNT(&mask));
    m.physical_cores = physical_cores(mask);
  } else {
    m.affinity = m.physical_cores = m.processors;
  }
  m.quota = read_quota();
  m.memory_bytes = kilobytes("MemTotal");
  m.available_bytes = available_bytes();
  return m;
}

std::uint64_t cache_bytes(int threads) noexcept {
  constexpr std::uint64_t kMegabyte = 1 << 20;
  const auto size = [](int name) { return static_cast<std::uint64_t>(std::max(0L, sysconf(name))); };
  const auto count = static_cast<std::uint64_t>(std::max(1, threads));
  const std::uint64_t second = size(_SC_LEVEL2_CACHE_SIZE), third = size(_SC_LEVEL3_CACHE_SIZE);
  return (second > 0 ? second : kMegabyte) * count + std::min(third / 2, 8 * kMegabyte * count);
}

int default_threads(const Machine& machine) {
  int n = std::min({machine.affinity, machine.physical_cores});
  if (machine.quota) n = std::min(n, static_cast<int>(std::ceil(*machine.quota)));
  return std::max(1, n);
}

}  // namespace ashlar::core
