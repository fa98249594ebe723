// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <dlfcn.h>
#include <fmt/format.h>

#include <ashlar/error.h>
#include <ashlar/provider/provider.h>
#include <ashlar/providers.h>

#include "linked_providers.h"

namespace ashlar::check {
namespace {

std::map<std::string, AshlarProviderEntry>& linked() {
  static std::map<std::string, AshlarProviderEntry> entries = [] {
    std::map<std::string, AshlarProviderEntry> all;
    for (const LinkedProvider& p : linked_providers()) all.emplace(p.name, p.entry);
    return all;
  }();
  return entries;
}

}  // namespace

bool Target::is_path() const { return name.find('/') != std::string::npos || name.ends_with(".so"); }

std::string Target::spec(const std::string& other_name) const {
  const std::size_t mark = text.find('?');
  return mark == std::string::npos ? other_name : other_name + text.substr(mark);
}

Target parse_target(const std::string& text) {
  Target target{.text = text, .name = text.substr(0, text.find('?')), .options = {}};
  if (target.name.empty()) throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' names no provider", text));
  for (std::size_t at = target.name.size() + 1; at <= text.size() && target.name.size() < text.size();) {
    const std::size_t end = std::min(text.find('&', at), text.size()), equal = text.find('=', at);
    if (equal == std::string::npos || equal >= end)
      throw Error(ErrorCode::kInvalidArgument, fmt::format("the option '{}' of '{}' has no value", text.substr(at, end - at), target.name));
    target.options.emplace_back(text.substr(at, equal - at), text.substr(equal + 1, end - equal - 1));
    at = end + 1;
  }
  return target;
}

Library::Library(const Target& target) {
  if (!target.is_path()) {
    const auto found = linked().find(target.name);
    if (found == linked().end()) {
      std::string names;
      for (const auto& [name, entry] : linked()) names += (names.empty() ? "" : ", ") + name;
      throw Error(ErrorCode::kNotFound, fmt::format("no provider is named '{}'; there are: {}", target.name, names));
    }
    entry_ = found->second;
    return;
  }
  handle_ = dlopen(target.name.find('/') == std::string::npos ? ("./" + target.name).c_str() : target.name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) throw Error(ErrorCode::kUnavailable, fmt::format("the library cannot be loaded: {}", dlerror()));
  if (void* symbol = dlsym(handle_, "ashlar_provider_entry")) {
    std::memcpy(&entry_, &symbol, sizeof entry_);
    return;
  }
  dlclose(handle_);
  throw Error(ErrorCode::kUnavailable, fmt::format("{} has no symbol ashlar_provider_entry", target.name));
}

Library::~Library() {
  if (handle_) dlclose(handle_);
}

void add_linked_provider(const std::string& name, AshlarProviderEntry entry) {
  add_provider(name, entry);
  linked()[name] = entry;
}

AshlarHost bare_host() {
  AshlarHost host{};
  host.struct_size = sizeof(host);
  host.abi_version = ASHLAR_ABI_VERSION;
  host.abi_layout = ASHLAR_ABI_LAYOUT;
  host.features = ASHLAR_CORE_DEVICES | ASHLAR_CORE_CAPTURE;
  host.log = [](void*, std::int32_t, const char*) {};
  host.parallel_for = [](void*, std::int64_t count, std::int64_t, void (*body)(void*, std::int64_t, std::int64_t), void* context) {
    if (count > 0) body(context, 0, count);
  };
  host.string_get = [](const AshlarTensor*, std::uint64_t) { return AshlarString{"", 0}; };
  host.string_set = [](const AshlarTensor*, std::uint64_t, AshlarString, AshlarStatus* status) -> AshlarCode {
    provider::set_status(status, ASHLAR_UNSUPPORTED, "this host keeps no strings");
    return ASHLAR_UNSUPPORTED;
  };
  host.threads = 1;
  host.max_isa = ASHLAR_ISA_BASELINE;
  host.packed = [](void*, std::uint32_t, const AshlarTensor*, const char*, std::uint64_t, AshlarCode (*)(void*, void*, AshlarStatus*),
                   void*, const void**, AshlarStatus* status) -> AshlarCode {
    provider::set_status(status, ASHLAR_UNSUPPORTED, "this host keeps no weights");
    return ASHLAR_UNSUPPORTED;
  };
  return host;
}

void raise(AshlarCode code, const AshlarStatus& status) {
  const bool known = code >= ASHLAR_INVALID_ARGUMENT && code <= ASHLAR_INTERNAL;
  throw Error(known ? static_cast<ErrorCode>(code) : ErrorCode::kInternal,
              std::string(status.message, strnlen(status.message, sizeof status.message)));
}

const AshlarProvider& table_of(const Library& library) {
  const AshlarHost host = bare_host();
  AshlarStatus status = provider::new_status();
  const AshlarProvider* table = library.entry()(&host, &status);
  if (!table) raise(status.code, status);
  return *table;
}

Instance::Instance(const AshlarProvider& table, const Target& target) : table_(table) {
  std::vector<AshlarOption> options;
  for (const auto& [name, value] : target.options) options.push_back({name.c_str(), value.c_str()});
  AshlarStatus status = provider::new_status();
  if (const AshlarCode code = table_.create(&host_, options.data(), static_cast<std::uint32_t>(options.size()), &instance_, &status))
    raise(code, status);
}

Instance::~Instance() { table_.destroy(instance_); }

AshlarProviderInfo Instance::info() const {
  AshlarProviderInfo info{};
  info.struct_size = sizeof info;
  AshlarStatus status = provider::new_status();
  if (const AshlarCode code = table_.describe(instance_, &info, &status)) raise(code, status);
  return info;
}

}  // namespace ashlar::check
