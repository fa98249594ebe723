// SPDX-License-Identifier: Apache-2.0
#include "plain_product.h"

namespace ashlar::cpu {

using provider::check;

MatMulShape::MatMulShape(const Dims& a, const Dims& b) : vector_b(b.rank() == 1) {
  check(a.rank() >= 1 && b.rank() >= 1, "a product of the shapes ", a, " and ", b);
  const int a_last = a.rank() - 1, b_row = vector_b ? 0 : b.rank() - 2;
  depth = a[a_last];
  check(depth == b[b_row], "a product of the shapes ", a, " and ", b);
  for (int i = 0; i < a.rank() - 2; ++i) a_batch.push_back(a[i]);
  for (int i = 0; i < b.rank() - 2; ++i) b_batch.push_back(b[i]);
  output = batch = provider::broadcast(a_batch, b_batch);
  if (a.rank() > 1) output.push_back(rows = a[a_last - 1]);
  if (b.rank() > 1) output.push_back(columns = b[b_row + 1]);
}

std::vector<BatchLoop> MatMulShape::loops(std::int64_t b_matrix) const {
  std::vector<BatchLoop> out;
  std::int64_t a_stride = rows * depth, b_stride = b_matrix;
  for (int i = batch.rank() - 1; i >= 0; --i) {
    const int a_axis = i - batch.rank() + a_batch.rank(), b_axis = i - batch.rank() + b_batch.rank();
    const std::int64_t n = batch[i], a_length = a_axis < 0 ? 1 : a_batch[a_axis], b_length = b_axis < 0 ? 1 : b_batch[b_axis];
    const std::int64_t a_step = a_length == 1 ? 0 : a_stride, b_step = b_length == 1 ? 0 : b_stride;
    a_stride *= a_length;
    b_stride *= b_length;
    if (n == 1) continue;
    BatchLoop* last = out.empty() ? nullptr : &out.back();
    if (last && a_step == last->a_step * last->length && b_step == last->b_step * last->length) last->length *= n;
    else out.push_back({n, a_step, b_step});
  }
  return out;
}

}  // namespace ashlar::cpu
