// SPDX-License-Identifier: Apache-2.0
// What a session's options ask for: providers, their devices, and how the graph is to be placed on them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/session.h>

#include "partition/partition.h"
#include "plan/topology.h"
#include "session/model_impl.h"

namespace ashlar::session {

/// That a session's runs may use. Throws Error (kInvalidArgument) for a number that is not allowed.
int thread_count(const SessionOptions& options);

/// Each with a host of its own. Those that cannot be had are `missing`, where the options allow that. Throws what Session's constructor documents.
partition::Providers create_providers(const SessionOptions& options, int threads, const Model::Impl& model,
                                      std::vector<partition::Missing>& missing);

/// Those that can compute, which a device that is only planned for cannot; the build's default ones where there is none.
partition::Providers computing(const partition::Providers& providers, const SessionOptions& options, int threads, const Model::Impl& model);

/// The providers' devices, under the limits. Throws Error (kNotFound) for a limit of a memory that is none.
std::shared_ptr<const plan::Topology> create_topology(const partition::Providers& providers,
                                                      const std::map<std::string, std::uint64_t>& limits);

/// Refers to the options' profile.
partition::Request request_of(const SessionOptions& options);

/// Throws Error: kNotFound for a name that is no input, kInvalidArgument for a shape that the model does not declare.
void check_expected(const std::map<std::string, Shape>& expected, const std::vector<ValueInfo>& inputs);

}  // namespace ashlar::session
