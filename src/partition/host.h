// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <ashlar/provider/abi.h>

#include "core/thread_pool.h"
#include "partition/weights.h"

namespace ashlar::partition {

/// The core's services (abi.h's AshlarHost) as one session's providers see them: its threads, its model's weights.
class Host {
 public:
  /// `weights` may be null where nothing is prepared; `packed` is then refused.
  explicit Host(core::Executor executor, std::shared_ptr<WeightStore> weights = nullptr);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const AshlarHost& abi() const noexcept { return abi_; }

 private:
  AshlarHost abi_;
  core::Executor executor_;
  std::shared_ptr<WeightStore> weights_;
};

/// Throws what the application's own parallel_for threw on this thread since the last call, if it did: no exception crosses the border.
void rethrow_parallel_failure();

}  // namespace ashlar::partition
