// SPDX-License-Identifier: Apache-2.0
#include "product.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "product.cc"
#include <hwy/foreach_target.h>

#include "product_tile-inl.h"
#include "simd.h"

#ifndef ASHLAR_CPU_PRODUCT_ONCE
#define ASHLAR_CPU_PRODUCT_ONCE
namespace ashlar::cpu {

/// A piece of one matrix of a product: blocks of rows, panels of columns.
struct ProductCell {
  std::int64_t rows, columns, depth;  // of the whole matrix
  std::int64_t first_block, last_block, first_panel, last_panel;
  std::int64_t first_row;  // of the matrix among those of the batch
  const float* a;
  std::int64_t a_stride;
  const float* b;
  std::int64_t b_row, b_column;
  bool packed;
  float* c;
  std::int64_t c_stride;
  Finish finish;
  Epilogue epilogue;
  float* scratch;
};

/// The sizes that an instruction set works in.
struct ProductGeometry {
  std::int64_t block_rows, panel_vectors, lanes, scratch_floats;
  const char* name;
};

}  // namespace ashlar::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t kDepthBlock = 384;    // of packed panels, which pass by from the second cache
constexpr std::int64_t kScratchDepth = 128;  // of those that are packed on the way
constexpr std::int64_t kRowBlockGroup = 144 / kBlockRows;
constexpr std::int64_t kPanelGroup = 512 / (kLanes * kPanelVectors);
constexpr std::int64_t kAhead = 1024;                // floats before the reader, where each is read once
constexpr std::int64_t kResidentFloats = 128 << 10;  // of A that stay in the second cache while all panels pass by
constexpr std::int64_t kScratchFloats = kScratchDepth * kPanelGroup * kPanelVectors * kLanes;

inline float LoadFloat(const char* bytes, std::int64_t index) {
  float value;
  std::memcpy(&value, bytes + index * static_cast<std::int64_t>(sizeof(float)), sizeof(float));
  return value;
}

/// Rows [first, first + depth) of B's columns [column, column + columns) to a panel of `width` columns, zeros behind the last.
void PackPanel(const void* b, std::int64_t row_stride, std::int64_t column_stride, std::int64_t first, std::int64_t depth,
               std::int64_t column, std::int64_t columns, std::int64_t width, float scale, float* to) {
  const char* from = static_cast<const char*>(b) + (first * row_stride + column * column_stride) * static_cast<std::int64_t>(sizeof(float));
  if (column_stride == 1 && scale == 1) {
    constexpr std::size_t kBytes = static_cast<std::size_t>(kLanes) * sizeof(float);
    for (std::int64_t k = 0; k < depth; ++k, to += width, from += row_stride * static_cast<std::int64_t>(sizeof(float))) {
      std::int64_t j = 0;
      for (; j + kLanes <= columns; j += kLanes) std::memcpy(to + j, from + j * static_cast<std::int64_t>(sizeof(float)), kBytes);
      for (; j < columns; ++j) to[j] = LoadFloat(from, j);
      for (; j < width; ++j) to[j] = 0;
    }
    return;
  }
  constexpr std::int64_t kStep = 16;
  for (std::int64_t start = 0; start < depth; start += kStep) {
    const std::int64_t end = std::min(depth, start + kStep);
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t k = start; k < end; ++k) to[k * width + j] = scale * LoadFloat(from, k * row_stride + j * column_stride);
    for (std::int64_t k = start; k < end; ++k) std::fill(to + k * width + columns, to + (k + 1) * width, 0.0f);
  }
}

void PackPanels(const void* b, std::int64_t row_stride, std::int64_t column_stride, std::int64_t depth, std::int64_t columns, float scale,
                float* to) {
  const Panels panels(columns);
  for (std::int64_t p = 0; p < panels.count; ++p) {
    const std::int64_t first = panels.first_vector(p) * kLanes, width = panels.first_vector(p + 1) * kLanes - first;
    PackPanel(b, row_stride, column_stride, 0, depth, first, std::min(width, columns - first), width, scale, to + first * depth);
  }
}

