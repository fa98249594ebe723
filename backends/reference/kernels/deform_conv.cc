// SPDX-License-Identifier: Apache-2.0
// DeformConv (J. Dai et al., "Deformable Convolutional Networks"): a convolution whose taps are moved by offsets and scaled by a mask.
// A tap between pixels interpolates linearly; pixels outside the input are zeros.
#include <cmath>

#include "product.h"
#include "window.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;

enum Input { kX, kWeight, kOffset, kBias, kMask };

class DeformConv : public Kernel {
 public:
  explicit DeformConv(const NodeView& node)
      : attributes_(node), group_(node.integer("group", 1)), offset_group_(node.integer("offset_group", 1)) {}

  void bind(BindContext& context) const override {
    const Dims x = context.input(kX).dims(), w = context.input(kWeight).dims();
    const Window window = this->window(context);
    check(group_ >= 1 && x[1] % group_ == 0 && w[0] % group_ == 0 && w[1] == x[1] / group_, "a weight of shape ", w,
          " for an input of shape ", x, " in ", group_, " groups");
    check(offset_group_ >= 1 && x[1] % offset_group_ == 0 && offset_group_ <= std::max<std::int64_t>(x[1], 1), offset_group_,
          " offset groups of ", x[1], " channels");
    const auto expect = [&](int input, std::int64_t channels) {
      Dims dims{x[0], channels};
      for (const std::int64_t d : window.output) dims.push_back(d);
      check(context.input(input).dims() == dims, "input ", input, " has shape ", context.input(input).dims(), ", not ", dims);
    };
    const std::int64_t taps = window.kernel.count();
    expect(kOffset, offset_group_ * taps * window.rank());
    if (context.has_input(kMask)) expect(kMask, offset_group_ * taps);
    if (context.has_input(kBias))
      check(context.input(kBias).dims() == Dims{w[0]}, "a bias of shape ", context.input(kBias).dims(), " for ", w[0], " channels");
    Dims y{x[0], w[0]};
    for (const std::int64_t d : window.output) y.push_back(d);
    context.set_output(0, y);
  }

  void run(const RunContext& context) const override {
    if (context.output(0).count() == 0) return;
    dispatch<FloatTypes>(context.input(kX).dtype(), [&]<class T>() { compute<T>(context); });
  }

 private:
  template <class Context> Window window(const Context& context) const {
    const Dims x = context.input(kX).dims(), w = context.input(kWeight).dims();
    check(x.rank() >= 3 && w.rank() == x.rank(), "a weight of shape ", w, " for an input of shape ", x);
    return attributes_.slide(x, tail(w, 2));
  }

  template <class T> void compute(const RunContext& context) const {
    const Window win = window(context);
    const Dims x_dims = context.input(kX).dims(), w_dims = context.input(kWeight).dims();
    const std::int64_t pixels = win.input.count(), positions = win.output.count(), taps = win.kernel.count(), n = win.rank();
    const std::int64_t inputs = x_dims[1] / group_, outputs = w_dims[0] / group_, share = x_dims[1] / offset_group_, depth = inputs * taps;
    const T* x = context.input(kX).data<T>();
    const T* w = context.input(kWeight).data<T>();
    const T* offsets = context.input(kOffset).data<T>();
    const T* bias = context.has_input(kBias) ? context.input(kBias).data<T>() : nullptr;
    const T* mask = context.has_input(kMask) ? context.input(kMask).data<T>() : nullptr;
    T* y = context.output(0).mutable_data<T>();
    for (std::int64_t b = 0; b < x_dims[0]; ++b) {
      for (std::int64_t g = 0; g < group_; ++g) {
        const auto fill = [&](std::int64_t first, std::int64_t width, double* tile) {
          std::vector<double> at(static_cast<std::size_t>(n));
          for (std::int64_t c = 0; c < inputs; ++c) {
            const std::int64_t channel = g * inputs + c, field = (b * offset_group_ + channel / share) * taps;
            Dims tap = Dims::filled(win.rank(), 0);
            for (std::int64_t k = 0; k < taps; ++k, advance(tap, win.kernel)) {
              for (std::int64_t j = 0; j < width; ++j) {
                std::int64_t rest = first + j;
                for (int d = win.rank() - 1; d >= 0; rest /= win.output[d], --d)
                  at[static_cast<std::size_t>(d)] =
                      static_cast<double>(rest % win.output[d] * win.stride[d] + tap[d] * win.dilation[d] - win.begin[d]) +
                      static_cast<double>(offsets[((field + k) * n + d) * positions + first + j]);
                const double scale = mask ? static_cast<double>(mask[(field + k) * positions + first + j]) : 1;
                tile[(c * taps + k) * kTile + j] = scale * sample(x + (b * x_dims[1] + channel) * pixels, win.input, at.data(), 0);
              }
            }
          }
        };
        multiply_tiles<double>(
            outputs, positions, depth,
            [&](std::int64_t m, std::int64_t k) { return static_cast<double>(w[(g * outputs + m) * depth + k]); }, fill,
            [&](std::int64_t m, std::int64_t j, double sum) {
              const std::int64_t channel = g * outputs + m;
              y[(b * w_dims[0] + channel) * positions + j] = narrow<T>(bias ? sum + static_cast<double>(bias[channel]) : sum);
            });
      }
    }
  }

  /// The plane at coordinate `at`, linear in each dimension from d on; recursion is as deep as the rank.
  template <class T> static double sample(const T* plane, const Dims& dims, const double* at, int d) {
    if (d == dims.rank()) return static_cast<double>(*plane);
    const double position = at[d], base = std::floor(position);
    if (!(position > -1 && position < static_cast<double>(dims[d]))) return 0;
    const std::int64_t step = dims.product(d + 1, dims.rank()), i = static_cast<std::int64_t>(base);
    double sum = 0;
    if (i >= 0) sum += (1 - (position - base)) * sample(plane + i * step, dims, at, d + 1);
    if (i + 1 < dims[d] && position > base) sum += (position - base) * sample(plane + (i + 1) * step, dims, at, d + 1);
    return sum;
  }

  WindowAttributes attributes_;
  std::int64_t group_, offset_group_;
};

constexpr KernelEntry kKernels[] = {
    {"DeformConv", 19, provider::kLatest, &takes_same<FloatTypes, 1, 2, 3, 4>, &provider::make<DeformConv>}};

}  // namespace

std::span<const KernelEntry> deform_conv_kernels() { return kKernels; }

}  // namespace ashlar::reference
