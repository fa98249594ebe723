// SPDX-License-Identifier: Apache-2.0
// softmax(scale * Q K^T + mask) V in float32, for every head of a batch; the operator Attention of ONNX 23 and later is made of it.
//
// The scores of a block of queries with a tile of keys lie in a scratch that stays in the cache; a row's maximum and sum run along from tile to
// tile, and what was added up under an older maximum is rescaled (M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax",
// 2018). A head's keys are transposed once for all of its queries; few queries read keys and values where they lie. An element of the output has
// the same bits for every number of threads.
#pragma once

#include <cstdint>

#include "kernel.h"

namespace ashlar::cpu {

/// Known before a run.
struct AttentionShape {
  std::int64_t batch = 0, q_heads = 0,
               kv_heads = 0;                      ///< q_heads is a multiple of kv_heads; query head h reads head h / (q_heads / kv_heads)
  std::int64_t queries = 0, past = 0, fresh = 0;  ///< the keys are `past` ones, then `fresh` ones
  std::int64_t size = 0, value_size = 0;          ///< elements of a query and of a key, and of a value
  float scale = 1, softcap = 0;                   ///< softcap > 0: scores become softcap * tanh(score / softcap)
  bool causal = false;                            ///< no key behind a query's own place
  std::int64_t left = -1, right = -1;             ///< -1, or how many keys before and behind a query's own place take part
  std::int64_t keys() const { return past + fresh; }
};

/// The rows of all heads: where the first is, and the elements to that of the next batch, head and place. A row is dense.
template <class T> struct HeadRows {
  T* data = nullptr;
  std::int64_t batch = 0, head = 0, row = 0;
  T* at(std::int64_t b, std::int64_t h, std::int64_t i) const { return data + b * batch + h * head + i * row; }
};

struct AttentionOperands {
  HeadRows<const float> q = {}, k = {}, v = {}, past_k = {}, past_v = {};
  bool joined = false;  ///< k and v have the past rows in front of the fresh ones; else past_k and past_v have them
  HeadRows<float> y = {};
  /// Added to the scores, by query head and query; a score whose addend is minus infinity takes no part. One of the two, or neither.
  HeadRows<const float> mask = {};
  HeadRows<const std::uint8_t> keep = {};  ///< 0 is minus infinity, all else 0
  std::int64_t mask_keys = 0;              ///< keys from here on take no part, where there is a mask
  /// One a batch, or null: keys from here on take no part. `own_place`: a query's own place is then lengths[b] - queries + i, else past + i.
  const std::int64_t* lengths = nullptr;
  bool own_place = false;
};

/// How attention of a shape is split. Every size may be 0; a query without keys gives zeros.
class AttentionPlan {
 public:
  AttentionPlan() = default;
  AttentionPlan(const AttentionShape& shape, int threads);
  std::uint64_t workspace_bytes() const;
  void run(const AshlarHost* host, const AttentionOperands& operands, void* workspace) const;

 private:
  AttentionShape shape_;
  bool few_ = false;  ///< queries: keys are read where they lie
  std::int64_t block_rows_ = 1, blocks_ = 0, slots_ = 1, slot_floats_ = 0;
};

}  // namespace ashlar::cpu
