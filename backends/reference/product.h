// SPDX-License-Identifier: Apache-2.0
// Matrix products, which MatMul, Gemm, the convolutions and their integer forms share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "reals.h"

namespace ashlar::reference {

/// The type in which products of T are added up: integers wrap modulo 2^64, of which a narrower type is the remainder.
template <class T> using Sum = std::conditional_t<is_float<T>, double, std::uint64_t>;

inline constexpr int kTile = 16;

/// C = A B for A of [rows, depth] and B of [depth, columns], in blocks of kTile columns.
///   a(i, k)               an element of A as S
///   fill(j, width, tile)  writes columns [j, j + width) of B to tile, which is [depth, kTile]
///   store(i, j, value)    takes element (i, j) of C
/// Each element is one sum over k in ascending order.
template <class S, class LoadA, class Fill, class Store>
void multiply_tiles(std::int64_t rows, std::int64_t columns, std::int64_t depth, const LoadA& a, const Fill& fill, const Store& store) {
  if (rows == 0 || columns == 0) return;
  std::vector<S> tile(static_cast<std::size_t>(depth) * kTile);
  for (std::int64_t first = 0; first < columns; first += kTile) {
    const std::int64_t width = std::min<std::int64_t>(kTile, columns - first);
    fill(first, width, tile.data());
    for (std::int64_t i = 0; i < rows; ++i) {
      S sums[kTile] = {};
      for (std::int64_t k = 0; k < depth; ++k) {
        const S x = a(i, k);
        const S* row = tile.data() + k * kTile;
        for (int j = 0; j < kTile; ++j) sums[j] += x * row[j];
      }
      for (std::int64_t j = 0; j < width; ++j) store(i, first + j, sums[j]);
    }
  }
}

/// multiply_tiles for a B whose elements are b(k, j).
template <class S, class LoadA, class LoadB, class Store>
void multiply(std::int64_t rows, std::int64_t columns, std::int64_t depth, const LoadA& a, const LoadB& b, const Store& store) {
  const auto fill = [&](std::int64_t first, std::int64_t width, S* tile) {
    for (std::int64_t k = 0; k < depth; ++k)
      for (std::int64_t j = 0; j < width; ++j) tile[k * kTile + j] = b(k, first + j);
  };
  multiply_tiles<S>(rows, columns, depth, a, fill, store);
}

}  // namespace ashlar::reference
