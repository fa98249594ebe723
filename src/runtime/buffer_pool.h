// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <ashlar/tensor.h>

namespace ashlar::runtime {

/// Reuses a run's buffers: one whose last tensor is gone serves the next request of about its size. Buffers idle for several
/// runs are freed. Serves one thread at a time; tensors may outlive it.
class BufferPool {
 public:
  /// Of host memory, or of what `allocate` gives: memory of that many bytes, or an Error.
  using Allocate = std::function<std::shared_ptr<void>(std::size_t bytes)>;
  explicit BufferPool(Allocate allocate = {}) : allocate_(std::move(allocate)) {}

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
  Allocate allocate_;
  std::vector<Buffer> buffers_;
};

}  // namespace ashlar::runtime
