// SPDX-License-Identifier: Apache-2.0
#include "partition/provider_entry.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include <ashlar/error.h>
#include <ashlar/providers.h>

#include "core/text.h"
#include "partition/library.h"
#include "partition/provider.h"

namespace ashlar::partition {
namespace {

constexpr const char* kEntry = "ashlar_provider_entry";
constexpr std::size_t kLongestPath = 4096;  ///< that a message shows

bool names_a_path(std::string_view name) { return name.find('/') != name.npos || name.ends_with(".so"); }

/// Providers that applications added, by name.
struct Registry {
  std::mutex mutex;
  std::map<std::string, AshlarProviderEntry> entries;
};
Registry& registry() {
  static Registry made;
  return made;
}

/// The absolute path of a file, without "." and ".." where that is the same file.
std::filesystem::path absolute_path(const std::string& name) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(name, error);
  if (error) return name;
  std::filesystem::path shorter = path.lexically_normal();
  const bool same = std::filesystem::equivalent(path, shorter, error);
  return same || !(std::filesystem::exists(path, error) || std::filesystem::exists(shorter, error)) ? shorter : path;
}

ProviderEntry load(const std::string& name) {
  const std::filesystem::path path = absolute_path(name);
  const std::string shown = core::printable(path.string(), kLongestPath);
  const auto fail = [&](ErrorCode code, const std::string& message) {
    throw Error(code, message, {.provider = core::printable(name, kLongestPath), .file = shown});
  };
  std::error_code error;
  if (std::filesystem::status(path, error).type() == std::filesystem::file_type::not_found)
    fail(ErrorCode::kNotFound, "there is no provider library " + shown);
  if (const std::string reason = why_not_loadable(path); !reason.empty())
    fail(ErrorCode::kUnavailable, "the provider library " + shown + " cannot be loaded: " + reason);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* text = dlerror();
    fail(ErrorCode::kUnavailable, "the provider library " + shown +
                                      " cannot be loaded: " + (text ? core::printable(text, kLongestPath) : "the loader gives no reason"));
  }
  ProviderEntry found{nullptr, path.string(), {handle, [](void* h) { dlclose(h); }}, {}};
  if (struct stat file{}; stat(path.c_str(), &file) == 0)
    found.identity = std::to_string(file.st_ino) + ':' + std::to_string(file.st_mtim.tv_sec) + ':' + std::to_string(file.st_mtim.tv_nsec);
  found.entry = reinterpret_cast<AshlarProviderEntry>(dlsym(handle, kEntry));
  if (!found.entry) fail(ErrorCode::kUnavailable, "the library " + shown + " is no provider: it does not export " + kEntry);
  return found;
}

}  // namespace

ProviderSpec ProviderSpec::parse(const std::string& text) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument,
                "provider '" + core::printable(text) + "': " + what + "; write NAME?option=value&option=value");
  };
  ProviderSpec spec;
  const std::size_t mark = std::min(text.find('?'), text.size());
  spec.name = text.substr(0, mark);
  if (spec.name.empty()) refuse("it has no name");
  spec.is_path = names_a_path(spec.name);
  std::set<std::string> seen;
  for (std::size_t at = mark + 1; at <= text.size() && mark < text.size();) {
    const std::size_t end = std::min(text.find('&', at), text.size());
    const std::string option = text.substr(at, end - at);
    const std::size_t equals = option.find('=');
    if (equals == 0 || equals == option.npos) refuse("'" + core::printable(option) + "' is no option with a value");
    if (!seen.insert(option.substr(0, equals)).second) refuse("option '" + core::printable(option.substr(0, equals)) + "' is given twice");
    spec.options.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    at = end + 1;
  }
  return spec;
}

ProviderEntry find_provider_entry(const ProviderSpec& spec) {
  if (spec.is_path) return load(spec.name);
  for (const BuiltinProvider& p : builtin_providers())
    if (spec.name == p.name) return {p.entry, "built in", {}, {}};
  Registry& added = registry();
  {
    const std::lock_guard lock(added.mutex);
    if (const auto found = added.entries.find(spec.name); found != added.entries.end())
      return {found->second, "added by the application", {}, {}};
  }
  throw Error(ErrorCode::kNotFound,
              "no provider is named '" + core::printable(spec.name) + "'" + core::suggestion(spec.name, provider_names()));
}

}  // namespace ashlar::partition

namespace ashlar::inline v0 {

std::vector<std::string> provider_names() {
  std::vector<std::string> names;
  for (const partition::BuiltinProvider& p : partition::builtin_providers()) names.push_back(p.name);
  partition::Registry& added = partition::registry();
  const std::lock_guard lock(added.mutex);
  for (const auto& [name, entry] : added.entries) names.push_back(name);
  return names;
}

void add_provider(const std::string& name, AshlarProviderEntry entry) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument, "a provider cannot be added as '" + core::printable(name) + "': " + what);
  };
  if (name.empty() || name.find_first_of("?,&=") != name.npos || partition::names_a_path(name)) refuse("that is no name");
  if (!entry) refuse("it has no entry function");
  const std::vector<std::string> taken = provider_names();
  partition::Registry& added = partition::registry();
  const std::lock_guard lock(added.mutex);
  if (std::find(taken.begin(), taken.end(), name) != taken.end() || !added.entries.emplace(name, entry).second) refuse("the name is taken");
}

}  // namespace ashlar::inline v0
