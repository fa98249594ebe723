// SPDX-License-Identifier: Apache-2.0
// Float32 convolutions of each channel by itself, channels-last, for windows of 3x3 and 5x5 taps: pixels of a line share the vectors of channels they
// read, which stay in registers.
#pragma once

#include <cstdint>

#include "convolution.h"

namespace ashlar::cpu {

/// Whether it is a convolution of that kind; `inputs` are the channels, and as many `outputs`.
bool depthwise_takes(const ConvolutionShape& shape);

std::uint64_t packed_depthwise_bytes(const ConvolutionShape& shape);
/// `weights` [channels, 1, kernel height, kernel width], at any address, become [tap, channels].
void pack_depthwise(const void* weights, const ConvolutionShape& shape, void* to);

void depthwise(const AshlarHost* host, const ConvolutionShape& shape, const ConvolutionOperands& operands);

}  // namespace ashlar::cpu
