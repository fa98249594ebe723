// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include <ashlar/tensor.h>

namespace ashlar::partition {

/// A model's constants in the forms steps read, made once and shared by its sessions. Thread-safe.
class WeightStore {
 public:
  /// The constant as it is where its data is aligned for its elements, else a copy; then its own pages leave memory as below.
  Tensor aligned(const Tensor& constant);

  /// The constant at `data` in a provider's own form: `bytes` bytes aligned to 64, written by `fill` unless the same constant was packed
  /// this way before. `fill` may throw. Afterwards the constant's own pages leave memory where they are those of a mapped file.
  /// Throws Error (kOutOfMemory).
  const void* packed(const void* data, std::size_t data_bytes, const std::string& packing, std::size_t bytes,
                     const std::function<void(void*)>& fill);

  /// Gives up all forms of the constant at `data`, which goes away: another may be made at its address.
  void forget(const void* data);

  /// Bytes of all packed forms.
  std::size_t packed_bytes() const;

 private:
  struct Packed {
    std::mutex mutex;  ///< held while it is filled
    std::shared_ptr<void> memory;
    std::size_t bytes = 0;
  };
  mutable std::mutex mutex_;
  std::map<const void*, Tensor> copies_;  ///< by address in the mapped file
  std::map<std::tuple<const void*, std::size_t, std::string>, std::shared_ptr<Packed>> packed_;
};

/// Bytes an element's address must be a multiple of: 8 at most, 1 for packed types.
std::size_t element_alignment(DType dtype) noexcept;

}  // namespace ashlar::partition
