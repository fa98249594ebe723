// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/table_provider.h>

#include "kernel.h"

namespace ashlar::cpu {

/// Makes steps of claimed nodes: operators that a kernel absorbs become part of its step, values between kernels that prefer it are
/// channels-last, and a step of its own copies a value from one layout to the other where a reader needs that.
provider::KernelProgram lower(const provider::KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
                              std::span<const std::uint32_t> nodes, const Settings& settings);

}  // namespace ashlar::cpu