/// Panels [first, last) for a range of the depth: packed into the scratch where they cannot be read as they are.
class BlockOfB {
 public:
  BlockOfB(const ProductCell& cell, const Panels& panels, std::int64_t first, std::int64_t last, std::int64_t k, std::int64_t depth,
           bool in_place)
      : cell_(cell), panels_(panels), first_(first), k_(k), depth_(depth), in_place_(in_place) {
    if (cell.packed) return;
    for (std::int64_t p = first; p < last; ++p) {
      const std::int64_t column = panels.first_vector(p) * kLanes, width = panels.first_vector(p + 1) * kLanes - column;
      const std::int64_t columns = std::min(width, cell.columns - column);
      if (readable(columns, width)) continue;
      PackPanel(cell.b, cell.b_row, cell.b_column, k, depth, column, columns, width, 1, scratch(column));
    }
  }
  void locate(std::int64_t panel, TileOperands& tile) const {
    const std::int64_t column = panels_.first_vector(panel) * kLanes, width = panels_.first_vector(panel + 1) * kLanes - column;
    const std::int64_t columns = std::min(width, cell_.columns - column);
    tile.b_stride = width;
    if (cell_.packed) {
      tile.b = cell_.b + column * cell_.depth + k_ * width;
    } else if (readable(columns, width)) {
      tile.b = cell_.b + k_ * cell_.b_row + column;
      tile.b_stride = cell_.b_row;
    } else {
      tile.b = scratch(column);
    }
    tile.last_lanes = columns - (width - kLanes);
  }
  /// Packed: where row k of a panel is.
  const float* at(std::int64_t panel, std::int64_t k) const {
    const std::int64_t column = panels_.first_vector(panel) * kLanes, width = panels_.first_vector(panel + 1) * kLanes - column;
    return cell_.b + column * cell_.depth + k * width;
  }

 private:
  bool readable(std::int64_t columns, std::int64_t width) const { return in_place_ && columns == width; }
  float* scratch(std::int64_t column) const { return cell_.scratch + (column - panels_.first_vector(first_) * kLanes) * depth_; }
  const ProductCell& cell_;
  const Panels& panels_;
  std::int64_t first_, k_, depth_;
  bool in_place_;
};

/// Computes a cell, group of row blocks by group of panels.
class Compute {
 public:
  explicit Compute(const ProductCell& cell)
      : cell_(cell), panels_(cell.columns),
        few_rows_(std::min(cell.rows, cell.last_block * kBlockRows) - cell.first_block * kBlockRows <= kBlockRows),
        slices_(few_rows_ && cell.packed ? 1
                                         : std::max<std::int64_t>(1, (cell.depth - 1) / (cell.packed ? kDepthBlock : kScratchDepth) + 1)) {}

  void run() {
    for (first_block_ = cell_.first_block; first_block_ < cell_.last_block; first_block_ += kRowBlockGroup) {
      last_block_ = std::min(cell_.last_block, first_block_ + kRowBlockGroup);
      // Few rows of A stay in the cache, and B passes by in the order in which it lies; else a slice of A stays for some panels.
      const bool resident = (last_block_ - first_block_) * kBlockRows * cell_.depth <= kResidentFloats;
      for (std::int64_t panel = cell_.first_panel; panel < cell_.last_panel; panel += kPanelGroup) {
        const std::int64_t last_panel = std::min(cell_.last_panel, panel + kPanelGroup);
        if (resident) {
          for (std::int64_t p = panel; p < last_panel; ++p)
            for (std::int64_t slice = 0; slice < slices_; ++slice) compute(p, p + 1, slice);
        } else {
          for (std::int64_t slice = 0; slice < slices_; ++slice) compute(panel, last_panel, slice);
        }
        finish(panel, last_panel);
      }
    }
  }

