// SPDX-License-Identifier: Apache-2.0
// A window that slides over the spatial dimensions of a tensor [N, C, D1, ..., Dn]: what convolutions and poolings share.
// Extents and padding follow ONNX's Conv-22, MaxPool-22 and ConvTranspose-22.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// One entry per spatial dimension. Tap k of position o reads input coordinate o * stride + k * dilation - begin; in a transposed
/// window, input coordinate i and tap k add to output coordinate i * stride + k * dilation - begin.
struct Window {
  Dims input, kernel, stride, dilation, begin, end, output;
  int rank() const { return input.rank(); }
};

/// dims[from:].
inline Dims tail(const Dims& dims, int from) { return Dims(dims.span().subspan(static_cast<std::size_t>(from))); }

/// The next index of `dims` in row-major order; false after the last, when the index is all zeros again.
inline bool advance(Dims& index, const Dims& dims) {
  for (int d = dims.rank() - 1; d >= 0; --d) {
    if (++index[d] < dims[d]) return true;
    index[d] = 0;
  }
  return false;
}

/// [first, last): the taps k of a dimension for which origin + k * dilation lies in [low, high), out of `taps`.
struct TapRange {
  std::int64_t first, last;
  TapRange(std::int64_t origin, std::int64_t dilation, std::int64_t taps, std::int64_t low, std::int64_t high)
      : first(origin >= low ? 0 : std::min(taps, (low - origin + dilation - 1) / dilation)),
        last(origin >= high ? 0 : std::min(taps, (high - origin + dilation - 1) / dilation)) {
    last = std::max(first, last);
  }
};

/// The window attributes of a node: strides, dilations, pads, auto_pad, ceil_mode, kernel_shape, output_shape, output_padding.
class WindowAttributes {
 public:
  explicit WindowAttributes(const NodeView& node)
      : kernel_(node.integers("kernel_shape")), strides_(node.integers("strides")), dilations_(node.integers("dilations")),
        pads_(node.integers("pads")), output_padding_(node.integers("output_padding")), output_shape_(node.integers("output_shape")),
        auto_pad_(node.text("auto_pad", "NOTSET")), ceil_(node.integer("ceil_mode") != 0) {}

  /// True when every attribute is less than `limit`.
  bool below(std::int64_t limit) const {
    for (const auto* values : {&kernel_, &strides_, &dilations_, &pads_, &output_padding_, &output_shape_})
      for (const std::int64_t v : *values)
        if (v >= limit) return false;
    return true;
  }

  /// True when strides are 1 and no padding is asked for by numbers.
  bool slides_by_one() const {
    return std::all_of(strides_.begin(), strides_.end(), [](std::int64_t s) { return s == 1; }) &&
           std::all_of(pads_.begin(), pads_.end(), [](std::int64_t p) { return p == 0; });
  }

  /// The window over x that kernel_shape describes.
  Window slide(const Dims& x) const { return slide(x, Dims(std::span<const std::int64_t>(kernel_))); }

  /// The window of `kernel` taps over x = [N, C, D1, ..., Dn]. A Failure when an attribute is out of range or the window does not fit.
  Window slide(const Dims& x, const Dims& kernel) const {
    Window w = common(x, kernel);
    for (int d = 0; d < w.rank(); ++d) {
      const std::int64_t in = w.input[d], stride = w.stride[d], span = (w.kernel[d] - 1) * w.dilation[d] + 1;
      std::int64_t out;
      if (same()) {
        out = (in + stride - 1) / stride;
        split(std::max<std::int64_t>(0, (out - 1) * stride + span - in), auto_pad_ == "SAME_UPPER", w, d);
      } else {
        const std::int64_t room = in + w.begin[d] + w.end[d] - span;
        check(room >= -stride || in == 0, "a window of ", span, " does not fit dimension ", d + 2, " of ", x, " padded by ", w.begin[d],
              " and ", w.end[d]);
        out = room < 0 ? 0 : (room + (ceil_ ? stride - 1 : 0)) / stride + 1;
        if (ceil_ && (out - 1) * stride >= in + w.begin[d]) out = std::max<std::int64_t>(0, out - 1);
      }
      w.output.push_back(out);
    }
    return w;
  }

