// SPDX-License-Identifier: Apache-2.0
// Copies between tensors that walk memory with different strides: what transpositions, slices, repetitions, concatenations and changes of layout
// come down to.
#pragma once

#include <array>
#include <cstdint>

#include "copy.h"

namespace ashlar::cpu {

/// The loops of a copy, in any order. Strides count elements, may be negative, and 0 in `from` repeats.
class Loops {
 public:
  struct Loop {
    std::int64_t size, to, from;
  };
  static constexpr int kMost = 2 * ASHLAR_MAX_RANK;

  Loops() = default;
  /// A loop for each of dims.
  Loops(const Dims& dims, const Dims& to, const Dims& from) {
    for (int i = 0; i < dims.rank(); ++i) add(dims[i], to[i], from[i]);
  }
  void add(std::int64_t size, std::int64_t to, std::int64_t from) {
    provider::check(rank_ < kMost, "more than ", kMost, " loops");
    loops_[static_cast<std::size_t>(rank_++)] = {size, to, from};
  }
  void erase(int at) {
    std::copy(begin() + at + 1, end(), begin() + at);
    --rank_;
  }
  int rank() const { return rank_; }
  Loop& operator[](int i) { return loops_[static_cast<std::size_t>(i)]; }
  const Loop& operator[](int i) const { return loops_[static_cast<std::size_t>(i)]; }
  Loop* begin() { return loops_.data(); }
  Loop* end() { return loops_.data() + rank_; }
  const Loop* begin() const { return loops_.data(); }
  const Loop* end() const { return loops_.data() + rank_; }

 private:
  std::array<Loop, kMost> loops_;
  int rank_ = 0;
};

/// The places of a nest of loops in row-major order, from the linear-th on. Keeps a reference to the loops, of which none is empty.
class LoopWalk {
 public:
  /// Over the first `rank` loops.
  LoopWalk(const Loops& loops, int rank, std::int64_t linear) : loops_(loops), rank_(rank) {
    for (int d = rank - 1; d >= 0; --d) {
      const std::int64_t at = linear % loops[d].size;
      linear /= loops[d].size;
      index_[static_cast<std::size_t>(d)] = at;
      to += at * loops[d].to;
      from += at * loops[d].from;
    }
  }
  void next() {
    for (int d = rank_ - 1; d >= 0; --d) {
      const Loops::Loop& loop = loops_[d];
      to += loop.to;
      from += loop.from;
      if (++index_[static_cast<std::size_t>(d)] < loop.size) return;
      index_[static_cast<std::size_t>(d)] = 0;
      to -= loop.to * loop.size;
      from -= loop.from * loop.size;
    }
  }

  std::int64_t to = 0, from = 0;

 private:
  const Loops& loops_;
  int rank_;
  std::array<std::int64_t, Loops::kMost> index_;
};

/// A copy, prepared: to[to_offset + sum(i_k * to_k)] = from[from_offset + sum(i_k * from_k)] for all indices i of the loops, no two of which write
/// one element. The caller keeps every place inside the tensors, which do not overlap. A value; making one allocates nothing.
class StridedCopy {
 public:
  /// dtype: strings, or elements of whole bytes. Offsets count elements.
  StridedCopy(DType dtype, const Loops& loops, std::int64_t to_offset = 0, std::int64_t from_offset = 0);

  /// One stretch of memory is copied as it is: `from` has it from from_offset on.
  bool is_dense() const { return count_ == 0 || (kind_ == Kind::kRuns && loops_.rank() == 1); }
  void run(const provider::RunContext& context, const provider::TensorView& to, const provider::TensorView& from) const;
  /// Not for strings.
  void run(const provider::RunContext& context, void* to, const void* from) const;

 private:
  enum class Kind {
    kRuns,       ///< the innermost loop is dense in both
    kFill,       ///< the innermost loop repeats one element
    kTranspose,  ///< the innermost loop is dense in `to`, the one around it in `from`
    kStrided,
  };
  void merge();
  void widen();
  void classify();
  template <class Row> void each_row(const provider::RunContext& context, Row row) const;
  void transpose(const provider::RunContext& context, char* to, const char* from) const;

  Loops loops_;             ///< outermost in `to` first; strides in bytes unless of strings
  std::int64_t size_;       ///< bytes of an element, or of several moved as one; 0 for strings
  std::int64_t count_ = 1;  ///< elements of that size
  std::int64_t to_offset_, from_offset_;
  Kind kind_ = Kind::kStrided;
};

/// What kernels that are such copies keep of their shapes.
struct CopyBinding : provider::Binding {
  explicit CopyBinding(const StridedCopy& c) : copy(c) {}
  StridedCopy copy;
};

}  // namespace ashlar::cpu
