// SPDX-License-Identifier: Apache-2.0
#include "depthwise.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "depthwise.cc"
#include <hwy/foreach_target.h>

#include "row_math-inl.h"
#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;
constexpr Tag kFloats;
constexpr auto kWidth = static_cast<std::int64_t>(hn::MaxLanes(kFloats));
constexpr int kMostPixels = 8;

/// Pixels of an output line that are computed together.
struct Strip {
  const ConvolutionShape& s;
  const ConvolutionOperands& o;
  const float* image;                        // of the batch
  std::int64_t row, column;                  // where the first pixel's window begins in the image
  std::int64_t first_tap_row, last_tap_row;  // of the window that lie inside
  float* y;
  std::int64_t offset;  // of y among all outputs
};

/// P pixels, K x K taps, S pixels of the image from one to the next, for a vector of channels from c on, of which `count` are there. kEdge:
/// columns may lie outside. kPart: the vector is not whole.
template <int P, int K, int S, bool kEdge, bool kPart>
HWY_INLINE void Vectors(const Strip& t, std::int64_t c, [[maybe_unused]] std::int64_t count) {
  const std::int64_t channels = t.s.inputs;
  const auto* weights = static_cast<const float*>(t.o.weights);
  constexpr int kColumns = (P - 1) * S + K;
  const V zero = hn::Zero(kFloats);
  const auto load = [&](const float* from) HWY_ATTR {
    if constexpr (kPart) return LoadPart(kFloats, from, count, zero);
    else return hn::LoadU(kFloats, from);
  };
  const V bias = t.o.finish.bias ? load(t.o.finish.bias + c) : zero;
  V sums[P];
  HWY_UNROLL(8)
  for (int p = 0; p < P; ++p) sums[p] = zero;
  for (std::int64_t a = t.first_tap_row; a < t.last_tap_row; ++a) {
    const float* line = t.image + ((t.row + a) * t.s.width + t.column) * channels + c;
    const float* w = weights + a * K * channels + c;
    V taps[K];
    HWY_UNROLL(8)
    for (int b = 0; b < K; ++b) taps[b] = load(w + b * channels);
    HWY_UNROLL(32)
    for (int j = 0; j < kColumns; ++j) {
      if (kEdge && (t.column + j < 0 || t.column + j >= t.s.width)) continue;
      const V x = load(line + j * channels);
      HWY_UNROLL(8)
      for (int p = 0; p < P; ++p)
        if (j - p * S >= 0 && j - p * S < K) sums[p] = hn::MulAdd(x, taps[j - p * S < 0 || j - p * S >= K ? 0 : j - p * S], sums[p]);
    }
  }
  const Finishing<Tag> finished(t.o.finish);
  HWY_UNROLL(8)
  for (int p = 0; p < P; ++p) {
    V y = hn::Add(sums[p], bias);
    if (t.o.finish.residual) y = hn::Add(y, load(t.o.finish.residual + t.offset + p * channels + c));
    y = finished(y);
    if constexpr (kPart) StorePart(kFloats, y, t.y + p * channels + c, count);
    else hn::StoreU(y, kFloats, t.y + p * channels + c);
  }
}

template <int P, int K, int S, bool kEdge> void Pixels(const Strip& t) {
  std::int64_t c = 0;
  for (; c + kWidth <= t.s.inputs; c += kWidth) Vectors<P, K, S, kEdge, false>(t, c, kWidth);
  if (c < t.s.inputs) Vectors<P, K, S, kEdge, true>(t, c, t.s.inputs - c);
}

