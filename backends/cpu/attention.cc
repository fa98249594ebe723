// SPDX-License-Identifier: Apache-2.0
#include "attention.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "transpose_block.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention.cc"
#include <hwy/foreach_target.h>

#include "attention_weights-inl.h"
#include "product_tile-inl.h"
#include "row_math-inl.h"
#include "simd.h"

#ifndef ASHLAR_CPU_ATTENTION_ONCE
#define ASHLAR_CPU_ATTENTION_ONCE
namespace ashlar::cpu {

constexpr std::int64_t kTileKeys = 320;   // a multiple of every panel's width
constexpr std::int64_t kQueryBlock = 24;  // a multiple of the micro-kernel's rows
constexpr std::int64_t kFewQueries = 8;
constexpr std::int64_t kAlign = 16;  // floats of a cache line

constexpr std::int64_t aligned(std::int64_t floats) { return (floats + kAlign - 1) / kAlign * kAlign; }

/// Keys [first, last), which lie in one source from row `row` on.
struct KeyTile {
  std::int64_t first, last, row;
  std::int64_t base;  // the place among the packed keys, a multiple of kAlign
  bool past;
};
/// Calls f for each tile, in order. `joined`: all keys lie in one source.
template <class F> void for_each_tile(const AttentionShape& s, bool joined, F f) {
  std::int64_t base = 0;
  for (const bool past : {true, false}) {
    const std::int64_t start = past || joined ? 0 : s.past, count = past ? (joined ? 0 : s.past) : s.keys() - start;
    const std::int64_t tiles = (count + kTileKeys - 1) / kTileKeys;
    if (tiles == 0) continue;
    const std::int64_t width = ((count + tiles - 1) / tiles + 63) / 64 * 64;
    for (std::int64_t row = 0; row < count; row += width)
      f(KeyTile{start + row, start + std::min(count, row + width), row, base + row, past});
    base += aligned(count);
  }
}
/// Packed keys of both sources.
inline std::int64_t packed_keys(const AttentionShape& s) { return aligned(s.past) + aligned(s.fresh); }

/// Where a slot's parts lie in its scratch.
struct AttentionScratch {
  std::int64_t queries, scores, output, keys, values, end;
  AttentionScratch(const AttentionShape& s, std::int64_t rows, bool few) {
    queries = 0;
    scores = queries + aligned(rows * s.size);
    output = scores + rows * kTileKeys;
    keys = output + rows * aligned(s.value_size);
    values = keys + (few ? 0 : packed_keys(s) * s.size);
    end = values + (few ? kTileKeys : packed_keys(s)) * aligned(s.value_size);
  }
};

struct AttentionCell {
  const AttentionShape& shape;
  const AttentionOperands& operands;
  bool few;
  std::int64_t block_rows, blocks;  // blocks: of one head of keys
  std::int64_t first_block, last_block;
  float* scratch;
};

}  // namespace ashlar::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

static_assert(kTileKeys % (kPanelVectors * kLanes) == 0 && 64 % (kPanelVectors * kLanes) == 0 && kAlign % kLanes == 0);

/// Element i of the result is the sum of the lanes of sums[i].
HWY_INLINE Vector SumEach(Vector* sums) {
#if HWY_TARGET != HWY_SCALAR
  for (std::int64_t n = kLanes; n > 1; n /= 2)
    for (std::int64_t i = 0; i < n / 2; ++i)
      sums[i] = hn::Add(hn::ConcatEven(kTag, sums[2 * i + 1], sums[2 * i]), hn::ConcatOdd(kTag, sums[2 * i + 1], sums[2 * i]));
#endif
  return sums[0];
}

/// scores[i * kTileKeys + j] = the product of query i and key j.
void FewScores(const float* queries, std::int64_t rows, std::int64_t size, const float* keys, std::int64_t key_row, std::int64_t count,
               float* scores) {
  const Vector zero = hn::Zero(kTag);
  for (std::int64_t j = 0; j < count; j += kLanes) {
    const float* key[kLanes];
    for (std::int64_t n = 0; n < kLanes; ++n) key[n] = keys + std::min(j + n, count - 1) * key_row;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* q = queries + i * size;
      Vector sums[kLanes];
      for (std::int64_t n = 0; n < kLanes; ++n) sums[n] = zero;
      std::int64_t d = 0;
      for (; d + kLanes <= size; d += kLanes) {
        const Vector x = hn::LoadU(kTag, q + d);
        HWY_UNROLL(16)
        for (std::int64_t n = 0; n < kLanes; ++n) sums[n] = hn::MulAdd(x, hn::LoadU(kTag, key[n] + d), sums[n]);
      }
      if (d < size) {
        const Vector x = LoadPart(kTag, q + d, size - d, zero);
        for (std::int64_t n = 0; n < kLanes; ++n) sums[n] = hn::MulAdd(x, LoadPart(kTag, key[n] + d, size - d, zero), sums[n]);
      }
      hn::StoreU(SumEach(sums), kTag, scores + i * kTileKeys + j);
    }
  }
}

