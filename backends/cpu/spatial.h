// SPDX-License-Identifier: Apache-2.0
// Vector loops over float32 images: pooled windows of channels-last images, reductions of rows, weighted sums of rows.
#pragma once

#include <cstdint>

namespace ashlar::cpu {

enum class Pooling { kMax, kSum, kAverage };  ///< kMax: -infinity for a window without taps; NaN where a tap is NaN

/// A window over a dense image [batch, input..., channels] that gives [batch, output..., channels]. Three spatial dimensions, outermost
/// first; Window says what the fields mean.
struct PoolJob {
  const float* x = nullptr;
  float* y = nullptr;
  Pooling mode = Pooling::kMax;
  bool include_pad = false;  ///< kAverage: divides by the taps in the padded input, not by those in the input
  std::int64_t channels = 0;
  std::int64_t input[3] = {1, 1, 1}, output[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  std::int64_t begin[3] = {}, end[3] = {};
  std::int64_t block = 0;  ///< channels of a unit, >= 1
  std::int64_t blocks() const { return (channels + block - 1) / block; }
};
/// Units [first, last) of batch * output[0] * output[1] * blocks(): a row of the output in one block of channels.
void pool_rows(const PoolJob& job, std::int64_t first, std::int64_t last);

/// The maximum or sum (kMax, kSum) of x[0, n).
float reduce_row(const float* x, std::int64_t n, Pooling mode);

/// y[i] = sum over t of weights[t] * x[offsets[t] + i], i in [0, n), t in [0, taps), taps >= 1.
void blend_rows(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* y);

/// y[j] = sum over t of weights[j * taps + t] * x[offsets[j * taps + t]], j in [0, n).
void blend_points(const float* x, const std::int64_t* offsets, const float* weights, std::int64_t taps, std::int64_t n, float* y);

}  // namespace ashlar::cpu
