// SPDX-License-Identifier: Apache-2.0
#include "winograd.h"

#include <algorithm>
#include <cstring>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "winograd.cc"
#include <hwy/foreach_target.h>

#include "row_math-inl.h"
#include "simd.h"

#ifndef ASHLAR_CPU_WINOGRAD_ONCE
#define ASHLAR_CPU_WINOGRAD_ONCE
namespace ashlar::cpu {

constexpr std::int64_t kPoints = 36, kTile = 4, kPatch = 6;
constexpr std::int64_t kChannelAlign = 16;  // floats; rows of transformed tiles are whole vectors

constexpr std::int64_t padded(std::int64_t channels) { return (channels + kChannelAlign - 1) / kChannelAlign * kChannelAlign; }
constexpr std::int64_t tiles_of(std::int64_t extent) { return (extent + kTile - 1) / kTile; }

/// Tiles [first, last) of the image, and their transformed values: [36, count, padded channels].
struct WinogradTiles {
  const ConvolutionShape& shape;
  std::int64_t first, last;
  std::int64_t block_first, block_count;  // of the block they belong to, which lies in one piece
  const float* zeros;                     // as many as there are input channels, rounded up
};

}  // namespace ashlar::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;
constexpr Tag kFloats;
constexpr auto kWidth = static_cast<std::int64_t>(hn::MaxLanes(kFloats));
constexpr float kRootHalf = 0.70710678118654752f, kRootTwo = 1.41421356237309505f;

/// B^T x of six values `step` apart.
HWY_INLINE void PatchLine(const V* x, std::ptrdiff_t step, V* y, std::ptrdiff_t to) {
  const V x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
  const V five_halves = hn::Set(kFloats, 2.5f), two = hn::Set(kFloats, 2.0f), half = hn::Set(kFloats, 0.5f);
  const V a = hn::Set(kFloats, kRootHalf), b = hn::Set(kFloats, kRootTwo);
  y[0] = hn::NegMulAdd(five_halves, x2, hn::Add(x0, x4));
  const V even1 = hn::NegMulAdd(two, x2, x4), odd1 = hn::NegMulAdd(two, x1, x3);
  y[to] = hn::MulAdd(a, odd1, even1);
  y[2 * to] = hn::NegMulAdd(a, odd1, even1);
  const V even2 = hn::NegMulAdd(half, x2, x4), odd2 = hn::NegMulAdd(half, x1, x3);
  y[3 * to] = hn::MulAdd(b, odd2, even2);
  y[4 * to] = hn::NegMulAdd(b, odd2, even2);
  y[5 * to] = hn::NegMulAdd(five_halves, x3, hn::Add(x1, x5));
}

/// A^T x of six values `step` apart.
HWY_INLINE void TileLine(const V* x, std::ptrdiff_t step, V* y, std::ptrdiff_t to) {
  const V plus1 = hn::Add(x[step], x[2 * step]), minus1 = hn::Sub(x[step], x[2 * step]);
  const V plus2 = hn::Add(x[3 * step], x[4 * step]), minus2 = hn::Sub(x[3 * step], x[4 * step]);
  const V a = hn::Set(kFloats, kRootHalf), b = hn::Set(kFloats, kRootTwo);
  y[0] = hn::Add(x[0], hn::Add(plus1, plus2));
  y[to] = hn::MulAdd(a, minus1, hn::Mul(b, minus2));
  y[2 * to] = hn::MulAdd(hn::Set(kFloats, 0.5f), plus1, hn::Add(plus2, plus2));
  y[3 * to] = hn::MulAdd(hn::Set(kFloats, 0.5f * kRootHalf), minus1, hn::MulAdd(hn::Set(kFloats, 2 * kRootTwo), minus2, x[5 * step]));
}

/// Where the tile lies.
struct Place {
  std::int64_t image, row, column;  // the first output
  Place(const ConvolutionShape& s, std::int64_t tile) {
    const std::int64_t across = tiles_of(s.out_width), down = tiles_of(s.out_height);
    column = tile % across * kTile;
    row = tile / across % down * kTile;
    image = tile / across / down;
  }
};

