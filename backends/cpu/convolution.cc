// SPDX-License-Identifier: Apache-2.0
#include "convolution.h"

#include <algorithm>
#include <cstring>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convolution.cc"
#include <hwy/foreach_target.h>

#include "product_tile-inl.h"
#include "simd.h"

#ifndef ASHLAR_CPU_CONVOLUTION_ONCE
#define ASHLAR_CPU_CONVOLUTION_ONCE
namespace ashlar::cpu {

constexpr std::int64_t kMostRun = 128;  // of the depth that a panel's slice in the first cache has
constexpr std::int64_t kGroupRows = 144;
constexpr std::int64_t kShallow = 48;  // a line of taps that is shorter is gathered

/// How the windows of a shape are read.
enum class Reading {
  kRows,      ///< a pixel is its window: 1x1 taps, nothing between
  kTaps,      ///< tap by tap where they lie
  kGathered,  ///< copied first
};
constexpr Reading reading(const ConvolutionShape& s) {
  if (s.kernel_height * s.kernel_width == 1 && s.stride_height == 1 && s.stride_width == 1 && s.top == 0 && s.left == 0 &&
      s.out_height == s.height && s.out_width == s.width)
    return Reading::kRows;
  return s.inputs * s.kernel_width < kShallow ? Reading::kGathered : Reading::kTaps;
}

struct ConvolutionCell {
  const ConvolutionShape& shape;
  const ConvolutionOperands& operands;
  std::int64_t first_row, last_row, first_panel, last_panel;
  const float* zeros;  // a pixel of them
  float* scratch;      // kGroupRows windows, where they are gathered
};

}  // namespace ashlar::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

static_assert(kGroupRows % kBlockRows == 0);
constexpr std::int64_t kPanelGroup = 512 / (kLanes * kPanelVectors);

/// Computes a cell, group of rows by group of rows.
class Convolve {
 public:
  explicit Convolve(const ConvolutionCell& cell)
      : cell_(cell), s_(cell.shape), panels_(s_.outputs), reading_(reading(s_)), depth_(s_.depth()) {}

  void run() {
    for (std::int64_t row = cell_.first_row; row < cell_.last_row; row += kGroupRows) {
      row_ = row;
      rows_ = std::min(kGroupRows, cell_.last_row - row);
      if (reading_ != Reading::kRows) find_windows();
      if (reading_ == Reading::kGathered) gather();
      for (std::int64_t panel = cell_.first_panel; panel < cell_.last_panel; panel += kPanelGroup)
        compute(panel, std::min(cell_.last_panel, panel + kPanelGroup));
    }
  }

 private:
  /// Where a pixel's window begins in the image; may lie outside.
  struct Window {
    const float* image;
    std::int64_t row, column;
  };

  void find_windows() {
    std::int64_t column = row_ % s_.out_width, row = row_ / s_.out_width % s_.out_height;
    const float* image = cell_.operands.x + row_ / s_.out_width / s_.out_height * s_.height * s_.width * s_.inputs;
    for (std::int64_t i = 0; i < rows_; ++i) {
      windows_[i] = {image, row * s_.stride_height - s_.top, column * s_.stride_width - s_.left};
      if (++column < s_.out_width) continue;
      column = 0;
      if (++row < s_.out_height) continue;
      row = 0;
      image += s_.height * s_.width * s_.inputs;
    }
  }
  /// The pixel that a tap reads; null outside of the image.
  const float* pixel(const Window& w, std::int64_t tap_row, std::int64_t tap_column) const {
    const std::int64_t row = w.row + tap_row * s_.dilation_height, column = w.column + tap_column * s_.dilation_width;
    const bool inside = row >= 0 && row < s_.height && column >= 0 && column < s_.width;
    return inside ? w.image + (row * s_.width + column) * s_.inputs : nullptr;
  }

  void gather() const {
    float* to = cell_.scratch;
    const auto bytes = static_cast<std::size_t>(s_.inputs) * sizeof(float), line = bytes * static_cast<std::size_t>(s_.kernel_width);
    for (std::int64_t i = 0; i < rows_; ++i) {
      const Window& w = windows_[i];
      const bool dense = s_.dilation_width == 1 && w.column >= 0 && w.column + s_.kernel_width <= s_.width;
      for (std::int64_t a = 0; a < s_.kernel_height; ++a, to += s_.kernel_width * s_.inputs) {
        const float* from = dense ? pixel(w, a, 0) : nullptr;
        if (from) {
          std::memcpy(to, from, line);
          continue;
        }
        std::memset(to, 0, line);
        for (std::int64_t b = 0; !dense && b < s_.kernel_width; ++b)
          if (const float* tap = pixel(w, a, b)) std::memcpy(to + b * s_.inputs, tap, bytes);
      }
    }
  }

