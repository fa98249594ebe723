// SPDX-License-Identifier: Apache-2.0
// Shape rules of ONNX's operators that more than one provider needs. Shapes that do not go together are a Failure that shows them.
#pragma once

#include <algorithm>
#include <vector>

#include <ashlar/provider/indexing.h>

namespace ashlar::provider {

/// Reshape-23: 0 copies the dimension unless `allow_zero`, and one -1 takes what is left. Of a shape without elements, where ONNX leaves it open, that is
/// what is left of the dimensions that no 0 copies.
inline Dims reshaped(const Dims& in, const Dims& target, bool allow_zero) {
  Dims out = target;
  int inferred = -1;
  for (int i = 0; i < out.rank(); ++i) {
    if (target[i] == 0 && !allow_zero) {
      check(i < in.rank(), "shape ", target, " copies dimension ", i, " of the shape ", in);
      out[i] = in[i];
    }
    if (target[i] != -1) continue;
    check(inferred < 0, "shape ", target, " has -1 twice");
    inferred = i;
    out[i] = 1;
  }
  std::int64_t count = checked_count(out);
  if (inferred >= 0 && count == 0 && !allow_zero) {
    Dims rest = in, others = out;
    for (int i = 0; i < target.rank(); ++i)
      if (target[i] == 0) rest[i] = others[i] = 1;
    count = checked_count(others);
    check(count > 0 && rest.count() % count == 0, "the -1 of shape ", target, " is not determined for the shape ", in);
    out[inferred] = rest.count() / count;
    return out;
  }
  if (inferred >= 0) {
    check(count > 0, "the -1 of shape ", target, " is not determined for the shape ", in);
    out[inferred] = in.count() / count;
    count *= out[inferred];
  }
  check(count == in.count(), "the shape ", in, " cannot become ", target);
  return out;
}

/// Transpose-23's perm: the axis of the input that each axis of the output is; the reverse order where `given` is false.
inline Dims permutation(int rank, bool given, const std::vector<std::int64_t>& perm) {
  Dims axes, seen = Dims::filled(rank, 0);
  if (!given)
    for (int i = rank - 1; i >= 0; --i) axes.push_back(i);
  check(!given || static_cast<int>(perm.size()) == rank, "perm has ", perm.size(), " axes, the input has ", rank);
  for (const std::int64_t axis : perm) {
    const int a = normalize_axis(axis, rank);
    check(seen[a]++ == 0, "perm has axis ", a, " twice");
    axes.push_back(a);
  }
  return axes;
}

/// dims[axes[0]], dims[axes[1]], ...
inline Dims permuted(const Dims& dims, const Dims& axes) {
  Dims out;
  for (const std::int64_t axis : axes) out.push_back(dims[axis]);
  return out;
}

/// Concat-13 of one input or more.
inline Dims concatenated(const std::vector<Dims>& inputs, int axis) {
  Dims out = inputs.at(0);
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const Dims& in = inputs[i];
    check(in.rank() == out.rank(), "input ", i, " has the shape ", in, ", input 0 ", inputs[0]);
    for (int d = 0; d < out.rank(); ++d)
      check(d == axis || in[d] == out[d], "input ", i, " has the shape ", in, ", input 0 ", inputs[0], ", and axis is ", axis);
    out[axis] += in[axis];
  }
  checked_count(out);
  return out;
}

/// Gather-13: the indices' dimensions in the axis's place.
inline Dims gathered(const Dims& in, int axis, const Dims& indices) {
  Dims out = in;
  out.erase(axis);
  for (int i = 0; i < indices.rank(); ++i) out.insert(axis + i, indices[i]);
  checked_count(out);
  return out;
}

/// numpy's matmul: a vector counts as one row on the left and one column on the right, the dimensions in front broadcast.
struct BatchedProduct {
  Dims a_batch, b_batch, batch, output;
  std::int64_t rows = 1, columns = 1, depth;

  BatchedProduct(const Dims& a, const Dims& b) {
    check(a.rank() >= 1 && b.rank() >= 1, "a product of the shapes ", a, " and ", b);
    const int a_last = a.rank() - 1, b_row = b.rank() == 1 ? 0 : b.rank() - 2;
    depth = a[a_last];
    check(depth == b[b_row], "a product of the shapes ", a, " and ", b);
    for (int i = 0; i < a.rank() - 2; ++i) a_batch.push_back(a[i]);
    for (int i = 0; i < b.rank() - 2; ++i) b_batch.push_back(b[i]);
    output = batch = broadcast(a_batch, b_batch);
    if (a.rank() > 1) output.push_back(rows = a[a_last - 1]);
    if (b.rank() > 1) output.push_back(columns = b[b_row + 1]);
  }
};

}  // namespace ashlar::provider
