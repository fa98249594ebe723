// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ashlar::cpu {

/// A block that suits the caches has at most kTransposeArea elements, and sides that are multiples of kTransposeEdge where it can choose.
inline constexpr std::int64_t kTransposeArea = 4096, kTransposeEdge = 64;

/// to[i][j] = from[j][i] for i in [0, rows), j in [0, columns), of elements of `size` bytes (1, 2, 4, 8 or 16) at any address. The steps are the
/// bytes between rows of `to` and of `from`; the elements of a row are dense. The two do not overlap.
void transpose_block(std::int64_t size, char* to, std::int64_t to_step, const char* from, std::int64_t from_step, std::int64_t rows,
                     std::int64_t columns);

}  // namespace ashlar::cpu
