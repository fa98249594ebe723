// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "partition/provider.h"

namespace ashlar::session {

/// What a provider says of itself, as it stands in environment_json.
void describe(const partition::Provider& provider, nlohmann::ordered_json& out);

/// The providers of {"providers": [...]} that have a device, by name. Throws Error (kInvalidArgument) for what describe() would not have written.
std::map<std::string, partition::Provider::Description> read_descriptions(const std::string& json);

}  // namespace ashlar::session