using StripFunction = void (*)(const Strip&);
template <int K, int S, bool kEdge, int... P> StripFunction Choose(std::int64_t pixels, std::integer_sequence<int, P...>) {
  static constexpr StripFunction kAll[] = {&Pixels<P + 1, K, S, kEdge>...};
  return kAll[pixels - 1];
}
template <bool kEdge> StripFunction Choose(const ConvolutionShape& s, std::int64_t pixels) {
  const auto sequence = std::make_integer_sequence<int, kMostPixels>();
  if (s.kernel_width == 3) return s.stride_width == 1 ? Choose<3, 1, kEdge>(pixels, sequence) : Choose<3, 2, kEdge>(pixels, sequence);
  return s.stride_width == 1 ? Choose<5, 1, kEdge>(pixels, sequence) : Choose<5, 2, kEdge>(pixels, sequence);
}

/// Output lines [first, last), of all images.
void DepthwiseLines(const ConvolutionShape& s, const ConvolutionOperands& o, std::int64_t first, std::int64_t last) {
  const std::int64_t strips = (s.out_width + kMostPixels - 1) / kMostPixels;
  for (std::int64_t line = first; line < last; ++line) {
    const std::int64_t row = line % s.out_height * s.stride_height - s.top;
    const std::int64_t first_tap_row = std::clamp<std::int64_t>(-row, 0, s.kernel_height);
    Strip t{.s = s,
            .o = o,
            .image = o.x + line / s.out_height * s.height * s.width * s.inputs,
            .row = row,
            .column = 0,
            .first_tap_row = first_tap_row,
            .last_tap_row = std::clamp<std::int64_t>(s.height - row, first_tap_row, s.kernel_height),
            .y = nullptr,
            .offset = 0};
    for (std::int64_t i = 0; i < strips; ++i) {
      const std::int64_t from = s.out_width * i / strips, pixels = s.out_width * (i + 1) / strips - from;
      t.column = from * s.stride_width - s.left;
      t.offset = (line * s.out_width + from) * s.inputs;
      t.y = o.y + t.offset;
      const bool edge = t.column < 0 || t.column + (pixels - 1) * s.stride_width + s.kernel_width > s.width;
      (edge ? Choose<true>(s, pixels) : Choose<false>(s, pixels))(t);
    }
    if (o.epilogue.apply) o.epilogue.rows(o.y + line * s.out_width * s.inputs, s.inputs, line * s.out_width, s.out_width, s.inputs);
  }
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {

HWY_EXPORT(DepthwiseLines);

bool depthwise_takes(const ConvolutionShape& s) {
  const auto taps = s.kernel_width, step = s.stride_width;
  return s.inputs == s.outputs && s.kernel_height == taps && (taps == 3 || taps == 5) && s.stride_height == step &&
         (step == 1 || step == 2) && s.dilation_height == 1 && s.dilation_width == 1;
}

std::uint64_t packed_depthwise_bytes(const ConvolutionShape& s) {
  return static_cast<std::uint64_t>(provider::Dims{s.kernel_height, s.kernel_width, s.inputs, sizeof(float)}.count());
}

void pack_depthwise(const void* weights, const ConvolutionShape& s, void* to) {
  const std::int64_t taps = s.kernel_height * s.kernel_width;
  for (std::int64_t c = 0; c < s.inputs; ++c)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      std::memcpy(static_cast<float*>(to) + tap * s.inputs + c, static_cast<const char*>(weights) + (c * taps + tap) * 4, sizeof(float));
}

void depthwise(const AshlarHost* host, const ConvolutionShape& shape, const ConvolutionOperands& operands) {
  const std::int64_t lines = shape.batch * shape.out_height;
  const std::int64_t work = shape.out_width * shape.kernel_height * shape.kernel_width * shape.inputs;  // of a line, in multiplications
  constexpr std::int64_t kSlotWork = 100000;
  auto body = [&](std::int64_t first, std::int64_t last) { HWY_DYNAMIC_DISPATCH(DepthwiseLines)(shape, operands, first, last); };
  host->parallel_for(
      host->core, lines, std::max<std::int64_t>(1, kSlotWork / std::max<std::int64_t>(1, work)),
      [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<decltype(body)*>(b))(begin, end); }, &body);
}

}  // namespace ashlar::cpu
#endif