 private:
  /// Adds the products of a slice of the depth.
  void compute(std::int64_t first_panel, std::int64_t last_panel, std::int64_t slice) const {
    constexpr auto kBytes = static_cast<std::int64_t>(sizeof(float));
    TileOperands tile;
    const bool last = slice + 1 == slices_ && !cell_.finish.nothing();
    Finish tile_finish;
    if (last) tile.finish = &tile_finish;
    const std::int64_t k = cell_.depth * slice / slices_;
    tile.depth = cell_.depth * (slice + 1) / slices_ - k;
    tile.a_stride = cell_.a_stride;
    tile.c_stride = cell_.c_stride;
    tile.add = slice > 0;
    const BlockOfB b(cell_, panels_, first_panel, last_panel, k, tile.depth, few_rows_ && cell_.b_column == 1);
    for (std::int64_t p = first_panel; p < last_panel; ++p) {
      b.locate(p, tile);
      const std::int64_t blocks = last_block_ - first_block_;
      const float* later = few_rows_            ? tile.b + kAhead
                           : !cell_.packed      ? tile.b
                           : p + 1 < last_panel ? b.at(p + 1, k)
                                                : b.at(first_panel, k + tile.depth);
      tile.ahead_step = few_rows_ || cell_.packed ? tile.b_stride * kBytes / blocks : 0;
      tile.ahead_lines = cell_.packed && !few_rows_ ? static_cast<int>((tile.ahead_step + 63) / 64) : 1;
      const std::int64_t first_vector = panels_.first_vector(p), column = first_vector * kLanes;
      const auto vectors = static_cast<std::size_t>(panels_.first_vector(p + 1) - first_vector);
      for (std::int64_t i = first_block_; i < last_block_; ++i) {
        const std::int64_t row = i * kBlockRows;
        tile.a = cell_.a + row * cell_.a_stride + k;
        tile.c = cell_.c + row * cell_.c_stride + column;
        if (last) tile_finish = cell_.finish.at(column, row * cell_.c_stride + column);
        const auto rows = static_cast<std::size_t>(std::min<std::int64_t>(kBlockRows, cell_.rows - row));
        tile.ahead = reinterpret_cast<const char*>(later) + (cell_.packed ? (i - first_block_) * tile.ahead_step * tile.depth : 0);
        kTiles[rows - 1][vectors - 1](tile);
      }
    }
  }

  void finish(std::int64_t first_panel, std::int64_t last_panel) const {
    if (!cell_.epilogue.apply) return;
    const std::int64_t column = panels_.first_vector(first_panel) * kLanes;
    const std::int64_t columns = std::min(cell_.columns, panels_.first_vector(last_panel) * kLanes) - column;
    for (std::int64_t row = first_block_ * kBlockRows; row < std::min(cell_.rows, last_block_ * kBlockRows); ++row)
      cell_.epilogue.apply(cell_.epilogue.context, cell_.c + row * cell_.c_stride + column, cell_.first_row + row, column, columns);
  }

  const ProductCell& cell_;
  Panels panels_;
  bool few_rows_;
  std::int64_t slices_;  // of the depth
  std::int64_t first_block_ = 0, last_block_ = 0;
};

void ComputeCell(const ProductCell& cell) { Compute(cell).run(); }

ProductGeometry Geometry() { return {kBlockRows, kPanelVectors, kLanes, kScratchFloats, "panels of " HWY_STR(HWY_NAMESPACE)}; }

}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(PackPanels);
HWY_EXPORT(ComputeCell);
HWY_EXPORT(Geometry);

namespace {

const ProductGeometry& geometry() {
  static const ProductGeometry g = HWY_DYNAMIC_DISPATCH(Geometry)();
  return g;
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return a / b + (a % b != 0); }

/// A slot is worth so many multiplications, or so many elements of B where few rows share them.
constexpr double kSlotWork = 5e5, kSlotReads = 1e5;

}  // namespace

std::int64_t vector_floats() { return geometry().lanes; }
const char* panel_layout() { return geometry().name; }

std::uint64_t packed_panel_bytes(std::int64_t depth, std::int64_t columns) {
  const std::int64_t width = divide_up(columns, geometry().lanes) * geometry().lanes;
  return static_cast<std::uint64_t>(provider::Dims{depth, width, sizeof(float)}.count());
}

void pack_panels(const void* b, std::int64_t row_stride, std::int64_t column_stride, std::int64_t depth, std::int64_t columns, float scale,
                 void* to) {
  HWY_DYNAMIC_DISPATCH(PackPanels)(b, row_stride, column_stride, depth, columns, scale, static_cast<float*>(to));
}

