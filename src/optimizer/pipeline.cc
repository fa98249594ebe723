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
  PASS(sink_transposes)          \
  PASS(eliminate_common)         \
  PASS(fold_pads)                \
  PASS(propagate_quantization)   \
  PASS(fuse_softmax)             \
  PASS(fuse_gelu)                \
  PASS(fuse_attention)           \
  PASS(fuse_grouped_heads)       \
  PASS(fuse_kv_cache)            \
  PASS(fuse_rotary)              \
  PASS(fuse_causal_mask)         \
  PASS(flatten_heads)            \
  PASS(fold_batch_normalization) \
  PASS(fold_gemm_factors)        \
  PASS(fold_scales)              \
  PASS(simplify_powers)          \
  PASS(hoist_invariant)          \
  PASS(merge_slices)

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
