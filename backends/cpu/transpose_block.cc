// SPDX-License-Identifier: Apache-2.0
#include "transpose_block.h"

#include <cstring>

#include "copy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "transpose_block.cc"
#include <hwy/foreach_target.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

namespace {

template <class T>
void transpose_scalars(char* HWY_RESTRICT to, std::int64_t to_step, const char* HWY_RESTRICT from, std::int64_t from_step,
                       std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kSize = sizeof(T);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      store_element(to + i * to_step + j * kSize, load_element<T>(from + i * kSize + j * from_step));
}

/// n groups of kWidth elements, such as the channels of a picture.
template <class T, int kWidth>
void transpose_narrow(char* HWY_RESTRICT to, std::int64_t to_step, std::int64_t to_next, const char* HWY_RESTRICT from,
                      std::int64_t from_step, std::int64_t from_next, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    for (int j = 0; j < kWidth; ++j) store_element(to + i * to_step + j * to_next, load_element<T>(from + i * from_step + j * from_next));
}

#if HWY_TARGET != HWY_SCALAR
/// A square of kLanes, or a pair of them below one another in `from`. Interleaving rows i and i + kLanes/2 as often as 2 divides kLanes moves
/// element (r, c) to (c, r), within each 16 bytes of a vector.
template <class T, bool kPair>
HWY_INLINE void transpose_square(char* HWY_RESTRICT to, std::int64_t to_step, const char* HWY_RESTRICT from, std::int64_t from_step) {
  constexpr int kLanes = 16 / sizeof(T);
  const hn::FixedTag<T, kLanes*(kPair ? 2 : 1)> d;
  const hn::FixedTag<std::uint8_t, kPair ? 32 : 16> bytes;
  const hn::FixedTag<std::uint8_t, 16> half;
  hn::Vec<hn::FixedTag<T, kLanes*(kPair ? 2 : 1)>> rows[kLanes], next[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(from + i * from_step);
    if constexpr (kPair) rows[i] = hn::BitCast(d, hn::Combine(bytes, hn::LoadU(half, row + kLanes * from_step), hn::LoadU(half, row)));
    else rows[i] = hn::BitCast(d, hn::LoadU(half, row));
  }
  for (int level = 1; level < kLanes; level *= 2) {
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = hn::InterleaveLower(d, rows[i], rows[i + kLanes / 2]);
      next[2 * i + 1] = hn::InterleaveUpper(d, rows[i], rows[i + kLanes / 2]);
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
  for (int i = 0; i < kLanes; ++i) hn::StoreU(hn::BitCast(bytes, rows[i]), bytes, reinterpret_cast<std::uint8_t*>(to + i * to_step));
}
#endif

/// Transposes what squares cover, and says how many rows and columns that are.
template <class T>
void transpose_squares(char* to, std::int64_t to_step, const char* from, std::int64_t from_step, std::int64_t& rows,
                       std::int64_t& columns) {
#if HWY_TARGET == HWY_SCALAR
  (void)to, (void)to_step, (void)from, (void)from_step;
  rows = columns = 0;
#else
  constexpr std::int64_t kSize = sizeof(T), kLanes = 16 / kSize;
  rows = rows / kLanes * kLanes;
  columns = columns / kLanes * kLanes;
  for (std::int64_t i = 0; i < rows; i += kLanes) {
    char* const row = to + i * to_step;
    const char* const column = from + i * kSize;
    std::int64_t j = 0;
#if HWY_TARGET <= HWY_AVX2
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes)
      transpose_square<T, true>(row + j * kSize, to_step, column + j * from_step, from_step);
#endif
    for (; j < columns; j += kLanes) transpose_square<T, false>(row + j * kSize, to_step, column + j * from_step, from_step);
  }
#endif
}

#if HWY_TARGET != HWY_SCALAR
/// Three planes to triples, or triples to three planes, `step` bytes apart; as many whole vectors of n as there are. How many elements of a plane that was.
template <bool kToTriples>
std::int64_t interleave_three(char* HWY_RESTRICT to, const char* HWY_RESTRICT from, std::int64_t step, std::int64_t n) {
  const hn::ScalableTag<std::uint32_t> d;
  const hn::Repartition<std::uint8_t, decltype(d)> bytes;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::Vec<decltype(d)> planes[3];
    alignas(64) std::uint32_t triples[3 * hn::MaxLanes(d)];
    if constexpr (kToTriples) {
      for (int k = 0; k < 3; ++k)
        planes[k] = hn::BitCast(d, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(from + k * step + i * 4)));
      hn::StoreInterleaved3(planes[0], planes[1], planes[2], d, triples);
      std::memcpy(to + i * 12, triples, sizeof(triples));
    } else {
      std::memcpy(triples, from + i * 12, sizeof(triples));
      hn::LoadInterleaved3(d, triples, planes[0], planes[1], planes[2]);
      for (int k = 0; k < 3; ++k) hn::StoreU(hn::BitCast(bytes, planes[k]), bytes, reinterpret_cast<std::uint8_t*>(to + k * step + i * 4));
    }
  }
  return i;
}
#endif

