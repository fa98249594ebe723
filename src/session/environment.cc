// SPDX-License-Identifier: Apache-2.0
#include <ashlar/environment.h>

#include <ashlar/error.h>
#include <ashlar/provider/abi.h>
#include <ashlar/providers.h>
#include <nlohmann/json.hpp>

#include "core/isa.h"
#include "core/machine.h"
#include "onnx/onnx.h"
#include "partition/host.h"
#include "partition/provider.h"
#include "session/device_description.h"

#define ASHLAR_TEXT_(x) #x
#define ASHLAR_TEXT(x) ASHLAR_TEXT_(x)

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

Json border_json(std::uint32_t version, std::uint32_t layout) { return {{"version", version}, {"layout", partition::hex(layout)}}; }

Json provider_json(const std::string& spec, const std::shared_ptr<const partition::Host>& host) {
  const partition::ProviderSpec parsed = partition::ProviderSpec::parse(spec);
  if (!parsed.is_path) partition::find_provider_entry(parsed);  // a name that is none is the caller's mistake, not the machine's
  Json out = {{"name", parsed.name}};
  partition::Provider::Seen seen;
  std::shared_ptr<const partition::Provider> provider;
  Json failure = Json::object();
  try {
    provider = partition::Provider::create(spec, host, seen);
    out["name"] = provider->name();
  } catch (const Error& e) {
    failure = {{"code", to_string(e.code())}, {"reason", e.message()}};
    if (seen.origin.empty()) seen.origin = e.context().file;
  }
  if (!seen.version.empty()) out["version"] = seen.version;
  if (!seen.origin.empty()) out["origin"] = seen.origin;
  if (seen.abi_version) out["border"] = border_json(*seen.abi_version, *seen.abi_layout);
  out["available"] = provider != nullptr;
  if (provider) session::describe(*provider, out);
  out.update(failure);
  return out;
}

Json providers_json(const std::vector<std::string>& specs) {
  Json out = Json::array();
  const auto host = std::make_shared<const partition::Host>(core::Executor{});
  for (const std::string& spec : specs) out.push_back(provider_json(spec, host));
  return out;
}

/// The key in "cpu" of what default_threads took.
const char* decides_threads(const core::Machine& m) {
  const int threads = core::default_threads(m);
  return threads == m.affinity ? "affinity" : threads == m.physical_cores ? "physical_cores" : "quota";
}

}  // namespace

const char* version() noexcept {
  return ASHLAR_TEXT(ASHLAR_VERSION_MAJOR) "." ASHLAR_TEXT(ASHLAR_VERSION_MINOR) "." ASHLAR_TEXT(ASHLAR_VERSION_PATCH);
}

std::string environment_json(const std::vector<std::string>& providers) {
  const core::Machine m = core::read_machine();
  Json opsets = Json::object();
  for (const auto& [domain, newest] : onnx::known_opsets()) opsets[domain.empty() ? "ai.onnx" : domain] = newest;
  Json border = border_json(ASHLAR_ABI_VERSION, ASHLAR_ABI_LAYOUT);
  border["features"] = partition::core_feature_names(ASHLAR_CORE_FEATURES);
  const Json j = {
      {"schema", 1},
      {"version", version()},
      {"border", std::move(border)},
      {"onnx", {{"ir_version", onnx::known_ir_version()}, {"opsets", std::move(opsets)}}},
      {"cpu",
       {{"model", m.cpu_model},
        {"isa", m.isa},
        {"max_isa", core::to_string(core::max_isa())},
        {"processors", m.processors},
        {"affinity", m.affinity},
        {"physical_cores", m.physical_cores},
        {"quota", m.quota ? Json(*m.quota) : Json(nullptr)},
        {"threads", core::default_threads(m)},
        {"threads_decided_by", decides_threads(m)}}},
      {"memory_bytes", m.memory_bytes},
      {"available_bytes", m.available_bytes},
      {"providers", providers_json(providers.empty() ? provider_names() : providers)},
      {"compiler", __VERSION__},
  };
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ashlar::inline v0