  void compute(std::int64_t first_panel, std::int64_t last_panel) {
    first_panel_ = first_panel;
    last_panel_ = last_panel;
    const bool finishes = !cell_.operands.finish.nothing();
    if (reading_ == Reading::kTaps) {
      const std::int64_t parts = (s_.inputs + kMostRun - 1) / kMostRun, taps = s_.kernel_height * s_.kernel_width;
      for (std::int64_t tap = 0; tap < taps; ++tap)
        for (std::int64_t part = 0; part < parts; ++part) {
          const std::int64_t first = s_.inputs * part / parts, last = s_.inputs * (part + 1) / parts;
          slice(tap, tap * s_.inputs + first, last - first, tap + part == 0, tap + 1 == taps && part + 1 == parts && finishes);
        }
    } else {
      const std::int64_t parts = (depth_ + kMostRun - 1) / kMostRun;
      for (std::int64_t part = 0; part < parts; ++part) {
        const std::int64_t first = depth_ * part / parts;
        slice(0, first, depth_ * (part + 1) / parts - first, part == 0, part + 1 == parts && finishes);
      }
    }
    const Epilogue& epilogue = cell_.operands.epilogue;
    if (!epilogue.apply) return;
    const std::int64_t column = panels_.first_vector(first_panel) * kLanes;
    const std::int64_t columns = std::min(s_.outputs, panels_.first_vector(last_panel) * kLanes) - column;
    if (columns == s_.outputs) return epilogue.rows(cell_.operands.y + row_ * s_.outputs, s_.outputs, row_, rows_, s_.outputs);
    for (std::int64_t row = row_; row < row_ + rows_; ++row)
      epilogue.apply(epilogue.context, cell_.operands.y + row * s_.outputs + column, row, column, columns);
  }

  /// Adds the products of [k, k + depth) of the windows, which are of one tap.
  void slice(std::int64_t tap, std::int64_t k, std::int64_t depth, bool first, bool last) {
    const float* rows[kGroupRows];
    TileOperands t{};
    if (reading_ == Reading::kTaps) {
      const std::int64_t inside = k - tap * s_.inputs;
      for (std::int64_t i = 0; i < rows_; ++i) {
        const float* from = pixel(windows_[i], tap / s_.kernel_width, tap % s_.kernel_width);
        rows[i] = (from ? from : cell_.zeros) + inside;
      }
    } else {
      t.a_stride = depth_;
    }
    const float* a = (reading_ == Reading::kRows ? cell_.operands.x + row_ * depth_ : cell_.scratch) + k;
    t.depth = depth;
    t.c_stride = s_.outputs;
    t.add = !first;
    const std::int64_t blocks = (rows_ + kBlockRows - 1) / kBlockRows;
    for (std::int64_t p = first_panel_; p < last_panel_; ++p) {
      const std::int64_t vector = panels_.first_vector(p), vectors = panels_.first_vector(p + 1) - vector, width = vectors * kLanes;
      const std::int64_t column = vector * kLanes;
      t.b = static_cast<const float*>(cell_.operands.weights) + column * depth_ + k * width;
      t.b_stride = width;
      t.last_lanes = std::min(width, s_.outputs - column) - (width - kLanes);
      const auto* next = reinterpret_cast<const char*>(static_cast<const float*>(cell_.operands.weights) +
                                                       panels_.first_vector(p + 1) * kLanes * depth_ + k * width);
      const std::int64_t share = depth * width * static_cast<std::int64_t>(sizeof(float)) / blocks;
      t.ahead_step = share / depth;
      Finish finish;
      if (last) t.finish = &finish;
      for (std::int64_t i = 0; i < rows_; i += kBlockRows) {
        t.a = a + i * t.a_stride;
        if (reading_ == Reading::kTaps) t.rows = rows + i;
        const std::int64_t offset = (row_ + i) * s_.outputs + column;
        t.c = cell_.operands.y + offset;
        if (last) finish = cell_.operands.finish.at(column, offset);
        t.ahead = next + i / kBlockRows * share;
        kTiles[static_cast<std::size_t>(std::min<std::int64_t>(kBlockRows, rows_ - i)) - 1][static_cast<std::size_t>(vectors) - 1](t);
      }
    }
  }

