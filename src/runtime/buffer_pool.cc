// SPDX-License-Identifier: Apache-2.0
#include "runtime/buffer_pool.h"

#include <ashlar/error.h>

#include "core/allocate.h"

namespace ashlar::runtime {
namespace {
constexpr int kIdleRuns = 4;
}

std::shared_ptr<void> BufferPool::take(std::size_t bytes) {
  Buffer* best = nullptr;
  for (Buffer& b : buffers_)
    if (b.memory.use_count() == 1 && b.bytes >= bytes && b.bytes <= 2 * bytes + 4096 && (!best || b.bytes < best->bytes)) best = &b;
  if (!best) {
    std::shared_ptr<void> memory = allocate_ ? allocate_(bytes) : core::allocate_aligned(bytes);
    if (!memory) throw Error(ErrorCode::kOutOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
    best = &buffers_.emplace_back(Buffer{std::move(memory), bytes, 0});
  }
  best->idle_runs = 0;
  return best->memory;
}

Tensor BufferPool::allocate(DType dtype, const Shape& shape) {
  if (dtype == DType::kString) return Tensor::zeros(dtype, shape);
  const std::size_t bytes = byte_size(dtype, static_cast<std::size_t>(shape.element_count()));
  std::shared_ptr<void> memory = take(bytes);
  void* data = memory.get();
  return Tensor::adopt(dtype, shape, data, std::move(memory), false);
}

void BufferPool::end_run() {
  std::erase_if(buffers_, [](Buffer& b) { return b.memory.use_count() == 1 && ++b.idle_runs > kIdleRuns; });
}

std::size_t BufferPool::bytes() const noexcept {
  std::size_t total = 0;
  for (const Buffer& b : buffers_) total += b.bytes;
  return total;
}

}  // namespace ashlar::runtime
