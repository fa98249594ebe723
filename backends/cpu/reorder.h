// SPDX-License-Identifier: Apache-2.0
// Copies between the layouts, of tensors of rank 3 and more (N, C, spatial...) with elements of whole bytes.
#pragma once

#include "strided.h"

namespace ashlar::cpu {

/// `from` is plain; `to` gets its elements channels-last.
inline void to_channels_last(const provider::RunContext& context, const provider::TensorView& from, void* to) {
  const Dims dims = from.dims();
  StridedCopy(from.dtype(), {dims, strides_of(dims, kChannelsLast), strides_of(dims)}).run(context, to, from.raw());
}

/// `from` is channels-last; `to` gets its elements plain.
inline void to_plain(const provider::RunContext& context, const provider::TensorView& from, void* to) {
  const Dims dims = from.dims();
  StridedCopy(from.dtype(), {dims, strides_of(dims), strides_of(dims, kChannelsLast)}).run(context, to, from.raw());
}

}  // namespace ashlar::cpu
