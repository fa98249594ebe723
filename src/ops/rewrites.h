// SPDX-License-Identifier: Apache-2.0
// The rewrites of canonicalize: each brings a node of an older version than its table row names to the newest form, or returns
// false and leaves the node as it was. Sources: the ONNX operator changelog, versions as the table's rows say.
#pragma once

#include "ops/rewriter.h"

namespace ashlar::ops {

// Arithmetic and networks (rewrites_math.cc).
bool legacy_broadcast(Rewriter& r);     ///< Add-6 and its kind: B's dimensions start at A's `axis`
bool drop_broadcast(Rewriter& r);       ///< Gemm-6: suffix matching is today's broadcasting
bool prelu_channels(Rewriter& r);       ///< PRelu-6: a slope per channel
bool batch_normalization(Rewriter& r);  ///< below 14: is_test, spatial; training by the number of outputs
bool group_normalization(Rewriter& r);  ///< 18: scale and bias per group
bool cast_by_name(Rewriter& r);         ///< Cast-1: the dtype as a string
bool clip_bounds(Rewriter& r);          ///< Clip-6: bounds as attributes
bool dropout_mode(Rewriter& r);         ///< below 12: ratio and is_test as attributes, the mask in the data's dtype
bool softmax_last_axis(Rewriter& r);    ///< below 13: coerced to a matrix, the same only over the last axis
bool integer_p(Rewriter& r);            ///< LpPool-1, GlobalLpPool-1: a real p
bool recurrent(Rewriter& r);            ///< RNN, GRU, LSTM below 7: output_sequence, GRU-1's misspelt default
bool one_hot_negative(Rewriter& r);     ///< OneHot-9: negative indices are out of range
bool dft_axis(Rewriter& r);             ///< DFT-17: axis as an attribute

// Moving and shaping data (rewrites_shape.cc).
bool axes_to_input(Rewriter& r);          ///< Reduce*, Squeeze, Unsqueeze: axes as an attribute
bool concat_axis(Rewriter& r);            ///< Concat-1: axis 1 unless given
bool reshape_shape(Rewriter& r);          ///< Reshape-1: shape as an attribute
bool slice_bounds(Rewriter& r);           ///< Slice-1: bounds as attributes
bool split_parts(Rewriter& r);            ///< below 18: parts as an attribute, equal parts implied
bool tile_axis(Rewriter& r);              ///< Tile-1: copies along one axis
bool topk_k(Rewriter& r);                 ///< TopK-1: k as an attribute
bool pad_amounts(Rewriter& r);            ///< Pad-1 and -2: pads and value as attributes
bool scatter_elements(Rewriter& r);       ///< Scatter became ScatterElements
bool upsample_to_resize(Rewriter& r);     ///< Upsample became Resize
bool resize_modes(Rewriter& r);           ///< Resize-10's fixed modes, Resize-11's empty scales and dropped mode
bool roi_align_mode(Rewriter& r);         ///< RoiAlign-10: no half-pixel shift
bool grid_sample_mode(Rewriter& r);       ///< GridSample-16: bilinear and bicubic are linear and cubic today
bool keep(Rewriter& r);                   ///< no exact rewrite
bool label_encoder_classes(Rewriter& r);  ///< LabelEncoder-1: classes_strings

}  // namespace ashlar::ops
