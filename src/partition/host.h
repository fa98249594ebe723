// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ashlar/provider/abi.h>

#include "core/thread_pool.h"
#include "partition/weights.h"

namespace ashlar::partition {

class Device;

/// The core's services (abi.h's AshlarHost) as one provider of a session sees them: the session's threads, its model's weights, the memory of
/// the provider's device.
class Host {
 public:
  /// `weights` may be null where nothing is prepared; `packed` is then refused.
  explicit Host(core::Executor executor, std::shared_ptr<WeightStore> weights = nullptr);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const AshlarHost& abi() const noexcept { return abi_; }

  /// The provider is only asked for verdicts, for a device that said this of itself. Set before the provider is made.
  void plan_for(std::vector<std::pair<std::string, std::string>> attributes);
  bool plan_only() const noexcept { return abi_.plan_only != 0; }

  /// Whose packed constants these are: only hosts of one owner share them. Set before the provider is made.
  void set_owner(std::string owner) const;
  /// Where constants packed for the device's memory go. The device keeps its provider and that this host alive: release_device() ends it.
  void set_device(std::shared_ptr<Device> device) const;
  /// Gives up the device and what was packed in its memory, once nothing reads it.
  void release_device() const;

 private:
  const void* packed(std::uint32_t space, const AshlarTensor& source, const char* packing, std::uint64_t bytes,
                     const std::function<void(void*)>& fill) const;

  AshlarHost abi_;
  std::vector<std::pair<std::string, std::string>> planned_;
  std::vector<AshlarOption> planned_options_;
  core::Executor executor_;
  std::shared_ptr<WeightStore> weights_;
  mutable std::string owner_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Device> device_;
  mutable std::map<std::tuple<const void*, std::uint64_t, std::uint32_t, std::string>, std::shared_ptr<void>> packed_;
};

/// Throws what the application's own parallel_for threw on this thread since the last call, if it did: no exception crosses the border.
void rethrow_parallel_failure();

}  // namespace ashlar::partition
