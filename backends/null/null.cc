// SPDX-License-Identifier: Apache-2.0
// The skeleton to clone: a provider whose kernel table is empty, so that it refuses every node and says so. README.md walks from
// the copy to a first operator.
#include <ashlar/provider/table_provider.h>

namespace ashlar::null {

struct Null {
  static constexpr const char* name = "null";
  static constexpr const char* version = "0.1.0";
  static std::span<const std::span<const provider::KernelEntry>> kernels() { return {}; }
};

}  // namespace ashlar::null

ASHLAR_PROVIDER(ashlar::null::Null, null)
