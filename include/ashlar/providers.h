// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ashlar/export.h>
#include <ashlar/provider/abi.h>

namespace ashlar::inline v0 {

// How a provider is named, wherever one is asked for: NAME of one in this build or added by add_provider, or the path of a provider
// library (it has a slash, or ends in .so), each with options after a question mark: "stone?device=1", "./libstone.so?trace=on&level=2".

/// The providers of this build by name, in their default order of preference; those used only when asked for come last, then those added.
ASHLAR_API std::vector<std::string> provider_names();

/// Makes a provider that the application links known by a name; sessions use it when asked for. `entry` is its
/// ashlar_provider_entry. Thread-safe. Throws Error (kInvalidArgument) for a name that is taken or that could be a path.
ASHLAR_API void add_provider(const std::string& name, AshlarProviderEntry entry);

}  // namespace ashlar::inline v0
