// SPDX-License-Identifier: Apache-2.0
#include "session/providers.h"

#include <algorithm>

#include <ashlar/error.h>
#include <ashlar/providers.h>

#include "core/machine.h"
#include "core/text.h"
#include "core/thread_pool.h"
#include "partition/host.h"
#include "runtime/predict.h"
#include "session/device_description.h"
#include "session/session_impl.h"

namespace ashlar::session {
namespace {

std::shared_ptr<partition::Host> create_host(const SessionOptions& options, int threads, const Model::Impl& model) {
  core::Executor executor;
  executor.custom = options.parallel_for;
  executor.threads = threads;
  return std::make_shared<partition::Host>(std::move(executor), model.weights);
}

}  // namespace

int thread_count(const SessionOptions& options) {
  if (options.threads < 0 || options.threads > core::ThreadPool::kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument, "a session of " + std::to_string(options.threads) + " threads; from 0 to " +
                                                 std::to_string(core::ThreadPool::kMaxThreads) + " are allowed");
  return options.threads > 0 ? options.threads : core::default_threads(core::read_machine());
}

partition::Providers create_providers(const SessionOptions& options, int threads, const Model::Impl& model,
                                      std::vector<partition::Missing>& missing) {
  if (!options.devices.empty() && !options.plan_only)
    throw Error(ErrorCode::kInvalidArgument, "device descriptions are for sessions that only plan");
  const auto devices =
      options.devices.empty() ? std::map<std::string, partition::Provider::Description>() : session::read_descriptions(options.devices);
  std::vector<std::string> wanted = options.providers;
  if (wanted.empty())
    for (const partition::BuiltinProvider& p : partition::builtin_providers())
      if (p.by_default) wanted.push_back(p.name);
  partition::Providers out;
  for (const std::string& name : wanted) {
    partition::Provider::Seen seen;
    std::shared_ptr<const partition::Provider> provider;
    try {
      const auto host = create_host(options, threads, model);
      provider = partition::Provider::create_planned(name, host, devices, seen);
    } catch (const Error& e) {
      // A name that is none, or options that are wrong, are the caller's mistake, not the machine's.
      const bool is_absent = e.code() == ErrorCode::kUnavailable || e.code() == ErrorCode::kUnsupported ||
                             (e.code() == ErrorCode::kNotFound && partition::ProviderSpec::parse(name).is_path);
      if (!options.allow_missing || !is_absent) throw;
      missing.push_back({out.size(), e.context().provider, seen.missing, e.message()});
      continue;
    }
    if (std::any_of(out.begin(), out.end(), [&](const auto& p) { return p->name() == provider->name(); }))
      throw Error(ErrorCode::kInvalidArgument, "provider '" + provider->name() + "' is named twice");
    out.push_back(std::move(provider));
  }
  return out;
}

partition::Request request_of(const SessionOptions& options) {
  partition::Request out;
  const Profile& profile = options.profile;
  out.by_cost = options.policy == SessionOptions::Policy::kCost || !profile.steps.empty();
  out.pins = options.pins;
  out.profile = profile.steps.empty() ? nullptr : &profile;
  out.expected = options.expected_shapes;
  out.budgets = options.memory_limits;
  return out;
}

partition::Providers computing(const partition::Providers& providers, const SessionOptions& options, int threads,
                               const Model::Impl& model) {
  partition::Providers out;
  for (const auto& p : providers)
    if (!p->host().plan_only()) out.push_back(p);
  if (!out.empty()) return out;
  for (const partition::BuiltinProvider& p : partition::builtin_providers())
    if (p.by_default) out.push_back(partition::Provider::create(p.name, create_host(options, threads, model)));
  return out;
}

std::shared_ptr<const plan::Topology> create_topology(const partition::Providers& providers,
                                                      const std::map<std::string, std::uint64_t>& limits) {
  auto topology = std::make_shared<plan::Topology>(providers);
  for (const auto& provider : providers)
    if (const std::uint32_t device = topology->device_of(provider->name()); device != plan::kNoDevice)
      provider->host().set_device(topology->devices[device]);
  for (const auto& [name, bytes] : limits) {
    std::vector<std::string> known;
    bool found = false;
    for (const plan::Topology::Space& space : topology->spaces) {
      if (space.device == plan::kNoDevice) continue;
      known.push_back(space.name);
      if (space.name != name) continue;
      topology->devices[space.device]->set_limit(space.number, bytes);
      found = true;
    }
    for (const auto& provider : providers) found = found || (provider->host().plan_only() && provider->name() == name);
    if (!found)
      throw Error(ErrorCode::kNotFound, "a limit is given for the memory '" + core::printable(name) +
                                            "', which no provider of this session has" + core::suggestion(name, known));
  }
  return topology;
}

void check_expected(const std::map<std::string, Shape>& expected, const std::vector<ValueInfo>& inputs) {
  for (const auto& [name, shape] : expected) {
    std::vector<std::string> names;
    const ValueInfo* found = nullptr;
    for (const ValueInfo& info : inputs) {
      names.push_back(info.name);
      if (info.name == name) found = &info;
    }
    if (!found)
      throw Error(ErrorCode::kNotFound, "no input is named '" + core::printable(name) + "'" + core::suggestion(name, names),
                  {.tensor = name});
    if (found->type.kind == ValueType::Kind::kTensor && found->type.dtype != DType::kUndefined)
      check_input(*found, Tensor::adopt(found->type.dtype, shape, const_cast<void*>(runtime::no_data()), nullptr, true));
  }
}

}  // namespace ashlar::session
