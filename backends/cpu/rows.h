// SPDX-License-Identifier: Apache-2.0
// Vector code on rows and columns of float32: what reductions, normalisations, softmax and searches are made of. All functions run on the
// calling thread and allocate nothing. A row is `n` floats that lie together; "columns" are `columns` neighbouring floats in each of `n`
// rows that lie `stride` floats apart. `y` may be `x` where both have one shape. Sums have error bounds that do not grow with n
// beyond a few thousand: lanes are added up in blocks.
#pragma once

#include <cstdint>

namespace ashlar::cpu {

/// How elements become one. The minimum and the maximum of anything and NaN is NaN.
enum class Fold { kSum, kSumAbs, kSumSquare, kMax, kMin, kProduct };

/// The identity where n is 0: 0, 1, -infinity, infinity.
double fold_row(Fold fold, const float* x, std::int64_t n);
/// y[c] becomes the fold of y[c] and the column's elements.
void fold_columns(Fold fold, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y);

/// The sum of (x - shift)^2, and the same by column, added to y.
double squares_row(const float* x, std::int64_t n, float shift);
void squares_columns(const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, const float* shift, float* y);

/// exp(x - top) / sum(exp(x - top)), or its logarithm, of each of `rows` rows, or of each column. The error of exp is below 2 units in
/// the last place; where it would be below 2^-126 it is 0.
void softmax_rows(bool logarithm, const float* x, std::int64_t rows, std::int64_t n, float* y);
void softmax_columns(bool logarithm, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, float* y);

/// (x - mean) * inverse * scale + bias for each of `rows` rows, where inverse is 1 / sqrt(variance + epsilon); with `centered` false the
/// mean counts as 0. `scale` and `bias` have n elements or are null, `means` and `inverses` take one number a row or are null.
void normalize_rows(bool centered, const float* x, std::int64_t rows, std::int64_t n, const float* scale, const float* bias, float epsilon,
                    float* y, float* means, float* inverses);

/// (x - shift) * factor + bias, by row and by column (rows of exactly `columns` floats).
void affine_row(const float* x, std::int64_t n, float shift, float factor, float bias, float* y);
void affine_columns(const float* x, std::int64_t rows, std::int64_t columns, const float* shift, const float* factor, const float* bias,
                    float* y);

/// The place of the largest (or smallest) element of a row, or of each column: the first or the last of equals. NaN is beyond all.
/// n is from 1 to 2^31 - 1.
std::int64_t extreme_row(bool largest, bool last, const float* x, std::int64_t n);
void extreme_columns(bool largest, bool last, const float* x, std::int64_t n, std::int64_t stride, std::int64_t columns, std::int64_t* y);

/// x[j] / (bias + alpha * s)^beta for j in [begin, end), where s is the sum of the squares of x[j + k * step], k in [-below, above], as
/// far as they lie in [0, count).
void respond(const float* x, std::int64_t count, std::int64_t begin, std::int64_t end, std::int64_t step, std::int64_t below,
             std::int64_t above, float bias, float alpha, float beta, float* y);

}  // namespace ashlar::cpu
