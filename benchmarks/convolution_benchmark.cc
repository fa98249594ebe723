// SPDX-License-Identifier: Apache-2.0
// Convolutions of well-known models on the CPU provider, channels-last and with a Relu, by what computes them: what the provider chooses, own
// kernels without Winograd's algorithm, oneDNN. Argument: threads. items_per_second counts the multiplications and additions of a direct one.
#include "benchmarks/bench.h"

namespace {

using ashlar::benchmarks::Bench;
using Integers = std::vector<std::int64_t>;

struct Sizes {
  const char* name;
  std::int64_t batch, extent, inputs, outputs, kernel, stride = 1, group = 1;
};

constexpr Sizes kSizes[] = {
    {"resnet stem", 1, 224, 3, 64, 7, 2},
    {"resnet 1x1 wide", 1, 56, 64, 256, 1},
    {"resnet 1x1 deep", 1, 14, 1024, 256, 1},
    {"resnet 1x1 last", 1, 7, 2048, 512, 1},
    {"resnet 3x3 56", 1, 56, 64, 64, 3},
    {"resnet 3x3 28", 1, 28, 128, 128, 3},
    {"resnet 3x3 14", 1, 14, 256, 256, 3},
    {"resnet 3x3 7", 1, 7, 512, 512, 3},
    {"resnet 3x3 7 batch 8", 8, 7, 512, 512, 3},
    {"resnet 3x3 stride 2", 1, 28, 256, 256, 3, 2},
    {"mobilenet stem", 1, 224, 3, 16, 3, 2},
    {"mobilenet 1x1 wide", 1, 112, 16, 64, 1},
    {"mobilenet 1x1 narrow", 1, 28, 120, 40, 1},
    {"mobilenet 1x1 last", 1, 7, 160, 960, 1},
    {"depthwise 3x3 112", 1, 112, 32, 32, 3, 1, 32},
    {"depthwise 3x3 112 stride 2", 1, 112, 96, 96, 3, 2, 96},
    {"depthwise 5x5 28", 1, 28, 240, 240, 5, 1, 240},
    {"depthwise 5x5 7", 1, 7, 1152, 1152, 5, 1, 1152},
};

void convolution(benchmark::State& state, const Sizes& s, const char* provider) {
  Bench b;
  const std::int64_t pad = s.kernel / 2, out = (s.extent + 2 * pad - s.kernel) / s.stride + 1, each = s.inputs / s.group;
  b.add_input("x", {s.batch, s.inputs, s.extent, s.extent});
  b.add_constant("w", Bench::random({s.outputs, each, s.kernel, s.kernel}));
  b.add_constant("bias", Bench::random({s.outputs}));
  b.then("Conv", 22, {"x", "w", "bias"}, "t", {s.batch, s.outputs, out, out},
         {{"kernel_shape", Integers{s.kernel, s.kernel}},
          {"pads", Integers{pad, pad, pad, pad}},
          {"strides", Integers{s.stride, s.stride}},
          {"group", s.group}});
  b.then("Relu", 14, {"t"}, "y", {s.batch, s.outputs, out, out});
  b.finish_by_trace(state, "y", "Conv", provider);
  state.SetItemsProcessed(state.iterations() * 2 * s.batch * out * out * s.outputs * each * s.kernel * s.kernel);
}

constexpr std::pair<const char*, const char*> kBy[] = {
    {"chosen", "cpu"}, {"direct", "cpu?winograd=off"}, {"oneDNN", "cpu?own_convolutions=off"}};

const int registered = [] {
  for (const Sizes& s : kSizes)
    for (const auto& [by, provider] : kBy)
      benchmark::RegisterBenchmark((std::string(s.name) + "/" + by).c_str(), convolution, s, provider)
          ->Arg(1)
          ->Arg(2)
          ->Unit(benchmark::kMicrosecond)
          ->UseManualTime();
  return 0;
}();

}  // namespace
