// SPDX-License-Identifier: Apache-2.0
// Matrix products of the dtypes that have no vector code, and the shapes of numpy's matmul.
#pragma once

#include "product.h"
#include "scalar.h"

namespace ashlar::cpu {

using ProductTypes = Types<float, double, Float16, BFloat16, std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>;

/// The type in which products of T are added up; integers wrap around.
template <class T>
using ProductSum =
    std::conditional_t<is_half<T>, double,
                       std::conditional_t<std::is_integral_v<T>, std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>, T>>;

/// Where the elements of a matrix are.
template <class T> struct MatrixView {
  const T* data;
  std::int64_t row, column;  // steps
};

/// store(i, j, sum) gets the elements of rows [first, last) of A B, `columns` of them each; sums are in ascending order of the depth.
template <class T, class Store>
void plain_product(MatrixView<T> a, MatrixView<T> b, std::int64_t first, std::int64_t last, std::int64_t columns, std::int64_t depth,
                   const Store& store) {
  constexpr std::int64_t kWidth = 64;
  using S = ProductSum<T>;
  S sums[kWidth];
  for (std::int64_t start = 0; start < columns; start += kWidth) {
    const std::int64_t width = std::min(kWidth, columns - start);
    for (std::int64_t i = first; i < last; ++i) {
      std::fill_n(sums, width, S{});
      for (std::int64_t k = 0; k < depth; ++k) {
        const S x = static_cast<S>(a.data[i * a.row + k * a.column]);
        const T* y = b.data + k * b.row + start * b.column;
        for (std::int64_t j = 0; j < width; ++j) sums[j] += x * static_cast<S>(y[j * b.column]);
      }
      for (std::int64_t j = 0; j < width; ++j) store(i, start + j, sums[j]);
    }
  }
}

/// numpy's matmul: a vector counts as one row on the left and one column on the right, the dimensions in front broadcast.
struct MatMulShape {
  Dims a_batch, b_batch, batch, output;
  std::int64_t rows = 1, columns = 1, depth = 0;
  bool vector_b = false;

  MatMulShape() = default;
  /// A Failure for shapes that do not go together.
  MatMulShape(const Dims& a, const Dims& b);
  /// The batch, for operands whose matrices lie one behind the other; `b_matrix`: elements from one of B's to the next.
  std::vector<BatchLoop> loops(std::int64_t b_matrix) const;
  std::vector<BatchLoop> loops() const { return loops(depth * columns); }
  /// True when all products have one B, so that their rows are the rows of one.
  bool one_b() const { return b_batch.count() == 1; }
};

}  // namespace ashlar::cpu