/// y[i] = factor * x[i]
HWY_INLINE void Scale(const float* x, std::int64_t n, float factor, float* y) {
  const Vector f = hn::Set(kTag, factor);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(hn::Mul(f, hn::LoadU(kTag, x + i)), kTag, y + i);
  for (; i < n; ++i) y[i] = factor * x[i];
}

/// The blocks of queries of a cell, one after the other.
class Attend {
 public:
  explicit Attend(const AttentionCell& cell)
      : cell_(cell), s_(cell.shape), o_(cell.operands), share_(s_.q_heads / s_.kv_heads), value_row_(aligned(s_.value_size)),
        weigh_(s_.softcap) {
    const AttentionScratch at(s_, cell.block_rows, cell.few);
    queries_ = cell.scratch + at.queries;
    scores_ = cell.scratch + at.scores;
    output_ = cell.scratch + at.output;
    keys_ = cell.scratch + at.keys;
    values_ = cell.scratch + at.values;
  }

  void run() {
    std::int64_t packed = -1;
    for (std::int64_t block = cell_.first_block; block < cell_.last_block; ++block) {
      const std::int64_t matrix = block / cell_.blocks, first = block % cell_.blocks * cell_.block_rows;
      batch_ = matrix / s_.kv_heads;
      head_ = matrix % s_.kv_heads;
      rows_ = std::min(cell_.block_rows, share_ * s_.queries - first);
      if (!cell_.few && packed != matrix) {
        for_each_tile(s_, o_.joined, [&](const KeyTile& tile) HWY_ATTR { pack(tile); });
        packed = matrix;
      }
      start(first);
      for_each_tile(s_, o_.joined, [&](const KeyTile& tile) HWY_ATTR { take(tile); });
      finish(first);
    }
  }

 private:
  struct Source {
    const float* data;
    std::int64_t row;
  };
  Source keys_of(const KeyTile& tile) const {
    const auto& k = tile.past ? o_.past_k : o_.k;
    return {k.at(batch_, head_, tile.row), k.row};
  }
  Source values_of(const KeyTile& tile) const {
    const auto& v = tile.past ? o_.past_v : o_.v;
    return {v.at(batch_, head_, tile.row), v.row};
  }
  /// Whether the micro-kernel can read them where they lie.
  bool in_place(const Source& values) const { return s_.value_size % kLanes == 0 && (cell_.few || values.row == s_.value_size); }

  void pack(const KeyTile& tile) {
    const Source keys = keys_of(tile);
    const std::int64_t count = tile.last - tile.first;
    const Panels panels(count);
    for (std::int64_t p = 0; p < panels.count; ++p) {
      const std::int64_t first = panels.first_vector(p) * kLanes, width = panels.first_vector(p + 1) * kLanes - first;
      const std::int64_t columns = std::min(width, count - first);
      float* to = keys_ + (tile.base + first) * s_.size;
      constexpr auto kBytes = static_cast<std::int64_t>(sizeof(float));
      transpose_block(kBytes, reinterpret_cast<char*>(to), width * kBytes, reinterpret_cast<const char*>(keys.data + first * keys.row),
                      keys.row * kBytes, s_.size, columns);
      for (std::int64_t d = 0; columns < width && d < s_.size; ++d) std::fill(to + d * width + columns, to + (d + 1) * width, 0.0f);
    }
    if (const Source values = values_of(tile); !in_place(values)) copy_values(values, count, values_ + tile.base * value_row_);
  }
  void copy_values(const Source& values, std::int64_t count, float* to) const {
    for (std::int64_t j = 0; j < count; ++j, to += value_row_) {
      std::memcpy(to, values.data + j * values.row, static_cast<std::size_t>(s_.value_size) * sizeof(float));
      std::fill(to + s_.value_size, to + value_row_, 0.0f);
    }
  }

