// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "ops/symbolic_rules.h"

namespace ashlar::ops {
namespace {

using Call = FactsRuleCall;

/// What a window leaves of a dimension.
DimExpr windowed(const Call& c, const DimExpr& size, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, std::int64_t pads,
                 bool same, bool ceil) {
  if (stride < 1 || dilation < 1 || kernel < 1) return c.table.fresh();
  if (same) {
    const auto up = c.table.add(size, DimExpr(stride - 1));
    return c.or_fresh(up ? c.table.floor_divide(*up, DimExpr(stride)) : std::nullopt);
  }
  const std::int64_t less = dilation * (kernel - 1) + 1 - pads;
  const auto steps = c.table.subtract(size, DimExpr(less));
  if (!steps) return c.table.fresh();
  if (steps->value() && *steps->value() < 0) return DimExpr(0);
  if (ceil) return c.table.fresh();
  if (stride == 1) {
    // Shorter inputs make the run fail.
    const auto out = c.table.add(*steps, DimExpr(1));
    return out ? *out : c.table.fresh();
  }
  if (!steps->at_least(0)) return c.table.fresh();
  const auto whole = c.table.floor_divide(*steps, DimExpr(stride));
  return c.or_fresh(whole ? c.table.add(*whole, DimExpr(1)) : std::nullopt);
}

/// N, channels, then each spatial dimension by its window. `kernel` has one entry a spatial dimension.
Facts window(const Call& c, const SymbolicShape& in, const DimExpr& channels, const std::vector<std::int64_t>& kernel) {
  const std::size_t spatial = in.size() - 2;
  SymbolicShape out{in[0], channels};
  const auto strides = c.integers("strides"), dilations = c.integers("dilations"), pads = c.integers("pads");
  const std::string automatic = c.text("auto_pad");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER", valid = automatic == "VALID";
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t pad = !valid && pads.size() == 2 * spatial ? pads[i] + pads[spatial + i] : 0;
    out.push_back(windowed(c, in[2 + i], kernel[i], i < strides.size() ? strides[i] : 1, i < dilations.size() ? dilations[i] : 1, pad, same,
                           c.integer("ceil_mode") != 0));
  }
  return one(std::move(out));
}

Facts conv(const Call& c) {
  const SymbolicShape *in = c.shape(0), *w = c.shape(1);
  if (!in || !w || in->size() < 3 || w->size() != in->size()) return {};
  std::vector<std::int64_t> kernel;
  for (std::size_t i = 2; i < w->size(); ++i) {
    if (!(*w)[i].value()) return {};
    kernel.push_back(*(*w)[i].value());
  }
  return window(c, *in, (*w)[0], kernel);
}

/// Each spatial dimension is what a window that slides over the output would leave: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html.
Facts conv_transpose(const Call& c) {
  const SymbolicShape *in = c.shape(0), *w = c.shape(1);
  if (!in || !w || in->size() < 3 || w->size() != in->size()) return {};
  const std::size_t spatial = in->size() - 2;
  const auto channels = c.table.multiply((*w)[1], DimExpr(c.integer("group", 1)));
  SymbolicShape out{(*in)[0], c.or_fresh(channels)};
  const auto given = c.integers("output_shape"), strides = c.integers("strides"), dilations = c.integers("dilations"),
             pads = c.integers("pads"), extra = c.integers("output_padding");
  const auto at = [](const std::vector<std::int64_t>& list, std::size_t i, std::int64_t otherwise) {
    return i < list.size() ? list[i] : otherwise;
  };
  const std::string automatic = c.text("auto_pad");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  for (std::size_t i = 0; i < spatial; ++i) {
    const auto kernel = (*w)[2 + i].value();
    if (given.size() == spatial || !kernel) {
      out.push_back(given.size() == spatial && given[i] >= 0 ? DimExpr(given[i]) : c.table.fresh());
      continue;
    }
    const std::int64_t stride = at(strides, i, 1), span = (*kernel - 1) * at(dilations, i, 1) + 1;
    std::int64_t pad = 0;
    if (same) pad = std::max<std::int64_t>(0, span - stride);
    else if (automatic != "VALID" && pads.size() == 2 * spatial) pad = pads[i] + pads[spatial + i];
    const auto strided = c.table.multiply((*in)[2 + i], DimExpr(stride));
    const auto size = strided ? c.table.add(*strided, DimExpr(at(extra, i, 0) + span - stride - pad)) : std::nullopt;
    // Shorter inputs make the run fail.
    out.push_back(size && !(size->value() && *size->value() < 0) ? *size : c.table.fresh());
  }
  return one(std::move(out));
}

Facts pool(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const auto kernel = c.integers("kernel_shape");
  if (!in || in->size() < 3 || kernel.size() != in->size() - 2) return {};
  Facts out = window(c, *in, (*in)[1], kernel);
  if (c.node.outputs.size() > 1) out.push_back(out[0]);
  return out;
}

Facts global_pool(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in || in->size() < 2) return {};
  SymbolicShape out(in->size(), DimExpr(1));
  out[0] = (*in)[0];
  out[1] = (*in)[1];
  return one(std::move(out));
}

Facts resize(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const Elements* sizes = c.elements(3);
  if (sizes && sizes->size() == in->size() && c.text("keep_aspect_ratio_policy") != "not_larger" &&
      c.text("keep_aspect_ratio_policy") != "not_smaller" && !c.node.find("axes")) {
    SymbolicShape out;
    for (const DimExpr& d : *sizes) out.push_back(c.or_fresh(d));
    return one(std::move(out));
  }
  SymbolicShape out = c.fresh(in->size());
  return one(std::move(out));
}

constexpr auto kRows = std::to_array<FactsRow>({
    {"AveragePool", &pool},
    {"Conv", &conv},
    {"ConvTranspose", &conv_transpose},
    {"GlobalAveragePool", &global_pool},
    {"GlobalLpPool", &global_pool},
    {"GlobalMaxPool", &global_pool},
    {"LpPool", &pool},
    {"MaxPool", &pool},
    {"Resize", &resize},
});

}  // namespace

std::span<const FactsRow> window_rules() { return kRows; }

}  // namespace ashlar::ops