  /// The window of ConvTranspose: `input` is the smaller side, `output` the larger.
  Window slide_transposed(const Dims& x, const Dims& kernel) const {
    Window w = common(x, kernel);
    const Dims extra = per_axis("output_padding", output_padding_, w.rank(), 0, 0);
    const Dims given = per_axis("output_shape", output_shape_, w.rank(), 0, 0);
    for (int d = 0; d < w.rank(); ++d) {
      const std::int64_t in = w.input[d], full = w.stride[d] * (in - 1) + extra[d] + (w.kernel[d] - 1) * w.dilation[d] + 1;
      const std::int64_t span = (w.kernel[d] - 1) * w.dilation[d] + 1;
      if (!output_shape_.empty()) split(std::max<std::int64_t>(0, full - given[d]), auto_pad_ == "SAME_UPPER", w, d);
      else if (same()) split(std::max<std::int64_t>(0, span - w.stride[d]), auto_pad_ == "SAME_UPPER", w, d);
      const std::int64_t out = output_shape_.empty() ? full - w.begin[d] - w.end[d] : given[d];
      check(out >= 0, "dimension ", d + 2, " of the output would be ", out);
      w.output.push_back(out);
    }
    return w;
  }

 private:
  static constexpr std::int64_t kLimit = std::int64_t{1} << 30;

  bool same() const { return auto_pad_ == "SAME_UPPER" || auto_pad_ == "SAME_LOWER"; }

  static void split(std::int64_t total, bool upper, Window& w, int d) {
    w.begin[d] = upper ? total / 2 : total - total / 2;
    w.end[d] = total - w.begin[d];
  }

  static Dims per_axis(std::string_view name, const std::vector<std::int64_t>& values, int rank, std::int64_t least,
                       std::int64_t otherwise) {
    if (values.empty()) return Dims::filled(rank, otherwise);
    check(static_cast<int>(values.size()) == rank, name, " has ", values.size(), " values for ", rank, " dimensions");
    for (const std::int64_t v : values) check(v >= least && v < kLimit, name, " holds ", v);
    return Dims(std::span(values));
  }

  Window common(const Dims& x, const Dims& kernel) const {
    check(x.rank() >= 3, "an input of shape ", x, " has no spatial dimensions");
    Window w;
    w.input = tail(x, 2);
    const int n = w.rank();
    for (const std::int64_t d : w.input) check(d < kLimit, "a spatial dimension of ", d);
    w.kernel = per_axis("kernel", {kernel.begin(), kernel.end()}, n, 1, 1);
    check(kernel_.empty() || per_axis("kernel_shape", kernel_, n, 1, 1) == w.kernel, "kernel_shape is not the weight's ", w.kernel);
    w.stride = per_axis("strides", strides_, n, 1, 1);
    w.dilation = per_axis("dilations", dilations_, n, 1, 1);
    w.begin = w.end = Dims::filled(n, 0);
    if (auto_pad_ == "NOTSET" || auto_pad_.empty()) {
      const Dims pads = per_axis("pads", pads_, 2 * n, 0, 0);
      std::copy(pads.begin(), pads.begin() + n, w.begin.begin());
      std::copy(pads.begin() + n, pads.end(), w.end.begin());
    } else {
      check(same() || auto_pad_ == "VALID", "auto_pad is ", auto_pad_);
    }
    return w;
  }

  std::vector<std::int64_t> kernel_, strides_, dilations_, pads_, output_padding_, output_shape_;
  std::string auto_pad_;
  bool ceil_;
};

}  // namespace ashlar::provider
