// SPDX-License-Identifier: Apache-2.0
#include "convolution.h"

#include <algorithm>
#include <cstring>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convolution.cc"
#include <hwy/foreach_target.h>

#include "product_tile-inl.h"
#include "row_math-inl.h"
#include "simd.h"

#ifndef ASHLAR_CPU_CONVOLUTION_ONCE
#define ASHLAR_CPU_CONVOLUTION_ONCE
namespace ashlar::cpu {

constexpr std::int64_t kMostRun = 128;  // of the depth that is added up in one go
constexpr std::int64_t kGroupRows = 144;
constexpr std::int64_t kMostBlockRows = 8;           // of the micro-kernel
constexpr std::int64_t kAhead = 1024;                // floats before the reader, where weights are read once
constexpr std::int64_t kResidentFloats = 128 << 10;  // of rows that stay in the second cache while all panels pass by
constexpr std::int64_t kFewChannels = 32;            // that are not worth a slice of the depth for each tap

/// How the windows of a shape are read.
enum class Reading {
  kRows,    ///< a pixel is its window: 1x1 taps, nothing between
  kTaps,    ///< tap by tap where they lie
  kLines,   ///< line of taps by line where they lie inside, else copied first
  kScaled,  ///< as kRows, multiplied into a copy first
};
constexpr Reading reading(const ConvolutionShape& s) {
  if (s.scaled) return Reading::kScaled;
  if (s.kernel_height * s.kernel_width == 1 && s.stride_height == 1 && s.stride_width == 1 && s.top == 0 && s.left == 0 &&
      s.out_height == s.height && s.out_width == s.width)
    return Reading::kRows;
  return s.inputs < kFewChannels ? Reading::kLines : Reading::kTaps;
}

struct ConvolutionCell {
  const ConvolutionShape& shape;
  const ConvolutionOperands& operands;
  std::int64_t first_row, last_row, first_panel, last_panel;
  const float* zeros;  // a pixel of them
  float* scratch;      // for windows that are copied
};

}  // namespace ashlar::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