template <class T>
void transpose_elements(char* to, std::int64_t to_step, const char* from, std::int64_t from_step, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kSize = sizeof(T);
#if HWY_TARGET != HWY_SCALAR
  if (kSize == 4 && columns == 3 && to_step == 12) {
    const std::int64_t done = interleave_three<true>(to, from, from_step, rows);
    return transpose_narrow<T, 3>(to + done * 12, to_step, kSize, from + done * kSize, kSize, from_step, rows - done);
  }
  if (kSize == 4 && rows == 3 && from_step == 12) {
    const std::int64_t done = interleave_three<false>(to, from, to_step, columns);
    return transpose_narrow<T, 3>(to + done * kSize, kSize, to_step, from + done * 12, from_step, kSize, columns - done);
  }
#endif
  if (columns == 2) return transpose_narrow<T, 2>(to, to_step, kSize, from, kSize, from_step, rows);
  if (columns == 3) return transpose_narrow<T, 3>(to, to_step, kSize, from, kSize, from_step, rows);
  if (rows == 2) return transpose_narrow<T, 2>(to, kSize, to_step, from, from_step, kSize, columns);
  if (rows == 3) return transpose_narrow<T, 3>(to, kSize, to_step, from, from_step, kSize, columns);
  std::int64_t whole_rows = rows, whole_columns = columns;
  if constexpr (kSize == 16) {
    whole_rows = whole_columns = 0;
  } else {
    transpose_squares<T>(to, to_step, from, from_step, whole_rows, whole_columns);
  }
  transpose_scalars<T>(to + whole_columns * kSize, to_step, from + whole_columns * from_step, from_step, whole_rows,
                       columns - whole_columns);
  transpose_scalars<T>(to + whole_rows * to_step, to_step, from + whole_rows * kSize, from_step, rows - whole_rows, columns);
}

void TransposeBlock(std::int64_t size, char* to, std::int64_t to_step, const char* from, std::int64_t from_step, std::int64_t rows,
                    std::int64_t columns) {
  switch (size) {
    case 1: return transpose_elements<std::uint8_t>(to, to_step, from, from_step, rows, columns);
    case 2: return transpose_elements<std::uint16_t>(to, to_step, from, from_step, rows, columns);
    case 4: return transpose_elements<std::uint32_t>(to, to_step, from, from_step, rows, columns);
    case 8: return transpose_elements<std::uint64_t>(to, to_step, from, from_step, rows, columns);
    default: return transpose_elements<Bytes16>(to, to_step, from, from_step, rows, columns);
  }
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(TransposeBlock);

void transpose_block(std::int64_t size, char* to, std::int64_t to_step, const char* from, std::int64_t from_step, std::int64_t rows,
                     std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(TransposeBlock)(size, to, to_step, from, from_step, rows, columns);
}

}  // namespace ashlar::cpu
#endif
