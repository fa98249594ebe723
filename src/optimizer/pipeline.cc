// SPDX-License-Identifier: Apache-2.0
// The one list of passes. A pass is a function of its name in a file of passes/ or patterns/.
#include "optimizer/pass.h"

// In the order in which they run. Each name is a function `Pass NAME()`.
#define ASHLAR_PIPELINE(PASS)    \
  PASS(eliminate_dead)           \
  PASS(eliminate_identity)       \
  PASS(resolve_if)               \
  PASS(resolve_loop)             \
  PASS(trim_outputs)             \
  PASS(simplify_shapes)          \
  PASS(fold_constants)           \
  PASS(simplify_casts)           \
  PASS(simplify_slices)          \
  PASS(simplify_concats)         \
  PASS(split_packed)             \
  PASS(simplify_masks)           \
  PASS(shrink_broadcasts)        \
  PASS(merge_reshapes)           \
  PASS(merge_reductions)         \
  PASS(merge_transposes)         \
  PASS(fuse_attention)           \
  PASS(sink_transposes)          \
  PASS(eliminate_common)         \
  PASS(fold_pads)                \
  PASS(narrow_convolutions)      \
  PASS(propagate_quantization)   \
  PASS(fuse_softmax)             \
  PASS(fuse_layer_norm)          \
  PASS(fuse_rms_norm)            \
  PASS(fuse_group_norm)          \
  PASS(fuse_sigmoid)             \
  PASS(fuse_swish)               \
  PASS(fuse_mish)                \
  PASS(fuse_hard_sigmoid)        \
  PASS(fuse_hard_swish)          \
  PASS(fuse_gelu)                \
  PASS(fuse_pixel_shuffle)       \
  PASS(fuse_reductions)          \
  PASS(fuse_grouped_heads)       \
  PASS(fuse_kv_cache)            \
  PASS(fuse_rotary)              \
  PASS(fuse_causal_mask)         \
  PASS(flatten_heads)            \
  PASS(fold_batch_normalization) \
  PASS(fold_gemm_factors)        \
  PASS(fuse_linear)              \
  PASS(fold_scales)              \
  PASS(simplify_powers)          \
  PASS(hoist_invariant)          \
  PASS(merge_slices)             \
  PASS(merge_products)           \
  PASS(fuse_skip_norm)           \
  PASS(fuse_masked_softmax)

namespace ashlar::optimizer {

#define ASHLAR_DECLARE(NAME) Pass NAME();
ASHLAR_PIPELINE(ASHLAR_DECLARE)
#undef ASHLAR_DECLARE

const std::vector<Pass>& pipeline() {
#define ASHLAR_LIST(NAME) NAME(),
  static const std::vector<Pass> passes = {ASHLAR_PIPELINE(ASHLAR_LIST)};
#undef ASHLAR_LIST
  return passes;
}

}  // namespace ashlar::optimizer
