// SPDX-License-Identifier: Apache-2.0
// Float32 convolutions with constant weights on own kernels: which of them, the weights packed for it, and the operators that follow.
#pragma once

#include <optional>
#include <vector>

#include "convolution.h"
#include "row_ops.h"
#include "winograd.h"

namespace ashlar::cpu {

class OwnConvolution {
 public:
  enum class Method { kDirect, kDepthwise, kWinograd };
  /// For a shape of operands.
  struct Bound {
    Method method;
    ConvolutionShape shape;
    const void* weights;
    ConvolutionPlan direct = {};
    WinogradPlan winograd = {};
    RowOperands operands = {};
    std::int64_t scale_step = 0;
  };

  /// Input 0 is the image, input 2 the bias.
  OwnConvolution(const AshlarHost* host, const provider::TensorView& weights, bool has_bias, bool winograd)
      : host_(host), weights_(weights), winograd_(winograd) {
    if (has_bias) row_ops_.add_bias(2);
  }

  /// What follows the convolution and the bias. False when own kernels cannot do that.
  bool set_ops(const std::vector<PostOp>& ops);
  /// The input that multiplies the channels of input 0 first.
  void set_scale(int input) { scale_ = input; }
  /// How a convolution in so many groups is computed; nothing where own kernels do not, or oneDNN is faster.
  std::optional<Method> method(const ConvolutionShape& shape, std::int64_t group) const;
  /// Packed once, kept by the host.
  const void* packed(Method method, const ConvolutionShape& shape) const;
  /// Sets the workspace. `output` are the dims of the output, which is channels-last like all operands of its rank.
  Bound bind(provider::BindContext& context, Method method, const ConvolutionShape& shape, const Dims& output) const;
  /// Writes output 0.
  void run(const provider::RunContext& context, const Bound& bound) const;

 private:
  const AshlarHost* host_;
  provider::TensorView weights_;
  bool winograd_;  ///< may be taken
  int scale_ = -1;
  bool exponentials_ = false;  ///< among what follows
  RowOps row_ops_;
};

}  // namespace ashlar::cpu
