// SPDX-License-Identifier: Apache-2.0
// Images and windows, which single operators and chains draw alike.
#pragma once

#include <cstdint>

#include "draw.h"

namespace ashlar::comparison {

/// [N, channels, spatial...], 1 to `most` spatial dimensions of up to `longest` each.
Extents draw_image(Draw& d, const Extent& channels, std::int64_t most, std::int64_t longest);

/// kernel_shape, strides, dilations, and pads or auto_pad (never an input that is shorter than the kernel), drawn for the image.
struct Window {
  std::vector<std::int64_t> kernel;
  Attributes attributes;
};
Window draw_window(Draw& d, const Extents& image, bool dilated = true, bool padded = true);

/// A Conv of the image, weights as initializers half of the time; gives its output and says how many channels that has.
std::string draw_conv(Draw& d, const char* op, const std::string& x, const Extents& image, DType type, std::int64_t& channels);

}  // namespace ashlar::comparison
