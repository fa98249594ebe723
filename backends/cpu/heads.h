// SPDX-License-Identifier: Apache-2.0
// Tensors of heads, as Attention and RotaryEmbedding have them: [batch, heads, length, size], or [batch, length, heads * size] when packed,
// which may be columns of a wider tensor.
#pragma once

#include <optional>

#include "attention.h"

namespace ashlar::cpu {

struct HeadLayout {
  bool packed;
  std::int64_t batch, heads, length, size;
  std::int64_t first = 0;                        ///< elements in front
  std::int64_t batch_step, head_step, row_step;  ///< elements from one to the next

  /// Throws a Failure for dims that are neither.
  HeadLayout(const provider::Dims& dims, std::int64_t heads_if_packed, const std::optional<Columns>& columns = {})
      : packed(dims.rank() == 3), batch(dims[0]) {
    provider::check(packed || dims.rank() == 4, "an operand of heads has the shape ", dims);
    heads = packed ? heads_if_packed : dims[1];
    std::int64_t width = dims[dims.rank() - 1];
    if (columns) {
      provider::check(packed && width == columns->total, "a split of ", columns->total, " columns for an operand of shape ", dims);
      first = columns->first;
      width = columns->count;
    }
    provider::check(heads > 0 && (!packed || width % heads == 0), heads, " heads for an operand of shape ", dims);
    length = packed ? dims[1] : dims[2];
    size = packed ? width / heads : width;
    row_step = packed ? dims[2] : size;
    head_step = packed ? size : length * size;
    batch_step = packed ? length * row_step : heads * head_step;
  }
  template <class T> HeadRows<T> rows(T* data) const { return {data ? data + first : nullptr, batch_step, head_step, row_step}; }
};

}  // namespace ashlar::cpu
