// SPDX-License-Identifier: Apache-2.0
// Float32 convolutions of 3x3 taps and stride 1 as 36 matrix products of a quarter of the multiplications: Winograd's F(4x4, 3x3).
//
// A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). The points of interpolation are 0, +-sqrt(1/2), +-sqrt(2) and
// infinity, with which the largest error is that of adding up the products in order: B. Barabasz et al., "Error Analysis and Improving the Accuracy of
// Winograd Convolution for Deep Neural Networks" (2020).
#pragma once

#include <cstdint>

#include "convolution.h"
#include "costs.h"

namespace ashlar::cpu {

/// Whether it is a convolution of that kind.
bool winograd_takes(const ConvolutionShape& shape);
/// Whether this is faster than a direct convolution, for one that it takes: by a model of both, whose constants follow benchmarks/convolution_benchmark.cc.
bool winograd_pays(const ConvolutionShape& shape, int threads, const ConvolutionCosts& costs);

/// Transformed weights. Packed for this machine's instruction set: panel_layout().
std::uint64_t winograd_weight_bytes(std::int64_t inputs, std::int64_t outputs);
/// `weights` [outputs, inputs, 3, 3], at any address.
void winograd_pack(const AshlarHost* host, const void* weights, std::int64_t inputs, std::int64_t outputs, void* to);

/// How a convolution of one shape is split. No size is 0.
class WinogradPlan {
 public:
  WinogradPlan() = default;
  WinogradPlan(const ConvolutionShape& shape, int threads);
  std::uint64_t workspace_bytes() const;
  void run(const AshlarHost* host, const ConvolutionOperands& operands, void* workspace) const;

 private:
  ConvolutionShape shape_;
  int threads_ = 1;
  std::int64_t tiles_ = 0;
  std::int64_t slots_ = 1, block_ = 1;  ///< tiles of a block
  bool together_ = false;               ///< all threads work on one block; else each slot has blocks of its own
};

}  // namespace ashlar::cpu
