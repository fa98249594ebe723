// SPDX-License-Identifier: Apache-2.0
// float32 matrix products C = A B, the one implementation of MatMul, Gemm, Einsum, the recurrent operators and their integer forms.
//
// B is read in panels: a few vectors' width of columns, all of the depth, one row after the other. A weight is packed so once
// (pack_panels); any other B is packed block by block as the product goes, or read in place where the rows of A are few. Blocks of A, B
// and C stay in the caches as in K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008). C has
// the same bits whenever the number of threads is the same.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "kernel.h"

namespace ashlar::cpu {

/// Floats of a vector in the instruction set that own kernels run in here: 16, 8, or 1 for the baseline.
std::int64_t vector_floats();
/// How packed panels are laid out on this machine, for the key of provider::packed.
const char* panel_layout();
std::uint64_t packed_panel_bytes(std::int64_t depth, std::int64_t columns);
/// B(k, j) = scale * b[k * row_stride + j * column_stride], in bytes from any alignment.
void pack_panels(const void* b, std::int64_t row_stride, std::int64_t column_stride, std::int64_t depth, std::int64_t columns, float scale,
                 void* to);

/// What is done to elements of C as their sums become whole: y = clip(C + bias + residual), then y * min(max(slope * y + offset, 0), 1)
/// where the slope is not 0.
struct Finish {
  const float* bias = nullptr;                                                                         ///< by column, or null
  const float* residual = nullptr;                                                                     ///< as C lies, or null
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();  ///< NaN stays
  float slope = 0, offset = 0;

  bool nothing() const { return !bias && !residual && low == -std::numeric_limits<float>::infinity() && high == -low && slope == 0; }
  /// Of a part of C that begins `column` columns and `place` elements behind.
  Finish at(std::int64_t column, std::int64_t place) const {
    Finish part = *this;
    if (bias) part.bias += column;
    if (residual) part.residual += place;
    return part;
  }
};

/// What is done to elements of C afterwards, before the product is over: called once for each element, for pieces of rows, by several threads at once.
/// row counts through all matrices of a batch. Must not throw.
struct Epilogue {
  void (*apply)(const void* context, float* c, std::int64_t row, std::int64_t column, std::int64_t count) = nullptr;
  const void* context = nullptr;
  bool same_everywhere = false;  ///< an element's place does not matter: a piece may go on over the ends of rows

  /// Applies it to `count` rows of C from `row` on, which begin at c: columns [0, columns).
  void rows(float* c, std::int64_t c_stride, std::int64_t row, std::int64_t count, std::int64_t columns) const {
    if (same_everywhere && c_stride == columns) return apply(context, c, row, 0, count * columns);
    for (std::int64_t i = 0; i < count; ++i) apply(context, c + i * c_stride, row + i, 0, columns);
  }
};

/// A dimension of a batch of products: how many, and the elements from a matrix of A or B to the next.
struct BatchLoop {
  std::int64_t length, a_step, b_step;
};
/// Where in A and B the matrices of product `index` begin; loops are innermost first.
struct BatchOffsets {
  std::int64_t a = 0, b = 0;
  BatchOffsets(std::span<const BatchLoop> loops, std::int64_t index) {
    for (const BatchLoop& loop : loops) {
      a += index % loop.length * loop.a_step;
      b += index % loop.length * loop.b_step;
      index /= loop.length;
    }
  }
};

struct ProductOperands {
  const float* a;
  std::int64_t a_stride;  ///< elements from a row to the next; a row is dense
  const float* b;         ///< packed panels, or B(k, j) = b[k * b_row + j * b_column]
  std::int64_t b_row = 0, b_column = 0;
  float* c;  ///< a matrix behind the other
  std::int64_t c_stride;
  std::span<const BatchLoop> loops = {};  ///< over the batch, innermost first
  Finish finish = {};
  Epilogue epilogue = {};
};

/// The micro-kernel computes a block of rows and a panel of columns of C at a time.
struct ProductBlocks {
  std::int64_t rows;    ///< of a block
  std::int64_t count;   ///< of blocks
  std::int64_t panels;  ///< of panels
};
ProductBlocks product_blocks(std::int64_t rows, std::int64_t columns);

/// A matrix C is computed in so many pieces at once, by row blocks and panels of the micro-kernel.
struct ProductCells {
  std::int64_t rows = 1, panels = 1;
  std::int64_t count() const { return rows * panels; }
};
/// The most even split on `threads`, of the least traffic.
ProductCells product_cells(std::int64_t rows, std::int64_t columns, std::int64_t threads);

/// How products of these sizes are split. rows, columns and depth may be 0; over a depth of 0 C is zeros.
class ProductPlan {
 public:
  ProductPlan() = default;
  ProductPlan(std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t depth, bool packed, int threads);

  std::uint64_t workspace_bytes() const;
  void run(const AshlarHost* host, const ProductOperands& operands, void* workspace) const;

 private:
  std::int64_t batch_ = 0, rows_ = 0, columns_ = 0, depth_ = 0;
  bool packed_ = true;
  ProductCells cells_;
  std::int64_t slots_ = 1;  ///< concurrent ones
};

}  // namespace ashlar::cpu
