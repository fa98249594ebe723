// SPDX-License-Identifier: Apache-2.0
#include "picture.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <memory>

#include <stb/stb_image.h>

#include "elements.h"
#include "fail.h"

namespace ashlar::cli {
namespace {

struct Layout {
  bool channels_first = true;
  std::int64_t channels = 0, height = -1, width = -1;
};

Layout layout_of(DType dtype, const KnownShape& known) {
  if (!known || known->size() < 3 || known->size() > 4)
    fail("a picture needs an input of rank 3 or 4, this one is {}; --shape can say it", describe(dtype, known));
  const auto& d = *known;
  const std::size_t first = d.size() - 3;
  if (first == 1 && d[0] > 1) fail("a picture is a batch of 1, the input is {}", describe(dtype, known));
  const auto is_channels = [](std::int64_t c) { return c == 1 || c == 3; };
  if (is_channels(d[first])) return {true, d[first], d[first + 1], d[first + 2]};
  if (is_channels(d.back())) return {false, d.back(), d[first], d[first + 1]};
  fail("a picture has 1 or 3 channels, neither end of {} is that; --shape can say it", describe(dtype, known));
}

struct Pixels {
  int width = 0, height = 0, channels = 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> data{nullptr, stbi_image_free};

  double at(int y, int x, int c) const { return data.get()[(static_cast<std::size_t>(y) * width + x) * channels + c]; }
};

Pixels decode(std::span<const std::byte> bytes, int channels) {
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;
  if (bytes.size() > INT_MAX) fail("the picture's file is 2 GiB or more");
  const auto* raw = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  Pixels p;
  int in_file = 0;
  if (!stbi_info_from_memory(raw, size, &p.width, &p.height, &in_file)) fail("not a PNG or JPEG picture that can be read");
  if (static_cast<std::int64_t>(p.width) * p.height > kMostPixels) fail("a picture of {} x {} pixels is too large", p.width, p.height);
  p.data.reset(stbi_load_from_memory(raw, size, &p.width, &p.height, &in_file, channels));
  if (!p.data) fail("the picture is damaged: {}", stbi_failure_reason());
  p.channels = channels;
  return p;
}

// Where a destination coordinate falls between two source ones.
struct Tap {
  int low, high;
  double fraction;
};

Tap tap(std::int64_t i, std::int64_t to, int from) {
  const double at = (static_cast<double>(i) + 0.5) * from / static_cast<double>(to) - 0.5;
  const double clamped = std::clamp(at, 0.0, static_cast<double>(from - 1));
  const int low = static_cast<int>(clamped);
  return {low, std::min(low + 1, from - 1), clamped - low};
}

double channel_value(const std::vector<double>& values, std::int64_t channel, double otherwise) {
  if (values.empty()) return otherwise;
  return values[values.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
}

void check(const Normalization& n, DType dtype, std::int64_t channels) {
  if (!n.empty() && !is_float(dtype)) fail("--mean and --std need a float input, this one is {}", to_string(dtype));
  for (const auto* values : {&n.mean, &n.std})
    if (values->size() > 1 && static_cast<std::int64_t>(values->size()) != channels)
      fail("{} has {} values, the input has {} channels", values == &n.mean ? "--mean" : "--std", values->size(), channels);
  if (std::count(n.std.begin(), n.std.end(), 0.0) > 0) fail("--std cannot be 0");
}

}  // namespace

Tensor picture_tensor(std::span<const std::byte> bytes, DType dtype, const KnownShape& known, const Normalization& normalization) {
  if (!is_float(dtype) && dtype != DType::kUint8) fail("a picture fits float and uint8 inputs, this one is {}", to_string(dtype));
  const Layout layout = layout_of(dtype, known);
  check(normalization, dtype, layout.channels);
  const Pixels pixels = decode(bytes, static_cast<int>(layout.channels));
  const std::int64_t height = layout.height < 0 ? pixels.height : layout.height;
  const std::int64_t width = layout.width < 0 ? pixels.width : layout.width;
  std::vector<std::int64_t> dims = {height, width};
  dims.insert(layout.channels_first ? dims.begin() : dims.end(), layout.channels);
  if (known->size() == 4) dims.insert(dims.begin(), 1);
  const Shape shape(dims);
  require_shape(dtype, known, shape);

  Tensor tensor = Tensor::zeros(dtype, shape);
  for (std::int64_t y = 0; y < height; ++y) {
    const Tap v = tap(y, height, pixels.height);
    for (std::int64_t x = 0; x < width; ++x) {
      const Tap h = tap(x, width, pixels.width);
      for (std::int64_t c = 0; c < layout.channels; ++c) {
        const int channel = static_cast<int>(c);
        const double top = std::lerp(pixels.at(v.low, h.low, channel), pixels.at(v.low, h.high, channel), h.fraction);
        const double bottom = std::lerp(pixels.at(v.high, h.low, channel), pixels.at(v.high, h.high, channel), h.fraction);
        double value = std::lerp(top, bottom, v.fraction);
        if (dtype == DType::kUint8) value = std::nearbyint(value);
        else value = (value / 255 - channel_value(normalization.mean, c, 0)) / channel_value(normalization.std, c, 1);
        const std::int64_t at = layout.channels_first ? (c * height + y) * width + x : (y * width + x) * layout.channels + c;
        set_number(tensor, static_cast<std::size_t>(at), value);
      }
    }
  }
  return tensor;
}

}  // namespace ashlar::cli
