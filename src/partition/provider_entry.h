// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/provider/abi.h>

namespace ashlar::partition {

/// How a provider is asked for (include/ashlar/providers.h): "NAME_OR_PATH?option=value&option=value".
struct ProviderSpec {
  std::string name;
  bool is_path = false;
  std::vector<std::pair<std::string, std::string>> options = {};

  /// Throws Error (kInvalidArgument) for an empty name, an option without a value, or one given twice.
  static ProviderSpec parse(const std::string& text);
};

/// Where a provider begins.
struct ProviderEntry {
  AshlarProviderEntry entry = nullptr;
  std::string origin;                  ///< "built in", "added by the application", or the library's absolute path
  std::shared_ptr<void> library = {};  ///< keeps it loaded; null where there is none
  std::string identity = {};           ///< tells apart what is at one path at two times
};

/// Finds the entry function of a provider in this build, added by the application, or in a library. Throws Error: kNotFound for a name that is
/// none (with the nearest) or a file that is not there, kUnavailable for a library that cannot be loaded or has no entry function, saying
/// what was looked for and found.
ProviderEntry find_provider_entry(const ProviderSpec& spec);

}  // namespace ashlar::partition