  const ConvolutionCell& cell_;
  const ConvolutionShape& s_;
  Panels panels_;
  Reading reading_;
  std::int64_t depth_;
  std::int64_t row_ = 0, rows_ = 0, first_panel_ = 0, last_panel_ = 0;
  Window windows_[kGroupRows];
};

void ConvolveCell(const ConvolutionCell& cell) { Convolve(cell).run(); }

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(ConvolveCell);

namespace {

constexpr double kSlotWork = 1e6;  // multiplications that a slot is worth

std::int64_t aligned(std::int64_t floats) { return (floats + 15) / 16 * 16; }
std::int64_t scratch_floats(const ConvolutionShape& s) { return reading(s) == Reading::kGathered ? aligned(kGroupRows * s.depth()) : 0; }

}  // namespace

std::uint64_t packed_convolution_bytes(const ConvolutionShape& s) { return packed_panel_bytes(s.depth(), s.outputs); }

void pack_convolution(const void* weights, const ConvolutionShape& s, void* to) {
  const std::int64_t taps = s.kernel_height * s.kernel_width, depth = s.depth();
  if (taps == 1) return pack_panels(weights, 1, depth, depth, s.outputs, 1, to);
  // From [output, input, tap] to [output, tap, input].
  std::vector<float> rows(static_cast<std::size_t>(s.outputs * depth));
  for (std::int64_t o = 0; o < s.outputs; ++o)
    for (std::int64_t c = 0; c < s.inputs; ++c)
      for (std::int64_t tap = 0; tap < taps; ++tap)
        std::memcpy(&rows[static_cast<std::size_t>(o * depth + tap * s.inputs + c)],
                    static_cast<const float*>(weights) + (o * s.inputs + c) * taps + tap, sizeof(float));
  pack_panels(rows.data(), 1, depth, depth, s.outputs, 1, to);
}

ConvolutionPlan::ConvolutionPlan(const ConvolutionShape& shape, int threads) : shape_(shape) {
  const double work = static_cast<double>(shape.pixels()) * static_cast<double>(shape.outputs) * static_cast<double>(shape.depth());
  const auto wanted = static_cast<std::int64_t>(std::min<double>(threads, std::max(1.0, work / kSlotWork)));
  cells_ = product_cells(shape.pixels(), shape.outputs, wanted);
}

std::uint64_t ConvolutionPlan::workspace_bytes() const {
  return static_cast<std::uint64_t>(aligned(shape_.inputs) + cells_.count() * scratch_floats(shape_)) * sizeof(float);
}

void ConvolutionPlan::run(const AshlarHost* host, const ConvolutionOperands& operands, void* workspace) const {
  auto* zeros = static_cast<float*>(workspace);
  std::fill_n(zeros, shape_.inputs, 0.0f);
  float* scratch = zeros + aligned(shape_.inputs);
  const ProductBlocks blocks = product_blocks(shape_.pixels(), shape_.outputs);
  const auto compute = [&](std::int64_t cell) {
    const std::int64_t r = cell / cells_.panels, p = cell % cells_.panels;
    HWY_DYNAMIC_DISPATCH(ConvolveCell)
    ({.shape = shape_,
      .operands = operands,
      .first_row = blocks.count * r / cells_.rows * blocks.rows,
      .last_row = std::min(shape_.pixels(), blocks.count * (r + 1) / cells_.rows * blocks.rows),
      .first_panel = blocks.panels * p / cells_.panels,
      .last_panel = blocks.panels * (p + 1) / cells_.panels,
      .zeros = zeros,
      .scratch = scratch + cell * scratch_floats(shape_)});
  };
  if (cells_.count() == 1) return compute(0);
  auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t cell = begin; cell < end; ++cell) compute(cell);
  };
  host->parallel_for(
      host->core, cells_.count(), 1, [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<decltype(body)*>(b))(begin, end); },
      &body);
}

}  // namespace ashlar::cpu
#endif
