// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/abi.h>

namespace ashlar::testing {

class LazyDevice;

/// Providers that take what the reference provider takes, string tensors apart, and give its results bit for bit, with a device between.
/// Options of both: `claim` (0 to 1: the share of nodes taken), `seed` (which ones), `queues` (1 or 2: steps are dealt to them in turn).

/// "lazy": over LazyDevice, which does its work as late as it may.
const AshlarProvider* lazy_provider(const AshlarHost* host, AshlarStatus* status);
/// Of the instance of it made last; null when that is gone.
LazyDevice* last_lazy_device();

/// "async": over the example provider's device (docs/example_provider/device.h), which works on threads of its own, in memory that the host
/// cannot reach. Options `slow`, `memory` and `lose_after` are its own.
const AshlarProvider* async_provider(const AshlarHost* host, AshlarStatus* status);

}  // namespace ashlar::testing