  /// Makes the block's rows ready: row i is query (first + i) % queries of query head head * share + (first + i) / queries.
  void start(std::int64_t first) {
    low_ = s_.keys();
    high_ = 0;
    started_ = false;
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int64_t h = head_ * share_ + (first + i) / s_.queries, query = (first + i) % s_.queries;
      Scale(o_.q.at(batch_, h, query), s_.size, s_.scale, queries_ + i * s_.size);
      QueryRow& row = row_[static_cast<std::size_t>(i)] = QueryRow{};
      row.high = s_.keys();
      std::int64_t place = s_.past + query;
      if (o_.lengths) {
        const std::int64_t length = std::clamp(o_.lengths[batch_], -kFar, kFar);
        row.high = std::min(row.high, length);
        if (o_.own_place) place = length - s_.queries + query;
      }
      if (s_.causal) row.high = std::min(row.high, place + 1);
      if (s_.right >= 0) row.high = std::min(row.high, place + std::min(s_.right, kFar) + 1);
      if (s_.left >= 0) row.low = std::max<std::int64_t>(0, place - std::min(s_.left, kFar));
      if (o_.mask.data) row.mask = o_.mask.at(batch_, h, query);
      if (o_.keep.data) row.keep = o_.keep.at(batch_, h, query);
      if (row.mask || row.keep) row.high = std::min(row.high, o_.mask_keys);
      if (row.low >= row.high) row.low = row.high = 0;
      else low_ = std::min(low_, row.low), high_ = std::max(high_, row.high);
    }
  }

  void take(const KeyTile& tile) {
    const std::int64_t first = std::max(tile.first, low_), last = std::min(tile.last, high_);
    if (first >= last) return;
    if (cell_.few) {
      const Source keys = keys_of(tile);
      const std::int64_t start = (first - tile.first) / kLanes * kLanes;  // whole vectors from here on stay within the row
      FewScores(queries_, rows_, s_.size, keys.data + start * keys.row, keys.row, last - tile.first - start, scores_ + start);
    } else {
      packed_scores(tile, first, last);
    }
    float* const scores = scores_ + (first - tile.first);
    std::array<float, kQueryBlock> tops;
    for (std::int64_t i = 0; i < rows_; ++i)
      tops[static_cast<std::size_t>(i)] = weigh_.top(row_[static_cast<std::size_t>(i)], scores + i * kTileKeys, first, last);
    for (std::int64_t i = 0; i < rows_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const float factor = weigh_.weights(row_[at], tops[at], scores + i * kTileKeys, first, last);
      float* out = output_ + i * value_row_;
      if (started_ && factor != 1) Scale(out, value_row_, factor, out);
    }
    add_values(tile, first, last);
    started_ = true;
  }

  void packed_scores(const KeyTile& tile, std::int64_t first, std::int64_t last) const {
    const Panels panels(tile.last - tile.first);
    TileOperands t{};
    t.a_stride = t.depth = s_.size;
    t.c_stride = kTileKeys;
    t.last_lanes = kLanes;
    for (std::int64_t p = 0; p < panels.count; ++p) {
      const std::int64_t column = panels.first_vector(p) * kLanes, vectors = panels.first_vector(p + 1) - panels.first_vector(p);
      if (tile.first + column + vectors * kLanes <= first) continue;
      if (tile.first + column >= last) break;
      t.b = keys_ + (tile.base + column) * s_.size;
      t.b_stride = vectors * kLanes;
      t.a = queries_;
      t.c = scores_ + column;
      multiply(t, vectors);
    }
  }
  void add_values(const KeyTile& tile, std::int64_t first, std::int64_t last) {
    Source values = values_of(tile);
    if (!in_place(values)) {
      float* const packed = values_ + (cell_.few ? 0 : tile.base * value_row_);
      if (cell_.few) copy_values(values, tile.last - tile.first, packed);
      values = {packed, value_row_};
    }
    const Panels panels(s_.value_size);
    TileOperands t{};
    t.a_stride = kTileKeys;
    t.depth = last - first;
    t.b_stride = values.row;
    t.c_stride = value_row_;
    t.last_lanes = kLanes;
    t.add = started_;
    for (std::int64_t p = 0; p < panels.count; ++p) {
      const std::int64_t column = panels.first_vector(p) * kLanes;
      t.a = scores_ + (first - tile.first);
      t.b = values.data + (first - tile.first) * values.row + column;
      t.c = output_ + column;
      multiply(t, panels.first_vector(p + 1) - panels.first_vector(p));
    }
  }
  /// All rows of the block, for one panel.
  void multiply(TileOperands t, std::int64_t vectors) const {
    t.ahead = reinterpret_cast<const char*>(t.b);
    for (std::int64_t i = 0; i < rows_; i += kBlockRows) {
      const auto rows = static_cast<std::size_t>(std::min<std::int64_t>(kBlockRows, rows_ - i));
      kTiles[rows - 1][static_cast<std::size_t>(vectors) - 1](t);
      t.a += kBlockRows * t.a_stride;
      t.c += kBlockRows * t.c_stride;
    }
  }

  void finish(std::int64_t first) const {
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int64_t h = head_ * share_ + (first + i) / s_.queries, query = (first + i) % s_.queries;
      float* y = o_.y.at(batch_, h, query);
      const float sum = row_[static_cast<std::size_t>(i)].sum;
      if (!started_ || sum == 0) std::fill_n(y, s_.value_size, 0.0f);
      else Scale(output_ + i * value_row_, s_.value_size, 1 / sum, y);
    }
  }

  static constexpr std::int64_t kFar = std::int64_t{1} << 40;
  const AttentionCell& cell_;
  const AttentionShape& s_;
  const AttentionOperands& o_;
  std::int64_t share_, value_row_;
  Weigh weigh_;
  float *queries_, *scores_, *output_, *keys_, *values_;
  std::int64_t batch_ = 0, head_ = 0, rows_ = 0, low_ = 0, high_ = 0;
  bool started_ = false;
  std::array<QueryRow, kQueryBlock> row_;
};