void TransformInput(const WinogradTiles& t, const float* x, float* to) {
  const ConvolutionShape& s = t.shape;
  const std::int64_t stride = padded(s.inputs), point = t.block_count * stride;
  for (std::int64_t tile = t.first; tile < t.last; ++tile) {
    const Place at(s, tile);
    const float* pixels[kPoints];
    for (std::int64_t i = 0; i < kPatch; ++i)
      for (std::int64_t j = 0; j < kPatch; ++j) {
        const std::int64_t row = at.row + i - s.top, column = at.column + j - s.left;
        const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
        pixels[i * kPatch + j] = inside ? x + ((at.image * s.height + row) * s.width + column) * s.inputs : t.zeros;
      }
    float* out = to + (tile - t.block_first) * stride;
    for (std::int64_t c = 0; c < s.inputs; c += kWidth, out += kWidth) {
      V patch[kPoints], lines[kPoints];
      if (c + kWidth <= s.inputs) {
        HWY_UNROLL(36)
        for (std::int64_t i = 0; i < kPoints; ++i) patch[i] = hn::LoadU(kFloats, pixels[i] + c);
      } else {
        for (std::int64_t i = 0; i < kPoints; ++i) patch[i] = LoadPart(kFloats, pixels[i] + c, s.inputs - c, hn::Zero(kFloats));
      }
      HWY_UNROLL(6)
      for (std::ptrdiff_t j = 0; j < kPatch; ++j) PatchLine(patch + j, kPatch, lines + j, kPatch);
      HWY_UNROLL(6)
      for (std::ptrdiff_t i = 0; i < kPatch; ++i) PatchLine(lines + i * kPatch, 1, patch + i * kPatch, 1);
      HWY_UNROLL(36)
      for (std::int64_t i = 0; i < kPoints; ++i) hn::StoreU(patch[i], kFloats, out + i * point);
    }
  }
}

void TransformOutput(const WinogradTiles& t, const float* from, const ConvolutionOperands& o) {
  const ConvolutionShape& s = t.shape;
  const std::int64_t stride = padded(s.outputs), point = t.block_count * stride;
  const Finishing<Tag> finished(o.finish);
  for (std::int64_t tile = t.first; tile < t.last; ++tile) {
    const Place at(s, tile);
    const std::int64_t rows = std::min(kTile, s.out_height - at.row), columns = std::min(kTile, s.out_width - at.column);
    const std::int64_t pixel = (at.image * s.out_height + at.row) * s.out_width + at.column;
    const float* in = from + (tile - t.block_first) * stride;
    for (std::int64_t c = 0; c < s.outputs; c += kWidth, in += kWidth) {
      const std::int64_t count = std::min(kWidth, s.outputs - c);
      V products[kPoints], lines[kTile * kPatch], out[kTile * kTile];
      HWY_UNROLL(36)
      for (std::int64_t i = 0; i < kPoints; ++i) products[i] = hn::LoadU(kFloats, in + i * point);
      HWY_UNROLL(6)
      for (std::ptrdiff_t j = 0; j < kPatch; ++j) TileLine(products + j, kPatch, lines + j, kPatch);
      HWY_UNROLL(4)
      for (std::ptrdiff_t i = 0; i < kTile; ++i) TileLine(lines + i * kPatch, 1, out + i * kTile, 1);
      const V bias = o.finish.bias ? LoadPart(kFloats, o.finish.bias + c, count, hn::Zero(kFloats)) : hn::Zero(kFloats);
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) {
          const std::int64_t offset = (pixel + i * s.out_width + j) * s.outputs + c;
          V v = hn::Add(out[i * kTile + j], bias);
          if (o.finish.residual) v = hn::Add(v, LoadPart(kFloats, o.finish.residual + offset, count, hn::Zero(kFloats)));
          StorePart(kFloats, finished(v), o.y + offset, count);
        }
    }
    if (!o.epilogue.apply) continue;
    for (std::int64_t i = 0; i < rows; ++i)
      o.epilogue.rows(o.y + (pixel + i * s.out_width) * s.outputs, s.outputs, pixel + i * s.out_width, columns, s.outputs);
  }
}

