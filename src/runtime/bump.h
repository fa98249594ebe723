// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace ashlar::runtime {

/// Memory for many small arrays that stay where they are and go together. Keeps its chunks when reset.
class Bump {
 public:
  /// `count` zero-initialised elements; null for none.
  template <class T> T* array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignof(std::max_align_t));
    if (count == 0) return nullptr;
    return new (take((count * sizeof(T) + kStep - 1) / kStep * kStep)) T[count]();
  }
  void reset() {
    chunk_ = 0;
    used_ = 0;
  }
  std::size_t bytes() const {
    std::size_t total = 0;
    for (const Chunk& c : chunks_) total += c.bytes;
    return total;
  }

 private:
  static constexpr std::size_t kStep = alignof(std::max_align_t), kChunk = std::size_t{1} << 14;
  struct Chunk {
    std::unique_ptr<std::byte[]> memory;
    std::size_t bytes;
  };
  void* take(std::size_t bytes) {
    while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].bytes) {
      ++chunk_;
      used_ = 0;
    }
    if (chunk_ == chunks_.size()) {
      const std::size_t size = std::max(bytes, kChunk);
      chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
      used_ = 0;
    }
    void* at = chunks_[chunk_].memory.get() + used_;
    used_ += bytes;
    return at;
  }

  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0, used_ = 0;
};

}  // namespace ashlar::runtime
