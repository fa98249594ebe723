// SPDX-License-Identifier: Apache-2.0
// Every rewrite of src/ops, before and after.
#pragma once

#include <string>
#include <vector>

#include "tests/graph/builder.h"

namespace ashlar::testing {

using Attributes = std::map<std::string, graph::Attribute>;
using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

inline constexpr DType kF = DType::kFloat32;
inline const ValueType kImage = tensor_type(kF, {2, 3, 4, 5});

struct RewriteCase {
  const char* name;
  Builder before;
  const char* after;  ///< the text form without its first line
};

/// One node `n0` of x (and the further inputs, whose values the caller adds), writing y.
inline Builder one(const std::string& op, int version, ValueType x, Attributes attributes = {},
                   std::initializer_list<const char*> inputs = {"x"}) {
  Builder b;
  b.input("x", std::move(x));
  b.node(op, version, inputs, {"y"}, std::move(attributes)).output("y", unranked(kF));
  return b;
}
inline Builder two(const std::string& op, int version, ValueType x, ValueType w, Attributes attributes = {}) {
  Builder b = one(op, version, std::move(x), std::move(attributes), {"x", "w"});
  return b.input("w", std::move(w));
}
inline Builder with(Builder b, const std::string& name, Tensor constant) { return b.constant(name, std::move(constant)); }
inline Builder normalization(int version, Attributes attributes) {
  Builder b = one("BatchNormalization", version, kImage, std::move(attributes), {"x", "s", "b", "m", "v"});
  for (const char* name : {"s", "b", "m", "v"}) b.input(name, tensor_type(kF, {-1}));
  return b;
}

inline std::vector<RewriteCase> rewrite_cases() {
  return {
      {"LegacyBroadcastFromAnAxis",
       two("Add", 6, kImage, tensor_type(kF, {3}), {{"broadcast", std::int64_t{1}}, {"axis", std::int64_t{1}}}),
       R"(
  const n0/axes: int64[2] = [1, 2]
  n0/unsqueeze = Unsqueeze@25(w, n0/axes) -> n0/unsqueeze: float32[3,1,1]
  n0 = Add@14(x, n0/unsqueeze) -> y: float32[...]
)"},
      {"LegacyBroadcastFromANegativeAxis",
       two("Mul", 1, kImage, tensor_type(kF, {3, 4}),
           {{"broadcast", std::int64_t{1}}, {"axis", std::int64_t{-3}}, {"consumed_inputs", Ints{0, 0}}}),
       R"(
  const n0/axes: int64[1] = [2]
  n0/unsqueeze = Unsqueeze@25(w, n0/axes) -> n0/unsqueeze: float32[3,4,1]
  n0 = Mul@14(x, n0/unsqueeze) -> y: float32[...]
)"},
      {"LegacyBroadcastOfASuffix", two("Sub", 6, kImage, tensor_type(kF, {4, 5}), {{"broadcast", std::int64_t{1}}}),
       R"(
  n0 = Sub@14(x, w) -> y: float32[...]
)"},
      {"LegacyBroadcastOfOneElement",
       two("Pow", 1, unranked(kF), tensor_type(kF, {1}), {{"broadcast", std::int64_t{1}}, {"axis", std::int64_t{0}}}),
       R"(
  n0 = Pow@15(x, w) -> y: float32[...]
)"},
      {"LegacyBroadcastOfUnknownRankStays",
       two("Add", 6, unranked(kF), tensor_type(kF, {3}), {{"broadcast", std::int64_t{1}}, {"axis", std::int64_t{1}}}),
       R"(
  n0 = Add@6(x, w) {axis=1, broadcast=1} -> y: float32[...]
)"},
      {"GemmBroadcast",
       two("Gemm", 6, tensor_type(kF, {2, 3}), tensor_type(kF, {3, 4}), {{"broadcast", std::int64_t{1}}, {"transB", std::int64_t{0}}}),
       R"(
  n0 = Gemm@13(x, w) {alpha=1.0, beta=1.0, transA=0, transB=0} -> y: float32[...]
)"},
      {"PReluPerChannel", two("PRelu", 6, kImage, tensor_type(kF, {3})),
       R"(
  const n0/axes: int64[2] = [1, 2]
  n0/unsqueeze = Unsqueeze@25(w, n0/axes) -> n0/unsqueeze: float32[3,1,1]
  n0 = PRelu@16(x, n0/unsqueeze) -> y: float32[...]
)"},
      {"PReluOfOneSlope", two("PRelu", 1, unranked(kF), tensor_type(kF, {1})),
       R"(
  n0 = PRelu@16(x, w) -> y: float32[...]
)"},
      {"PReluOfUnknownRankStays", two("PRelu", 6, unranked(kF), tensor_type(kF, {3})),
       R"(
  n0 = PRelu@6(x, w) -> y: float32[...]
)"},
      {"BatchNormalizationOfATest", normalization(6, {{"is_test", std::int64_t{1}}}),
       R"(
  n0 = BatchNormalization@15(x, s, b, m, v) {epsilon=1e-05, momentum=0.9, training_mode=0} -> y: float32[...]
)"},
      {"BatchNormalizationInTraining", normalization(1, {{"is_test", std::int64_t{0}}, {"consumed_inputs", Ints{0, 0}}}),
       R"(
  n0 = BatchNormalization@15(x, s, b, m, v) {epsilon=1e-05, momentum=0.9, training_mode=1} -> y: float32[...]
)"},
      {"BatchNormalizationByOutputs", normalization(9, {}),
       R"(
  n0 = BatchNormalization@15(x, s, b, m, v) {epsilon=1e-05, momentum=0.9, training_mode=0} -> y: float32[...]
)"},
      {"BatchNormalizationPerActivation", normalization(7, {{"spatial", std::int64_t{0}}}),
       R"(
  const n0/flat: int64[1] = [-1]
  n0/shape = Shape@25(x) {start=0} -> n0/shape: int64[4]
  n0/flatten = Flatten@25(x) {axis=1} -> n0/flatten: float32[2,60]
  n0/scale = Reshape@25(s, n0/flat) {allowzero=0} -> n0/scale: float32[?]
  n0/B = Reshape@25(b, n0/flat) {allowzero=0} -> n0/B: float32[?]
  n0/mean = Reshape@25(m, n0/flat) {allowzero=0} -> n0/mean: float32[?]
  n0/var = Reshape@25(v, n0/flat) {allowzero=0} -> n0/var: float32[?]
  n0 = BatchNormalization@15(n0/flatten, n0/scale, n0/B, n0/mean, n0/var) {epsilon=1e-05, momentum=0.9, training_mode=0} -> n0/normalized: float32[...]
  n0/reshape = Reshape@25(n0/normalized, n0/shape) {allowzero=0} -> y: float32[...]
)"},
      {"GroupNormalizationPerGroup",
       [] {
         Builder b = one("GroupNormalization", 18, kImage, {{"num_groups", std::int64_t{3}}}, {"x", "s", "b"});
         return b.input("s", tensor_type(kF, {3})).input("b", tensor_type(kF, {3}));
       }(),
       R"(
  const n0/groups: int64[1] = [3]
  const n0/column: int64[2] = [-1, 1]
  const n0/flat: int64[1] = [-1]
  n0/channels = Shape@25(x) {end=2, start=1} -> n0/channels: int64[1]
  n0/per_group = Div@14(n0/channels, n0/groups) -> n0/per_group: int64[1]
  n0/scale_column = Reshape@25(s, n0/column) {allowzero=0} -> n0/scale_column: float32[3,1]
  n0/scale_repeated = Expand@13(n0/scale_column, n0/per_group) -> n0/scale_repeated: float32[3,?]
  n0/scale = Reshape@25(n0/scale_repeated, n0/flat) {allowzero=0} -> n0/scale: float32[?]
  n0/bias_column = Reshape@25(b, n0/column) {allowzero=0} -> n0/bias_column: float32[3,1]
  n0/bias_repeated = Expand@13(n0/bias_column, n0/per_group) -> n0/bias_repeated: float32[3,?]
  n0/bias = Reshape@25(n0/bias_repeated, n0/flat) {allowzero=0} -> n0/bias: float32[?]
  n0 = GroupNormalization@21(x, n0/scale, n0/bias) {epsilon=1e-05, num_groups=3, stash_type=1} -> y: float32[...]
)"},
      {"CastByName", one("Cast", 1, kImage, {{"to", std::string("FLOAT16")}}),
       R"(
  n0 = Cast@28(x) {round_mode="up", saturate=1, to=10} -> y: float32[...]
)"},
      {"CastByUnknownNameStays", one("Cast", 1, kImage, {{"to", std::string("SINGLE")}}),
       R"(
  n0 = Cast@1(x) {to="SINGLE"} -> y: float32[...]
)"},
      {"ClipBounds", one("Clip", 6, kImage, {{"min", 0.0f}, {"max", 6.0f}}),
       R"(
  const n0/min: float32[] = 0
  const n0/max: float32[] = 6
  n0 = Clip@13(x, n0/min, n0/max) -> y: float32[...]
)"},
      {"ClipOneBound", one("Clip", 1, tensor_type(DType::kFloat16, {2}), {{"max", 0.1f}}),
       R"(
  const n0/max: float16[] = 0.099975586
  n0 = Clip@13(x, _, n0/max) -> y: float32[...]
)"},
      {"ClipOfUnknownDtypeStays", one("Clip", 6, unranked(DType::kUndefined), {{"max", 6.0f}}),
       R"(
  n0 = Clip@6(x) {max=6.0, min=-3.4028235e+38} -> y: float32[...]
)"},
      {"DropoutInATest", one("Dropout", 7, kImage, {{"ratio", 0.25f}}),
       R"(
  const n0/ratio: float32[] = 0.25
  n0 = Dropout@22(x, n0/ratio) -> y: float32[...]
)"},
      {"DropoutInTraining", one("Dropout", 6, kImage, {{"is_test", std::int64_t{0}}}),
       R"(
  const n0/ratio: float32[] = 0.5
  const n0/training_mode: bool[] = true
  n0 = Dropout@22(x, n0/ratio, n0/training_mode) -> y: float32[...]
)"},
      {"DropoutMask",
       [] {
         Builder b;
         return b.input("x", kImage).node("Dropout", 7, {"x"}, {"y", "mask"}).output("y").output("mask");
       }(),
       R"(
  const n0/ratio: float32[] = 0.5
  n0 = Dropout@22(x, n0/ratio) -> y: ?[...], n0/mask: bool[...]
  n0/cast_mask = Cast@28(n0/mask) {round_mode="up", saturate=1, to=1} -> mask: ?[...]
)"},
      {"SoftmaxOverTheLastAxis", one("Softmax", 11, tensor_type(kF, {2, 3}), {}),
       R"(
  n0 = Softmax@13(x) {axis=-1} -> y: float32[...]
)"},
      {"SoftmaxOverSeveralAxesStays", one("LogSoftmax", 11, kImage, {}),
       R"(
  n0 = LogSoftmax@11(x) {axis=1} -> y: float32[...]
)"},
      {"HardmaxOfUnknownRankStays", one("Hardmax", 1, unranked(kF), {}),
       R"(
  n0 = Hardmax@1(x) {axis=1} -> y: float32[...]
)"},
      {"LpPoolOfAnIntegerP", one("LpPool", 1, kImage, {{"p", 3.0f}, {"kernel_shape", Ints{2, 2}}}),
       R"(
  n0 = LpPool@22(x) {auto_pad="NOTSET", ceil_mode=0, kernel_shape=[2,2], p=3} -> y: float32[...]
)"},
      {"LpPoolOfARealPStays", one("GlobalLpPool", 1, kImage, {{"p", 2.5f}}),
       R"(
  n0 = GlobalLpPool@1(x) {p=2.5} -> y: float32[...]
)"},
      {"RecurrentSpelling",
       [] {
         Builder b = one("GRU", 1, tensor_type(kF, {1, 1, 1}), {{"output_sequence", std::int64_t{1}}}, {"x", "w", "r"});
         return b.input("w", tensor_type(kF, {1, 3, 1})).input("r", tensor_type(kF, {1, 3, 1}));
       }(),
       R"(
  n0 = GRU@22(x, w, r) {direction="forward", layout=0, linear_before_reset=0} -> y: float32[...]
)"},
      {"OneHotOfNegativeIndices",
       [] {
         Builder b = one("OneHot", 9, tensor_type(kF, {2}), {}, {"x", "d", "v"});
         return b.input("d", tensor_type(DType::kInt64, {})).input("v", tensor_type(kF, {2}));
       }(),
       R"(
  const n0/zero: int64[] = 0
  const n0/out_of_range: int64[] = 9223372036854775807
  n0/indices = Cast@28(x) {round_mode="up", saturate=1, to=7} -> n0/indices: int64[2]
  n0/negative = Less@13(n0/indices, n0/zero) -> n0/negative: bool[2]
  n0/non_negative = Where@16(n0/negative, n0/out_of_range, n0/indices) -> n0/non_negative: int64[2]
  n0 = OneHot@28(n0/non_negative, d, v) {axis=-1} -> y: float32[...]
)"},
      {"OneHotOfUnsignedIndices",
       [] {
         Builder b = one("OneHot", 9, tensor_type(DType::kUint8, {2}), {}, {"x", "d", "v"});
         return b.input("d", tensor_type(DType::kInt64, {})).input("v", tensor_type(kF, {2}));
       }(),
       R"(
  n0 = OneHot@28(x, d, v) {axis=-1} -> y: float32[...]
)"},
      {"DftAxis", one("DFT", 17, tensor_type(kF, {1, 8, 2}), {}),
       R"(
  const n0/axis: int64[] = 1
  n0 = DFT@20(x, _, n0/axis) {inverse=0, onesided=0} -> y: float32[...]
)"},
      {"ReduceAxes", one("ReduceMean", 13, kImage, {{"axes", Ints{-1, 1}}}),
       R"(
  const n0/axes: int64[2] = [-1, 1]
  n0 = ReduceMean@18(x, n0/axes) {keepdims=1, noop_with_empty_axes=0} -> y: float32[...]
)"},
      {"ReduceAllAxes", one("ReduceSum", 11, kImage, {{"axes", Ints{}}}),
       R"(
  n0 = ReduceSum@13(x) {keepdims=1, noop_with_empty_axes=0} -> y: float32[...]
)"},
      {"SqueezeAxes", one("Squeeze", 1, tensor_type(kF, {1, 3}), {{"axes", Ints{0}}}),
       R"(
  const n0/axes: int64[1] = [0]
  n0 = Squeeze@25(x, n0/axes) -> y: float32[...]
)"},
      {"UnsqueezeAxes", one("Unsqueeze", 11, kImage, {{"axes", Ints{0, -1}}}),
       R"(
  const n0/axes: int64[2] = [0, -1]
  n0 = Unsqueeze@25(x, n0/axes) -> y: float32[...]
)"},
      {"ConcatAxis", one("Concat", 1, kImage, {}, {"x", "x"}),
       R"(
  n0 = Concat@13(x, x) {axis=1} -> y: float32[...]
)"},
      {"ReshapeShape", one("Reshape", 1, kImage, {{"shape", Ints{0, -1}}}),
       R"(
  const n0/shape: int64[2] = [0, -1]
  n0 = Reshape@25(x, n0/shape) {allowzero=0} -> y: float32[...]
)"},
      {"SliceBounds", one("Slice", 1, kImage, {{"starts", Ints{1}}, {"ends", Ints{-1}}, {"axes", Ints{2}}}),
       R"(
  const n0/starts: int64[1] = [1]
  const n0/ends: int64[1] = [-1]
  const n0/axes: int64[1] = [2]
  n0 = Slice@13(x, n0/starts, n0/ends, n0/axes) -> y: float32[...]
)"},
      {"SliceOfLeadingAxes", one("Slice", 1, kImage, {{"starts", Ints{1}}, {"ends", Ints{2}}}),
       R"(
  const n0/starts: int64[1] = [1]
  const n0/ends: int64[1] = [2]
  n0 = Slice@13(x, n0/starts, n0/ends) -> y: float32[...]
)"},
      {"SplitParts", one("Split", 2, kImage, {{"split", Ints{1, 1}}}),
       R"(
  const n0/split: int64[2] = [1, 1]
  n0 = Split@18(x, n0/split) {axis=0} -> y: float32[...]
)"},
      {"SplitIntoEqualParts",
       [] {
         Builder b;
         return b.input("x", kImage).node("Split", 13, {"x"}, {"y", "z"}).output("y").output("z");
       }(),
       R"(
  n0 = Split@18(x) {axis=0, num_outputs=2} -> y: ?[...], z: ?[...]
)"},
      {"SplitPartsInTheDataDtype", two("Split", 1, kImage, tensor_type(kF, {2})),
       R"(
  n0/cast_split = Cast@28(w) {round_mode="up", saturate=1, to=7} -> n0/cast_split: int64[2]
  n0 = Split@18(x, n0/cast_split) {axis=0} -> y: float32[...]
)"},
      {"TileAlongAnAxis",
       with(with(one("Tile", 1, kImage, {}, {"x", "tiles", "axis"}), "tiles", Tensor::scalar(3.0f)), "axis", Tensor::scalar(2.0f)),
       R"(
  const tiles: float32[] = 3
  const axis: float32[] = 2
  const n0/repeats: int64[4] = [1, 1, 3, 1]
  n0 = Tile@13(x, n0/repeats) -> y: float32[...]
)"},
      {"TileOfUnknownAxisStays", with(one("Tile", 1, kImage, {}, {"x", "tiles", "x"}), "tiles", Tensor::scalar(3.0f)),
       R"(
  const tiles: float32[] = 3
  n0 = Tile@1(x, tiles, x) -> y: float32[...]
)"},
      {"TopKAttribute",
       [] {
         Builder b;
         return b.input("x", kImage).node("TopK", 1, {"x"}, {"y", "z"}, {{"k", std::int64_t{2}}}).output("y").output("z");
       }(),
       R"(
  const n0/k: int64[1] = [2]
  n0 = TopK@24(x, n0/k) {axis=-1, largest=1, sorted=1} -> y: ?[...], z: ?[...]
)"},
      {"PadsAttribute", one("Pad", 2, kImage, {{"pads", Ints{0, 0, 1, 1, 0, 0, 1, 1}}, {"value", 1.5f}}),
       R"(
  const n0/pads: int64[8] = [0, 0, 1, 1, 0, 0, 1, 1]
  const n0/constant_value: float32[] = 1.5
  n0 = Pad@25(x, n0/pads, n0/constant_value) {mode="constant"} -> y: float32[...]
)"},
      {"PaddingsAttribute", one("Pad", 1, kImage, {{"paddings", Ints{0, 0, 1, 1, 0, 0, 1, 1}}, {"mode", std::string("edge")}}),
       R"(
  const n0/pads: int64[8] = [0, 0, 1, 1, 0, 0, 1, 1]
  n0 = Pad@25(x, n0/pads) {mode="edge"} -> y: float32[...]
)"},
      {"ScatterIsScatterElements",
       [] {
         Builder b = one("Scatter", 9, tensor_type(kF, {3}), {}, {"x", "i", "u"});
         return b.input("i", tensor_type(DType::kInt64, {1})).input("u", tensor_type(kF, {1}));
       }(),
       R"(
  n0 = ScatterElements@18(x, i, u) {axis=0, reduction="none"} -> y: float32[...]
)"},
      {"UpsampleByHeightAndWidth",
       one("Upsample", 1, kImage, {{"height_scale", 2.0f}, {"width_scale", 3.0f}, {"mode", std::string("bilinear")}}),
       R"(
  const n0/scales: float32[4] = [1, 1, 2, 3]
  n0 = Resize@19(x, _, n0/scales) {antialias=0, coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="linear", nearest_mode="floor"} -> y: float32[...]
)"},
      {"UpsampleByScales", one("Upsample", 7, kImage, {{"scales", Floats{1, 1, 2, 2}}}),
       R"(
  const n0/scales: float32[4] = [1, 1, 2, 2]
  n0 = Resize@19(x, _, n0/scales) {antialias=0, coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest", nearest_mode="floor"} -> y: float32[...]
)"},
      {"UpsampleByAnInput", two("Upsample", 9, kImage, tensor_type(kF, {4})),
       R"(
  n0 = Resize@19(x, _, w) {antialias=0, coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest", nearest_mode="floor"} -> y: float32[...]
)"},
      {"ResizeThatShrinks", with(one("Resize", 10, tensor_type(kF, {8, 8}), {}, {"x", "s"}), "s", Tensor::of<float>({2}, {1, 0.6f})),
       R"(
  const s: float32[2] = [1, 0.6]
  n0 = Resize@19(x, _, s) {antialias=0, coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest", nearest_mode="ceil"} -> y: float32[...]
)"},
      {"ResizeThatGrows",
       with(one("Resize", 10, tensor_type(kF, {8, 8}), {{"mode", std::string("linear")}}, {"x", "s"}), "s", Tensor::of<float>({2}, {1, 2})),
       R"(
  const s: float32[2] = [1, 2]
  n0 = Resize@19(x, _, s) {antialias=0, coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="linear", nearest_mode="floor"} -> y: float32[...]
)"},
      {"ResizeBothWaysStays", with(one("Resize", 10, tensor_type(kF, {8, 8}), {}, {"x", "s"}), "s", Tensor::of<float>({2}, {0.5f, 2})),
       R"(
  const s: float32[2] = [0.5, 2]
  n0 = Resize@10(x, s) {mode="nearest"} -> y: float32[...]
)"},
      {"ResizeWithEmptyScales",
       with(with(one("Resize", 11, tensor_type(kF, {8, 8}),
                     {{"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")}, {"nearest_mode", std::string("floor")}},
                     {"x", "", "s", "n"}),
                 "s", Tensor::zeros(kF, {0})),
            "n", Tensor::of<std::int64_t>({2}, {4, 4})),
       R"(
  const s: float32[0] = []
  const n: int64[2] = [4, 4]
  n0 = Resize@19(x, _, _, n) {antialias=0, coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest", nearest_mode="round_prefer_ceil"} -> y: float32[...]
)"},
      {"ResizeOfADroppedModeStays",
       with(one("Resize", 11, tensor_type(kF, {8, 8}),
                {{"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")}, {"mode", std::string("linear")}}, {"x", "", "s"}),
            "s", Tensor::of<float>({2}, {2, 2})),
       R"(
  const s: float32[2] = [2, 2]
  n0 = Resize@11(x, _, s) {coordinate_transformation_mode="tf_half_pixel_for_nn", cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, mode="linear", nearest_mode="round_prefer_floor"} -> y: float32[...]
)"},
      {"RoiAlignMode",
       [] {
         Builder b = one("RoiAlign", 10, kImage, {}, {"x", "r", "i"});
         return b.input("r", tensor_type(kF, {1, 4})).input("i", tensor_type(DType::kInt64, {1}));
       }(),
       R"(
  n0 = RoiAlign@22(x, r, i) {coordinate_transformation_mode="output_half_pixel", mode="avg", output_height=1, output_width=1, sampling_ratio=0, spatial_scale=1.0} -> y: float32[...]
)"},
      {"GridSampleMode", two("GridSample", 16, kImage, tensor_type(kF, {2, 6, 7, 2}), {{"mode", std::string("bicubic")}}),
       R"(
  n0 = GridSample@22(x, w) {align_corners=0, mode="cubic", padding_mode="zeros"} -> y: float32[...]
)"},
      {"LabelEncoderFromStrings",
       one("ai.onnx.ml::LabelEncoder", 1, tensor_type(DType::kString, {2}),
           {{"classes_strings", std::vector<std::string>{"a", "b", "a"}}, {"default_int64", std::int64_t{9}}}),
       R"(
  n0 = ai.onnx.ml::LabelEncoder@4(x) {default_float=-0.0, default_int64=9, default_string="_Unused", keys_strings=["a","b"], values_int64s=[0,1]} -> y: float32[...]
)"},
      {"LabelEncoderToStrings",
       one("ai.onnx.ml::LabelEncoder", 1, tensor_type(DType::kInt64, {2}), {{"classes_strings", std::vector<std::string>{"a", "b"}}}),
       R"(
  n0 = ai.onnx.ml::LabelEncoder@4(x) {default_float=-0.0, default_int64=-1, default_string="_Unused", keys_int64s=[0,1], values_strings=["a","b"]} -> y: float32[...]
)"},
      {"TreeEnsemblesStopBeforeTheirDeprecation", one("ai.onnx.ml::TreeEnsembleRegressor", 1, tensor_type(kF, {1, 2}), {}),
       R"(
  n0 = ai.onnx.ml::TreeEnsembleRegressor@3(x) {aggregate_function="SUM", post_transform="NONE"} -> y: float32[...]
)"},
      {"SeluKeepsItsFirstDefaults", one("Selu", 1, kImage, {}),
       R"(
  n0 = Selu@22(x) {alpha=1.6732, gamma=1.0507} -> y: float32[...]
)"},
      {"NewAttributesGetTheirDefaults", one("ArgMax", 1, kImage, {{"axis", std::int64_t{1}}}),
       R"(
  n0 = ArgMax@13(x) {axis=1, keepdims=1, select_last_index=0} -> y: float32[...]
)"},
      {"AveragePoolOfTheFirstVersion", one("AveragePool", 1, kImage, {{"kernel_shape", Ints{2, 2}}}),
       R"(
  n0 = AveragePool@22(x) {auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, kernel_shape=[2,2]} -> y: float32[...]
)"},
  };
}

}  // namespace ashlar::testing
