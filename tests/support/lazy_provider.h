// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/abi.h>

#include "tests/support/lazy_device.h"

namespace ashlar::testing {

/// A provider over LazyDevice that takes what the reference provider takes, string tensors apart, and runs its kernels: its results are the
/// reference provider's, bit for bit. Options: `claim` (0 to 1: the share of nodes it takes), `seed` (which ones).
const AshlarProvider* lazy_provider(const AshlarHost* host, AshlarStatus* status);

/// Of the instance made last: what its device did. Null when it is gone.
LazyDevice* last_lazy_device();

}  // namespace ashlar::testing
