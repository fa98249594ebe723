// SPDX-License-Identifier: Apache-2.0
// The reference provider: the oracle. Plain loops over host memory, one kernel a node.
#include <ashlar/provider/table_provider.h>

namespace ashlar::reference {

std::span<const std::span<const provider::KernelEntry>> reference_kernel_tables();

namespace {

struct Reference {
  static constexpr const char* name = "reference";
  static constexpr const char* version = "0.1.0";
  static std::span<const std::span<const provider::KernelEntry>> kernels() { return reference_kernel_tables(); }
  /// Of one thread's plain loops.
  static AshlarRates rates(const AshlarHost*) {
    AshlarRates out{};
    out.operations_per_second = 0.5e9;
    out.bytes_per_second = 1e9;
    out.launch_ns = 1000;
    return out;
  }
};

}  // namespace
}  // namespace ashlar::reference

ASHLAR_PROVIDER(ashlar::reference::Reference, reference)