static_assert(kGroupRows % kBlockRows == 0 && kBlockRows <= kMostBlockRows);
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
      if (reading_ == Reading::kTaps || reading_ == Reading::kLines) find_windows();
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

  /// Whether the windows of these rows are lines of the image that lie as those of the first do, a step of pixels apart.
  bool in_lines(std::int64_t row, std::int64_t count) const {
    const Window &first = windows_[row], &last = windows_[row + count - 1];
    return s_.dilation_width == 1 && first.image == last.image && first.row == last.row &&
           last.column == first.column + (count - 1) * s_.stride_width && first.column >= 0 && last.column + s_.kernel_width <= s_.width &&
           first.row >= 0 && first.row + (s_.kernel_height - 1) * s_.dilation_height < s_.height;
  }
  /// The windows of these rows one behind the other.
  void gather(std::int64_t row, std::int64_t count, float* to) const {
    for (std::int64_t i = row; i < row + count; ++i)
      for (std::int64_t a = 0; a < s_.kernel_height; ++a)
        for (std::int64_t b = 0; b < s_.kernel_width; ++b, to += s_.inputs) {
          const float* from = pixel(windows_[i], a, b);
          if (from) std::copy_n(from, s_.inputs, to);
          else std::fill_n(to, s_.inputs, 0.0f);
        }
  }

  /// [k, end) of the rows to the scratch.
  void scale(std::int64_t k, std::int64_t end) const {
    float* to = cell_.scratch;
    for (std::int64_t i = 0; i < rows_; ++i, to += end - k) {
      const float* from = cell_.operands.x + (row_ + i) * depth_;
      const float* factor = cell_.operands.scale + (row_ + i) / (s_.height * s_.width) * cell_.operands.scale_step;
      std::int64_t c = k;
      for (; c + kLanes <= end; c += kLanes) hn::StoreU(hn::Mul(hn::LoadU(kTag, from + c), hn::LoadU(kTag, factor + c)), kTag, to + c - k);
      for (; c < end; ++c) to[c - k] = from[c] * factor[c];
    }
  }

  void compute(std::int64_t first_panel, std::int64_t last_panel) {
    if (reading_ == Reading::kTaps) {
      const std::int64_t parts = (s_.inputs + kMostRun - 1) / kMostRun, taps = s_.kernel_height * s_.kernel_width;
      for (std::int64_t tap = 0; tap < taps; ++tap)
        for (std::int64_t part = 0; part < parts; ++part)
          slice(first_panel, last_panel, tap, tap * s_.inputs + s_.inputs * part / parts, tap * s_.inputs + s_.inputs * (part + 1) / parts);
    } else {
      const bool whole = reading_ == Reading::kLines || (reading_ == Reading::kRows && rows_ <= kBlockRows);
      const std::int64_t parts = whole ? 1 : (depth_ + kMostRun - 1) / kMostRun;
      // Few rows stay in the cache, and the weights pass by in the order in which they lie; else a slice of the rows stays for some panels.
      const bool resident = reading_ != Reading::kScaled && rows_ * depth_ <= kResidentFloats;
      const std::int64_t together = resident ? 1 : last_panel - first_panel;
      for (std::int64_t p = first_panel; p < last_panel; p += together)
        for (std::int64_t part = 0; part < parts; ++part) {
          const std::int64_t k = depth_ * part / parts, end = depth_ * (part + 1) / parts;
          if (reading_ == Reading::kScaled) scale(k, end);
          slice(p, p + together, 0, k, end);
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

  /// Adds the products of [k, end) of the windows, which are of one tap.
  void slice(std::int64_t first_panel, std::int64_t last_panel, std::int64_t tap, std::int64_t k, std::int64_t end) const {
    constexpr auto kBytes = static_cast<std::int64_t>(sizeof(float));
    const float* rows[kGroupRows];
    TileOperands t{};
    if (reading_ == Reading::kTaps) {
      const std::int64_t inside = k - tap * s_.inputs;
      for (std::int64_t i = 0; i < rows_; ++i) {
        const float* from = pixel(windows_[i], tap / s_.kernel_width, tap % s_.kernel_width);
        rows[i] = (from ? from : cell_.zeros) + inside;
      }
    }
    t.depth = end - k;
    t.a_stride = reading_ == Reading::kScaled ? t.depth : depth_;
    const float* a = reading_ == Reading::kRows ? cell_.operands.x + row_ * depth_ + k : cell_.scratch;
    t.c_stride = s_.outputs;
    t.add = k > 0;
    Finish finish;
    const bool finishes = end == depth_ && !cell_.operands.finish.nothing();
    if (finishes) t.finish = &finish;
    const std::int64_t blocks = (rows_ + kBlockRows - 1) / kBlockRows;
    for (std::int64_t p = first_panel; p < last_panel; ++p) {
      const std::int64_t column = panels_.first_vector(p) * kLanes, width = panels_.first_vector(p + 1) * kLanes - column;
      t.b = weights(p, k);
      t.b_stride = width;
      t.last_lanes = std::min(width, s_.outputs - column) - (width - kLanes);
      const float* next = p + 1 < last_panel ? weights(p + 1, k) : end < depth_ ? weights(first_panel, end) : weights(last_panel, 0);
      if (blocks == 1) next = t.b + kAhead;
      t.ahead_step = width * kBytes / blocks;
      t.ahead_lines = blocks == 1 ? 1 : static_cast<int>((t.ahead_step + 63) / 64);
      for (std::int64_t i = 0; i < rows_; i += kBlockRows) {
        if (reading_ == Reading::kLines) {
          set_lines(i, std::min<std::int64_t>(kBlockRows, rows_ - i), t);
        } else {
          t.a = a + i * t.a_stride;
          if (reading_ == Reading::kTaps) t.rows = rows + i;
        }
        const std::int64_t offset = (row_ + i) * s_.outputs + column;
        t.c = cell_.operands.y + offset;
        if (finishes) finish = cell_.operands.finish.at(column, offset);
        t.ahead = reinterpret_cast<const char*>(next) + i / kBlockRows * t.ahead_step * (end - k);
        kTiles[static_cast<std::size_t>(std::min<std::int64_t>(kBlockRows, rows_ - i)) - 1][static_cast<std::size_t>(width / kLanes) - 1](
            t);
      }
    }
  }
  /// The windows of these rows as the micro-kernel reads them, all of the depth.
  void set_lines(std::int64_t row, std::int64_t count, TileOperands& t) const {
    const bool lines = in_lines(row, count);
    t.lines = lines ? s_.kernel_height : 1;
    t.depth = depth_ / t.lines;
    t.line_step = s_.dilation_height * s_.width * s_.inputs;
    t.a_stride = lines ? s_.stride_width * s_.inputs : depth_;
    t.a = lines ? pixel(windows_[row], 0, 0) : cell_.scratch;
    if (!lines) gather(row, count, cell_.scratch);
  }
  /// Row k of a panel; behind the last where there is no such panel.
  const float* weights(std::int64_t panel, std::int64_t k) const {
    const std::int64_t column = panels_.first_vector(panel) * kLanes;
    const std::int64_t width = panel < panels_.count ? panels_.first_vector(panel + 1) * kLanes - column : 0;
    return static_cast<const float*>(cell_.operands.weights) + column * depth_ + k * width;
  }

  const ConvolutionCell& cell_;
  const ConvolutionShape& s_;
  Panels panels_;
  Reading reading_;
  std::int64_t depth_;
  std::int64_t row_ = 0, rows_ = 0;
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

constexpr double kSlotWork = 4e5;  // multiplications that a slot is worth

std::int64_t aligned(std::int64_t floats) { return (floats + 15) / 16 * 16; }
std::int64_t scratch_floats(const ConvolutionShape& s) {
  switch (reading(s)) {
    case Reading::kLines: return aligned(kMostBlockRows * s.depth());
    case Reading::kScaled: return kGroupRows * kMostRun;
    default: return 0;
  }
}

}  // namespace

std::uint64_t packed_convolution_bytes(const ConvolutionShape& s) { return packed_panel_bytes(s.depth(), s.outputs); }

void pack_convolution(const void* weights, const ConvolutionShape& s, void* to) {
  const std::int64_t taps = s.kernel_height * s.kernel_width, depth = s.depth();
  if (taps == 1) return pack_panels(weights, 1, depth, depth, s.outputs, 1, to);
  // From [output, input, tap] to [output, tap, input].
  std::vector<float> rows(static_cast<std::size_t>(s.outputs * depth));
  const auto* from = static_cast<const char*>(weights);
  for (std::int64_t o = 0; o < s.outputs; ++o)
    for (std::int64_t c = 0; c < s.inputs; ++c)
      for (std::int64_t tap = 0; tap < taps; ++tap)
        std::memcpy(&rows[static_cast<std::size_t>(o * depth + tap * s.inputs + c)],
                    from + ((o * s.inputs + c) * taps + tap) * static_cast<std::int64_t>(sizeof(float)), sizeof(float));
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
