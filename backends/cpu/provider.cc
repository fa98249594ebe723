// SPDX-License-Identifier: Apache-2.0
// The CPU provider: oneDNN, Highway and own kernels.
#include <hwy/targets.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>

#include "kernel.h"
#include "lower.h"

namespace ashlar::cpu {

std::span<const std::span<const provider::KernelEntry>> cpu_kernel_tables();

namespace {

/// Keeps Highway and oneDNN at or below the host's cap; once for the process, before either has chosen.
void cap_instruction_sets(int max_isa) {
  if (max_isa >= ASHLAR_ISA_AMX) return;
  dnnl_set_max_cpu_isa(max_isa >= ASHLAR_ISA_AVX512 ? dnnl_cpu_isa_avx512_core_fp16
                       : max_isa >= ASHLAR_ISA_AVX2 ? dnnl_cpu_isa_avx2_vnni_2
                                                    : dnnl_cpu_isa_sse41);
  if (max_isa < ASHLAR_ISA_AVX512) hwy::DisableTargets(HWY_AVX3 | HWY_AVX3_DL);
  if (max_isa < ASHLAR_ISA_AVX2) hwy::DisableTargets(HWY_AVX3 | HWY_AVX3_DL | HWY_AVX2);
}

struct Cpu {
  static constexpr const char* name = "cpu";
  static constexpr const char* version = "0.1.0";
  static std::span<const std::span<const provider::KernelEntry>> kernels() { return cpu_kernel_tables(); }
  static void start(const AshlarHost* host, const provider::Options& options) {
    options.allow({"own_convolutions", "winograd"});
    static_cast<void>(settings(options));
    static const bool capped = (cap_instruction_sets(host->max_isa), true);
    static_cast<void>(capped);
  }
  /// Roughly what large products and large copies reach on current machines, by thread and vector length; profiles know better.
  static AshlarRates rates(const AshlarHost* host) {
    const double threads = std::max(host->threads, 1);
    const double operations = host->max_isa >= ASHLAR_ISA_AVX512 ? 80e9 : host->max_isa >= ASHLAR_ISA_AVX2 ? 40e9 : 10e9;
    AshlarRates out{};
    out.operations_per_second = operations * threads;
    out.bytes_per_second = 10e9 * std::min(threads, 4.0);
    out.launch_ns = 300;
    return out;
  }
  static provider::KernelProgram lower(const provider::KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
                                       std::span<const std::uint32_t> nodes, const provider::Options& options) {
    return cpu::lower(tables, host, graph, nodes, settings(options));
  }

 private:
  static Settings settings(const provider::Options& options) {
    const Settings by_default;
    return {.own_convolutions = options.flag("own_convolutions", by_default.own_convolutions),
            .winograd = options.flag("winograd", by_default.winograd)};
  }
};

}  // namespace
}  // namespace ashlar::cpu

ASHLAR_PROVIDER(ashlar::cpu::Cpu, cpu)
