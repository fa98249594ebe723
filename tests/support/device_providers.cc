// SPDX-License-Identifier: Apache-2.0
#include "tests/support/device_providers.h"

#include "docs/example_provider/device.h"
#include "tests/support/lazy_device.h"
#include "tests/support/reference_on.h"

namespace ashlar::testing {

const AshlarProvider* lazy_provider(const AshlarHost* host, AshlarStatus* status) {
  return ReferenceOn<LazyDevice>::entry(host, status, "lazy");
}
LazyDevice* last_lazy_device() { return LazyDevice::last; }
const AshlarProvider* async_provider(const AshlarHost* host, AshlarStatus* status) {
  return ReferenceOn<example::SimDevice>::entry(host, status, "async");
}

std::uint64_t copied_bytes() { return Counted<LazyDevice>::copied_bytes + Counted<example::SimDevice>::copied_bytes; }

}  // namespace ashlar::testing
