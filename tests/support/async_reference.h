// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/abi.h>

namespace ashlar::testing {

/// A provider that takes what the reference provider takes, string tensors apart, and runs its kernels on a queue of the example provider's
/// device (docs/example_provider/device.h): in memory the host cannot reach, on another thread. Its results are the reference provider's, bit
/// for bit. Options: those of the device, such as `slow`, `memory` and `claim`.
const AshlarProvider* async_reference(const AshlarHost* host, AshlarStatus* status);

}  // namespace ashlar::testing
