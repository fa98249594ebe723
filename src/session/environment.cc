// SPDX-License-Identifier: Apache-2.0
#include <ashlar/environment.h>

#include <ashlar/error.h>
#include <ashlar/provider/abi.h>
#include <nlohmann/json.hpp>

#include "core/isa.h"
#include "core/machine.h"
#include "onnx/onnx.h"
#include "partition/host.h"
#include "partition/provider.h"

#define ASHLAR_TEXT_(x) #x
#define ASHLAR_TEXT(x) ASHLAR_TEXT_(x)

namespace ashlar::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

Json providers_json() {
  Json out = Json::array();
  const auto host = std::make_shared<const partition::Host>(core::Executor{});
  for (const partition::BuiltinProvider& builtin : partition::builtin_providers()) {
    Json one = {{"name", builtin.name}};
    try {
      const auto provider = partition::Provider::create(builtin.name, host);
      one["version"] = provider->version();
      one["available"] = true;
      one["device"] = provider->description().device;
    } catch (const Error& e) {
      one["available"] = false;
      one["reason"] = e.message();
    }
    out.push_back(std::move(one));
  }
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

std::string environment_json() {
  const core::Machine m = core::read_machine();
  Json opsets = Json::object();
  for (const auto& [domain, newest] : onnx::known_opsets()) opsets[domain.empty() ? "ai.onnx" : domain] = newest;
  const Json j = {
      {"schema", 1},
      {"version", version()},
      {"provider_abi", ASHLAR_ABI_VERSION},
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
      {"providers", providers_json()},
      {"compiler", __VERSION__},
  };
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ashlar::inline v0
