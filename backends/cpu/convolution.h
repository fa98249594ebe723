// SPDX-License-Identifier: Apache-2.0
// Float32 convolutions over two spatial dimensions, one group, channels-last, as products of the micro-kernel of product.h: a row of A is a
// pixel's window, read tap by tap where it lies in the image (M. Dukhan, "The Indirect Convolution Algorithm", 2019). Windows of few
// channels are read line by line.
#pragma once

#include <cstdint>

#include "product.h"

namespace ashlar::cpu {

struct ConvolutionShape {
  std::int64_t batch = 0, height = 0, width = 0, inputs = 0;  ///< the image
  std::int64_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1, dilation_height = 1, dilation_width = 1;
  std::int64_t top = 0, left = 0;  ///< padding before the image, of zeros; that behind follows from the extents
  std::int64_t out_height = 0, out_width = 0, outputs = 0;
  bool scaled = false;  ///< of 1x1 taps, stride 1 and no padding: channels of the image are multiplied by ConvolutionOperands::scale first
  std::int64_t pixels() const { return batch * out_height * out_width; }
  std::int64_t depth() const { return kernel_height * kernel_width * inputs; }
};

struct ConvolutionOperands {
  const float* x;                ///< [batch, height, width, inputs]
  const void* weights;           ///< packed
  float* y;                      ///< [batch, out_height, out_width, outputs]
  Finish finish = {};            ///< of y: a row is a pixel
  const float* scale = nullptr;  ///< [inputs] of each image, where the shape says so
  std::int64_t scale_step = 0;   ///< elements from an image's to the next one's
  Epilogue epilogue = {};
};

/// Weights as this machine's instruction set reads them: panel_layout().
std::uint64_t packed_convolution_bytes(const ConvolutionShape& shape);
/// `weights` [outputs, inputs, kernel height, kernel width], at any address.
void pack_convolution(const void* weights, const ConvolutionShape& shape, void* to);

/// How a convolution of one shape is split. No size is 0.
class ConvolutionPlan {
 public:
  ConvolutionPlan() = default;
  ConvolutionPlan(const ConvolutionShape& shape, int threads);
  std::uint64_t workspace_bytes() const;
  void run(const AshlarHost* host, const ConvolutionOperands& operands, void* workspace) const;

 private:
  ConvolutionShape shape_;
  ProductCells cells_;
};

}  // namespace ashlar::cpu
