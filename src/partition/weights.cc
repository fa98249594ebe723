// SPDX-License-Identifier: Apache-2.0
#include "partition/weights.h"

#include <algorithm>

#include <ashlar/error.h>

#include "core/allocate.h"
#include "core/mapped_pages.h"

namespace ashlar::partition {

std::size_t element_alignment(DType dtype) noexcept {
  if (dtype == DType::kString) return alignof(std::string);
  return static_cast<std::size_t>(std::clamp(bit_width(dtype) / 8, 1, 8));
}

Tensor WeightStore::aligned(const Tensor& constant) {
  if (reinterpret_cast<std::uintptr_t>(constant.raw()) % element_alignment(constant.dtype()) == 0) return constant;
  const std::lock_guard lock(mutex_);
  Tensor& copy = copies_[constant.raw()];
  if (!copy.defined() || copy.dtype() != constant.dtype() || !(copy.shape() == constant.shape())) {
    copy = constant.clone();
    core::release_mapped_pages(constant.raw(), constant.bytes());
  }
  return copy;
}

const void* WeightStore::packed(const void* data, std::size_t data_bytes, const std::string& packing, std::size_t bytes,
                                const std::function<void(void*)>& fill) {
  std::shared_ptr<Packed> entry;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = packed_[{data, data_bytes, packing + ':' + std::to_string(bytes)}];
    if (!slot) slot = std::make_shared<Packed>();
    entry = slot;
  }
  const std::lock_guard lock(entry->mutex);
  if (!entry->memory) {
    std::shared_ptr<void> memory = core::allocate_aligned(bytes);
    if (!memory) throw Error(ErrorCode::kOutOfMemory, "no memory for the " + std::to_string(bytes) + " bytes of a packed constant");
    fill(memory.get());
    entry->memory = std::move(memory);
    entry->bytes = bytes;
    core::release_mapped_pages(data, data_bytes);
  }
  return entry->memory.get();
}

void WeightStore::forget(const void* data) {
  const std::lock_guard lock(mutex_);
  copies_.erase(data);
  std::erase_if(packed_, [&](const auto& entry) { return std::get<0>(entry.first) == data; });
}

std::size_t WeightStore::packed_bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t total = 0;
  for (const auto& [key, entry] : packed_) total += entry->bytes;
  return total;
}

}  // namespace ashlar::partition
