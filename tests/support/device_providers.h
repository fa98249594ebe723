// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ashlar/provider/abi.h>

namespace ashlar::testing {

class LazyDevice;

/// Providers that take what the reference provider takes, string tensors apart, and give its results bit for bit, with a device between.
/// Options of both: `claim` (0 to 1: the share of nodes taken), `seed` (which ones), `queues` (1 or 2: steps are dealt to them in turn).
/// `host_operands=on`: what a kernel reads while it binds (a target shape) it reads in host memory at a run too, as kernels of real devices do.
/// `lacks`: an operator that it has no kernel for.
/// `most`: nodes are taken while the first dimension of their first input is at most that (a guard). `verdicts`: a seed by which half of the nodes
/// are refused, each by a code of its own, and the others cost between 1 ns and 0.2 ms; `accept`: the id of a node that is not refused for that.

/// "lazy": over LazyDevice, which does its work as late as it may. `captures=off`: it fails to record.
const AshlarProvider* lazy_provider(const AshlarHost* host, AshlarStatus* status);
/// Of the instance of it made last; null when that is gone.
LazyDevice* last_lazy_device();

/// "async": over the example provider's device (docs/example_provider/device.h), which works on threads of its own, in memory that the host
/// cannot reach. Options `slow`, `memory` and `lose_after` are its own.
const AshlarProvider* async_provider(const AshlarHost* host, AshlarStatus* status);

/// Bytes that the copies of all instances of "lazy" and "async" were asked for so far.
std::uint64_t copied_bytes();

}  // namespace ashlar::testing