void AttendCell(const AttentionCell& cell) { Attend(cell).run(); }

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(AttendCell);

namespace {

/// A slot is worth so many multiplications, or so many elements of keys and values where few queries share them.
constexpr double kSlotWork = 2e6, kSlotReads = 1e5;

}  // namespace

AttentionPlan::AttentionPlan(const AttentionShape& shape, int threads) : shape_(shape) {
  const AttentionShape& s = shape_;
  if (s.batch == 0 || s.q_heads == 0 || s.queries == 0 || s.value_size == 0) return;
  const std::int64_t rows = s.q_heads / s.kv_heads * s.queries, matrices = s.batch * s.kv_heads;
  const double reads =
      static_cast<double>(matrices) * static_cast<double>(s.keys()) * (static_cast<double>(s.size) + static_cast<double>(s.value_size));
  const double worth = std::max({1.0, reads * static_cast<double>(rows) / kSlotWork, reads / kSlotReads});
  const auto wanted = static_cast<std::int64_t>(std::min<double>(threads, worth));
  few_ = rows <= kFewQueries;
  block_rows_ = few_ ? rows : std::min(rows, kQueryBlock);
  if (few_ && matrices < wanted) block_rows_ = std::max<std::int64_t>(1, rows / ((wanted + matrices - 1) / matrices));
  blocks_ = (rows + block_rows_ - 1) / block_rows_;
  slots_ = std::min(wanted, matrices * blocks_);
  slot_floats_ = aligned(AttentionScratch(s, block_rows_, few_).end);
}

std::uint64_t AttentionPlan::workspace_bytes() const {
  return blocks_ == 0 ? 0 : static_cast<std::uint64_t>(slots_ * slot_floats_) * sizeof(float);
}

void AttentionPlan::run(const AshlarHost* host, const AttentionOperands& operands, void* workspace) const {
  if (blocks_ == 0) return;
  const std::int64_t total = shape_.batch * shape_.kv_heads * blocks_;
  auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slot = begin; slot < end; ++slot) HWY_DYNAMIC_DISPATCH(AttendCell)
    ({.shape = shape_,
      .operands = operands,
      .few = few_,
      .block_rows = block_rows_,
      .blocks = blocks_,
      .first_block = total * slot / slots_,
      .last_block = total * (slot + 1) / slots_,
      .scratch = static_cast<float*>(workspace) + slot * slot_floats_});
  };
  if (slots_ == 1) return body(0, 1);
  host->parallel_for(
      host->core, slots_, 1, [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<decltype(body)*>(b))(begin, end); }, &body);
}

}  // namespace ashlar::cpu
#endif
