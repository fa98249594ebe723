// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ashlar/placement.h>

#include "partition/partition.h"

namespace ashlar::partition {

/// Throws Error (kUnsupported) listing every node that runs on a provider which is not required, but for those of the allowed operators; kNotFound
/// for a required name that is none of the providers'.
void check_required(const Placement& placement, const Providers& providers, const std::vector<std::string>& required,
                    const std::vector<std::string>& allowed_operators);

}  // namespace ashlar::partition
