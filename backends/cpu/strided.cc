// SPDX-License-Identifier: Apache-2.0
#include "strided.h"

#include <algorithm>
#include <cstdlib>

#include "transpose_block.h"

namespace ashlar::cpu {

using provider::RunContext;
using provider::TensorView;
using Loop = Loops::Loop;

StridedCopy::StridedCopy(DType dtype, const Loops& loops, std::int64_t to_offset, std::int64_t from_offset)
    : size_(byte_width(dtype)), to_offset_(to_offset), from_offset_(from_offset) {
  provider::check(size_ > 0 || dtype == DType::kString, "no kernel for elements of type ", provider::dtype_name(dtype));
  if (std::any_of(loops.begin(), loops.end(), [](const Loop& loop) { return loop.size == 0; })) count_ = 0;
  if (count_ == 0) return;
  for (const Loop& loop : loops) {
    count_ *= loop.size;
    if (loop.size != 1) loops_.add(loop.size, loop.to, loop.from);
  }
  std::sort(loops_.begin(), loops_.end(), [](const Loop& a, const Loop& b) { return std::abs(a.to) > std::abs(b.to); });
  merge();
  if (loops_.rank() == 0) loops_.add(1, 1, 1);
  if (size_ == 0) return;
  to_offset_ *= size_;
  from_offset_ *= size_;
  widen();
  classify();
  for (Loop& loop : loops_) {
    loop.to *= size_;
    loop.from *= size_;
  }
}

void StridedCopy::merge() {
  for (int i = loops_.rank() - 1; i > 0; --i) {
    Loop& outer = loops_[i - 1];
    const Loop& inner = loops_[i];
    if (outer.to != inner.to * inner.size || outer.from != inner.from * inner.size) continue;
    outer = {outer.size * inner.size, inner.to, inner.from};
    loops_.erase(i);
  }
}

void StridedCopy::widen() {
  const Loop inner = loops_[loops_.rank() - 1];
  const std::int64_t bytes = inner.size * size_;
  if (loops_.rank() == 1 || inner.to != 1 || inner.from != 1 || inner.size > 16 || bytes > 16 || (bytes & (bytes - 1)) != 0) return;
  for (const Loop& loop : loops_)
    if (&loop != loops_.end() - 1 && (loop.to % inner.size != 0 || loop.from % inner.size != 0)) return;
  loops_.erase(loops_.rank() - 1);
  for (Loop& loop : loops_) {
    loop.to /= inner.size;
    loop.from /= inner.size;
  }
  size_ = bytes;
  count_ /= inner.size;
}

void StridedCopy::classify() {
  const int last = loops_.rank() - 1;
  kind_ = Kind::kStrided;
  if (loops_[last].to != 1) return;
  if (loops_[last].from == 1) {
    kind_ = Kind::kRuns;
  } else if (loops_[last].from == 0) {
    kind_ = Kind::kFill;
  } else {
    for (int i = 0; i < last; ++i) {
      if (loops_[i].from != 1) continue;
      std::rotate(loops_.begin() + i, loops_.begin() + i + 1, loops_.end() - 1);
      kind_ = Kind::kTranspose;
      return;
    }
  }
}

/// row(to, from, n) for stretches of the innermost loop.
template <class Row> void StridedCopy::each_row(const RunContext& context, Row row) const {
  const Loop inner = loops_[loops_.rank() - 1];
  context.parallel_for(count_, kBytesPerChunk / size_, [&](std::int64_t begin, std::int64_t end) {
    LoopWalk at(loops_, loops_.rank() - 1, begin / inner.size);
    std::int64_t first = begin % inner.size;
    for (std::int64_t left = end - begin; left > 0; at.next()) {
      const std::int64_t n = std::min(inner.size - first, left);
      row(at.to + first * inner.to, at.from + first * inner.from, n);
      left -= n;
      first = 0;
    }
  });
}

void StridedCopy::transpose(const RunContext& context, char* to, const char* from) const {
  constexpr std::int64_t kEdge = kTransposeEdge, kArea = kTransposeArea;
  const Loop row = loops_[loops_.rank() - 2], column = loops_[loops_.rank() - 1];
  const std::int64_t height = std::min(row.size, kArea / std::min(column.size, kEdge) / kEdge * kEdge);
  const std::int64_t width = std::min(column.size, kArea / std::min(height, kEdge) / kEdge * kEdge);
  const std::int64_t down = (row.size + height - 1) / height, across = (column.size + width - 1) / width;
  const std::int64_t blocks = count_ / (row.size * column.size) * down * across;
  context.parallel_for(blocks, std::max<std::int64_t>(1, kBytesPerChunk / (height * width * size_)),
                       [&](std::int64_t begin, std::int64_t end) {
                         LoopWalk at(loops_, loops_.rank() - 2, begin / (down * across));
                         std::int64_t i = begin / across % down * height, j = begin % across * width;
                         for (std::int64_t block = begin; block < end; ++block) {
                           transpose_block(size_, to + at.to + i * row.to + j * size_, row.to, from + at.from + i * size_ + j * column.from,
                                           column.from, std::min(height, row.size - i), std::min(width, column.size - j));
                           if ((j += width) < column.size) continue;
                           j = 0;
                           if ((i += height) < row.size) continue;
                           i = 0;
                           at.next();
                         }
                       });
}

void StridedCopy::run(const RunContext& context, const TensorView& to, const TensorView& from) const {
  if (size_ > 0) return run(context, to.raw(), from.raw());
  LoopWalk at(loops_, loops_.rank(), 0);
  for (std::int64_t i = 0; i < count_; ++i, at.next()) to.set_string(to_offset_ + at.to, from.string(from_offset_ + at.from));
}

void StridedCopy::run(const RunContext& context, void* to, const void* from) const {
  if (count_ == 0) return;
  char* target = static_cast<char*>(to) + to_offset_;
  const char* source = static_cast<const char*>(from) + from_offset_;
  if (kind_ == Kind::kRuns) {
    return each_row(context, [&](std::int64_t t, std::int64_t f, std::int64_t n) { copy_bytes(target + t, source + f, n * size_); });
  }
  if (kind_ == Kind::kTranspose) return transpose(context, target, source);
  const Loop inner = loops_[loops_.rank() - 1];
  dispatch_bytes(size_, [&]<class T>() {
    if (kind_ == Kind::kFill) {
      return each_row(context, [&](std::int64_t t, std::int64_t f, std::int64_t n) {
        const T value = load_element<T>(source + f);
        for (std::int64_t i = 0; i < n; ++i) store_element(target + t + i * static_cast<std::int64_t>(sizeof(T)), value);
      });
    }
    each_row(context, [&](std::int64_t t, std::int64_t f, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) store_element(target + t + i * inner.to, load_element<T>(source + f + i * inner.from));
    });
  });
}

}  // namespace ashlar::cpu
