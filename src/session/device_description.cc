// SPDX-License-Identifier: Apache-2.0
#include "session/device_description.h"

#include <cmath>
#include <utility>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::session {
namespace {

using Json = nlohmann::ordered_json;
using Description = partition::Provider::Description;

/// The rates by their names.
template <class Rates, class Visit> void each_rate(Rates& rates, const Visit& visit) {
  visit("operations_per_second", rates.operations_per_second);
  visit("bytes_per_second", rates.bytes_per_second);
  visit("launch_ns", rates.launch_ns);
  visit("upload_bytes_per_second", rates.upload_bytes_per_second);
  visit("download_bytes_per_second", rates.download_bytes_per_second);
  visit("copy_ns", rates.copy_ns);
}

Description read(const Json& j) {
  Description out;
  out.device = core::printable(j.at("device").get<std::string>(), 400);
  out.queue_count = j.at("queues").get<std::uint32_t>();
  for (const Json& space : j.at("spaces"))
    out.spaces.push_back({.name = core::printable(space.at("name").get<std::string>()),
                          .host_accessible = space.value("host_accessible", false),
                          .total_bytes = space.at("bytes").is_null() ? 0 : space.at("bytes").get<std::uint64_t>()});
  if (j.contains("rates"))
    each_rate(out.rates, [&](const char* name, double& rate) {
      rate = j.at("rates").value(name, 0.0);
      if (!(rate >= 0) || rate > 1e30)
        throw Error(ErrorCode::kInvalidArgument, std::string("a device description's ") + name + " is no rate");
    });
  if (j.contains("attributes"))
    for (const auto& [name, value] : j.at("attributes").items()) out.attributes.emplace_back(name, value.get<std::string>());
  return out;
}

}  // namespace

void describe(const partition::Provider& provider, Json& out) {
  const Description& d = provider.description();
  out["device"] = d.device;
  Json spaces = Json::array();
  for (const auto& space : d.spaces)
    spaces.push_back({{"name", space.name},
                      {"bytes", space.total_bytes ? Json(space.total_bytes) : Json(nullptr)},
                      {"host_accessible", space.host_accessible},
                      {"staging", d.staging_space == spaces.size() + 1}});
  out["spaces"] = std::move(spaces);
  out["queues"] = d.queue_count;
  if (d.queue_count > 0) {
    out["upload_queue"] = d.upload_queue;
    out["download_queue"] = d.download_queue;
  }
  out["features"] = partition::device_feature_names(d.features);
  out["required_features"] = partition::core_feature_names(d.required_features);
  Json rates = Json::object();
  each_rate(d.rates, [&](const char* name, double rate) {
    if (rate > 0) rates[name] = rate;
  });
  out["rates"] = std::move(rates);
  Json attributes = Json::object();
  for (const auto& [name, value] : d.attributes) attributes[name] = value;
  out["attributes"] = std::move(attributes);
}

std::map<std::string, Description> read_descriptions(const std::string& text) {
  std::map<std::string, Description> out;
  try {
    const Json j = Json::parse(text);
    for (const Json& provider : j.at("providers"))
      if (provider.value("queues", 0u) > 0) out.emplace(provider.at("name").get<std::string>(), read(provider));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kInvalidArgument, "the device description is not what `ashlar doctor --device-json` writes");
  }
  if (out.empty()) throw Error(ErrorCode::kInvalidArgument, "the device description has no provider with a device");
  return out;
}

}  // namespace ashlar::session
