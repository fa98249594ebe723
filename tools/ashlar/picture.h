// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <ashlar/tensor.h>

#include "dims.h"

namespace ashlar::cli {

/// Subtracted from and divided into each channel's value / 255: none, one for all channels, or one per channel.
struct Normalization {
  std::vector<double> mean, std;
  bool empty() const { return mean.empty() && std.empty(); }
};

/// A PNG or JPEG as a tensor of the dtype (a float dtype: value / 255, normalised; uint8: 0 to 255). The layout follows what is
/// known of the shape, of rank 3 or 4: channels first where that dimension is 1 (gray) or 3 (RGB), else channels last. The
/// picture is resized to the height and width (bilinear, half-pixel centres, no antialiasing), which are its own where they are
/// unknown; the batch is 1. Throws Error (kInvalidArgument) for bytes that are no picture and for inputs it cannot fit.
Tensor picture_tensor(std::span<const std::byte> bytes, DType dtype, const KnownShape& known, const Normalization& normalization);

}  // namespace ashlar::cli