/// Point (line, j) of G g G^T for n windows of 3x3 taps to points[j * step + window].
void TransformWeights(const void* windows, std::int64_t n, std::int64_t line, float* points, std::int64_t step) {
  // G: powers of each point over the product of its distances to the others.
  constexpr double kA = 0.70710678118654752440, kB = 1.41421356237309504880, kNear = -1 / 1.5, kFar = 1 / 6.0;
  constexpr double kG[kPatch][3] = {{1, 0, 0},
                                    {kNear, kNear * kA, kNear * 0.5},
                                    {kNear, -kNear * kA, kNear * 0.5},
                                    {kFar, kFar * kB, kFar * 2},
                                    {kFar, -kFar * kB, kFar * 2},
                                    {0, 0, 1}};
  constexpr std::int64_t kBlock = 64;
  const double* g = kG[line];
  for (std::int64_t first = 0; first < n; first += kBlock) {
    const std::int64_t count = std::min(kBlock, n - first);
    float taps[kBlock][9] = {};
    std::memcpy(taps, static_cast<const char*>(windows) + first * static_cast<std::int64_t>(sizeof(taps[0])),
                static_cast<std::size_t>(count) * sizeof(taps[0]));
    double columns[3][kBlock];
    for (int k = 0; k < 3; ++k)
      for (std::int64_t i = 0; i < kBlock; ++i)
        columns[k][i] = g[0] * static_cast<double>(taps[i][k]) + g[1] * static_cast<double>(taps[i][3 + k]) +
                        g[2] * static_cast<double>(taps[i][6 + k]);
    for (std::int64_t j = 0; j < kPatch; ++j)
      for (std::int64_t i = 0; i < count; ++i)
        points[j * step + first + i] = static_cast<float>(columns[0][i] * kG[j][0] + columns[1][i] * kG[j][1] + columns[2][i] * kG[j][2]);
  }
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(TransformInput);
HWY_EXPORT(TransformOutput);
HWY_EXPORT(TransformWeights);

namespace {

constexpr std::uint64_t kBlockBytes = 768 << 10;  // of a slot's transformed tiles: what a core's second cache holds
constexpr std::int64_t kFewTiles = 16;            // a slot

std::uint64_t tile_bytes(const ConvolutionShape& s) {
  return static_cast<std::uint64_t>(kPoints * (padded(s.inputs) + padded(s.outputs))) * sizeof(float);
}

/// Calls body(first, last) for even parts of [0, count), on so many threads.
template <class Body> void in_parts(const AshlarHost* host, std::int64_t parts, std::int64_t count, Body body) {
  struct Call {
    std::int64_t parts, count;
    Body& body;
  } call{parts, count, body};
  host->parallel_for(
      host->core, parts, 1,
      [](void* c, std::int64_t begin, std::int64_t end) {
        const Call& all = *static_cast<Call*>(c);
        for (std::int64_t i = begin; i < end; ++i) all.body(i, all.count * i / all.parts, all.count * (i + 1) / all.parts);
      },
      &call);
}

}  // namespace

std::uint64_t winograd_weight_bytes(std::int64_t inputs, std::int64_t outputs) {
  return static_cast<std::uint64_t>(kPoints) * packed_panel_bytes(inputs, outputs);
}

void winograd_pack(const AshlarHost* host, const void* weights, std::int64_t inputs, std::int64_t outputs, void* to) {
  const std::int64_t matrix = static_cast<std::int64_t>(packed_panel_bytes(inputs, outputs) / sizeof(float)), all = inputs * outputs;
  // One line of points after the other, so that little memory is needed beside the result.
  std::vector<float> points(static_cast<std::size_t>(kPatch * all));
  for (std::int64_t line = 0; line < kPatch; ++line) {
    in_parts(host, host->threads, outputs, [&](std::int64_t, std::int64_t first, std::int64_t last) {
      HWY_DYNAMIC_DISPATCH(TransformWeights)
      (static_cast<const char*>(weights) + first * inputs * 9 * static_cast<std::int64_t>(sizeof(float)), (last - first) * inputs, line,
       points.data() + first * inputs, all);
    });
    in_parts(host, std::min<std::int64_t>(host->threads, kPatch), kPatch, [&](std::int64_t, std::int64_t first, std::int64_t last) {
      for (std::int64_t j = first; j < last; ++j)
        pack_panels(points.data() + j * all, 1, inputs, inputs, outputs, 1, static_cast<float*>(to) + (line * kPatch + j) * matrix);
    });
  }
}

bool winograd_takes(const ConvolutionShape& s) {
  const auto is = [](std::int64_t height, std::int64_t width, std::int64_t value) { return height == value && width == value; };
  return is(s.kernel_height, s.kernel_width, 3) && is(s.stride_height, s.stride_width, 1) && is(s.dilation_height, s.dilation_width, 1);
}

bool winograd_pays(const ConvolutionShape& s, int threads, const ConvolutionCosts& costs) {
  // Four times the weights' bytes, for little where they are read from memory for few pixels.
  constexpr std::uint64_t kMostWeightBytes = 16 << 20;
  if (s.inputs < 16 || s.outputs < 16 || winograd_weight_bytes(s.inputs, s.outputs) > kMostWeightBytes) return false;
  const double tiles = static_cast<double>(s.batch * tiles_of(s.out_height) * tiles_of(s.out_width)), cores = threads;
  const double weights = static_cast<double>(s.inputs) * static_cast<double>(s.outputs),
               channels = static_cast<double>(s.inputs + s.outputs);
  const double direct = 9 * weights * (costs.product * static_cast<double>(s.pixels()) / cores + costs.weight_byte * sizeof(float) / 2);
  const double products = kPoints * weights * (costs.product * tiles / cores + costs.weight_byte * sizeof(float));
  return products + kPoints * channels * costs.transform * tiles / cores < 0.95 * direct;
}

WinogradPlan::WinogradPlan(const ConvolutionShape& shape, int threads)
    : shape_(shape), threads_(threads), tiles_(shape.batch * tiles_of(shape.out_height) * tiles_of(shape.out_width)) {
  const auto most = std::max<std::int64_t>(static_cast<std::int64_t>(kBlockBytes / tile_bytes(shape)), 12);
  together_ = tiles_ < threads * kFewTiles;
  slots_ = std::max<std::int64_t>(1, std::min<std::int64_t>(threads, tiles_));
  const std::int64_t share = together_ ? tiles_ : (tiles_ + slots_ - 1) / slots_, blocks = (share + most - 1) / most;
  block_ = together_ ? tiles_ : (share + blocks - 1) / blocks;
}

std::uint64_t WinogradPlan::workspace_bytes() const {
  const std::int64_t blocks = together_ ? 1 : slots_;
  return static_cast<std::uint64_t>(blocks * block_) * tile_bytes(shape_) +
         static_cast<std::uint64_t>(padded(shape_.inputs)) * sizeof(float);
}

void WinogradPlan::run(const AshlarHost* host, const ConvolutionOperands& operands, void* workspace) const {
  const std::int64_t ins = padded(shape_.inputs), outs = padded(shape_.outputs);
  auto* zeros = static_cast<float*>(workspace);
  std::fill_n(zeros, ins, 0.0f);
  float* tiles = zeros + ins;
  const auto multiply = [&](const float* in, float* out, std::int64_t count, int threads) {
    const BatchLoop points[] = {
        {kPoints, count * ins, static_cast<std::int64_t>(packed_panel_bytes(shape_.inputs, shape_.outputs) / sizeof(float))}};
    ProductPlan(kPoints, count, shape_.outputs, shape_.inputs, true, threads)
        .run(host,
             {.a = in, .a_stride = ins, .b = static_cast<const float*>(operands.weights), .c = out, .c_stride = outs, .loops = points},
             nullptr);
  };
  if (together_) {
    float *in = tiles, *out = tiles + kPoints * tiles_ * ins;
    in_parts(host, slots_, tiles_, [&](std::int64_t, std::int64_t first, std::int64_t last) {
      HWY_DYNAMIC_DISPATCH(TransformInput)({shape_, first, last, 0, tiles_, zeros}, operands.x, in);
    });
    multiply(in, out, tiles_, threads_);
    in_parts(host, slots_, tiles_, [&](std::int64_t, std::int64_t first, std::int64_t last) {
      HWY_DYNAMIC_DISPATCH(TransformOutput)({shape_, first, last, 0, tiles_, zeros}, out, operands);
    });
    return;
  }
  in_parts(host, slots_, tiles_, [&](std::int64_t slot, std::int64_t first, std::int64_t last) {
    float* in = tiles + slot * block_ * kPoints * (ins + outs);
    float* out = in + block_ * kPoints * ins;
    for (std::int64_t from = first; from < last; from += block_) {
      const std::int64_t to = std::min(last, from + block_), count = to - from;
      HWY_DYNAMIC_DISPATCH(TransformInput)({shape_, from, to, from, count, zeros}, operands.x, in);
      multiply(in, out, count, 1);
      HWY_DYNAMIC_DISPATCH(TransformOutput)({shape_, from, to, from, count, zeros}, out, operands);
    }
  });
}

}  // namespace ashlar::cpu
#endif
