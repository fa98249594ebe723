// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <ashlar/tensor.h>

namespace ashlar::runtime {

/// Reuses a run's buffers: one whose last tensor is gone serves the next request of about its size. Buffers idle for several
/// runs are freed. Serves one thread at a time; tensors may outlive it.
class BufferPool {
 public:
  /// Uninitialised memory aligned to 64 bytes. Throws Error (kOutOfMemory).
  std::shared_ptr<void> take(std::size_t bytes);
  /// An uninitialised tensor (strings: empty ones). Throws Error (kOutOfMemory, kInvalidArgument for an impossible shape).
  Tensor allocate(DType dtype, const Shape& shape);
  /// Marks the end of a run.
  void end_run();
  std::size_t bytes() const noexcept;

 private:
  struct Buffer {
    std::shared_ptr<void> memory;
    std::size_t bytes = 0;
    int idle_runs = 0;
  };
  std::vector<Buffer> buffers_;
};

}  // namespace ashlar::runtime