ProductBlocks product_blocks(std::int64_t rows, std::int64_t columns) {
  const ProductGeometry& g = geometry();
  return {g.block_rows, divide_up(rows, g.block_rows), divide_up(divide_up(columns, g.lanes), g.panel_vectors)};
}

ProductCells product_cells(std::int64_t rows, std::int64_t columns, std::int64_t threads) {
  const auto [block_rows, blocks, panels] = product_blocks(rows, columns);
  ProductCells cells;
  std::int64_t best = blocks * panels;
  double best_traffic = 0;
  for (std::int64_t r = 1; r <= std::min(threads, blocks); ++r) {
    const std::int64_t p = std::min(threads / r, panels);
    const std::int64_t size = divide_up(blocks, r) * divide_up(panels, p);
    const double traffic = static_cast<double>(r) * static_cast<double>(columns) + static_cast<double>(p) * static_cast<double>(rows);
    if (size > best || (size == best && r > 1 && traffic >= best_traffic)) continue;
    best = size;
    best_traffic = traffic;
    cells = {r, p};
  }
  return cells;
}

ProductPlan::ProductPlan(std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t depth, bool packed, int threads)
    : batch_(batch), rows_(rows), columns_(columns), depth_(depth), packed_(packed) {
  if (batch == 0 || rows == 0 || columns == 0) return;
  const double reads = static_cast<double>(batch) * static_cast<double>(columns) * static_cast<double>(depth);
  const double worth = std::max(reads * static_cast<double>(rows) / kSlotWork, reads / kSlotReads);
  const auto wanted = static_cast<std::int64_t>(std::min<double>(threads, std::max(1.0, worth)));
  if (batch < 4 * wanted && batch % wanted != 0) cells_ = product_cells(rows, columns, wanted);
  slots_ = std::min(wanted, batch * cells_.count());
}

std::uint64_t ProductPlan::workspace_bytes() const {
  return packed_ ? 0 : static_cast<std::uint64_t>(slots_ * geometry().scratch_floats) * sizeof(float);
}

void ProductPlan::run(const AshlarHost* host, const ProductOperands& operands, void* workspace) const {
  if (batch_ == 0 || rows_ == 0 || columns_ == 0) return;
  const auto [block_rows, blocks, panels] = product_blocks(rows_, columns_);
  const std::int64_t cells = cells_.count(), tasks = batch_ * cells;
  const auto slot = [&](std::int64_t s) {
    for (std::int64_t task = tasks * s / slots_; task < tasks * (s + 1) / slots_; ++task) {
      const std::int64_t matrix = task / cells, row_cell = task % cells / cells_.panels, panel_cell = task % cells_.panels;
      const BatchOffsets at(operands.loops, matrix);
      HWY_DYNAMIC_DISPATCH(ComputeCell)
      ({.rows = rows_,
        .columns = columns_,
        .depth = depth_,
        .first_block = blocks * row_cell / cells_.rows,
        .last_block = blocks * (row_cell + 1) / cells_.rows,
        .first_panel = panels * panel_cell / cells_.panels,
        .last_panel = panels * (panel_cell + 1) / cells_.panels,
        .first_row = matrix * rows_,
        .a = operands.a + at.a,
        .a_stride = operands.a_stride,
        .b = operands.b + at.b,
        .b_row = operands.b_row,
        .b_column = operands.b_column,
        .packed = packed_,
        .c = operands.c + matrix * rows_ * operands.c_stride,
        .c_stride = operands.c_stride,
        .finish = operands.finish.at(0, matrix * rows_ * operands.c_stride),
        .epilogue = operands.epilogue,
        .scratch = static_cast<float*>(workspace) + s * geometry().scratch_floats});
    }
  };
  if (slots_ == 1) return slot(0);
  auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) slot(s);
  };
  host->parallel_for(
      host->core, slots_, 1, [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<decltype(body)*>(b))(begin, end); }, &body);
}

}  // namespace ashlar::cpu
#endif
