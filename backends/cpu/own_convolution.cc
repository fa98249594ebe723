// SPDX-License-Identifier: Apache-2.0
#include "own_convolution.h"

#include <algorithm>

#include "depthwise.h"

namespace ashlar::cpu {

bool OwnConvolution::set_ops(const std::vector<PostOp>& ops) {
  using Kind = PostOp::Kind;
  for (const PostOp& op : ops)
    for (const Kind kind : {Kind::kSigmoid, Kind::kSwish, Kind::kMish, Kind::kTanh, Kind::kGelu, Kind::kGeluTanh, Kind::kElu})
      exponentials_ = exponentials_ || op.kind == kind;
  return std::all_of(ops.begin(), ops.end(), [&](const PostOp& op) { return row_ops_.append(op); });
}

std::optional<OwnConvolution::Method> OwnConvolution::method(const ConvolutionShape& shape, std::int64_t group) const {
  if (scale_ >= 0) return Method::kDirect;
  const ConvolutionCosts& costs = convolution_costs(vector_floats());
  if (!costs.own) return std::nullopt;
  // Where pixels are many, the code that oneDNN generates for a shape is ahead of own kernels, but for Winograd's algorithm, and but for few
  // products an element with an exponential behind them, which it computes slowly. Pixels are those of an image, so that a batch of another size
  // reads the same weights.
  const std::int64_t products = shape.kernel_height * shape.kernel_width * shape.inputs / group;
  const bool few = shape.out_height * shape.out_width <= costs.few_pixels || (exponentials_ && products <= costs.few_products);
  if (group == 1 && winograd_ && winograd_takes(shape) && winograd_pays(shape, host_->threads, costs)) return Method::kWinograd;
  if (group == 1 && few) return Method::kDirect;
  if (group == shape.inputs && few && depthwise_takes(shape)) return Method::kDepthwise;
  return std::nullopt;
}

const void* OwnConvolution::packed(Method method, const ConvolutionShape& s) const {
  const auto pack = [&](const char* name, std::uint64_t bytes, auto fill) {
    const std::string key = provider::concat(name, ' ', panel_layout());
    return provider::packed(host_, weights_, key.c_str(), bytes, [&](void* to) { fill(weights_.raw(), to); });
  };
  switch (method) {
    case Method::kDirect:
      return pack("taps", packed_convolution_bytes(s), [&](const void* from, void* to) { pack_convolution(from, s, to); });
    case Method::kDepthwise:
      return pack("depthwise", packed_depthwise_bytes(s), [&](const void* from, void* to) { pack_depthwise(from, s, to); });
    case Method::kWinograd:
      return pack("winograd 4x4", winograd_weight_bytes(s.inputs, s.outputs),
                  [&](const void* from, void* to) { winograd_pack(host_, from, s.inputs, s.outputs, to); });
  }
  return nullptr;
}

OwnConvolution::Bound OwnConvolution::bind(provider::BindContext& context, Method method, const ConvolutionShape& shape,
                                           const Dims& output) const {
  Bound b{.method = method, .shape = shape, .weights = packed(method, shape)};
  if (scale_ >= 0) {
    const Dims scale = context.input(scale_).dims();
    provider::check(scale.rank() == output.rank() && (scale[0] == 1 || scale[0] == shape.batch) && scale[1] == shape.inputs &&
                        scale.count() == scale[0] * scale[1],
                    "factors of shape ", scale, " for an image of ", shape.batch, "x", shape.inputs, " channels");
    b.shape.scaled = true;
    b.scale_step = scale[0] == 1 ? 0 : shape.inputs;
  }
  if (method == Method::kDirect) {
    b.direct = ConvolutionPlan(b.shape, host_->threads);
    context.set_workspace(b.direct.workspace_bytes());
  } else if (method == Method::kWinograd) {
    b.winograd = WinogradPlan(shape, host_->threads);
    context.set_workspace(b.winograd.workspace_bytes());
  }
  b.operands = RowOperands(row_ops_, context, output, 0, kChannelsLast);
  return b;
}

void OwnConvolution::run(const provider::RunContext& context, const Bound& b) const {
  const RowRun row_run(row_ops_, b.operands, context);
  const ConvolutionOperands operands{.x = context.input(0).data<float>(),
                                     .weights = b.weights,
                                     .y = context.output(0).mutable_data<float>(),
                                     .finish = row_run.finish(),
                                     .scale = scale_ >= 0 ? context.input(scale_).data<float>() : nullptr,
                                     .scale_step = b.scale_step,
                                     .epilogue = row_run.epilogue()};
  switch (b.method) {
    case Method::kDirect: return b.direct.run(host_, operands, context.workspace());
    case Method::kDepthwise: return depthwise(host_, b.shape, operands);
    case Method::kWinograd: return b.winograd.run(host_, operands, context.workspace());
  }
}

}  // namespace ashlar::cpu
