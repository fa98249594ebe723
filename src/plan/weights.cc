// SPDX-License-Identifier: Apache-2.0
#include "plan/weights.h"

#include <algorithm>
#include <cstdint>

namespace ashlar::plan {

std::size_t element_alignment(DType dtype) noexcept {
  if (dtype == DType::kString) return alignof(std::string);
  return static_cast<std::size_t>(std::clamp(bit_width(dtype) / 8, 1, 8));
}

Tensor WeightStore::aligned(const Tensor& constant) {
  if (reinterpret_cast<std::uintptr_t>(constant.raw()) % element_alignment(constant.dtype()) == 0) return constant;
  const std::lock_guard lock(mutex_);
  Tensor& copy = copies_[constant.raw()];
  if (!copy.defined() || copy.dtype() != constant.dtype() || !(copy.shape() == constant.shape())) copy = constant.clone();
  return copy;
}

}  // namespace ashlar::plan
